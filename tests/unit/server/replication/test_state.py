"""The server's replication as a whole: what each change of role, link and replicas does to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from server.replication.events import FollowConfig, Position
from server.replication.feed import DropReason, Feed, FeedState
from server.replication.follow import Follow, FollowState
from server.replication.identity import NO_REPLID, Identity
from server.replication.propagation import GETACK, PING, EffectStream
from server.replication.psync import Continue, FullSync, FullSyncReason, PsyncRequest
from server.replication.state import Replication
from vedette.clients import Session
from vedette.errors import CommandError
from vedette.resp.encode import encode_command
from vedette.types import Address

MASTER = Address("10.0.0.1", 6379)
SET = [b"SET", b"k", b"v"]
SELECTED = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"
FULL = PsyncRequest(b"?", -1)


def replids() -> Iterator[bytes]:
    for letter in b"abcdefghij":
        yield bytes([letter]) * 40


class RecordingPort:
    """Keeps what the state asks of the runtime."""

    def __init__(self) -> None:
        self.relinks = 0
        self.on_drain: Callable[[], None] = lambda: None
        self.taken: list[tuple[Feed, bytes]] = []
        self.let_go_of: list[Feed] = []
        self.forgotten: list[Session] = []

    def relink(self) -> None:
        self.relinks += 1

    def drain(self) -> None:
        self.on_drain()

    def take_over(self, session: Session, feed: Feed, first_output: bytes) -> None:
        self.taken.append((feed, first_output))

    def let_go(self, feed: Feed) -> None:
        self.let_go_of.append(feed)

    def forget(self, session: Session) -> None:
        self.forgotten.append(session)


class Rig:
    """A state with its port and sinks, and the shortest ways to bring it somewhere."""

    def __init__(self) -> None:
        ids = replids()
        self.sinks: list[EffectStream] = []
        self.state = Replication(lambda: next(ids), self.sinks)
        self.port = RecordingPort()
        self.state.port = self.port

    def attach(self, client_id: int = 1, request: PsyncRequest | None = FULL) -> Feed:
        """Have a new replica ask for synchronisation, and bring it online."""
        session = Session(client_id, address=f"10.0.0.{client_id}:50000")
        self.state.options_of(session).knows_psync2 = True
        self.state.synchronise(session, request, 1000)
        feed = self.state.feeds[client_id]
        if feed.state is FeedState.WAIT_SNAPSHOT:
            self.state.begin_snapshot(feed)
            feed.become_sending(size_bytes=0)
            feed.become_online(1000)
        return feed

    def write(self, database: int = 0) -> None:
        for sink in self.sinks:
            sink.append([(database, encode_command(SET))])

    def stream(self) -> bytes:
        backlog = self.state.backlog
        assert backlog is not None
        return backlog.read(backlog.first_offset, backlog.history_bytes)

    def link_up(self, offset: int = 0, replid: bytes = b"m" * 40) -> None:
        """Follow MASTER through a full synchronisation that ended at `offset`."""
        self.state.become_replica(MASTER, 1000)
        follow = Follow(FollowConfig(listening_port=1), None, 1000)
        follow.state = FollowState.STREAMING
        self.state.follow = follow
        self.state.adopt_snapshot(replid, offset, 0, 1000)


# --- a master ------------------------------------------------------------------------------------


def test_a_master_without_replicas_encodes_nothing() -> None:
    """It does not even stand among the engine's sinks."""
    rig = Rig()
    rig.write()

    assert (rig.state.backlog, rig.state.offset, rig.sinks) == (None, 0, [])


def test_the_first_replica_begins_a_backlog_and_a_new_history() -> None:
    """Until then the offset stood still while data changed, so the old name is worth nothing."""
    rig = Rig()
    before = rig.state.identity.replid
    feed = rig.attach()
    rig.write()

    assert rig.state.identity.replid != before
    assert rig.sinks == [rig.state.effects]
    assert rig.stream() == SELECTED + encode_command(SET)
    assert feed.snapshot_offset == 0


def test_every_replica_that_begins_with_a_snapshot_gets_a_select() -> None:
    """It cannot know which database the stream is in."""
    rig = Rig()
    rig.attach(1)
    rig.write()
    rig.write()
    second = rig.attach(2)
    rig.write()

    assert second.reader is not None
    backlog = rig.state.backlog
    assert backlog is not None
    assert backlog.read(second.reader.offset, 1000) == SELECTED + encode_command(SET)


def test_an_accepted_psync_is_told_so_and_reads_from_its_offset() -> None:
    """No snapshot, and no SELECT: it knows the database."""
    rig = Rig()
    rig.attach(1)
    rig.write()
    offset = rig.state.offset
    rig.write()
    feed = rig.attach(2, PsyncRequest(rig.state.identity.replid, offset + 1))

    assert feed.reader is not None
    assert (feed.state, feed.reader.offset) == (FeedState.ONLINE, offset)
    assert rig.port.taken[-1] == (feed, b"+CONTINUE " + rig.state.identity.replid + b"\r\n")
    assert rig.state.effects.selected_database == 0


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        (None, FullSync(FullSyncReason.REQUESTED)),
        (FULL, FullSync(FullSyncReason.REQUESTED)),
        (PsyncRequest(b"z" * 40, 1), FullSync(FullSyncReason.UNKNOWN_HISTORY)),
    ],
)
def test_what_was_decided_is_returned_for_the_statistics(
    request_: PsyncRequest | None, outcome: Continue | FullSync
) -> None:
    """sync_full, sync_partial_ok and sync_partial_err count it."""
    assert Rig().state.synchronise(Session(1), request_, 0) == outcome


def test_a_second_request_of_a_replica_is_passed_over() -> None:
    """As Redis does."""
    rig = Rig()
    session = Session(1)
    rig.state.synchronise(session, FULL, 0)

    assert rig.state.synchronise(session, FULL, 0) is None
    assert len(rig.port.taken) == 1


def test_a_client_that_wants_only_a_snapshot_gets_one_even_where_it_could_go_on() -> None:
    """It has no data, whatever it says."""
    rig = Rig()
    rig.attach(1)
    session = Session(2)
    rig.state.options_of(session).is_snapshot_only = True
    outcome = rig.state.synchronise(session, PsyncRequest(rig.state.identity.replid, 1), 0)

    assert outcome == FullSync(FullSyncReason.REQUESTED)
    rig.state.begin_snapshot(rig.state.feeds[2])
    assert rig.state.feeds[2].reader is None


def test_a_dropped_replica_lets_the_backlog_go_on_without_it() -> None:
    """And its connection is closed, once."""
    rig = Rig()
    feed = rig.attach()
    rig.state.drop(feed, DropReason.TIMED_OUT, 2000)
    rig.state.drop(feed, DropReason.DISCONNECTED, 2000)

    assert rig.state.feeds == {}
    assert rig.port.let_go_of == [feed]
    assert feed.drop_reason is DropReason.TIMED_OUT
    assert rig.state.backlog is not None
    assert rig.state.backlog.end_offset == rig.state.offset


def test_a_session_that_is_gone_takes_its_replica_and_its_options_along() -> None:
    """CLIENT KILL works on replicas too."""
    rig = Rig()
    feed = rig.attach(1)
    session = Session(1)
    rig.state.forget_session(session, 2000)

    assert (rig.state.feeds, rig.state.options) == ({}, {})
    assert (rig.port.let_go_of, rig.port.forgotten) == ([feed], [session])


def test_replicas_are_pinged_while_there_are_some() -> None:
    """So they can tell a silent master from a dead one; the pings count in the offset.

    Not at once: a master that was restarted is at the offset at which it ended.
    """
    rig = Rig()
    rig.state.on_time(1000)
    assert rig.state.offset == 0
    rig.attach()
    for now_ms in (1000, 5000):
        rig.state.on_time(now_ms)
    assert rig.stream() == b""
    for now_ms in (11_000, 12_000, 21_000):
        rig.state.on_time(now_ms)

    assert rig.stream() == PING + PING


def test_a_shorter_period_of_pings_counts_at_once() -> None:
    """Not only once the longer one is over."""
    rig = Rig()
    rig.attach()
    rig.state.on_time(1000)
    rig.state.settings.ping_period_ms = 1000
    rig.state.on_time(2000)

    assert rig.stream() == PING


def test_a_backlog_nobody_used_for_long_is_given_up_with_its_history() -> None:
    """From then on the offset stands still while data changes."""
    rig = Rig()
    feed = rig.attach()
    rig.write()
    offset, replid = rig.state.offset, rig.state.identity.replid
    rig.state.drop(feed, DropReason.DISCONNECTED, 10_000)
    rig.state.on_time(10_000 + 3600 * 1000)
    assert rig.state.backlog is not None
    rig.state.on_time(10_001 + 3600 * 1000)

    assert rig.state.backlog is None
    assert (rig.state.offset, rig.sinks) == (offset, [])
    assert rig.state.identity.replid != replid


def test_one_getack_serves_all_waits_of_a_batch() -> None:
    """And none is sent where nobody waits."""
    rig = Rig()
    rig.attach()
    rig.state.flush_requests()
    assert rig.stream() == b""
    rig.state.wants_acknowledgements = True
    rig.state.flush_requests()
    rig.state.flush_requests()

    assert rig.stream() == GETACK


def test_counts_replicas_by_acknowledgement_and_by_lag() -> None:
    """WAIT and min-replicas-to-write look at replicas that are online only."""
    rig = Rig()
    first, second = rig.attach(1), rig.attach(2)
    rig.state.synchronise(Session(3), FULL, 1000)
    first.acknowledged_offset = 100
    second.acknowledged_ms = 50_000

    assert [rig.state.count_acknowledged(offset) for offset in (0, 100, 101)] == [2, 1, 0]
    assert rig.state.count_good_replicas(50_000) == 1
    rig.state.settings.min_replicas_to_write = 2
    assert not rig.state.has_enough_replicas(50_000)
    assert rig.state.has_enough_replicas(5_000)


# --- changes of role -----------------------------------------------------------------------------


def test_a_master_that_becomes_a_replica_offers_its_own_history() -> None:
    """The new master may have been its replica: then nothing has to be copied."""
    rig = Rig()
    rig.attach()
    rig.write()
    rig.state.become_replica(MASTER, 2000)

    assert rig.state.position == Position(rig.state.identity.replid, rig.state.offset)
    assert rig.port.relinks == 1
    assert rig.state.feeds, "its replicas may be able to stay"


def test_a_promoted_replica_serves_both_histories_and_its_replicas_ask_anew() -> None:
    """They have to learn the new name; PSYNC makes it cheap."""
    rig = Rig()
    rig.link_up(500)
    feed = rig.attach()
    rig.state.apply_raw(b"x" * 20)
    rig.state.effects.selected_database = 0
    rig.state.become_master(3000)

    assert rig.state.identity.replid2 == b"m" * 40
    assert rig.state.identity.second_repl_offset == 521
    assert feed.drop_reason is DropReason.HISTORY_CHANGED
    assert rig.state.effects.selected_database == -1
    assert rig.state.backlog is not None
    assert rig.state.backlog.first_offset == 500
    assert rig.port.relinks == 2


def test_what_the_master_had_sent_belongs_to_the_history_of_a_promoted_replica() -> None:
    """It has been answered, and may be on no other node."""
    rig = Rig()
    rig.link_up(500)
    rig.port.on_drain = lambda: rig.state.apply_raw(b"x" * 20)
    rig.state.become_master(3000)

    assert rig.state.identity.second_repl_offset == 521


def test_a_replica_promoted_after_a_corrupt_stream_shares_no_history() -> None:
    """Whoever went on with it would keep a difference for ever."""
    rig = Rig()
    rig.link_up(500)
    rig.state.end_link("corrupt", was_up=True, keeps_position=False, now_ms=1)
    rig.state.become_master(3000)

    assert rig.state.identity.replid2 == NO_REPLID
    assert rig.state.identity.replid != b"m" * 40


def test_a_full_synchronisation_drops_our_replicas_and_begins_anew() -> None:
    """They cannot know what changed."""
    rig = Rig()
    rig.attach()
    rig.write()
    rig.link_up(500)

    assert rig.state.feeds == {}
    assert rig.state.identity == Identity(b"m" * 40)
    assert (rig.state.offset, rig.stream()) == (500, b"")
    assert rig.state.position == Position(b"m" * 40, 500)


def test_a_replica_passes_on_bytes_and_encodes_nothing() -> None:
    """Its replicas share the master's history to the byte."""
    rig = Rig()
    rig.link_up(500)
    rig.state.apply_raw(b"raw bytes")
    rig.write()

    assert rig.stream() == b"raw bytes"
    rig.attach()
    rig.state.on_time(10**9)
    rig.state.wants_acknowledgements = True
    rig.state.flush_requests()
    assert rig.stream() == b"raw bytes"


def test_a_renamed_history_keeps_the_old_name_and_drops_our_replicas() -> None:
    """Below a promoted master the whole chain learns the new name."""
    rig = Rig()
    rig.link_up(500)
    feed = rig.attach()
    rig.state.continue_stream(b"m" * 40, 2000)
    assert feed.state is FeedState.ONLINE
    rig.state.continue_stream(b"n" * 40, 2000)

    assert feed.drop_reason is DropReason.HISTORY_CHANGED
    assert rig.state.identity == Identity(b"n" * 40, b"m" * 40, 501)


def test_a_master_without_offsets_gives_us_a_history_of_our_own() -> None:
    """We ask for everything again next time, and cannot serve replicas of our own."""
    rig = Rig()
    rig.link_up(500)
    before = rig.state.identity.replid
    rig.state.adopt_snapshot(None, -1, 0, 2000)
    with pytest.raises(CommandError, match="NOMASTERLINK"):
        rig.state.synchronise(Session(1), FULL, 1000)

    assert rig.state.identity.replid != before
    assert rig.state.identity.replid2 == NO_REPLID
    assert (rig.state.offset, rig.state.position) == (0, None)


@pytest.mark.parametrize("keeps_position", [True, False])
def test_a_lost_link_keeps_the_position_unless_the_stream_was_corrupt(keeps_position: bool) -> None:
    """Asking to go on after corruption would make it permanent."""
    rig = Rig()
    rig.link_up(500)
    rig.state.follow = None
    rig.state.end_link("lost", was_up=True, keeps_position=keeps_position, now_ms=7000)

    assert rig.state.position == (Position(b"m" * 40, 500) if keeps_position else None)
    assert (rig.state.link_down_since_ms, rig.state.last_link_error) == (7000, "lost")


def test_another_master_is_asked_to_go_on_from_here() -> None:
    """After a failover replicas move to the promoted one with what they have."""
    rig = Rig()
    rig.link_up(500)
    rig.state.become_replica(Address("10.0.0.2", 6379), 8000)

    assert rig.state.position == Position(b"m" * 40, 500)
    assert rig.state.link_down_since_ms == 8000


def test_a_server_that_starts_as_a_replica_claims_no_history() -> None:
    """Its master cannot know the ID made up at the start; to ask for it would count as an error."""
    rig = Rig()
    rig.state.become_replica(MASTER, 1000, is_starting=True)

    assert rig.state.position is None


def test_a_replica_without_a_link_serves_no_replicas() -> None:
    """It would serve data that may be replaced at any moment."""
    rig = Rig()
    rig.state.become_replica(MASTER, 1000)

    with pytest.raises(CommandError, match="NOMASTERLINK Can't SYNC while not connected"):
        rig.state.synchronise(Session(1), FULL, 1000)


# --- snapshots and restarts ----------------------------------------------------------------------


def test_a_snapshot_tells_where_the_stream_goes_on() -> None:
    """Only if a server that loads it can go on from there."""
    rig = Rig()
    assert rig.state.saved_position() is None
    rig.attach()
    rig.write(3)
    position = Position(rig.state.identity.replid, rig.state.offset)
    assert rig.state.saved_position() == (position, 3)

    rig.link_up(500)
    rig.state.stream_database = 5
    assert rig.state.saved_position() == (Position(b"m" * 40, 500), 5)
    rig.state.end_link("corrupt", was_up=True, keeps_position=False, now_ms=1)
    assert rig.state.saved_position() is None


def test_a_restarted_master_serves_the_replicas_of_before() -> None:
    """If they have all it saved and it has written nothing since."""
    rig = Rig()
    rig.state.restore(Position(b"s" * 40, 700), 3, 1000)
    feed = rig.attach(1, PsyncRequest(b"s" * 40, 701))

    assert feed.state is FeedState.ONLINE
    assert rig.state.identity.replid2 == b"s" * 40
    assert rig.state.offset == 700


def test_a_restarted_replica_asks_for_what_follows_its_snapshot() -> None:
    """In the database the stream was in."""
    rig = Rig()
    rig.state.become_replica(MASTER, 1000)
    rig.state.restore(Position(b"s" * 40, 700), 3, 1000)
    assert rig.state.position == Position(b"s" * 40, 700)
    assert rig.state.saved_position() == (Position(b"s" * 40, 700), 3)
    rig.state.continue_stream(b"s" * 40, 1000)

    assert (rig.state.offset, rig.state.stream_database) == (700, 3)
    assert rig.state.backlog is not None


def test_settings_that_change_take_effect_on_the_backlog() -> None:
    """CONFIG SET repl-backlog-size keeps what fits."""
    rig = Rig()
    rig.attach()
    rig.write()
    stream = rig.stream()
    rig.state.feeds[1].next_output(rig.state.backlog, 1000)  # type: ignore[arg-type]  # there is
    rig.state.settings.backlog_size_bytes = 16
    rig.state.apply_settings()

    assert rig.stream() == stream[-16:]


def test_what_a_batch_wrote_is_in_the_stream_for_whoever_looks() -> None:
    """It may stand beside the backlog until then; offsets and replicas must not notice."""
    rig = Rig()
    rig.state.synchronise(Session(7, address="10.0.0.9:1"), FULL, 0)
    start = rig.state.offset
    rig.state.effects.append([(0, encode_command(SET))])
    rig.state.effects.append([(0, encode_command(SET)), (0, encode_command(SET))])

    expected = rig.state.offset - start
    backlog = rig.state.backlog

    assert backlog is not None
    assert expected == len(backlog.read(start, 1 << 20)) > 3 * len(encode_command(SET))
    rig.state.effects.append([(0, encode_command(SET))])
    rig.state.become_replica(MASTER, 0)
    assert rig.state.offset == start + expected + len(encode_command(SET))
