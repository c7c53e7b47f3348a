"""The server's replication as a whole: role, histories, backlog, replicas, the link to the master.

Theory of operation. A server is a master (`master` is None) or follows one.

- A master's effects arrive in `effects` (one of the engine's sinks) and go into the backlog. The
  backlog exists from the first replica on; before, nothing is encoded and the offset stands still,
  so the history gets a new name when the backlog begins.
- A replica's backlog takes its master's bytes as they are (`apply_raw`), so its own replicas share
  ID and offset with all others of that master.
- `position` is what a replica may ask for. It is valid while dataset, ID and offset belong
  together, which a corrupt stream ends.

Whenever the history changes in a way that replicas cannot know, they are dropped and ask anew: most
of them go on by PSYNC. What needs sockets or processes is asked of the `ReplicationPort`. Follows
Redis 7.0 `replication.c: replicationSetMaster, replicationUnsetMaster,
replicationAttachToNewMaster, syncCommand`, and `rdb.c: rdbPopulateSaveInfo`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from vedette.clients import Session
from vedette.errors import CommandError
from vedette.types import Address

from .backlog import Backlog
from .events import Position
from .failover import FAILING_OVER, FailoverState, PlannedFailover
from .feed import DropReason, Feed, FeedState
from .follow import Follow, FollowState
from .identity import Identity
from .propagation import GETACK, PING, EffectStream
from .psync import Continue, FullSync, FullSyncReason, PsyncRequest, decide
from .replconf import ReplicaOptions
from .settings import ReplicationSettings

NO_MASTER_LINK = CommandError(b"NOMASTERLINK Can't SYNC while not connected with my master")


class ReplicationPort(Protocol):
    """What the pure state asks of the runtime; nothing here waits."""

    def relink(self) -> None:
        """Give up the link to the master, and begin another if there is one to follow."""

    def drain(self) -> None:
        """Apply what of the master's stream has arrived."""

    def take_over(self, session: Session, feed: Feed, first_output: bytes) -> None:
        """Serve `feed` on the connection of `session`, once the batch is over.

        `first_output` is what the replica is to be sent first. A feed that waits for a
        snapshot is to be given one.
        """

    def let_go(self, feed: Feed) -> None:
        """Close the connection of a feed that was closed."""

    def forget(self, session: Session) -> None:
        """Note that `session` is gone; if it is the master's, the link to it ends."""


class Replication:
    """All that a server knows of its replication. Single-threaded; nothing here waits."""

    def __init__(
        self,
        new_replid: Callable[[], bytes],
        sinks: list[EffectStream],
        settings: ReplicationSettings | None = None,
    ) -> None:
        """Begin as a master without replicas.

        `new_replid` gives 40 random hexadecimal digits. `sinks` is the engine's list, in which
        `effects` stands while there is a backlog that own effects fill: not on a replica.
        """
        self.settings = settings or ReplicationSettings()
        self.identity = Identity(new_replid())
        #: Of the batch, which the backlog does not have yet. Whoever asks for the backlog or the
        #: offset finds them there.
        self.effects = EffectStream()
        self._backlog: Backlog | None = None
        #: The replicas by the id of their sessions, in order of arrival.
        self.feeds: dict[int, Feed] = {}
        #: What connections said through REPLCONF, by session id.
        self.options: dict[int, ReplicaOptions] = {}
        #: Whom we follow; None: we are a master.
        self.master: Address | None = None
        #: The attempt to follow that is under way; None between two attempts.
        self.follow: Follow | None = None
        #: The database that the master's stream has selected at `offset`.
        self.stream_database = 0
        #: Since when the link is down; None while it is up, and before it was up once.
        self.link_down_since_ms: int | None = None
        #: Why the last attempt to follow failed; empty after one that did not.
        self.last_link_error = ""
        #: Whether replicas are to be asked for acknowledgements when the batch ends.
        self.wants_acknowledgements = False
        self.port: ReplicationPort | None = None
        #: FAILOVER: the switch of roles with a replica.
        self.failover = PlannedFailover()
        self._new_replid = new_replid
        self._sinks = sinks
        self._is_position_valid = False
        #: The offset while there is no backlog.
        self._idle_offset = 0
        self._no_replicas_since_ms: int | None = None
        self._last_ping_ms: int | None = None

    # --- the stream ----------------------------------------------------------------------------

    @property
    def is_replica(self) -> bool:
        """Whether we follow a master."""
        return self.master is not None

    @property
    def backlog(self) -> Backlog | None:
        """The most recent part of the stream; None while nobody has asked for one."""
        if self.effects.pending:
            assert self._backlog is not None
            self._backlog.append(self.effects.take())
        return self._backlog

    @property
    def offset(self) -> int:
        """How many bytes the stream has (INFO's `master_repl_offset`)."""
        backlog = self.backlog
        return self._idle_offset if backlog is None else backlog.end_offset

    @property
    def is_link_up(self) -> bool:
        """Whether the master's stream is being applied."""
        return self.follow is not None and self.follow.state is FollowState.STREAMING

    def apply_raw(self, raw: bytes) -> None:
        """Take bytes of the master's stream, whose commands were applied, into the own backlog."""
        assert self.backlog is not None
        self.backlog.append(raw)

    def _begin_backlog(self, start_offset: int) -> None:
        assert self.backlog is None
        self._backlog = Backlog(
            max(1, self.settings.backlog_size_bytes),
            start_offset=start_offset,
            limit_bytes=self.settings.output_limit.backlog_limit_bytes,
        )
        self._listen()

    def _end_backlog(self) -> None:
        if self.backlog is not None:
            assert not self.feeds
            self._idle_offset = self.backlog.end_offset
            self._backlog = None
            self._listen()

    def _listen(self) -> None:
        """Stand among the sinks exactly while own effects are the stream."""
        is_wanted = self.backlog is not None and self.master is None
        if is_wanted and self.effects not in self._sinks:
            self._sinks.append(self.effects)
        elif not is_wanted and self.effects in self._sinks:
            self._sinks.remove(self.effects)

    def apply_settings(self) -> None:
        """Make settings that changed take effect on what exists."""
        if self.backlog is not None:
            self.backlog.limit_bytes = self.settings.output_limit.backlog_limit_bytes
            if self.backlog.size_bytes != self.settings.backlog_size_bytes:
                self.backlog.resize(max(1, self.settings.backlog_size_bytes))

    # --- role ----------------------------------------------------------------------------------

    @property
    def position(self) -> Position | None:
        """Where the dataset stands in its history, or None if that is not known."""
        if not self._is_position_valid:
            return None
        return Position(self.identity.replid, self.offset)

    def become_replica(self, master: Address, now_ms: int, *, is_starting: bool = False) -> None:
        """Follow `master` from now on. The dataset stays until a snapshot replaces it.

        When the server starts there is no history yet that a master might know, unless the snapshot
        that is loaded then tells of one (`restore`).
        """
        if self.master is None:
            # As a master, what we hold is by definition what our ID and offset say.
            self._is_position_valid = not is_starting
        elif self.is_link_up:
            self.link_down_since_ms = now_ms
        self.master = master
        self._listen()
        self.follow = None
        self.last_link_error = ""
        self._relink()

    def become_master(self, now_ms: int) -> None:
        """Stop following: the history goes on under a new name, known by the old one up to here.

        What the master had sent by now belongs to it. A dataset that is not what its history says
        (see `position`) becomes a history of its own.
        """
        assert self.master is not None
        if self.port is not None:
            self.port.drain()
        self.master = None
        self._listen()
        self.follow = None
        self.link_down_since_ms = None
        self.last_link_error = ""
        if self._is_position_valid:
            self.identity = self.identity.become_master(self._new_replid(), self.offset)
        else:
            self.identity = self.identity.change_id(self._new_replid())
        self.drop_all_feeds(DropReason.HISTORY_CHANGED, now_ms)
        self.effects.forget_database()
        self._no_replicas_since_ms = now_ms
        self._relink()

    def _relink(self) -> None:
        if self.port is not None:
            self.port.relink()

    # --- following -----------------------------------------------------------------------------

    def adopt_snapshot(
        self, replid: bytes | None, offset: int, stream_database: int, now_ms: int
    ) -> None:
        """Note that the dataset was replaced by the master's, at `offset` of its history `replid`.

        Our own replicas cannot know what changed and are dropped. A master too old for PSYNC has
        neither ID nor offset: then the history is our own, and ends with the link.
        """
        self.drop_all_feeds(DropReason.HISTORY_CHANGED, now_ms)
        self._end_backlog()
        self.identity = self.identity.adopt(replid if replid is not None else self._new_replid())
        self.stream_database = stream_database
        self._begin_backlog(max(0, offset))
        self._is_position_valid = replid is not None
        self._on_link_up()

    def give_up_position(self, now_ms: int) -> None:
        """Note that the dataset was given up before another took its place.

        Nobody can go on from it: neither we, should that fail, nor our own replicas.
        """
        self._is_position_valid = False
        self.drop_all_feeds(DropReason.HISTORY_CHANGED, now_ms)

    def continue_stream(self, replid: bytes, now_ms: int) -> None:
        """Note that the master lets us go on, in the history now named `replid`."""
        renamed = self.identity.follow_renamed(replid, self.offset)
        if renamed is not self.identity:
            self.identity = renamed
            self.drop_all_feeds(DropReason.HISTORY_CHANGED, now_ms)
        if self.backlog is None:
            self._begin_backlog(self._idle_offset)
        self._on_link_up()

    def _on_link_up(self) -> None:
        self.link_down_since_ms = None
        self.last_link_error = ""

    def end_link(self, error: str, *, was_up: bool, keeps_position: bool, now_ms: int) -> None:
        """Note that the link, or an attempt at one, is over."""
        if was_up:
            self.link_down_since_ms = now_ms
        self._is_position_valid &= keeps_position
        self.last_link_error = error

    # --- replicas ------------------------------------------------------------------------------

    def options_of(self, session: Session) -> ReplicaOptions:
        """Return what `session` has said through REPLCONF, to be added to."""
        return self.options.setdefault(session.id, ReplicaOptions())

    def synchronise(
        self, session: Session, request: PsyncRequest | None, now_ms: int
    ) -> Continue | FullSync | None:
        """Make `session` a replica: answer PSYNC's `request`, or SYNC (None).

        Returns what was decided, or None if the session is a replica already, whose request is
        passed over.

        Raises:
            CommandError: we follow a master ourselves and have no link to it, or one without
                offsets, in which a snapshot could not tell where its stream begins; or FAILOVER is
                under way.
        """
        if session.id in self.feeds:
            return None
        if self.failover.state is not FailoverState.NONE:
            raise FAILING_OVER
        if self.is_replica and (not self.is_link_up or self.position is None):
            raise NO_MASTER_LINK
        host, _, port = session.address.rpartition(":")
        options = self.options_of(session)
        if options.content.is_filtered and not options.knows_eof:
            raise CommandError(b"ERR Filtered replica requires EOF capability")
        feed = Feed(
            feed_id=session.id,
            options=options,
            peer_host=host.strip("[]"),
            peer_port=int(port or 0),
            created_ms=now_ms,
            is_pre_psync=request is None,
            parser=session.parser,
        )
        outcome = self._decide(request, options)
        first_output = b""
        if isinstance(outcome, Continue):
            assert self.backlog is not None
            feed.become_partial(self.backlog.attach(outcome.offset), now_ms)
            first_output = outcome.reply
        elif self.backlog is None:
            # While there was no backlog the offset stood still, whatever was written.
            self.identity = self.identity.change_id(self._new_replid())
            self._begin_backlog(self._idle_offset)
        self.feeds[session.id] = feed
        self._no_replicas_since_ms = None
        if self.port is not None:
            self.port.take_over(session, feed, first_output)
        return outcome

    def _decide(self, request: PsyncRequest | None, options: ReplicaOptions) -> Continue | FullSync:
        if request is None or options.is_snapshot_only:
            return FullSync(FullSyncReason.REQUESTED)
        return decide(request, self.identity, self.backlog, knows_psync2=options.knows_psync2)

    def begin_snapshot(self, feed: Feed) -> bytes:
        """Give `feed` the dataset as it is now; return what to tell the replica first.

        The caller forks the process that saves the dataset before anything else happens.
        """
        assert self.backlog is not None
        # The replica loads a snapshot and knows no database until the stream selects one.
        self.effects.forget_database()
        return self.join_snapshot(feed, self.backlog.end_offset)

    def join_snapshot(self, feed: Feed, offset: int) -> bytes:
        """Give `feed` the snapshot begun at `offset`, which the backlog must still hold."""
        assert self.backlog is not None
        reader = None if feed.options.is_snapshot_only else self.backlog.attach(offset)
        return feed.begin_snapshot(offset, reader, self.identity)

    @property
    def snapshot_database(self) -> int:
        """The database that the stream after a snapshot taken now begins in (`repl-stream-db`)."""
        if self.is_replica:
            return self.stream_database
        return max(0, self.effects.selected_database)

    def drop(self, feed: Feed, reason: DropReason, now_ms: int) -> None:
        """End `feed`, for `reason` unless it was closed for another, and its connection."""
        feed.close(reason)
        if self.feeds.pop(feed.feed_id, None) is None:
            return
        self.options.pop(feed.feed_id, None)
        if feed.reader is not None and self.backlog is not None:
            self.backlog.detach(feed.reader)
        if not self.feeds:
            self._no_replicas_since_ms = now_ms
        if self.port is not None:
            self.port.let_go(feed)

    def drop_all_feeds(self, reason: DropReason, now_ms: int) -> None:
        """End every feed; their replicas ask anew."""
        for feed in list(self.feeds.values()):
            self.drop(feed, reason, now_ms)

    def forget_session(self, session: Session, now_ms: int) -> None:
        """Forget what is held for a session whose connection is gone or was killed."""
        feed = self.feeds.get(session.id)
        if feed is not None:
            self.drop(feed, DropReason.DISCONNECTED, now_ms)
        self.options.pop(session.id, None)
        if self.port is not None:
            self.port.forget(session)

    # --- acknowledgements ----------------------------------------------------------------------

    def count_acknowledged(self, offset: int) -> int:
        """Return how many replicas have acknowledged everything up to `offset`."""
        return sum(
            feed.state is FeedState.ONLINE and feed.acknowledged_offset >= offset
            for feed in self.feeds.values()
        )

    def count_synced(self, offset: int) -> int:
        """Return how many replicas have on their disk everything up to `offset`."""
        return sum(
            feed.state is FeedState.ONLINE and feed.synced_offset >= offset
            for feed in self.feeds.values()
        )

    def count_good_replicas(self, now_ms: int) -> int:
        """Return how many replicas are online and lag no more than `min-replicas-max-lag`."""
        return sum(
            feed.state is FeedState.ONLINE
            and feed.lag_s(now_ms) <= self.settings.min_replicas_max_lag_s
            for feed in self.feeds.values()
        )

    def has_enough_replicas(self, now_ms: int) -> bool:
        """Say whether a master may write by `min-replicas-to-write`."""
        settings = self.settings
        if not settings.min_replicas_to_write or not settings.min_replicas_max_lag_s:
            return True
        return self.count_good_replicas(now_ms) >= settings.min_replicas_to_write

    def flush_requests(self) -> None:
        """Put into the stream what was asked for during the batch: one GETACK for all waits.

        While FAILOVER waits there is its own and no other, or the stream would never stand still.
        """
        if not self.wants_acknowledgements:
            return
        failover = self.failover
        if failover.state is not FailoverState.NONE:
            if not failover.may_ask:
                return
            failover.on_asked(self.offset, self.offset + len(GETACK))
        self.wants_acknowledgements = False
        if self.backlog is not None and not self.is_replica:
            self.backlog.append(GETACK)

    # --- time ----------------------------------------------------------------------------------

    def on_time(self, now_ms: int) -> None:
        """Ping the replicas when it is time; give up a backlog that nobody has used for long."""
        if self.is_replica or self.backlog is None:
            return
        if self.feeds:
            if self._last_ping_ms is None:  # not at once: a restart alone moves no offset
                self._last_ping_ms = now_ms
            is_due = now_ms - self._last_ping_ms >= self.settings.ping_period_ms
            if is_due and self.failover.state is FailoverState.NONE:
                self._last_ping_ms = now_ms
                self.backlog.append(PING)
            return
        since_ms, ttl_ms = self._no_replicas_since_ms, self.settings.backlog_ttl_ms
        if since_ms is not None and ttl_ms and now_ms - since_ms > ttl_ms:
            # From now on data changes while the offset stands still: nobody may go on with it.
            self.identity = self.identity.change_id(self._new_replid())
            self._end_backlog()

    # --- restart -------------------------------------------------------------------------------

    def saved_position(self) -> tuple[Position, int] | None:
        """Return what a snapshot taken now says of replication: position and stream's database.

        None if a server that loads it could not go on from it: a master whose writes nobody counts,
        a replica whose dataset is not what its history says.
        """
        is_known = self._is_position_valid if self.is_replica else self.backlog is not None
        if not is_known:
            return None
        return Position(self.identity.replid, self.offset), self.snapshot_database

    def restore(self, saved: Position, stream_database: int, now_ms: int) -> None:
        """Take up the history of the snapshot loaded at start.

        A master serves it as its second history, from the snapshot's end on. A replica asks for
        what follows it.
        """
        assert self.backlog is None
        self._idle_offset = saved.offset
        if self.is_replica:
            self.identity = self.identity.adopt(saved.replid)
            self._is_position_valid = True
            self.stream_database = stream_database
        else:
            self.identity = self.identity.restored(saved.replid, saved.offset)
            self._begin_backlog(saved.offset)
            self._no_replicas_since_ms = now_ms
