"""`vedette check-rdb FILE`: whether a snapshot can be loaded, and what it holds."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

import server.persistence  # noqa: F401 (registers the types)
from server.persistence.rdb.errors import RdbError
from server.persistence.rdb_survey import RdbSurvey, survey_rdb

from .exit_codes import EXIT_FAILED
from .files import map_file, plural, progress_bar


@click.command("check-rdb", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
def check_rdb(file: Path) -> None:
    """Check that a snapshot (RDB file) can be loaded, and say what it holds.

    All of it is decoded: checksum, every key, and the counts that it announces. The file is not
    changed. Exit code 0: it is well; 1: it is not, or cannot be read.
    """
    data = map_file(file)
    survey = RdbSurvey()
    position = 0
    try:
        with progress_bar(file.name, len(data)) as bar:
            for position in survey_rdb(data, survey, time.time_ns() // 1_000_000):
                bar.show(position)
    except RdbError as error:
        click.echo(f"{file}: {error}")
        click.echo(f"Before that: {plural(survey.key_count, 'key')}, {position:,} bytes.")
        sys.exit(EXIT_FAILED)
    for line in survey_lines(survey):
        click.echo(line)
    if survey.end_offset is not None and survey.end_offset < len(data):
        click.echo(f"{len(data) - survey.end_offset:,} bytes follow the end of the snapshot.")
    click.echo(f"{file} is well.")


def survey_lines(survey: RdbSurvey) -> list[str]:
    """Return what a survey found, for a reader."""
    lines = [f"{name}: {value}" for name, value in survey.aux.items()]
    types = ", ".join(f"{count:,} {name}" for name, count in sorted(survey.keys_by_type.items()))
    databases = plural(len(+survey.keys_by_database), "database")
    lines.append(
        f"{plural(survey.key_count, 'key')} in {databases}" + (f": {types}" if types else "")
    )
    if survey.expiring_count:
        lines.append(
            f"{plural(survey.expiring_count, 'key')} of them with an expiry time,"
            f" which has passed for {survey.expired_count:,}"
        )
    if survey.library_count:
        lines.append(plural(survey.library_count, "function library", "function libraries"))
    return lines
