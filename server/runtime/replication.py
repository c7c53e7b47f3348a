"""Replication at run time: the port of the pure state, the tasks behind it, and its settings."""

from __future__ import annotations

from collections.abc import Callable

import trio

from vedette.clients import Session
from vedette.conf.kinds import ClientClass
from vedette.conf.quoting import encode_word
from vedette.runtime.pump import Pump

from .. import directives
from ..config import Configuration
from ..engine import ServerEngine
from ..replication.feed import Feed, OutputLimit
from .feeds import FeedServer, SnapshotSource
from .master_link import MasterLink, wall_clock_ms

#: The directives whose change `apply_configuration` puts into effect.
WATCHED_DIRECTIVES = (
    directives.REPL_BACKLOG_SIZE,
    directives.REPL_BACKLOG_TTL,
    directives.REPL_TIMEOUT,
    directives.REPL_PING_PERIOD,
    directives.REPL_DISKLESS_SYNC,
    directives.REPL_DISKLESS_SYNC_DELAY,
    directives.MIN_REPLICAS_TO_WRITE,
    directives.MIN_REPLICAS_MAX_LAG,
    directives.OUTPUT_LIMITS,
    directives.REPLICA_ANNOUNCE_IP,
    directives.REPLICA_ANNOUNCE_PORT,
    directives.REPLICA_PRIORITY,
    directives.REPLICA_ANNOUNCED,
    directives.REPLICA_READ_ONLY,
    directives.REPLICA_SERVE_STALE_DATA,
    directives.MASTER_USER,
    directives.MASTER_AUTH,
)


def apply_configuration(engine: ServerEngine, configuration: Configuration) -> None:
    """Put the directives of replication into effect: at start, and when one of them was set."""
    replication = engine.replication
    settings = replication.settings
    settings.backlog_size_bytes = configuration[directives.REPL_BACKLOG_SIZE]
    settings.backlog_ttl_ms = configuration[directives.REPL_BACKLOG_TTL] * 1000
    settings.timeout_ms = configuration[directives.REPL_TIMEOUT] * 1000
    settings.ping_period_ms = configuration[directives.REPL_PING_PERIOD] * 1000
    settings.is_diskless = configuration[directives.REPL_DISKLESS_SYNC]
    settings.diskless_delay_ms = configuration[directives.REPL_DISKLESS_SYNC_DELAY] * 1000
    settings.min_replicas_to_write = configuration[directives.MIN_REPLICAS_TO_WRITE]
    settings.min_replicas_max_lag_s = configuration[directives.MIN_REPLICAS_MAX_LAG]
    limit = configuration[directives.OUTPUT_LIMITS][ClientClass.REPLICA]
    settings.output_limit = OutputLimit(
        limit.hard_size_bytes, limit.soft_size_bytes, limit.soft_seconds * 1000
    )
    settings.listening_port = configuration[directives.PORT]
    settings.announced_address = configuration[directives.REPLICA_ANNOUNCE_IP]
    settings.announced_port = configuration[directives.REPLICA_ANNOUNCE_PORT]
    settings.priority = configuration[directives.REPLICA_PRIORITY]
    settings.is_announced = configuration[directives.REPLICA_ANNOUNCED]
    settings.is_read_only = configuration[directives.REPLICA_READ_ONLY]
    settings.serves_stale_data = configuration[directives.REPLICA_SERVE_STALE_DATA]
    settings.master_user = encode_word(configuration[directives.MASTER_USER])
    settings.master_password = encode_word(configuration[directives.MASTER_AUTH])
    replication.apply_settings()
    is_replica = replication.is_replica
    engine.set_role(is_replica=is_replica, is_read_only=settings.is_read_only)
    engine.set_link_state(
        is_down=is_replica and not replication.is_link_up,
        serves_stale_data=settings.serves_stale_data,
    )
    needs_replicas = settings.min_replicas_to_write and settings.min_replicas_max_lag_s
    engine.set_write_guard(
        (lambda: replication.has_enough_replicas(engine.context.now_ms)) if needs_replicas else None
    )


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
        directory: Callable[[], str],
        source_address: Callable[[], str] = lambda: "",
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Prepare; see `FeedServer` and `MasterLink` for the arguments."""
        self.feeds = FeedServer(
            engine,
            pump,
            snapshot=snapshot,
            directory=directory,
            new_mark=lambda: engine.host.random_hex(40).encode(),
            clock_ms=clock_ms,
        )
        self.link = MasterLink(
            engine, pump, directory=directory, source_address=source_address, clock_ms=clock_ms
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

    # --- the port --------------------------------------------------------------------------------

    def relink(self) -> None:
        """See `ReplicationPort`."""
        self.link.relink()

    def take_over(self, session: Session, feed: Feed, first_output: bytes) -> None:
        """See `ReplicationPort`."""
        self.feeds.take_over(session, feed, first_output)

    def let_go(self, feed: Feed) -> None:
        """See `ReplicationPort`."""
        self.feeds.let_go(feed)

    def forget(self, session: Session) -> None:
        """See `ReplicationPort`."""
        self.link.forget(session)
