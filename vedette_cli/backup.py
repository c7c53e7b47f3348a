"""`vedette backup`: a verified copy of a running server's dataset."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import click
import trio

import server.persistence  # noqa: F401 (registers the types)
from monitoring.runtime.tls_options import collect_tls, tls_options
from monitoring.targets import BadTarget, parse_target
from server.replication.events import FollowConfig
from server.runtime.backup import Backup, BackupError, BackupNotSyncedError, take_backup
from vedette.runtime.stopping import stopped_by_signals
from vedette.runtime.tls import TlsError

from .check_rdb import survey_lines
from .exit_codes import EXIT_FAILED, exit_code_of
from .files import progress_bar

_HELP = """Take a copy of a running server's dataset, and verify it.

TARGET is host:port or redis://[[user]:password@]host[:port], FILE the snapshot (RDB file) to be
written. The server, Vedette's or Redis', makes a snapshot of one instant as for a replica, and
goes on serving. The copy is decoded from end to end before it gets its name: checksum, every key,
and the counts that it announces. Exit code 0: there is a copy; 1: there is none, and what was at
FILE before is still there, or, if the message says so, a copy that a crash of the machine may undo.

\b
  vedette backup 127.0.0.1:6379 /backups/today.rdb
  VEDETTE_BACKUP_PASSWORD=secret vedette backup --user backup db1:6379 today.rdb

The user needs the commands REPLCONF, PSYNC and SYNC. To restore, see docs/persistence.md.
"""


@click.command(help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("target")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--user", default="", help="User to log in as.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Silence after which it is given up.",
)
@tls_options
# Any: what `tls_options` gives, which `collect_tls` takes.
def backup(target: str, file: Path, user: str, timeout_s: int, **tls_words: Any) -> None:
    """Take a copy."""
    tls = collect_tls(**tls_words)
    try:
        parsed = tls.applied_to(parse_target(target))
        context = tls.context_for(parsed)
    except (BadTarget, TlsError) as error:
        raise click.UsageError(str(error)) from error
    password = parsed.password or os.environ.get("VEDETTE_BACKUP_PASSWORD", "")
    config = FollowConfig(
        listening_port=0,
        master_user=(user or parsed.username or "").encode(),
        master_password=password.encode(),
        timeout_ms=timeout_s * 1000,
        is_snapshot_only=True,
    )

    async def take() -> Backup | signal.Signals:
        """Return the copy, or the signal that ended the taking before there was one."""
        async with stopped_by_signals() as received:
            with progress_bar(str(parsed.address), None) as bar:
                return await take_backup(
                    parsed.address,
                    str(file),
                    config,
                    tls_context=context,
                    on_progress=lambda done, total: bar.show(done, total or None),
                )
        return received[0]

    try:
        taken = trio.run(take)
    except BackupError as error:
        click.echo(f"vedette backup: no copy of {parsed.address}: {error}", err=True)
        sys.exit(EXIT_FAILED)
    except BackupNotSyncedError as error:
        click.echo(
            f"vedette backup: {file} is a copy of {parsed.address}, verified, but may not survive"
            f" a crash of the machine: {error}",
            err=True,
        )
        sys.exit(EXIT_FAILED)
    if isinstance(taken, signal.Signals):
        sys.exit(exit_code_of(taken))
    for line in survey_lines(taken.survey):
        click.echo(line)
    history = "" if taken.replid is None else f", offset {taken.offset} of {taken.replid.decode()}"
    click.echo(f"{file}: {taken.size_bytes:,} bytes{history}")
