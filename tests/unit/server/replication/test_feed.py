"""A master's half of one replica: states, REPLCONF, limits, and what INFO and ROLE show."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.replication.backlog import Backlog
from server.replication.feed import DropReason, Feed, FeedState
from server.replication.identity import Identity
from server.replication.replconf import (
    Acknowledged,
    AcknowledgementWanted,
    ReplicaOptions,
    SnapshotContent,
    apply_replconf,
)
from server.replication.settings import OutputLimit
from vedette.errors import CommandError
from vedette.resp.encode import encode_command

IDENTITY = Identity(b"a" * 40)
MARK = b"e" * 40


def make_feed(options: ReplicaOptions | None = None, *, is_pre_psync: bool = False) -> Feed:
    return Feed(
        feed_id=7,
        options=options or ReplicaOptions(knows_eof=True, knows_psync2=True),
        peer_host="10.0.0.9",
        peer_port=50123,
        created_ms=1000,
        is_pre_psync=is_pre_psync,
    )


def online_feed(backlog: Backlog) -> Feed:
    feed = make_feed()
    feed.become_partial(backlog.attach(backlog.end_offset), 1000)
    return feed


def ack(offset: int) -> bytes:
    return encode_command([b"REPLCONF", b"ACK", b"%d" % offset])


# --- REPLCONF ------------------------------------------------------------------------------------


def test_options_are_remembered() -> None:
    """They come in several commands, in any order and case."""
    options = ReplicaOptions()
    apply_replconf(options, [b"REPLCONF", b"listening-port", b"6380"])
    apply_replconf(options, [b"replconf", b"IP-ADDRESS", b"replica.example", b"rdb-only", b"1"])
    apply_replconf(options, [b"REPLCONF", b"capa", b"EOF", b"capa", b"psync2", b"capa", b"new"])

    assert options == ReplicaOptions(
        listening_port=6380,
        announced_address="replica.example",
        knows_eof=True,
        knows_psync2=True,
        is_snapshot_only=True,
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([b"listening-port"], b"ERR syntax error"),
        ([b"listening-port", b"x"], b"ERR value is not an integer or out of range"),
        ([b"rdb-only", b"2"], b"ERR value is out of range, must be between 0 and 1"),
        ([b"rdb-filter-only", b"keys"], b"ERR Unsupported rdb-filter-only option: keys"),
        ([b"Nonsense", b"1"], b"ERR Unrecognized REPLCONF option: Nonsense"),
        (
            [b"ip-address", b"x" * 256],
            b"ERR REPLCONF ip-address provided by replica instance is too long: 256 bytes",
        ),
    ],
)
def test_wrong_options_are_refused(arguments: list[bytes], text: bytes) -> None:
    """In Redis' words, which replicas log."""
    with pytest.raises(CommandError) as caught:
        apply_replconf(ReplicaOptions(), [b"REPLCONF", *arguments])

    assert caught.value.text == text


def test_options_before_a_wrong_one_stay() -> None:
    """As in Redis, the command is no transaction."""
    options = ReplicaOptions()
    with pytest.raises(CommandError):
        apply_replconf(options, [b"REPLCONF", b"listening-port", b"1", b"wrong", b"x"])

    assert options.listening_port == 1


def test_ack_and_getack_have_no_reply() -> None:
    """A reply would end up in the other side's stream."""
    options = ReplicaOptions()

    assert apply_replconf(options, [b"REPLCONF", b"ack", b"12"]) == Acknowledged(12)
    assert apply_replconf(options, [b"REPLCONF", b"ack", b"x"]) == Acknowledged(None)
    assert apply_replconf(options, [b"REPLCONF", b"GETACK", b"*"]) == AcknowledgementWanted()


# --- states and transfers ------------------------------------------------------------------------


def test_a_snapshot_of_known_size_is_followed_by_the_stream_at_once() -> None:
    """The replica knows where the file ends."""
    backlog = Backlog(100, start_offset=500)
    feed = make_feed()

    assert feed.begin_snapshot(500, backlog.attach(500), IDENTITY) == (
        b"+FULLRESYNC " + b"a" * 40 + b" 500\r\n"
    )
    backlog.append(b"written meanwhile")
    assert feed.next_output(backlog, 100) == b""
    assert feed.become_sending(size_bytes=123) == b"$123\r\n"
    assert feed.next_output(backlog, 100) == b""
    assert feed.become_online(2000) == b""
    assert feed.next_output(backlog, 100) == b"written meanwhile"
    assert feed.next_output(backlog, 100) == b""


def test_a_snapshot_ended_by_a_mark_is_followed_by_the_stream_after_an_acknowledgement() -> None:
    """The replica looks for the mark at the end of what it received."""
    backlog = Backlog(100)
    feed = make_feed()
    feed.begin_snapshot(0, backlog.attach(0), IDENTITY)
    backlog.append(b"stream")

    assert feed.become_sending(mark=MARK) == b"$EOF:" + MARK + b"\r\n"
    assert feed.become_online(2000) == MARK
    assert feed.state is FeedState.ONLINE
    assert feed.next_output(backlog, 100) == b""
    feed.receive(ack(0), 2100)
    assert feed.next_output(backlog, 100) == b"stream"


def test_an_accepted_psync_streams_from_its_offset() -> None:
    """Nothing is sent twice and nothing is left out."""
    backlog = Backlog(100)
    backlog.append(b"0123456789")
    feed = make_feed()
    feed.become_partial(backlog.attach(4), 1500)

    assert feed.next_output(backlog, 3) == b"456"
    assert feed.next_output(backlog, 100) == b"789"
    assert feed.state is FeedState.ONLINE


def test_a_replica_that_sent_sync_is_not_told_id_and_offset() -> None:
    """It expects the snapshot and nothing else."""
    backlog = Backlog(10)

    assert make_feed(is_pre_psync=True).begin_snapshot(0, backlog.attach(0), IDENTITY) == b""


def test_a_client_that_wants_the_snapshot_only_is_closed_after_it() -> None:
    """`redis-cli --rdb` needs no stream, and holds no place in it."""
    feed = make_feed(ReplicaOptions(knows_eof=True, is_snapshot_only=True))
    feed.begin_snapshot(0, None, IDENTITY)
    feed.become_sending(mark=MARK)

    assert feed.become_online(2000) == MARK
    assert (feed.state, feed.drop_reason) == (FeedState.CLOSED, DropReason.SNAPSHOT_ONLY)


ILLEGAL_STEPS: dict[str, Callable[[Feed, Backlog], object]] = {
    "online without a snapshot": lambda feed, backlog: feed.become_online(1),
    "a second snapshot": lambda feed, backlog: feed.begin_snapshot(0, backlog.attach(0), IDENTITY),
    "partial amid a full one": lambda feed, backlog: feed.become_partial(backlog.attach(0), 1),
}


@pytest.mark.parametrize("step", ILLEGAL_STEPS.values(), ids=ILLEGAL_STEPS.keys())
def test_illegal_transitions_are_our_bug(step: Callable[[Feed, Backlog], object]) -> None:
    """They would send bytes that the replica cannot understand."""
    backlog = Backlog(10)
    feed = make_feed()
    feed.begin_snapshot(0, backlog.attach(0), IDENTITY)

    with pytest.raises(AssertionError):
        step(feed, backlog)


def test_a_mark_needs_the_capability() -> None:
    """An old replica would take `$EOF` for a size."""
    feed = make_feed(ReplicaOptions())
    feed.begin_snapshot(0, Backlog(10).attach(0), IDENTITY)

    with pytest.raises(AssertionError):
        feed.become_sending(mark=MARK)


def test_the_first_reason_of_an_end_stays() -> None:
    """What follows is only a consequence."""
    feed = make_feed()
    feed.close(DropReason.TIMED_OUT)
    feed.close(DropReason.DISCONNECTED)

    assert feed.drop_reason is DropReason.TIMED_OUT


# --- acknowledgements ----------------------------------------------------------------------------


def test_acknowledgements_move_the_offset_and_the_clock() -> None:
    """WAIT and lag are counted from them."""
    feed = online_feed(Backlog(10))

    assert feed.receive(ack(100) + ack(90), 5000) is True
    assert (feed.acknowledged_offset, feed.acknowledged_ms) == (100, 5000)
    assert feed.receive(ack(100), 6000) is False
    assert feed.acknowledged_ms == 6000


def test_acknowledgements_may_come_in_pieces() -> None:
    """TCP cuts where it likes."""
    feed = online_feed(Backlog(10))
    rises = [feed.receive(bytes([byte]), 2000) for byte in ack(42)]

    assert feed.acknowledged_offset == 42
    assert rises.count(True) == 1


def test_a_newline_shows_that_the_replica_is_alive() -> None:
    """It sends them while it loads its snapshot and can do nothing else."""
    feed = online_feed(Backlog(10))
    feed.receive(b"\n", 9000)

    assert feed.lag_s(9500) == 0


@pytest.mark.parametrize(
    "data", [b"PING\r\n", b"REPLCONF wrong x\r\n", b"REPLCONF listening-port 1\r\n"]
)
def test_a_command_of_a_replica_that_would_be_answered_closes_it(data: bytes) -> None:
    """Its reply would be part of the stream, and whoever sends it is no replica."""
    feed = online_feed(Backlog(10))

    assert feed.receive(data, 2000) is False
    assert feed.drop_reason is DropReason.UNWANTED_COMMAND


@pytest.mark.parametrize("data", [b"SYNC\r\n", b"REPLCONF GETACK *\r\n"])
def test_a_command_of_a_replica_that_has_no_reply_is_passed_over(data: bytes) -> None:
    """As by Redis."""
    feed = online_feed(Backlog(10))
    feed.receive(data, 2000)

    assert feed.state is FeedState.ONLINE


def test_garbage_from_a_replica_closes_it() -> None:
    """It is no replica."""
    feed = online_feed(Backlog(10))
    feed.receive(b"*1\r\n:1\r\n", 2000)

    assert feed.drop_reason is DropReason.BAD_PROTOCOL


# --- limits and time -----------------------------------------------------------------------------


def test_a_replica_that_lost_its_place_is_dropped() -> None:
    """It must synchronise anew: the bytes it needs are gone."""
    backlog = Backlog(4)
    feed = online_feed(backlog)
    backlog.append(b"abcdefgh")

    assert feed.is_over_limit(OutputLimit(), backlog, 2000)
    assert feed.next_output(backlog, 100) == b""
    assert feed.drop_reason is DropReason.OUTPUT_LIMIT


def test_the_hard_limit_acts_at_once() -> None:
    """Memory is bounded whatever a replica does."""
    backlog = Backlog(8, limit_bytes=100)
    feed = online_feed(backlog)
    backlog.append(b"x" * 11)

    assert feed.is_over_limit(OutputLimit(10, 5, 1000), backlog, 2000)
    assert not feed.is_over_limit(OutputLimit(0, 0, 0), backlog, 2000)


def test_what_the_backlog_holds_anyway_is_within_the_hard_limit() -> None:
    """It costs no memory, and a replica that is dropped for it would come back by PSYNC at once."""
    backlog = Backlog(100)
    feed = online_feed(backlog)
    limit = OutputLimit(10, 0, 0)
    backlog.append(b"x" * 100)
    assert not feed.is_over_limit(limit, backlog, 2000)

    backlog.append(b"x")
    assert feed.is_over_limit(limit, backlog, 2000)


def test_the_soft_limit_acts_when_it_lasts() -> None:
    """A burst is no reason to drop a replica; and catching up resets the clock."""
    backlog = Backlog(100)
    feed = online_feed(backlog)
    limit = OutputLimit(0, 5, 1000)
    backlog.append(b"x" * 6)

    assert not feed.is_over_limit(limit, backlog, 2000)
    assert not feed.is_over_limit(limit, backlog, 3000)
    assert feed.is_over_limit(limit, backlog, 3001)
    feed.next_output(backlog, 100)
    assert not feed.is_over_limit(limit, backlog, 4000)
    backlog.append(b"x" * 6)
    assert not feed.is_over_limit(limit, backlog, 4500)


def test_keepalives_come_each_second_until_the_snapshot_begins() -> None:
    """Saving may take longer than the replica's timeout."""
    backlog = Backlog(10)
    feed = make_feed()

    assert [feed.on_time(now, timeout_ms=60_000) for now in (1500, 2000, 2500, 3000)] == [
        b"",
        b"\n",
        b"",
        b"\n",
    ]
    feed.begin_snapshot(0, backlog.attach(0), IDENTITY)
    assert feed.on_time(4000, timeout_ms=60_000) == b"\n"
    feed.become_sending(size_bytes=1)
    assert feed.on_time(9000, timeout_ms=60_000) == b""


def test_a_silent_replica_is_dropped_after_the_timeout() -> None:
    """But not one that sent SYNC, for it never acknowledges."""
    backlog = Backlog(10)
    feed = online_feed(backlog)
    old = make_feed(is_pre_psync=True)
    old.become_partial(backlog.attach(0), 1000)

    feed.on_time(61_000, timeout_ms=60_000)
    assert feed.state is FeedState.ONLINE
    feed.on_time(61_001, timeout_ms=60_000)
    old.on_time(61_001, timeout_ms=60_000)

    assert (feed.drop_reason, old.state) == (DropReason.TIMED_OUT, FeedState.ONLINE)


# --- what INFO and ROLE show ---------------------------------------------------------------------


def test_info_and_role_show_the_state_itself() -> None:
    """In the words of Redis, which sentinels parse."""
    backlog = Backlog(10, start_offset=77)
    feed = make_feed(ReplicaOptions(listening_port=6380))

    assert feed.info_value(9999) == "ip=10.0.0.9,port=6380,state=wait_bgsave,offset=0,lag=0"
    feed.begin_snapshot(77, backlog.attach(77), IDENTITY)
    feed.become_sending(size_bytes=5)
    assert feed.info_value(9999) == "ip=10.0.0.9,port=6380,state=send_bulk,offset=0,lag=0"
    feed.become_online(10_000)
    feed.receive(ack(80), 11_000)
    assert feed.info_value(13_999) == "ip=10.0.0.9,port=6380,state=online,offset=80,lag=2"
    assert feed.role_row() == [b"10.0.0.9", b"6380", b"80"]


def test_an_announced_address_is_shown_instead() -> None:
    """Behind NAT the connection's address is useless."""
    feed = make_feed(ReplicaOptions(announced_address="replica.example"))

    assert feed.host == "replica.example"


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (b"functions", SnapshotContent(has_data=False, has_functions=True)),
        (b"FUNCTIONS functions", SnapshotContent(has_data=False, has_functions=True)),
        (b"", SnapshotContent(has_data=False, has_functions=False)),
    ],
)
def test_a_filter_leaves_out_what_it_does_not_name(value: bytes, content: SnapshotContent) -> None:
    """Nothing named is nothing sent, as in Redis."""
    options = ReplicaOptions()
    assert apply_replconf(options, [b"REPLCONF", b"rdb-filter-only", value]) is None

    assert options.content == content


def test_a_snapshot_that_is_sent_while_it_is_made_shows_as_waited_for() -> None:
    """So tools of Redis know it; one of known size shows as sent."""
    options = ReplicaOptions(knows_eof=True, is_snapshot_only=True)
    for arguments, state in (
        ({"mark": b"m" * 40}, "wait_bgsave"),
        ({"size_bytes": 5}, "send_bulk"),
    ):
        feed = Feed(1, options, "127.0.0.1", 1, created_ms=0)
        feed.begin_snapshot(0, None, Identity(b"a" * 40))
        feed.become_sending(**arguments)

        assert f"state={state}," in feed.info_value(0)
