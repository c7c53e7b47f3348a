"""A consistent copy of a running server's dataset: taken as a replica takes it, then verified.

The server need not be ours. It makes a snapshot of one instant for us, as for a replica, and goes
on meanwhile; nothing is read from its disk. The copy gets its name only once it is complete, has
been decoded from end to end, and is on the disk. Follows Redis 7.0 `redis-cli.c: getRDB`.
"""

from __future__ import annotations

import mmap
import os
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Final

import trio

from vedette.errors import VedetteError
from vedette.runtime.durable_file import sync_directory
from vedette.runtime.tls import secure
from vedette.types import Address

from ..persistence.rdb.errors import RdbError
from ..persistence.rdb_survey import RdbSurvey, survey_rdb
from ..replication.events import (
    FollowConfig,
    LinkFailed,
    SnapshotBegun,
    SnapshotComplete,
    SnapshotPiece,
)
from ..replication.follow import Follow
from .clock import wall_clock_ms
from .link_attempt import describe_error

RECEIVE_BYTES: Final = 256 * 1024


class BackupError(VedetteError):
    """There is no copy; the text says why. Whatever was at the path before is still there."""


class BackupNotSyncedError(VedetteError):
    """The copy is in its place, verified, but a crash of the machine may undo that."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy that was taken."""

    size_bytes: int
    #: The history and offset that it is of; None and -1 for a server too old to have them.
    replid: bytes | None
    offset: int
    survey: RdbSurvey


#: Told how much has arrived, and of how much (0: not known).
Progress = Callable[[int, int], None]


async def take_backup(
    address: Address,
    path: str,
    config: FollowConfig,
    *,
    tls_context: ssl.SSLContext | None = None,
    on_progress: Progress = lambda done_bytes, total_bytes: None,
    sync: Callable[[str], None] = sync_directory,
) -> Backup:
    """Copy the dataset of the server at `address` to `path`, replacing what is there.

    `sync` makes the names in a directory durable.

    Raises:
        BackupError: it could not be had, or cannot be used.
        BackupNotSyncedError: there is one, but its name may not be on the disk.
    """
    directory = os.path.dirname(path) or "."
    try:
        with tempfile.NamedTemporaryFile(
            prefix=f".{os.path.basename(path)}-", dir=directory, delete=False
        ) as file:
            try:
                begun = await _receive(address, file, config, tls_context, on_progress)
                file.flush()
                await trio.to_thread.run_sync(os.fsync, file.fileno())
                size_bytes = file.tell()
                survey = await trio.to_thread.run_sync(_verify, file)
                os.rename(file.name, path)
            except BaseException:
                os.unlink(file.name)
                raise
    except (OSError, UnicodeError) as error:
        raise BackupError(describe_error(error)) from error
    try:
        sync(directory)
    except OSError as error:
        raise BackupNotSyncedError(f"{directory}: {describe_error(error)}") from error
    return Backup(size_bytes, begun.replid, begun.offset, survey)


async def _receive(
    address: Address,
    file: IO[bytes],
    config: FollowConfig,
    tls_context: ssl.SSLContext | None,
    on_progress: Progress,
) -> SnapshotBegun:
    """Have a snapshot sent, write it to `file`, and return what it is of.

    Raises:
        OSError, BackupError: it did not come.
    """
    stream: trio.abc.Stream | None = None
    with trio.move_on_after(config.timeout_ms / 1000):
        plain = await trio.open_tcp_stream(address.host, address.port)
        stream = await secure(plain, tls_context)
    if stream is None:
        raise BackupError(f"{address} takes no connection")
    follow = Follow(config, None, wall_clock_ms())
    begun: SnapshotBegun | None = None
    async with stream:
        follow.on_connected(wall_clock_ms())
        while True:
            if output := follow.take_output():
                await stream.send_all(output)
            data = await _read(stream, follow)
            events = (
                follow.receive(data, wall_clock_ms()) if data else follow.on_time(wall_clock_ms())
            )
            if data == b"":
                events = follow.on_disconnected("the server closed the connection")
            for event in events:
                match event:
                    case SnapshotBegun():
                        begun = event
                    case SnapshotPiece():
                        file.write(event.data)
                    case SnapshotComplete():
                        assert begun is not None
                        return begun
                    case LinkFailed():
                        raise BackupError(event.detail)
                    case _:
                        raise BackupError("the server sent something else than a snapshot")
            if follow.snapshot is not None:
                on_progress(follow.snapshot.read_bytes, follow.snapshot.size_bytes)


async def _read(stream: trio.abc.Stream, follow: Follow) -> bytes | None:
    """Return what arrives; None: it is time to look at the clock."""
    deadline_ms = follow.next_deadline_ms()
    assert deadline_ms is not None
    try:
        with trio.move_on_after(max(0, deadline_ms - wall_clock_ms()) / 1000):
            return bytes(await stream.receive_some(RECEIVE_BYTES))
    except trio.BrokenResourceError:
        return b""
    return None


def _verify(file: IO[bytes]) -> RdbSurvey:
    """Decode what was received, from end to end.

    Raises:
        BackupError: it is no snapshot that could be loaded.
    """
    if not file.tell():
        raise BackupError("the server sent nothing")
    survey = RdbSurvey()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            end = max(survey_rdb(data, survey, wall_clock_ms()))
        except RdbError as error:
            raise BackupError(f"what the server sent cannot be loaded: {error}") from error
        if end != len(data):
            raise BackupError(f"{len(data) - end} bytes follow the snapshot")
    return survey
