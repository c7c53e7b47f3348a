"""Transcripts of the link to a master: bytes in, bytes and events out.

The bytes are those of redis-server 7.0.15, recorded from both of its sides.
"""

from __future__ import annotations

import random

import pytest

from server.replication.events import (
    Continued,
    FollowConfig,
    FollowEvent,
    LinkFailed,
    LinkFailure,
    Position,
    SnapshotBegun,
    SnapshotComplete,
    SnapshotPiece,
    StreamPiece,
)
from server.replication.follow import Follow, FollowState
from vedette.resp.encode import encode_command

A, B = b"a" * 40, b"b" * 40
MARK = b"0123456789abcdef0123456789abcdefdeadbeef"
CONFIG = FollowConfig(listening_port=6380, timeout_ms=60_000)

PING = b"*1\r\n$4\r\nPING\r\n"
PORT = b"*3\r\n$8\r\nREPLCONF\r\n$14\r\nlistening-port\r\n$4\r\n6380\r\n"
CAPA = b"*5\r\n$8\r\nREPLCONF\r\n$4\r\ncapa\r\n$3\r\neof\r\n$4\r\ncapa\r\n$6\r\npsync2\r\n"
PSYNC_FULL = b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"
GETACK = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"
SET = encode_command([b"SET", b"a", b"1"])
MULTI = b"*1\r\n$5\r\nMULTI\r\n"
EXEC = b"*1\r\n$4\r\nEXEC\r\n"


def ack(offset: int) -> bytes:
    return encode_command([b"REPLCONF", b"ACK", b"%d" % offset])


def connected(config: FollowConfig = CONFIG, position: Position | None = None) -> Follow:
    follow = Follow(config, position, 0)
    follow.on_connected(0)
    assert follow.take_output() == PING
    return follow


def shake_hands(follow: Follow) -> bytes:
    """Answer each step with success; return what was sent, PSYNC included."""
    sent = b""
    for reply in (b"+PONG\r\n", b"+OK\r\n", b"+OK\r\n"):
        assert follow.receive(reply, 1) == []
        sent += follow.take_output()
    assert follow.state is FollowState.PSYNC
    return sent


def streaming(offset: int = 1000) -> Follow:
    follow = connected(position=Position(A, offset))
    shake_hands(follow)
    assert follow.receive(b"+CONTINUE " + A + b"\r\n", 1) == [Continued(A)]
    return follow


# --- handshake -----------------------------------------------------------------------------------


def test_the_handshake_sends_what_redis_sends() -> None:
    """Each step after the answer to the one before."""
    follow = connected()

    assert shake_hands(follow) == PORT + CAPA + PSYNC_FULL


def test_the_handshake_authenticates_and_announces_where_configured() -> None:
    """AUTH comes before anything that needs it."""
    follow = connected(
        FollowConfig(
            listening_port=6380,
            announced_address="10.1.1.1",
            master_user=b"repl",
            master_password=b"secret",
        )
    )
    sent = []
    for reply in (b"-NOAUTH Authentication required.\r\n", *[b"+OK\r\n"] * 4):
        assert follow.receive(reply, 1) == []
        sent.append(follow.take_output())

    assert sent == [
        encode_command([b"AUTH", b"repl", b"secret"]),
        PORT,
        encode_command([b"REPLCONF", b"ip-address", b"10.1.1.1"]),
        CAPA,
        PSYNC_FULL,
    ]


def test_a_password_alone_is_sent_without_a_user() -> None:
    """Masters before version 6 know no users."""
    follow = connected(FollowConfig(listening_port=1, master_password=b"secret"))
    follow.receive(b"+PONG\r\n", 1)

    assert follow.take_output() == encode_command([b"AUTH", b"secret"])


def test_a_replica_with_a_position_asks_for_the_next_byte() -> None:
    """It has 1314 bytes, so it asks for the 1315th."""
    sent = shake_hands(connected(position=Position(A, 1314)))

    assert sent.endswith(b"*3\r\n$5\r\nPSYNC\r\n$40\r\n" + A + b"\r\n$4\r\n1315\r\n")


def test_errors_of_replconf_are_no_matter() -> None:
    """An older master does not know the option and can serve all the same."""
    follow = connected()
    follow.receive(b"+PONG\r\n", 1)
    follow.receive(b"-ERR unknown command 'REPLCONF'\r\n", 1)
    follow.receive(b"-ERR Unrecognized REPLCONF option: capa\r\n", 1)

    assert follow.take_output().endswith(PSYNC_FULL)


@pytest.mark.parametrize(
    ("replies", "failure", "detail"),
    [
        ([b"-LOADING Redis is loading\r\n"], LinkFailure.PING_REFUSED, "LOADING Redis is loading"),
        ([b"-MASTERDOWN x\r\n"], LinkFailure.PING_REFUSED, "MASTERDOWN x"),
        ([b"+PONG\r\n", b"-WRONGPASS no\r\n"], LinkFailure.AUTH_REFUSED, "WRONGPASS no"),
        ([b"x" * 2000], LinkFailure.BAD_PROTOCOL, "endless line"),
    ],
)
def test_what_ends_the_handshake(replies: list[bytes], failure: LinkFailure, detail: str) -> None:
    """The position stays: nothing was received that could spoil it."""
    follow = connected(FollowConfig(listening_port=1, master_password=b"p"), Position(A, 5))
    events: list[FollowEvent] = []
    for reply in replies:
        events += follow.receive(reply, 1)

    assert len(events) == 1
    event = events[0]
    assert isinstance(event, LinkFailed)
    assert (event.failure, event.detail, event.keeps_position) == (failure, detail, True)
    assert follow.state is FollowState.CLOSED
    assert follow.take_output() == b""


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (b"-NOMASTERLINK Can't SYNC while not connected\r\n", LinkFailure.MASTER_NOT_READY),
        (b"-LOADING x\r\n", LinkFailure.MASTER_NOT_READY),
        (b"-NOAUTH Authentication required.\r\n", LinkFailure.SYNC_REFUSED),
        (b"+FULLRESYNC short 12\r\n", LinkFailure.BAD_PROTOCOL),
        (b"+FULLRESYNC " + A + b" x\r\n", LinkFailure.BAD_PROTOCOL),
        (b"+FULLRESYNC " + A + b"\r\n", LinkFailure.BAD_PROTOCOL),
        (b"+CONTINUE " + A + b"\r\n", LinkFailure.BAD_PROTOCOL),
    ],
)
def test_a_refused_psync_ends_the_attempt(reply: bytes, failure: LinkFailure) -> None:
    """The attempt is over and another follows soon."""
    follow = connected()
    shake_hands(follow)
    events = follow.receive(reply, 1)

    assert len(events) == 1
    assert isinstance(events[0], LinkFailed)
    assert events[0].failure is failure
    assert 0 < events[0].retry_after_ms <= 1000


def test_a_master_too_old_for_psync_gets_sync() -> None:
    """Its snapshot has no ID and no offset, and it is sent no acknowledgements."""
    follow = connected()
    shake_hands(follow)

    assert follow.receive(b"-ERR unknown command 'PSYNC'\r\n", 1) == [SnapshotBegun(None, -1)]
    assert follow.take_output() == b"SYNC\r\n"
    assert follow.receive(b"$3\r\nrdb", 2) == [SnapshotPiece(b"rdb"), SnapshotComplete()]
    follow.on_snapshot_loaded(3)
    follow.receive(GETACK, 4)
    follow.on_time(5000)
    assert follow.take_output() == b""


# --- snapshot ------------------------------------------------------------------------------------


def test_full_synchronisation_with_a_known_size() -> None:
    """As a master with `repl-diskless-sync no` does it; keepalives come before both lines."""
    follow = connected()
    shake_hands(follow)
    events = follow.receive(b"\n+FULLRESYNC " + A + b" 1000\r\n\n\n$5\r\nhe", 1)
    assert events == [SnapshotBegun(A, 1000), SnapshotPiece(b"he")]
    assert follow.state is FollowState.RECEIVING_SNAPSHOT

    events = follow.receive(b"llo" + SET, 2)
    assert events == [SnapshotPiece(b"llo"), SnapshotComplete()]
    assert follow.state is FollowState.LOADING_SNAPSHOT

    assert follow.receive(SET, 3) == []
    events = follow.on_snapshot_loaded(4)
    size = len(SET)
    assert events == [StreamPiece([[b"SET", b"a", b"1"]] * 2, SET + SET, 1000 + 2 * size)]
    assert follow.take_output() == ack(1000)


@pytest.mark.parametrize("seed", range(10))
def test_full_synchronisation_with_a_mark_in_any_pieces(seed: int) -> None:
    """The mark may be cut anywhere, and what looks like its beginning is data."""
    rng = random.Random(seed)
    snapshot = b"".join(rng.choice([MARK[:39], b"x", MARK[1:], b"\r\n"]) for _ in range(50)) + b"!"
    stream = b"$EOF:" + MARK + b"\r\n" + snapshot + MARK
    follow = connected()
    shake_hands(follow)
    follow.receive(b"+FULLRESYNC " + A + b" 1000\r\n", 1)
    received = b""
    position = 0
    complete = 0
    while position < len(stream):
        step = rng.choice([1, 3, 40, 1000])
        for event in follow.receive(stream[position : position + step], 1):
            if isinstance(event, SnapshotPiece):
                received += event.data
            else:
                assert event == SnapshotComplete()
                complete += 1
        position += step

    assert (received, complete) == (snapshot, 1), f"seed {seed}"
    assert follow.snapshot is not None
    assert follow.snapshot.read_bytes == len(snapshot)
    assert follow.on_snapshot_loaded(2) == []
    assert follow.take_output() == ack(1000), "the master waits for it before it streams"


def test_an_empty_snapshot_is_complete_at_once() -> None:
    """Nothing would ever arrive to complete it."""
    follow = connected()
    shake_hands(follow)

    events = follow.receive(b"+FULLRESYNC " + A + b" 0\r\n$0\r\n", 1)
    assert events == [SnapshotBegun(A, 0), SnapshotComplete()]


@pytest.mark.parametrize(
    ("header", "failure"),
    [
        (b"-ERR BGSAVE failed, replication can't continue\r\n", LinkFailure.SYNC_REFUSED),
        (b"+OK\r\n", LinkFailure.BAD_PROTOCOL),
        (b"$-1\r\n", LinkFailure.BAD_PROTOCOL),
        (b"$EOF:short\r\n", LinkFailure.BAD_PROTOCOL),
    ],
)
def test_a_snapshot_that_does_not_come(header: bytes, failure: LinkFailure) -> None:
    """The master failed to save, or is no master."""
    follow = connected(position=Position(A, 5))
    shake_hands(follow)
    follow.receive(b"+FULLRESYNC " + B + b" 10\r\n", 1)
    events = follow.receive(header, 1)

    assert isinstance(events[-1], LinkFailed)
    assert events[-1].failure is failure
    assert events[-1].keeps_position, "the data set was not touched"


def test_a_snapshot_that_cannot_be_loaded_is_not_asked_for_again_at_once() -> None:
    """It would cost the master another, and the dataset is as it was."""
    follow = connected(position=Position(A, 5))
    shake_hands(follow)
    follow.receive(b"+FULLRESYNC " + B + b" 10\r\n$1\r\nx", 1)

    assert follow.on_snapshot_unusable("unknown value type 42") == [
        LinkFailed(LinkFailure.SNAPSHOT_UNUSABLE, "unknown value type 42", True, 5000)
    ]


def test_a_stream_that_cannot_be_applied_costs_the_position() -> None:
    """What was applied is no longer what the master has."""
    assert streaming().on_stream_unusable("unknown command 'HSET'") == [
        LinkFailed(LinkFailure.STREAM_UNUSABLE, "unknown command 'HSET'", False, 5000)
    ]


def test_loading_shows_the_master_that_the_replica_lives() -> None:
    """A newline each second, and no timeout however long it takes."""
    follow = connected()
    shake_hands(follow)
    follow.receive(b"+FULLRESYNC " + A + b" 10\r\n$1\r\nx", 1)
    for now_ms in (1000, 1500, 2000, 500_000):
        assert follow.on_time(now_ms) == []

    assert follow.take_output() == b"\n\n\n"


# --- stream --------------------------------------------------------------------------------------


def test_getack_is_answered_with_the_offset_before_it() -> None:
    """The transcript of a redis-server 7.0.15 replica, with the offsets it answered."""
    follow = streaming(1000)
    transcript = [
        (GETACK, [1000]),
        (b"\n" + GETACK, [1037]),
        (PING + GETACK + GETACK, [1089, 1126]),
        (MULTI + SET, []),
        (EXEC + GETACK, [1219]),
    ]
    for data, offsets in transcript:
        follow.receive(data, 1)
        assert follow.take_output() == b"".join(ack(offset) for offset in offsets)

    assert follow.offset == 1256


def test_the_position_counts_only_whole_transactions() -> None:
    """A link cut inside one asks for it again from its MULTI."""
    follow = streaming(1163)
    assert follow.receive(MULTI + SET, 1) == []
    assert (follow.offset, follow.read_offset) == (1163, 1163 + len(MULTI + SET))

    commands = [[b"MULTI"], [b"SET", b"a", b"1"], [b"EXEC"]]
    assert follow.receive(EXEC, 2) == [StreamPiece(commands, MULTI + SET + EXEC, 1219)]
    assert follow.offset == follow.read_offset == 1219


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_of_the_stream_gives_the_same_commands_and_bytes(seed: int) -> None:
    """Offsets, raw bytes and commands always agree, so the own backlog is the master's."""
    rng = random.Random(seed)
    units = [SET, PING, GETACK, b"\n" + SET, MULTI + SET * 3 + EXEC, encode_command([b"X" * 2000])]
    stream = b"".join(rng.choice(units) for _ in range(60)) + PING
    follow = streaming(500)
    raw = b""
    count = 0
    position = 0
    while position < len(stream):
        step = rng.choice([1, 7, 100, 4000])
        for event in follow.receive(stream[position : position + step], 1):
            assert isinstance(event, StreamPiece)
            raw += event.raw
            count += len(event.commands)
            assert event.offset == 500 + len(raw) == follow.offset
        position += step

    assert raw == stream, f"seed {seed}"
    whole = streaming(500).receive(stream, 1)
    assert count == sum(len(event.commands) for event in whole if isinstance(event, StreamPiece))


def test_getack_is_not_applied_and_is_part_of_the_bytes() -> None:
    """The own replicas get it too, and answer us."""
    events = streaming(0).receive(SET + GETACK, 1)

    assert events == [StreamPiece([[b"SET", b"a", b"1"]], SET + GETACK, len(SET + GETACK))]


def test_a_renamed_history_is_reported() -> None:
    """The master was promoted; the own second ID and replicas depend on it."""
    follow = connected(position=Position(A, 10))
    shake_hands(follow)

    assert follow.receive(b"+CONTINUE " + B + b"\r\n" + SET, 1) == [
        Continued(B),
        StreamPiece([[b"SET", b"a", b"1"]], SET, 10 + len(SET)),
    ]


def test_a_master_without_psync2_continues_under_the_same_id() -> None:
    """It says `+CONTINUE` and no more."""
    follow = connected(position=Position(A, 10))
    shake_hands(follow)

    assert follow.receive(b"+CONTINUE\r\n", 1) == [Continued(A)]


@pytest.mark.parametrize("data", [b"SET inline 1\r\n", b"*1\r\n$x\r\n", b"+OK\r\n"])
def test_a_corrupt_stream_costs_the_position(data: bytes) -> None:
    """Redis forgets its cached master too: the offset can no longer be trusted."""
    events = streaming().receive(data, 1)

    assert len(events) == 1
    assert isinstance(events[0], LinkFailed)
    assert events[0].failure is LinkFailure.BAD_PROTOCOL
    assert not events[0].keeps_position


# --- time and ends -------------------------------------------------------------------------------


def test_acknowledges_each_second() -> None:
    """That is how the master knows lag and liveness."""
    follow = streaming(7)
    sent = []
    for now_ms in (500, 1001, 1500, 2001, 2002):
        follow.on_time(now_ms)
        sent.append(follow.take_output())

    assert sent == [b"", ack(7), b"", ack(7), b""]


def test_says_when_it_wants_to_be_called() -> None:
    """So the owner sleeps exactly as long as it may."""
    follow = Follow(CONFIG, Position(A, 1), 100)
    assert follow.next_deadline_ms() == 60_100
    follow.on_connected(200)
    assert follow.next_deadline_ms() == 60_200
    follow.take_output()
    shake_hands(follow)
    follow.receive(b"+CONTINUE\r\n", 300)
    assert follow.next_deadline_ms() == 1300
    follow.on_disconnected("reset")
    assert follow.next_deadline_ms() is None


@pytest.mark.parametrize("state", ["connecting", "handshake", "transfer", "streaming"])
def test_gives_up_a_silent_master_after_repl_timeout(state: str) -> None:
    """In every state, counted from the last byte received."""
    if state == "connecting":
        follow = Follow(CONFIG, None, 1)
    elif state == "streaming":
        follow = streaming()
    else:
        follow = connected()
        shake_hands(follow)
        if state == "transfer":
            follow.receive(b"+FULLRESYNC " + A + b" 10\r\n$100\r\nx", 1)
    assert follow.on_time(60_000) == []
    events = follow.on_time(60_001)

    assert len(events) == 1
    assert isinstance(events[0], LinkFailed)
    assert events[0].failure is LinkFailure.TIMED_OUT
    assert events[0].keeps_position


def test_a_lost_stream_is_taken_up_at_once_and_other_losses_a_little_later() -> None:
    """Waiting may cost the backlog; but a master that refuses is not hammered."""
    lost = streaming().on_disconnected("reset")
    refused = Follow(CONFIG, None, 0).on_disconnected("refused")
    cut = connected().on_disconnected("closed")

    assert lost == [LinkFailed(LinkFailure.LOST, "reset", True, 0)]
    assert refused == [LinkFailed(LinkFailure.NOT_CONNECTED, "refused", True, 200)]
    assert cut == [LinkFailed(LinkFailure.LOST, "closed", True, 200)]


def test_nothing_follows_the_end() -> None:
    """One failure, once."""
    follow = streaming()
    follow.on_disconnected("reset")

    assert follow.on_disconnected("again") == []
    assert follow.receive(SET, 2) == []
    assert follow.on_time(10**9) == []


@pytest.mark.parametrize("seed", range(200))
def test_garbage_at_any_point_ends_the_link_or_is_awaited(seed: int) -> None:
    """Whatever a peer sends, nothing but events comes out."""
    rng = random.Random(seed)
    follow = rng.choice((connected(), streaming()))
    for _ in range(20):
        data = rng.choice(
            [b"+PONG\r\n", b"+OK\r\n", b"+FULLRESYNC " + A + b" 1\r\n", b"$2\r\n", rng.randbytes(5)]
        )
        events = follow.receive(data, 1)
        if SnapshotComplete() in events:
            events = follow.on_snapshot_loaded(1)
        follow.take_output()
        if follow.state is FollowState.CLOSED:
            assert isinstance(events[-1], LinkFailed)
            return
    assert follow.next_deadline_ms() is not None


def test_role_names_are_those_of_redis() -> None:
    """ROLE's fourth field."""
    names = {state.role_name for state in FollowState}

    assert names == {b"connect", b"connecting", b"handshake", b"sync", b"connected"}


def test_a_master_that_asks_hears_of_the_disk_as_soon_as_there_is_something_to_hear() -> None:
    """Once with what is known, and again, without delay, when all of it is on the disk."""
    synced = 0
    follow = connected(
        FollowConfig(listening_port=6380, synced_offset=lambda: synced), position=Position(A, 1000)
    )
    shake_hands(follow)
    follow.receive(b"+CONTINUE " + A + b"\r\n", 1)
    reached = 1000 + len(SET)
    follow.receive(SET + encode_command([b"REPLCONF", b"GETACK", b"*"]), 2)
    first = encode_command([b"REPLCONF", b"ACK", b"%d" % reached, b"FACK", b"0"])
    assert follow.take_output() == first
    assert follow.next_deadline_ms() == 1001

    synced = reached
    assert follow.next_deadline_ms() == 2
    assert follow.on_time(3) == []
    acknowledgement = [b"REPLCONF", b"ACK", b"%d" % follow.offset, b"FACK", b"%d" % reached]
    assert follow.take_output() == encode_command(acknowledgement)
    assert follow.next_deadline_ms() == 1003
