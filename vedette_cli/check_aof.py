"""`vedette check-aof`: whether an append-only file is whole; cutting off what is not."""

from __future__ import annotations

import mmap
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click

import server.persistence  # noqa: F401 (registers the types)
from server.persistence.aof.checking import PartReport, check_part
from server.persistence.aof.manifest import Manifest, ManifestError

from .check_rdb import survey_lines
from .exit_codes import EXIT_FAILED
from .files import map_file, plural, progress_bar

_HELP = """Check an append-only file, as Redis 7 or an older one keeps it.

FILE is a manifest, the directory that it is in, or a single file. Every part of it is read: the
base, as a snapshot or as commands, and the increments; commands are not run. Exit code 0: it can be
loaded, or could be mended; 1: it cannot.

\b
  vedette check-aof appendonlydir
  vedette check-aof --fix appendonlydir/appendonly.aof.manifest
  vedette check-aof --truncate-to-timestamp 1700000000 appendonlydir

Only the last file can be cut off: what follows a gap would be applied to a dataset that it was not
meant for. Stop the server and make a copy before anything is changed.
"""


@dataclass(frozen=True, slots=True)
class _Wishes:
    """What is to be done about what is found."""

    is_fix: bool
    is_sure: bool
    until_s: int | None


@click.command("check-aof", help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--fix", is_flag=True, help="Cut off the last file where it is still whole.")
@click.option("--yes", is_flag=True, help="Do not ask before that.")
@click.option(
    "--truncate-to-timestamp",
    "until_s",
    type=click.IntRange(min=1),
    metavar="SECONDS",
    help="Cut off what was written after this Unix time (needs aof-timestamp-enabled).",
)
def check_aof(file: Path, fix: bool, yes: bool, until_s: int | None) -> None:
    """Check what was named, and do what was asked for."""
    if fix and until_s is not None:
        raise click.UsageError("--fix and --truncate-to-timestamp exclude each other")
    wishes = _Wishes(fix, yes, until_s)
    paths = _parts_of(file)
    for path in paths:
        _check(path, wishes, is_last=path == paths[-1])
    click.echo("All files are well." if len(paths) > 1 else f"{paths[0]} is well.")


def _parts_of(file: Path) -> list[Path]:
    """Return the files that make up what was named, in order."""
    if file.is_dir():
        manifests = sorted(file.glob("*.manifest"))
        if len(manifests) != 1:
            raise click.ClickException(
                f"{file}: {plural(len(manifests), 'manifest')}, name one file"
            )
        file = manifests[0]
    if file.suffix != ".manifest":
        return [file]
    try:
        manifest = Manifest.parse(bytes(map_file(file)))
    except ManifestError as error:
        click.echo(f"{file}: {error}")
        sys.exit(EXIT_FAILED)
    if not manifest.parts:
        raise click.ClickException(f"{file} names no file")
    return [file.parent / part.name for part in manifest.parts]


def _check(path: Path, wishes: _Wishes, *, is_last: bool) -> None:
    """Check one file; end the program if it stays damaged."""
    data = map_file(path)
    report = PartReport(len(data))
    with progress_bar(path.name, len(data)) as bar:
        for report in check_part(data, now_ms=time.time_ns() // 1_000_000, until_s=wishes.until_s):
            bar.show(report.whole_bytes)
    if isinstance(data, mmap.mmap):
        data.close()
    _tell(path, report)
    if report.later_offset is not None:
        _cut_later(path, report, wishes, is_last=is_last)
    elif not report.is_whole:
        _mend(path, report, wishes, is_last=is_last)


def _tell(path: Path, report: PartReport) -> None:
    if report.snapshot is not None:
        click.echo(f"{path}: begins with a snapshot")
        for line in survey_lines(report.snapshot):
            click.echo(f"  {line}")
    click.echo(
        f"{path}: {report.size_bytes:,} bytes, {plural(report.command_count, 'command')},"
        f" whole up to offset {report.whole_bytes:,}"
    )
    if not report.is_whole:
        click.echo(f"  {report.problem}")


def _cut_later(path: Path, report: PartReport, wishes: _Wishes, *, is_last: bool) -> None:
    if not report.whole_bytes:
        raise click.ClickException(f"{path} has nothing before {wishes.until_s}; it stays as it is")
    if not is_last:
        raise click.ClickException(
            f"{path} goes beyond {wishes.until_s} at offset {report.whole_bytes}, and is not the"
            " last file. Remove the later ones from the manifest and run this again"
        )
    _truncate(path, report.whole_bytes)
    click.echo(f"{path}: cut off at {report.whole_bytes:,}, the first after {wishes.until_s}")


def _mend(path: Path, report: PartReport, wishes: _Wishes, *, is_last: bool) -> None:
    lost_bytes = report.size_bytes - report.whole_bytes
    if not wishes.is_fix:
        click.echo(f"{path} is not well. --fix would cut off {lost_bytes:,} bytes.")
        sys.exit(EXIT_FAILED)
    if not is_last:
        raise click.ClickException(f"{path} is not the last file, and can't be cut off")
    if report.snapshot is not None and report.snapshot.end_offset is None:
        raise click.ClickException(
            f"{path}: its snapshot is damaged, and no part of that can be used"
        )
    click.echo(f"{path}: {lost_bytes:,} of {report.size_bytes:,} bytes are to be cut off")
    if not wishes.is_sure and not click.confirm("Go on?"):
        sys.exit(EXIT_FAILED)
    _truncate(path, report.whole_bytes)
    click.echo(f"{path}: cut off at {report.whole_bytes:,}")


def _truncate(path: Path, size_bytes: int) -> None:
    try:
        with path.open("r+b") as file:
            file.truncate(size_bytes)
            os.fsync(file.fileno())
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
