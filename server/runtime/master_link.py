"""The task that follows the master: one connection after another, as `replication.follow` says.

It opens the connection, gives the machine what arrives, carries out its events in order, and then
sends what the machine wants sent. A snapshot goes into a temporary file without a name, is decoded
from there beside the present dataset, and takes its place in one step: until then clients are
served the old data, and a snapshot that cannot be used costs nothing. The stream is run by the
engine in the session of the master, which appears in CLIENT LIST and can be killed.

Owns the link's socket. Everything that changes state happens between two checkpoints, and each time
the task wakes it checks that its machine is still the one that counts (REPLICAOF may have come).
"""

from __future__ import annotations

import mmap
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

import structlog
import trio

from vedette.clients import Session
from vedette.clients.session import ClientKind
from vedette.errors import CommandError
from vedette.runtime.pump import Pump
from vedette.runtime.tls import secure
from vedette.types import Address

from .. import directives
from ..commands.failover import abort, complete
from ..engine import ServerEngine
from ..persistence.rdb.errors import RdbError, UnsupportedDatabaseError
from ..persistence.snapshot import LoadedKeyspace, SnapshotLoad
from ..replication.events import (
    Continued,
    FollowConfig,
    FollowEvent,
    LinkFailed,
    LinkFailure,
    SnapshotBegun,
    SnapshotComplete,
    SnapshotPiece,
    StreamPiece,
)
from ..replication.failover import FailoverState
from ..replication.follow import Follow, FollowState

log = structlog.get_logger()

RECEIVE_BYTES: Final = 64 * 1024
#: How long loading a snapshot may keep the other tasks waiting at a time.
LOAD_SLICE_S: Final = 0.01
#: Failures that need a human: the master's data cannot be had as things are.
_GRAVE: Final = frozenset(
    {LinkFailure.AUTH_REFUSED, LinkFailure.SNAPSHOT_UNUSABLE, LinkFailure.STREAM_UNUSABLE}
)


def wall_clock_ms() -> int:
    """Return the wall clock in milliseconds, the time the engine counts in."""
    return time.time_ns() // 1_000_000


class SnapshotSpool:
    """A snapshot as it arrives, in a temporary file that has no name and ends with this object."""

    def __init__(self, directory: str) -> None:
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 (closed by `close`)
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append `data`. Raises OSError when the disk is full or broken."""
        self._file.write(data)
        self.size_bytes += len(data)

    def open_map(self) -> mmap.mmap | bytes:
        """Return all that was written, for reading."""
        self._file.flush()
        if not self.size_bytes:
            return b""
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        """Give the disk's room back."""
        self._file.close()


@dataclass(slots=True)
class _Incoming:
    """The snapshot that is being received."""

    begun: SnapshotBegun
    spool: SnapshotSpool


class MasterLink:
    """Follows the master that `engine.replication` names, for as long as it names one."""

    def __init__(
        self,
        engine: ServerEngine,
        pump: Pump,
        *,
        directory: Callable[[], str],
        source_address: Callable[[], str] = lambda: "",
        tls_context: Callable[[], ssl.SSLContext | None] = lambda: None,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Prepare.

        `directory` is where a snapshot is kept while it is received, `source_address` the
        local address to connect from (`bind-source-addr`), or empty; `tls_context` is given when
        the link is to go over TLS (`tls-replication`).
        """
        self._engine = engine
        self._replication = engine.replication
        self._pump = pump
        self._directory = directory
        self._source_address = source_address
        self._tls_context = tls_context
        self._clock_ms = clock_ms
        #: Set when the master to follow may have changed; replaced when that was noticed.
        self._changed = trio.Event()
        #: The attempt under way; cancelled when it is not wanted any more.
        self._attempt: trio.CancelScope | None = None
        #: The wait for what the master sends, while there is one.
        self._rest: trio.CancelScope | None = None
        #: The session in which the stream is run, while the link is up.
        self._session: Session | None = None
        self._incoming: _Incoming | None = None
        #: What ended the attempt under way.
        self._failed: LinkFailed | None = None
        #: What was last logged of failures, so that each is told once and not at each attempt.
        self._told: tuple[LinkFailure, str] | None = None

    # --- what others ask -------------------------------------------------------------------------

    def relink(self) -> None:
        """End the present attempt and begin anew with the master that is now to be followed."""
        self._told = None
        self._changed.set()
        if self._attempt is not None:
            self._attempt.cancel()

    def forget(self, session: Session) -> None:
        """Note that `session` was closed: if it is the master's, the link is made anew."""
        if session is self._session and self._attempt is not None:
            self._attempt.cancel()

    def on_synced(self) -> None:
        """Note that more of the stream is on the disk; the master may wait to hear of it."""
        follow = self._replication.follow
        if self._rest is not None and follow is not None and follow.is_synced_answer_due:
            self._rest.cancel()

    # --- the task --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow for ever; while there is no master, wait for one."""
        while True:
            self._changed = trio.Event()
            master = self._replication.master
            if master is None:
                await self._changed.wait()
                continue
            retry_after_ms = await self._follow_once(master)
            with trio.move_on_after(retry_after_ms / 1000):
                await self._changed.wait()

    async def _follow_once(self, master: Address) -> int:
        """Make one link and serve it to its end; return how long to wait before the next, in ms."""
        replication = self._replication
        follow = Follow(self._follow_config(), replication.position, self._clock_ms())
        replication.follow = follow
        self._failed = None
        detail = "ended by this server"
        try:
            with trio.CancelScope() as self._attempt:
                detail = await self._serve(follow, master)
        except (OSError, UnicodeError, trio.BrokenResourceError, trio.TooSlowError) as error:
            # UnicodeError: a host name that cannot be one.
            detail = _describe(error)
        finally:
            self._attempt = None
            if self._failed is None:
                self._failed = _failure_among(follow.on_disconnected(detail))
            self._end_link(follow, master)
        return 0 if self._failed is None else self._failed.retry_after_ms

    def _follow_config(self) -> FollowConfig:
        settings = self._replication.settings
        return FollowConfig(
            listening_port=settings.announced_port or settings.listening_port,
            announced_address=settings.announced_address,
            master_user=settings.master_user,
            master_password=settings.master_password,
            timeout_ms=settings.timeout_ms,
            is_failover=self._replication.failover.state is FailoverState.IN_PROGRESS,
            synced_offset=lambda: self._engine.aof.synced_offset,
        )

    async def _serve(self, follow: Follow, master: Address) -> str:
        """Connect and carry out what `follow` says; return why the connection ended."""
        stream: trio.abc.Stream | None = None
        with trio.move_on_after(follow.config.timeout_ms / 1000):
            stream = await trio.open_tcp_stream(
                master.host, master.port, local_address=self._source_address() or None
            )
            stream = await secure(stream, self._tls_context())
        if stream is None:
            return "no connection within repl-timeout"
        async with stream:
            follow.on_connected(self._clock_ms())
            while True:
                self._replication.failover.is_target_asked |= follow.is_failover_asked
                await self._send(stream, follow)
                if follow.state is FollowState.CLOSED:
                    return "given up"
                data = await self._receive(stream, follow)
                if self._replication.follow is not follow:
                    return "another master was named"
                if data == b"":
                    return "the master closed the connection"
                now_ms = self._clock_ms()
                events = follow.receive(data, now_ms) if data is not None else []
                await self._handle(follow, stream, events)
                await self._handle(follow, stream, follow.on_time(now_ms))

    async def _receive(self, stream: trio.abc.Stream, follow: Follow) -> bytes | None:
        """Return what arrives, or None when `follow` wants to be told the time."""
        deadline_ms = follow.next_deadline_ms()
        assert deadline_ms is not None
        try:
            with trio.move_on_after(max(0, deadline_ms - self._clock_ms()) / 1000) as self._rest:
                return bytes(await stream.receive_some(RECEIVE_BYTES))
        finally:
            self._rest = None
        return None

    async def _send(self, stream: trio.abc.Stream, follow: Follow) -> None:
        """Send what `follow` wants sent; a master that takes none of it is as good as gone."""
        output = follow.take_output()
        if output:
            with trio.fail_after(follow.config.timeout_ms / 1000):
                await stream.send_all(output)

    # --- events ----------------------------------------------------------------------------------

    async def _handle(
        self, follow: Follow, stream: trio.abc.Stream, events: list[FollowEvent]
    ) -> None:
        """Carry out `events` in order."""
        for event in events:
            match event:
                case SnapshotBegun() | SnapshotPiece():
                    self._end_failover(follow)
                    try:
                        self._store(event)
                    except OSError as error:
                        detail = f"the snapshot cannot be stored: {error}"
                        self._failed = _failure_among(follow.on_snapshot_unusable(detail))
                        return
                case SnapshotComplete():
                    more = await self._load_snapshot(follow, stream)
                    await self._handle(follow, stream, more)
                case Continued(replid):
                    self._end_failover(follow)
                    self._replication.continue_stream(replid, self._clock_ms())
                    self._open_session()
                    self._tell_established("partial")
                case StreamPiece():
                    more = self._apply(follow, event)
                    await self._handle(follow, stream, more)
                case LinkFailed(LinkFailure.FAILOVER_REFUSED, detail):
                    self._failed = event
                    log.warning(
                        "failover.refused", target=str(self._replication.master), error=detail
                    )
                    abort(self._engine, self._clock_ms())
                    self._pump.settle()
                case LinkFailed():
                    self._failed = event
                case _:
                    assert_never(event)

    def _end_failover(self, follow: Follow) -> None:
        """Note that the target of FAILOVER, if we followed it for that, is the master now."""
        failover = self._replication.failover
        if follow.config.is_failover and failover.state is FailoverState.IN_PROGRESS:
            log.info("failover.completed", target=str(failover.target))
            complete(self._engine)
            self._pump.settle()

    def _store(self, event: SnapshotBegun | SnapshotPiece) -> None:
        """Keep a piece of the snapshot. Raises OSError when it cannot be kept."""
        if isinstance(event, SnapshotBegun):
            self._incoming = _Incoming(event, SnapshotSpool(self._directory()))
            log.info("snapshot.begun", master=str(self._replication.master), offset=event.offset)
        else:
            assert self._incoming is not None
            self._incoming.spool.write(event.data)

    async def _load_snapshot(self, follow: Follow, stream: trio.abc.Stream) -> list[FollowEvent]:
        """Decode the snapshot beside the present dataset and, when it is whole, adopt it."""
        incoming = self._incoming
        assert incoming is not None
        keyspace = self._engine.keyspace
        loaded = LoadedKeyspace()
        functions = self._engine.scripting.functions
        load = SnapshotLoad(
            incoming.spool.open_map(), loaded, database_count=len(keyspace.databases)
        )
        try:
            while _load_slice(load):
                # The events of a machine that loads are none; it may want a newline sent.
                follow.on_time(self._clock_ms())
                await self._send(stream, follow)
                await trio.lowlevel.checkpoint()
            stream_database = _stream_database(load, len(keyspace.databases))
            libraries = functions.load_apart(loaded.libraries)
        except RdbError as error:
            return follow.on_snapshot_unusable(str(error))
        except CommandError as error:
            return follow.on_snapshot_unusable(f"a function library cannot be loaded: {error}")
        functions.adopt(libraries)
        for database in keyspace.databases:
            database.adopt(
                loaded.values.get(database.index, {}), loaded.expire_at_ms.get(database.index, {})
            )
        keyspace.dirty += 1
        if self._engine.configuration[directives.APPEND_ONLY]:
            port = self._engine.aof.port
            assert port is not None
            port.restart()
        now_ms = self._clock_ms()
        self._replication.adopt_snapshot(
            incoming.begun.replid, incoming.begun.offset, stream_database, now_ms
        )
        log.info("snapshot.loaded", keys=load.keys_loaded, size_bytes=incoming.spool.size_bytes)
        self._close_spool()
        self._open_session()
        self._tell_established("full")
        return follow.on_snapshot_loaded(now_ms)

    def _open_session(self) -> None:
        """Open the session of the master: it may do everything, and its replies go nowhere."""
        engine = self._engine
        engine.begin_batch(self._clock_ms())
        session = engine.clients.open(
            address=str(self._replication.master),
            local_address="",
            now_ms=engine.context.now_ms,
        )
        session.is_deaf = True
        session.kind = ClientKind.MASTER
        session.database_index = self._replication.stream_database
        self._session = session
        settings = self._replication.settings
        engine.set_link_state(is_down=False, serves_stale_data=settings.serves_stale_data)
        self._told = None

    def _apply(self, follow: Follow, piece: StreamPiece) -> list[FollowEvent]:
        """Run the commands, then let the same bytes go to our own replicas."""
        engine, session = self._engine, self._session
        if session is None or session.is_closed:
            return []  # killed in this very batch; the link is being cancelled
        engine.begin_batch(self._clock_ms())
        session.last_interaction_ms = engine.context.now_ms
        errors_before = engine.error_replies
        if piece.commands:
            engine.run(session, piece.commands)
            session.outbox.clear()  # its replies go nowhere, and are empty
        self._replication.apply_raw(piece.raw)
        self._replication.stream_database = session.database_index
        events: list[FollowEvent] = []
        if engine.error_replies != errors_before:
            events = self._judge_errors(follow, piece)
        self._pump.settle()
        return events

    def _judge_errors(self, follow: Follow, piece: StreamPiece) -> list[FollowEvent]:
        """A command of the stream failed, so the dataset may not be the master's any more.

        One that is not known here certainly changed the master's data and not ours: the link ends,
        and the snapshot that follows tells whether the data can be had at all. Others are logged,
        as Redis does.
        """
        for command in piece.commands:
            try:
                self._engine.table.find(command)
            except CommandError as error:
                return follow.on_stream_unusable(str(error))
        log.error("stream.command_failed", offset=piece.offset, commands=len(piece.commands))
        return []

    # --- the end ---------------------------------------------------------------------------------

    def _end_link(self, follow: Follow, master: Address) -> None:
        """Close what belonged to the link, and say why it ended."""
        self._close_spool()
        session, self._session = self._session, None
        if session is not None:
            self._engine.disconnect(session)
        replication = self._replication
        failed = self._failed
        if replication.follow is not follow or failed is None:
            return  # another master was named meanwhile: the state is no longer about this link
        replication.follow = None
        replication.end_link(
            failed.detail,
            was_up=session is not None,
            keeps_position=failed.keeps_position,
            now_ms=self._clock_ms(),
        )
        settings = replication.settings
        self._engine.set_link_state(is_down=True, serves_stale_data=settings.serves_stale_data)
        if self._told != (failed.failure, failed.detail):
            self._told = (failed.failure, failed.detail)
            tell = log.error if failed.failure in _GRAVE else log.warning
            tell(
                "link.failed",
                master=str(master),
                failure=failed.failure.value,
                error=failed.detail,
                offset=replication.offset,
            )

    def _close_spool(self) -> None:
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.spool.close()

    def _tell_established(self, kind: str) -> None:
        replication = self._replication
        log.info(
            "link.established",
            master=str(replication.master),
            kind=kind,
            replid=replication.identity.replid.decode("ascii", "replace"),
            offset=replication.offset,
        )


def _failure_among(events: list[FollowEvent]) -> LinkFailed | None:
    return next((event for event in events if isinstance(event, LinkFailed)), None)


def _describe(error: BaseException) -> str:
    """Return what went wrong; trio wraps what ended the attempts at each address of a host."""
    cause = error.__cause__
    if isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, OSError):
        error = cause
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _load_slice(load: SnapshotLoad) -> bool:
    """Load for a while; return False when all is loaded. Raises RdbError."""
    until_s = time.monotonic() + LOAD_SLICE_S
    while load.step():
        if time.monotonic() >= until_s:
            return True
    return False


def _stream_database(load: SnapshotLoad, database_count: int) -> int:
    """Return the database in which the stream after the snapshot begins.

    Raises:
        UnsupportedDatabaseError: we have no such database.
    """
    text = load.aux.get(b"repl-stream-db", b"")
    number = int(text) if text.isdigit() else 0  # -1 where the master does not know it itself
    if number >= database_count:
        raise UnsupportedDatabaseError(number, database_count)
    return number
