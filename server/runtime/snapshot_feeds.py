"""Snapshots for the replicas that wait for one: by a child, in one of two ways.

They are made one at a time, for all replicas that then wait. With `repl-diskless-sync` the child
writes into a pipe and every replica gets the bytes as they come, at the pace of the slowest, ended
by a mark. Otherwise (or if one of them cannot find a mark) it is a BGSAVE: it writes the server's
own snapshot, from which each replica is served at its own pace, and which replicas that arrive
while it is written may join. Follows Redis 7.0 `replication.c: startBgsaveForReplication,
rdbPipeReadHandler, updateSlavesWaitingBgsave`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import IO, Final

import structlog
import trio

from monitoring.server_meter import FULL, MASTER

from .. import directives
from ..engine import ServerEngine
from ..persistence.background import ChildKind
from ..replication.feed import DropReason, FeedState
from ..replication.replconf import SnapshotContent
from .child import Child, ChildStatus, start_child
from .child_progress import SharedProgress
from .forks import note_fork
from .replica_connection import PIECE_BYTES, ReplicaConnection
from .saving import write_chunks
from .snapshots import SnapshotKeeper, forget_sync_file

log = structlog.get_logger()

#: What one read from a child takes: what a pipe holds, as a rule.
PIPE_BYTES: Final = 64 * 1024
#: How often to look whether another child has ended.
TURN_POLL_S: Final = 0.05
#: States of replicas that a file may be for.
_SYNCHRONISING: Final = (FeedState.WAIT_SNAPSHOT, FeedState.SENDING_SNAPSHOT)
_SNAPSHOT_REFUSED: Final = b"-ERR BGSAVE failed, replication can't continue\r\n"

#: Gives the bytes of a snapshot of the dataset as it is when it is called; consumed in a child,
#: which tells its progress so.
SnapshotSource = Callable[[SharedProgress, SnapshotContent], Iterable[bytes]]


@dataclass(slots=True)
class _Snapshot:
    """A snapshot being made; one that goes into a file more replicas may join."""

    kill: Callable[[], None]
    offset: int
    members: list[ReplicaConnection]
    is_joinable: bool

    @property
    def is_wanted(self) -> bool:
        """Whether any of the members still waits for it, or gets it."""
        return any(not member.is_in(FeedState.CLOSED) for member in self.members)


class SnapshotFeeds:
    """Gives snapshots to those of `connections` that wait for one."""

    def __init__(
        self,
        engine: ServerEngine,
        connections: Mapping[int, ReplicaConnection],
        *,
        source: SnapshotSource,
        saves: SnapshotKeeper,
        snapshot_path: Callable[[], str],
        new_mark: Callable[[], bytes],
        new_progress: Callable[[], SharedProgress],
        clock_ms: Callable[[], int],
    ) -> None:
        """Prepare; `connections` are the owner's, by feed.

        `saves` writes the server's own snapshot, to `snapshot_path`; `new_mark` gives 40 random
        hexadecimal digits.
        """
        self._engine = engine
        self._replication = engine.replication
        self._connections = connections
        self._snapshot_source = source
        self._saves = saves
        self._snapshot_path = snapshot_path
        self._new_mark = new_mark
        self._new_progress = new_progress
        self._clock_ms = clock_ms
        #: Set when a replica began to wait for a snapshot.
        self._wanted = trio.Event()
        #: The snapshot that a child makes, while it does.
        self._current: _Snapshot | None = None

    def give(self, connection: ReplicaConnection) -> None:
        """Give a replica that has arrived the snapshot being written, or one made for it."""
        if not self._join(connection):
            self._wanted.set()

    def _waiting(self) -> list[ReplicaConnection]:
        """Return the replicas for which no snapshot has been begun."""
        return [
            connection
            for connection in self._connections.values()
            if connection.feed.state is FeedState.WAIT_SNAPSHOT
            and connection.feed.snapshot_offset is None
        ]

    def _join(self, connection: ReplicaConnection) -> bool:
        """Give `connection` the snapshot that is being written to a file, if there is one."""
        snapshot, backlog = self._current, self._replication.backlog
        if (
            snapshot is None
            or not snapshot.is_joinable
            or connection.feed.options.content.is_filtered
            or backlog is None
            or not backlog.holds(snapshot.offset)
        ):
            return False
        connection.push(self._replication.join_snapshot(connection.feed, snapshot.offset))
        snapshot.members.append(connection)
        return True

    def end_useless_child(self) -> None:
        """Kill the child whose snapshot nobody waits for any more.

        As in Redis, one that writes a file goes on where there are save points.
        """
        snapshot = self._current
        if snapshot is None or snapshot.is_wanted:
            return
        if snapshot.is_joinable and self._engine.configuration[directives.SAVE]:
            return
        snapshot.kill()

    async def run(self, nursery: trio.Nursery) -> None:
        """Make one snapshot after the other for the replicas that wait.

        Files are sent by tasks in `nursery`, so that a slow replica does not keep the next waiting.
        """
        while True:
            await self._wanted.wait()
            await self._gather()
            await self._wait_for_turn()
            waiting = self._waiting()
            if not waiting:
                continue
            # Those that want the same as the first; the others have their turn after them.
            content = waiting[0].feed.options.content
            members = [member for member in waiting if member.feed.options.content == content]
            if len(members) < len(waiting):
                self._wanted.set()
            is_diskless = self._replication.settings.is_diskless or content.is_filtered
            try:
                if is_diskless and all(m.feed.options.knows_eof for m in members):
                    await self._stream_snapshot(members)
                else:
                    await self._file_snapshot(members, nursery)
            except OSError as error:
                log.error("snapshot.failed", error=str(error))
                for member in members:
                    member.push(_SNAPSHOT_REFUSED)
                    self._end(member, DropReason.SNAPSHOT_FAILED)

    async def _gather(self) -> None:
        """Wait for more replicas, as long and as many as `repl-diskless-sync-` says."""
        settings = self._replication.settings
        self._wanted = trio.Event()
        if not settings.is_diskless or not settings.diskless_delay_ms:
            return
        most = settings.diskless_max_replicas
        with trio.move_on_after(settings.diskless_delay_ms / 1000):
            while not most or len(self._waiting()) < most:
                await self._wanted.wait()
                self._wanted = trio.Event()

    async def _wait_for_turn(self) -> None:
        """Wait until no other child is at work: two would double the memory that writes copy."""
        engine = self._engine
        while engine.background.active is not None:  # noqa: ASYNC110 (others' have no event)
            await trio.sleep(TURN_POLL_S)

    def _snapshot_offset(self) -> int:
        """Return where the stream stands for a snapshot forked now: no checkpoint before that."""
        # Replicas load it, and know no database until the stream selects one.
        self._replication.effects.forget_database()
        return self._replication.offset

    def _announce(self, snapshot: _Snapshot) -> None:
        """Tell the replicas of a snapshot whose child was forked just now."""
        self._current = snapshot
        for member in snapshot.members:
            member.push(self._replication.begin_snapshot(member.feed))

    # --- snapshots through a pipe ----------------------------------------------------------------

    async def _stream_snapshot(self, members: list[ReplicaConnection]) -> None:
        """Send a snapshot to `members` while it is made. Raises OSError when it cannot be begun."""
        engine = self._engine
        progress = self._new_progress()
        reader, writer = os.pipe()
        try:
            try:
                os.set_blocking(reader, False)
                child = self._fork_into(writer, members, progress)
            finally:
                os.close(writer)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._relay, reader, child, members)
                    outcome = await child.wait()
                    if outcome.status is not ChildStatus.SUCCEEDED:
                        # What there is of it is of no use, and a replica may be slow to take it.
                        nursery.cancel_scope.cancel()
            finally:
                engine.background.end(progress)
                self._current = None
        finally:
            os.close(reader)
        copied_bytes = max(outcome.copied_bytes, progress.peak_copied_bytes)
        engine.saves.on_transfer_end(self._clock_ms(), copied_bytes)
        if outcome.status is ChildStatus.FAILED:
            log.error("snapshot.failed", error=outcome.error)
        for member in members:
            is_sending = member.is_in(FeedState.SENDING_SNAPSHOT)
            if is_sending and outcome.status is ChildStatus.SUCCEEDED:
                await self._finish(member)
            elif is_sending or member.is_in(FeedState.WAIT_SNAPSHOT):
                # The child may have ended before it wrote anything, and the replica waits for it.
                self._end(member, DropReason.SNAPSHOT_FAILED)

    def _fork_into(
        self, descriptor: int, members: list[ReplicaConnection], progress: SharedProgress
    ) -> Child:
        """Fork the child that writes a snapshot for `members` to `descriptor`."""
        engine = self._engine
        content = members[0].feed.options.content
        offset = self._snapshot_offset()
        chunks = self._snapshot_source(progress, content)
        child = start_child(
            lambda: write_chunks(descriptor, chunks), keep_descriptors=(descriptor,)
        )
        key_count = engine.keyspace.key_count() if content.has_data else 0
        note_fork(engine, child, ChildKind.SYNCHRONISATION, key_count, progress)
        engine.saves.on_transfer_start(self._clock_ms())
        self._announce(_Snapshot(child.kill, offset, members, is_joinable=False))
        return child

    async def _relay(self, reader: int, child: Child, members: list[ReplicaConnection]) -> None:
        """Send what the child writes to all members that are still there."""
        while True:
            await trio.lowlevel.wait_readable(reader)
            try:
                data = os.read(reader, PIPE_BYTES)
            except BlockingIOError:
                continue
            if not data:
                return
            for member in members:
                if member.is_in(FeedState.WAIT_SNAPSHOT):
                    member.push(member.feed.become_sending(mark=self._new_mark()))
            alive = [m for m in members if m.is_in(FeedState.SENDING_SNAPSHOT)]
            if not alive:
                child.kill()
                return
            for member in alive:
                await self._send_piece(member, data)

    async def _send_piece(self, member: ReplicaConnection, data: bytes) -> None:
        """Send a piece of a snapshot; a replica that takes none for `repl-timeout` is dropped."""
        with trio.move_on_after(self._replication.settings.timeout_ms / 1000) as scope:
            await member.send(data)
            self._engine.meter.on_snapshot_bytes(MASTER, len(data))
        if scope.cancelled_caught:
            self._end(member, DropReason.TIMED_OUT)

    # --- snapshots through a file ----------------------------------------------------------------

    async def _file_snapshot(self, members: list[ReplicaConnection], nursery: trio.Nursery) -> None:
        """Have the server's own snapshot written, then sent to each of `members` and of those that
        joined.

        Raises OSError when it cannot be begun.
        """
        has_ended = trio.Event()
        file: IO[bytes] | None = None

        def on_end(is_ok: bool) -> None:
            # At once: the next snapshot to take the file's place holds more than these are told.
            nonlocal file
            self._current = None
            if is_ok:
                try:
                    file = open(self._snapshot_path(), "rb")  # noqa: SIM115 (closed when sent)
                except OSError as error:
                    log.error("snapshot.not_sent", error=error.strerror)
            has_ended.set()

        offset = self._snapshot_offset()
        self._saves.start(on_end)
        self._announce(_Snapshot(self._saves.abort, offset, members, is_joinable=True))
        await has_ended.wait()
        if file is not None:
            nursery.start_soon(self._send_files, members, file)
            return
        for member in members:
            self._end(member, DropReason.SNAPSHOT_FAILED)

    async def _send_files(self, members: list[ReplicaConnection], file: IO[bytes]) -> None:
        """Send `file` to all `members` at once, then close it."""
        with file:
            size_bytes = os.fstat(file.fileno()).st_size
            async with trio.open_nursery() as nursery:
                for member in members:
                    nursery.start_soon(self._send_file, member, file.fileno(), size_bytes)
            if not any(feed.state in _SYNCHRONISING for feed in self._replication.feeds.values()):
                forget_sync_file(self._engine.configuration, file.fileno(), self._snapshot_path())

    async def _send_file(self, member: ReplicaConnection, descriptor: int, size_bytes: int) -> None:
        """Send the `size_bytes` of a file to one replica and put it online."""
        if not member.is_in(FeedState.WAIT_SNAPSHOT):
            return
        member.push(member.feed.become_sending(size_bytes=size_bytes))
        position = 0
        while position < size_bytes and member.is_in(FeedState.SENDING_SNAPSHOT):
            data = os.pread(descriptor, PIECE_BYTES, position)
            position += len(data)
            await self._send_piece(member, data)
        if member.is_in(FeedState.SENDING_SNAPSHOT):
            await self._finish(member)

    async def _finish(self, member: ReplicaConnection) -> None:
        """Put a replica online that has its whole snapshot, or let it go if it wanted no more."""
        feed, now_ms = member.feed, self._clock_ms()
        await self._send_piece(member, feed.become_online(now_ms))
        self._engine.meter.on_resync_ended(MASTER, FULL, (now_ms - feed.created_ms) / 1000)
        log.info("replica.synchronised", replica=feed.host, port=feed.options.listening_port)

    def _end(self, member: ReplicaConnection, reason: DropReason) -> None:
        self._replication.drop(member.feed, reason, self._clock_ms())
