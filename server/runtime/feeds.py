"""The tasks that feed replicas: one connection each, snapshots for those that wait, the clock.

Theory of operation. PSYNC and SYNC make a feed (`replication.state`) and ask for `take_over`. When
the batch is over, the pump hands the socket to a `ReplicaConnection`, which is the only one that
sends on it. Whatever goes to the replica goes through `flush_nowait`, which sends until the socket
takes no more; only then the connection's writer task waits for the socket and goes on. So a write
of a client leaves for the replicas in the same batch, without a task switch: for the system, which
may keep for `HOLD_S` what follows closely on what it has sent (docs/adr/0038).

A replica that is slower than the stream falls back in the backlog; nothing is queued for it. It is
dropped when it loses its place there or passes `client-output-buffer-limit replica`.

Snapshots are made by `snapshot_feeds.py`. Follows Redis 7.0 `replication.c: syncCommand,
replicationFeedStreamFromMasterStream, replicationCron`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

from vedette.clients import Session
from vedette.runtime.pump import Pump

from ..engine import ServerEngine
from ..replication.feed import DropReason, Feed, FeedState
from .child_progress import SharedProgress
from .clock import wall_clock_ms
from .replica_connection import ReplicaConnection
from .snapshot_feeds import SnapshotFeeds, SnapshotSource
from .snapshots import SnapshotKeeper

log = structlog.get_logger()

TICK_S: Final = 1.0
#: How long the system may keep what it was given for replicas, while batch follows batch.
HOLD_S: Final = 0.003


class FeedServer:
    """All replicas of one server: takes them over, gives them snapshots, keeps the time."""

    def __init__(
        self,
        engine: ServerEngine,
        pump: Pump,
        *,
        snapshot: SnapshotSource,
        saves: SnapshotKeeper,
        snapshot_path: Callable[[], str],
        new_mark: Callable[[], bytes],
        on_acknowledged: Callable[[], None],
        new_progress: Callable[[], SharedProgress] = SharedProgress,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Prepare.

        `on_acknowledged` hears that a replica has more than before; the rest is what
        `SnapshotFeeds` takes.
        """
        self.engine = engine
        self.replication = engine.replication
        self._pump = pump
        self._on_acknowledged = on_acknowledged
        self._clock_ms = clock_ms
        self._connections: dict[int, ReplicaConnection] = {}
        #: Taken over in this batch, with what they are to be sent first.
        self._arrivals: list[tuple[ReplicaConnection, bytes]] = []
        #: Connections whose task has yet to be started; `_work` is set when there are some.
        self._unstarted: list[ReplicaConnection] = []
        self._work = trio.Event()
        self._snapshots = SnapshotFeeds(
            engine,
            self._connections,
            source=snapshot,
            saves=saves,
            snapshot_path=snapshot_path,
            new_mark=new_mark,
            new_progress=new_progress,
            clock_ms=clock_ms,
        )
        #: The end of the stream as of the last flush.
        self._flushed_offset = 0
        #: When the replicas were last sent all that there was, and whether the system has kept
        #: something since; `_held` is set then.
        self._pushed_s = 0.0
        self._is_holding = False
        self._held = trio.Event()

    # --- what the state asks (the port) ----------------------------------------------------------

    def take_over(self, session: Session, feed: Feed, first_output: bytes) -> None:
        """Serve `feed` on the connection of `session`, once the batch is over."""
        self._arrivals.append((ReplicaConnection(self, session, feed), first_output))

    def let_go(self, feed: Feed) -> None:
        """Close the connection of a feed that was closed."""
        connection = self._connections.pop(feed.feed_id, None)
        if connection is not None:
            connection.close()
            assert feed.drop_reason is not None
            log.info("replica.dropped", replica=feed.host, reason=feed.drop_reason.value)
            # When it was the session that ended (CLIENT KILL), this finds nothing left to do.
            self.engine.disconnect(connection.session)
            self._snapshots.end_useless_child()

    # --- what the pump and the connections report ------------------------------------------------

    def after_batch(self) -> None:
        """Take over new replicas and send all of them what the batch wrote."""
        if self._arrivals:
            self._take_over_arrivals()
        replication = self.replication
        is_urgent = replication.wants_acknowledgements
        if is_urgent:
            replication.flush_requests()
        # Asked in any case: the backlog takes what the batch wrote, and nothing is kept beside it.
        offset = replication.offset
        if self._connections and offset != self._flushed_offset:
            self._flushed_offset = offset
            is_held = not is_urgent and trio.current_time() < self._pushed_s + HOLD_S
            for connection in list(self._connections.values()):
                connection.flush_nowait(is_more_to_come=is_held)
            if not is_held:
                self._note_pushed()
            elif not self._is_holding:
                self._is_holding = True
                self._held.set()

    def _note_pushed(self) -> None:
        self._pushed_s = trio.current_time()
        self._is_holding = False

    def _take_over_arrivals(self) -> None:
        arrivals, self._arrivals = self._arrivals, []
        for connection, first_output in arrivals:
            session, feed = connection.session, connection.feed
            detached = self._pump.detach(session)
            if detached is None or feed.state is FeedState.CLOSED:
                if detached is not None:
                    detached.close()
                self.replication.drop(feed, DropReason.DISCONNECTED, self._clock_ms())
                continue
            self._connections[feed.feed_id] = connection
            log.info(
                "replica.attached",
                replica=feed.host,
                port=feed.options.listening_port,
                state=feed.state.value,
                offset=None if feed.reader is None else feed.reader.offset,
            )
            # Replies to what came before PSYNC in the same batch go first.
            replies = b"".join(session.outbox)
            session.outbox.clear()
            connection.begin(detached, replies + first_output)
            self._unstarted.append(connection)
            if feed.state is FeedState.WAIT_SNAPSHOT:
                self._snapshots.give(connection)
        self._work.set()

    def receive(self, connection: ReplicaConnection, data: bytes) -> None:
        """Take what a replica said; acknowledgements may end waits."""
        now_ms = self._clock_ms()
        engine, feed = self.engine, connection.feed
        engine.begin_batch(now_ms)
        engine.input_bytes += len(data)
        connection.session.last_interaction_ms = now_ms
        rose = feed.receive(data, now_ms)
        if feed.state is FeedState.CLOSED:
            self.end(connection, DropReason.BAD_PROTOCOL)
            return
        connection.flush_nowait()
        if rose:
            engine.wake("wait")
            self._on_acknowledged()
            self._pump.settle()

    def end(self, connection: ReplicaConnection, reason: DropReason) -> None:
        """Give a replica up."""
        self.replication.drop(connection.feed, reason, self._clock_ms())

    # --- the tasks -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve replicas until cancelled; then close their connections."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._snapshots.run, nursery)
                nursery.start_soon(self._keep_time)
                nursery.start_soon(self._push_held)
                while True:
                    await self._work.wait()
                    self._work = trio.Event()
                    unstarted, self._unstarted = self._unstarted, []
                    for connection in unstarted:
                        nursery.start_soon(connection.run)
        finally:
            self.replication.drop_all_feeds(DropReason.KILLED, self._clock_ms())

    async def _push_held(self) -> None:
        """Have the system send what it has kept for replicas since `HOLD_S`."""
        while True:
            await self._held.wait()
            self._held = trio.Event()
            while self._is_holding:
                await trio.sleep_until(self._pushed_s + HOLD_S)
                if self._is_holding and trio.current_time() >= self._pushed_s + HOLD_S:
                    for connection in self._connections.values():
                        connection.push_held()
                    self._note_pushed()

    async def _keep_time(self) -> None:
        """Ping, keep alive, and give up who is silent or too slow, once a second."""
        while True:
            await trio.sleep(TICK_S)
            now_ms = self._clock_ms()
            replication = self.replication
            replication.on_time(now_ms)
            self.engine.meter.stream.note(replication.offset, trio.current_time())
            settings, backlog = replication.settings, replication.backlog
            for connection in list(self._connections.values()):
                feed = connection.feed
                keepalive = feed.on_time(now_ms, timeout_ms=settings.timeout_ms)
                if feed.state is FeedState.CLOSED:
                    self.end(connection, DropReason.TIMED_OUT)
                elif backlog is not None and feed.is_over_limit(
                    settings.output_limit, backlog, now_ms
                ):
                    self.end(connection, DropReason.OUTPUT_LIMIT)
                elif keepalive:
                    connection.push(keepalive)
            self.after_batch()
