"""`vedette sentinel replay FILE`: the journal of a sentinel, run again and printed."""

from __future__ import annotations

from pathlib import Path

import click

from sentinel.journal import JournalError
from sentinel.replay import trace


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--all", "shows_all", is_flag=True, help="Show every event and action as well.")
def replay(file: Path, shows_all: bool) -> None:
    """Give a sentinel's journal to its machine again, and print what that announces."""
    try:
        with file.open(encoding="ascii", errors="replace") as lines:
            for line in trace(lines, shows_all=shows_all):
                click.echo(line)
    except JournalError as error:
        raise click.ClickException(str(error)) from error
    except AssertionError as error:
        raise click.ClickException(f"the machine broke here: {error}") from error
