"""One connection to the master, from the attempt to its end, as `replication.follow` says.

It opens the connection, gives the machine what arrives, carries out its events in order, and then
sends what the machine wants sent. A snapshot is taken in by `snapshot_intake`. The stream is run by
the engine in the session of the master (`master_session`).

Everything that changes state happens between two checkpoints, and each time the task wakes it
checks that its machine is still the one that counts (REPLICAOF may have come).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import Final, assert_never

import structlog
import trio

from monitoring.server_meter import CONTINUED, FIRST, FULL, PARTIAL, REFUSED, REPLICA
from vedette.clients import Session
from vedette.errors import CommandError
from vedette.runtime.pump import Pump

from .. import directives
from ..commands.failover import abort, complete
from ..engine import ServerEngine
from ..persistence.rdb.errors import RdbError
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
from .master_connection import MasterConnection
from .master_session import MasterSession
from .snapshot_intake import SnapshotIntake, open_intake

log = structlog.get_logger()

#: Of what has arrived when we stop to follow, so much is applied at most: a master that goes on
#: sending could keep us from becoming one.
DRAIN_MAX_BYTES: Final = 16 * 1024 * 1024
#: How often to look whether a pause was ended before its time.
PAUSE_POLL_S: Final = 0.05


class LinkAttempt:
    """One link to the master that `engine.replication` names, whose `follow` it becomes."""

    def __init__(
        self,
        engine: ServerEngine,
        pump: Pump,
        connect: Callable[[], Awaitable[MasterConnection]],
        *,
        snapshot_path: Callable[[], str],
        clock_ms: Callable[[], int],
    ) -> None:
        """Prepare; `connect` opens the connection, `snapshot_path` is as in `MasterLink`."""
        self._engine = engine
        self._replication = engine.replication
        self._pump = pump
        self._connect = connect
        self._snapshot_path = snapshot_path
        self._clock_ms = clock_ms
        position = self._replication.position
        self.follow = Follow(self._follow_config(), position, clock_ms())
        #: What ended the attempt; None while nothing has, and for ever if we ended it ourselves.
        self.failed: LinkFailed | None = None
        #: Whether it could ask to go on from somewhere, and when it began.
        self._had_position = position is not None
        self._begun_s = trio.current_time()
        self._scope = trio.CancelScope()
        #: The wait for what the master sends, while there is one.
        self._wait: trio.CancelScope | None = None
        #: What runs the stream, while the link is up.
        self._session: MasterSession | None = None
        #: The connection to the master, while there is one.
        self._connection: MasterConnection | None = None
        #: What the master said of the snapshot that arrives, and what takes it.
        self._begun: SnapshotBegun | None = None
        self._intake: SnapshotIntake | None = None
        self._is_intake_begun = False

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

    # --- what others ask -------------------------------------------------------------------------

    @property
    def was_up(self) -> bool:
        """Whether the stream was applied, if only for a moment."""
        return self._session is not None

    def cancel(self) -> None:
        """End the attempt."""
        self._scope.cancel()

    def runs_in(self, session: Session) -> bool:
        """Return whether the stream is run in `session`."""
        return self._session is not None and session is self._session.session

    def on_synced(self) -> None:
        """Note that more of the stream is on the disk; the master may wait to hear of it."""
        if self._wait is not None and self.follow.is_synced_answer_due:
            self._wait.cancel()

    def drain(self) -> None:
        """Apply what of the stream has arrived: we are about to follow no more.

        Called within a command. Nothing is taken while CLIENT PAUSE keeps the dataset as it is.
        """
        engine, session, failed = self._engine, self._session, self.failed
        if session is None or engine.paused_until_ms > self._clock_ms():
            return
        if failed is None:  # else the connection is being closed, and the state knows nothing yet
            with engine.set_aside():
                failed = _failure_among(self._apply_arrived(session))
        if failed is not None and not failed.keeps_position:
            self._replication.give_up_position(self._clock_ms())

    def _apply_arrived(self, session: MasterSession) -> Iterator[FollowEvent]:
        """Run what has arrived; give what else follows from it."""
        connection, follow = self._connection, self.follow
        assert connection is not None
        taken_bytes = 0
        while follow.state is FollowState.STREAMING and taken_bytes < DRAIN_MAX_BYTES:
            data = None
            with suppress(OSError):  # the end of the connection, as good as any
                data = connection.take_nowait()
            if not data:
                return
            taken_bytes += len(data)
            for event in follow.receive(data, self._clock_ms()):
                if isinstance(event, StreamPiece):
                    yield from session.apply(follow, event)
                else:
                    yield event

    # --- the task --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the link to its end; then `failed` says what it was, unless it was we."""
        detail = "ended by this server"
        try:
            with self._scope:
                detail = await self._serve()
        except (OSError, UnicodeError, trio.BrokenResourceError, trio.TooSlowError) as error:
            # UnicodeError: a host name that cannot be one.
            detail = describe_error(error)
        finally:
            if self.failed is None:
                self.failed = _failure_among(self.follow.on_disconnected(detail))
            self._close_intake()
            self._connection = None
            if self._session is not None:
                self._session.close()

    async def _serve(self) -> str:
        """Connect and carry out what `follow` says; return why the connection ended."""
        follow = self.follow
        connection: MasterConnection | None = None
        with trio.move_on_after(follow.config.timeout_ms / 1000):
            connection = await self._connect()
        if connection is None:
            return "no connection within repl-timeout"
        self._connection = connection
        async with aclosing(connection):
            follow.on_connected(self._clock_ms())
            while True:
                self._replication.failover.is_target_asked |= follow.is_failover_asked
                await self._send(connection)
                if follow.state is FollowState.CLOSED:
                    return "given up"
                if rest_ms := follow.pace.take_rest_ms():
                    await connection.rest(rest_ms)
                    follow.pace.on_ready(self._clock_ms())
                else:
                    follow.pace.on_ready(self._clock_ms())
                    await self._wait_arrived(connection)
                await self._wait_while_paused(connection)
                if self._replication.follow is not follow:
                    return "another master was named"
                data = connection.take_nowait()
                if data == b"":
                    return "the master closed the connection"
                self._engine.context.statistics.repl_input_bytes += len(data or b"")
                now_ms = self._clock_ms()
                self._look_around(connection, now_ms)
                events = follow.receive(data, now_ms) if data is not None else []
                await self._handle(events)
                await self._handle(follow.on_time(now_ms))

    def _look_around(self, connection: MasterConnection, now_ms: int) -> None:
        """Have the stream read soon where somebody sees what it brings.

        And where it could not be read to its end before we become a master.
        """
        session = self._session
        if session is not None and (not connection.can_be_drained or session.onlookers.are_there()):
            self.follow.pace.on_watched(now_ms)

    async def _wait_while_paused(self, connection: MasterConnection) -> None:
        """Apply nothing, and read no more, while CLIENT PAUSE keeps the dataset as it is.

        Asked when a piece has arrived: a pause may have begun while the link waited for it.
        """
        while self.follow.state is FollowState.STREAMING:
            now_ms = self._clock_ms()
            rest_ms = self._engine.paused_until_ms - now_ms
            if rest_ms <= 0:
                return
            await trio.sleep(min(rest_ms / 1000, PAUSE_POLL_S))
            self.follow.on_pause(self._clock_ms())
            await self._send(connection)

    async def _wait_arrived(self, connection: MasterConnection) -> None:
        """Wait until something arrives, or `follow` wants to be told the time."""
        deadline_ms = self.follow.next_deadline_ms()
        assert deadline_ms is not None
        try:
            with trio.move_on_after(max(0, deadline_ms - self._clock_ms()) / 1000) as self._wait:
                await connection.wait_arrived()
        finally:
            self._wait = None

    async def _send(self, connection: MasterConnection) -> None:
        """Send what `follow` wants sent; a master that takes none of it is as good as gone."""
        output = self.follow.take_output()
        if output:
            with trio.fail_after(self.follow.config.timeout_ms / 1000):
                await connection.send(output)

    # --- events ----------------------------------------------------------------------------------

    async def _handle(self, events: list[FollowEvent]) -> None:
        """Carry out `events` in order."""
        for event in events:
            match event:
                case SnapshotBegun() | SnapshotPiece() | SnapshotComplete():
                    self._end_failover()
                    await self._handle(await self._receive_snapshot(event))
                    if self.follow.state is FollowState.CLOSED:
                        return
                case Continued(replid):
                    self._end_failover()
                    self._replication.continue_stream(replid, self._clock_ms())
                    self._open_session()
                    self._tell_established(PARTIAL, CONTINUED)
                case StreamPiece():
                    assert self._session is not None
                    more = self._session.apply(self.follow, event)
                    self._pump.settle()
                    await self._handle(more)
                case LinkFailed(LinkFailure.FAILOVER_REFUSED, detail):
                    self.failed = event
                    log.warning(
                        "failover.refused", target=str(self._replication.master), error=detail
                    )
                    abort(self._engine, self._clock_ms())
                    self._pump.settle()
                case LinkFailed():
                    self.failed = event
                case _:
                    assert_never(event)

    def _end_failover(self) -> None:
        """Note that the target of FAILOVER, if we followed it for that, is the master now."""
        failover = self._replication.failover
        if self.follow.config.is_failover and failover.state is FailoverState.IN_PROGRESS:
            log.info("failover.completed", target=str(failover.target))
            complete(self._engine)
            self._pump.settle()

    async def _receive_snapshot(
        self, event: SnapshotBegun | SnapshotPiece | SnapshotComplete
    ) -> list[FollowEvent]:
        """Take a piece of the snapshot in; return what becomes of the link then."""
        try:
            match event:
                case SnapshotBegun():
                    self._begin_snapshot(event)
                case SnapshotPiece(data):
                    await self._intake_of().take(data)
                case SnapshotComplete():
                    intake = self._intake_of()
                    await intake.complete()
                    return self._put_into_place(intake)
        except OSError as error:
            detail = f"the snapshot cannot be stored: {error}"
        except RdbError as error:
            detail = str(error)
        except CommandError as error:
            detail = f"a function library cannot be loaded: {error}"
        else:
            return []
        if self._intake is not None and self._intake.has_given_up_present:
            self._restart_append_only()  # what it holds is gone here
        return self.follow.on_snapshot_unusable(detail)

    def _begin_snapshot(self, event: SnapshotBegun) -> None:
        """Prepare for the snapshot. Raises OSError when there is no room for it."""

        async def meanwhile() -> None:
            self.follow.on_loading(self._clock_ms())
            if self._connection is not None:
                await self._send(self._connection)

        self._begun = event
        self._intake = open_intake(self._engine, meanwhile, self._snapshot_path(), event.replid)
        self._is_intake_begun = False
        log.info("snapshot.begun", master=str(self._replication.master), offset=event.offset)

    def _intake_of(self) -> SnapshotIntake:
        """Return what takes the snapshot, which begins with its first byte."""
        assert self._intake is not None
        assert self.follow.snapshot is not None
        if not self._is_intake_begun:
            self._is_intake_begun = True
            self._intake.begin(self.follow.snapshot.size_bytes)
        return self._intake

    def _put_into_place(self, intake: SnapshotIntake) -> list[FollowEvent]:
        """Let the snapshot be the dataset, and the stream go on from it."""
        begun = self._begun
        assert begun is not None
        intake.put_into_place()
        self._restart_append_only()
        now_ms = self._clock_ms()
        self._replication.adopt_snapshot(begun.replid, begun.offset, intake.stream_database, now_ms)
        self._engine.meter.on_snapshot_bytes(REPLICA, intake.size_bytes)
        log.info("snapshot.loaded", keys=intake.key_count, size_bytes=intake.size_bytes)
        self._close_intake()
        self._open_session()
        self._tell_established(FULL, REFUSED if self._had_position else FIRST)
        return self.follow.on_snapshot_loaded(now_ms)

    def _restart_append_only(self) -> None:
        """Have the append-only file, if there is to be one, hold the dataset as it is now."""
        if self._engine.configuration[directives.APPEND_ONLY]:
            port = self._engine.aof.port
            assert port is not None
            port.restart()

    def _open_session(self) -> None:
        self._session = MasterSession(self._engine, self._clock_ms)
        settings = self._replication.settings
        self._engine.set_link_state(is_down=False, serves_stale_data=settings.serves_stale_data)

    def _close_intake(self) -> None:
        intake, self._intake = self._intake, None
        if intake is not None:
            intake.close()

    def _tell_established(self, kind: str, reason: str) -> None:
        replication, meter = self._replication, self._engine.meter
        meter.on_resync(REPLICA, kind, reason)
        meter.on_resync_ended(REPLICA, kind, trio.current_time() - self._begun_s)
        log.info(
            "link.established",
            master=str(replication.master),
            kind=kind,
            replid=replication.identity.replid.decode("ascii", "replace"),
            offset=replication.offset,
        )


def _failure_among(events: Iterable[FollowEvent]) -> LinkFailed | None:
    return next((event for event in events if isinstance(event, LinkFailed)), None)


def describe_error(error: BaseException) -> str:
    """Return what went wrong; trio wraps what ended the attempts at each address of a host."""
    cause = error.__cause__
    if isinstance(cause, ExceptionGroup):
        cause = cause.exceptions[0]
    if isinstance(cause, OSError):
        error = cause
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
