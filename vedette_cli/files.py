"""What the subcommands that read data files share: mapping them, and showing how far they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from server.persistence.rdb.lengths import RdbData
from server.runtime import mapped_file

#: A file smaller than this is read before a bar would be seen.
_BAR_FROM_BYTES = 32 * 1024 * 1024


def map_file(path: Path) -> RdbData:
    """Return what a file holds.

    Raises:
        click.ClickException: it cannot be read; the exit code is 1.
    """
    try:
        return mapped_file.map_file(path)
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error


@contextmanager
def progress_bar(what: str, total_bytes: int | None) -> Iterator[Bar]:
    """Show on a terminal's standard error how much of `total_bytes` (None: unknown) is done."""
    console = Console(stderr=True)
    is_small = total_bytes is not None and total_bytes < _BAR_FROM_BYTES
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    progress = Progress(*columns, console=console, transient=True, disable=is_small)
    if not console.is_terminal:
        progress.disable = True
    with progress:
        yield Bar(progress, progress.add_task(what, total=total_bytes))


class Bar:
    """A bar that is being shown, or is not worth it."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def show(self, done_bytes: int, total_bytes: int | None = None) -> None:
        """Note that so much is done, and of how much, if that is known by now."""
        if not self._progress.disable:
            self._progress.update(self._task, completed=done_bytes, total=total_bytes)


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return a count with its noun: `1 key`, `2 keys`; `nouns` where an s will not do."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {nouns or f'{noun}s'}"
