"""`vedette backup`: a verified copy of a running server's dataset."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import click
import trio

import server.persistence  # noqa: F401 (registers the types)
from monitoring.targets import BadTarget, parse_target
from server.replication.events import FollowConfig
from server.runtime.backup import Backup, BackupError, take_backup
from vedette.conf.tls import TlsSettings
from vedette.runtime.stopping import stopped_by_signals
from vedette.runtime.tls import TlsError, client_context

from .check_rdb import survey_lines
from .files import EXIT_BAD, progress_bar

_HELP = """Take a copy of a running server's dataset, and verify it.

TARGET is host:port or redis://[[user]:password@]host[:port], FILE the snapshot (RDB file) to be
written. The server, Vedette's or Redis', makes a snapshot of one instant as for a replica, and
goes on serving. The copy is decoded from end to end before it gets its name: checksum, every key,
and the counts that it announces. Exit code 0: there is a copy; 1: there is none, and what was at
FILE before is still there.

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
@click.option("--tls", is_flag=True, help="Connect over TLS, as rediss:// does.")
@click.option("--cacert", default="", metavar="FILE", help="The authority that is trusted.")
@click.option("--cert", default="", metavar="FILE", help="Certificate to show.")
@click.option("--key", default="", metavar="FILE", help="Its key.")
def backup(
    target: str,
    file: Path,
    user: str,
    timeout_s: int,
    tls: bool,
    cacert: str,
    cert: str,
    key: str,
) -> None:
    """Take a copy."""
    try:
        parsed = parse_target(target)
        context = None
        if tls or parsed.uses_tls:
            files = TlsSettings(ca_cert_file=cacert, cert_file=cert, key_file=key)
            context = client_context(files)
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
        sys.exit(EXIT_BAD)
    if isinstance(taken, signal.Signals):
        sys.exit(128 + taken)  # as a shell reports a program that a signal ended
    for line in survey_lines(taken.survey):
        click.echo(line)
    history = "" if taken.replid is None else f", offset {taken.offset} of {taken.replid.decode()}"
    click.echo(f"{file}: {taken.size_bytes:,} bytes{history}")
