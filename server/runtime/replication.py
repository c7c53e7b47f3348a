"""Replication at run time: the port of the pure state and the tasks behind it."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import structlog
import trio

from vedette.clients import Session
from vedette.runtime.pump import Pump

from ..commands.failover import advance
from ..engine import ServerEngine
from ..replication.failover import Abort, HandOver
from ..replication.feed import Feed
from .child_progress import SharedProgress
from .clock import wall_clock_ms
from .feeds import FeedServer
from .master_link import MasterLink
from .snapshot_feeds import SnapshotSource
from .snapshots import SnapshotKeeper

log = structlog.get_logger()


class ReplicationRuntime:
    """Joins the engine's replication to sockets and processes.

    `after_batch` is to be called once a batch before replies are sent (the pump's `before_send`),
    and `run` in a nursery beside the pump.
    """

    def __init__(
        self,
        engine: ServerEngine,
        pump: Pump,
        *,
        snapshot: SnapshotSource,
        saves: SnapshotKeeper,
        snapshot_path: Callable[[], str],
        new_progress: Callable[[], SharedProgress] = SharedProgress,
        source_address: Callable[[], str] = lambda: "",
        tls_context: Callable[[], ssl.SSLContext | None] = lambda: None,
        on_acknowledged: Callable[[], None] = lambda: None,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Prepare; see `FeedServer` and `MasterLink` for the arguments."""
        self._engine = engine
        self._on_acknowledged = on_acknowledged
        self._clock_ms = clock_ms
        self.feeds = FeedServer(
            engine,
            pump,
            snapshot=snapshot,
            saves=saves,
            snapshot_path=snapshot_path,
            new_progress=new_progress,
            new_mark=lambda: engine.host.random_hex(40).encode(),
            on_acknowledged=self._advance,
            clock_ms=clock_ms,
        )
        self.link = MasterLink(
            engine,
            pump,
            snapshot_path=snapshot_path,
            source_address=source_address,
            tls_context=tls_context,
            clock_ms=clock_ms,
        )
        engine.replication.port = self

    async def run(self) -> None:
        """Follow and feed until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.feeds.run, name="replicas")
            nursery.start_soon(self.link.run, name="link to the master")

    def after_batch(self) -> None:
        """Let what the batch wrote go to the replicas."""
        self.feeds.after_batch()

    def _advance(self) -> None:
        self.advance_failover()
        self._on_acknowledged()

    def advance_failover(self) -> None:
        """Go on with FAILOVER, if one is under way; also to be called ten times a second."""
        match advance(self._engine, self._clock_ms()):
            case HandOver(target, is_late):
                log.warning("failover.handed_over", target=str(target), is_late=is_late)
            case Abort(reason):
                log.warning("failover.aborted", error=reason)
            case None:
                pass

    # --- the port --------------------------------------------------------------------------------

    def relink(self) -> None:
        """See `ReplicationPort`."""
        self.link.relink()

    def drain(self) -> None:
        """See `ReplicationPort`."""
        self.link.drain()

    def take_over(self, session: Session, feed: Feed, first_output: bytes) -> None:
        """See `ReplicationPort`."""
        self.feeds.take_over(session, feed, first_output)

    def let_go(self, feed: Feed) -> None:
        """See `ReplicationPort`."""
        self.feeds.let_go(feed)

    def forget(self, session: Session) -> None:
        """See `ReplicationPort`."""
        self.link.forget(session)
