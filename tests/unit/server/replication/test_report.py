"""INFO replication and ROLE: the lines of redis-server 7.0.15, in its order."""

from __future__ import annotations

from server.replication.events import FollowConfig, Position
from server.replication.follow import Follow, FollowState
from server.replication.identity import Identity
from server.replication.psync import PsyncRequest
from server.replication.replconf import ReplicaOptions
from server.replication.report import info_fields, role_reply
from server.replication.state import Replication
from server.replication.transfer import IncomingSnapshot
from vedette.clients import Session
from vedette.info import render_section
from vedette.resp.encode import encode_command
from vedette.types import Address

A, B = b"a" * 40, b"b" * 40
ZEROS = "0" * 40


def make_state() -> Replication:
    return Replication(lambda: B, [])


def lines(state: Replication, now_ms: int = 10_000) -> list[str]:
    return render_section("Replication", info_fields(state, now_ms)).split("\r\n")[1:-1]


def follower(
    state: FollowState, *, position: Position | None = None, last_io_ms: int = 8000
) -> Follow:
    follow = Follow(FollowConfig(listening_port=1), position, last_io_ms)
    follow.state = state
    return follow


def test_of_a_fresh_master_nothing_is_active_yet() -> None:
    """Nothing is active, and the offsets are 0."""
    assert lines(make_state()) == [
        "role:master",
        "connected_slaves:0",
        "master_failover_state:no-failover",
        "master_replid:" + "b" * 40,
        "master_replid2:" + ZEROS,
        "master_repl_offset:0",
        "second_repl_offset:-1",
        "repl_backlog_active:0",
        "repl_backlog_size:1048576",
        "repl_backlog_first_byte_offset:0",
        "repl_backlog_histlen:0",
    ]
    assert role_reply(make_state()) == [b"master", 0, []]


def test_a_master_with_replicas() -> None:
    """Replicas are numbered in order of arrival; ROLE has only those online."""
    state = make_state()
    state.settings.min_replicas_to_write = 1
    for client_id, port in ((1, 6380), (2, 6381)):
        session = Session(client_id, address="[::1]:50000")
        state.options[client_id] = ReplicaOptions(listening_port=port)
        state.synchronise(session, PsyncRequest(b"?", -1), 9000)
    feed = state.feeds[1]
    state.begin_snapshot(feed)
    feed.become_sending(size_bytes=1)
    feed.become_online(9000)
    state.effects.append([(0, encode_command([b"PING"]))])
    feed.acknowledged_offset = 7

    found = lines(state)
    assert found[1:5] == [
        "connected_slaves:2",
        "min_slaves_good_slaves:1",
        "slave0:ip=::1,port=6380,state=online,offset=7,lag=1",
        "slave1:ip=::1,port=6381,state=wait_bgsave,offset=0,lag=0",
    ]
    assert found[-4:] == [
        "repl_backlog_active:1",
        "repl_backlog_size:1048576",
        "repl_backlog_first_byte_offset:1",
        f"repl_backlog_histlen:{state.offset}",
    ]
    assert role_reply(state) == [b"master", state.offset, [[b"::1", b"6380", b"7"]]]


def test_a_replica_whose_link_is_up() -> None:
    """The transcript of a real replica after a full and a partial synchronisation."""
    state = make_state()
    state.become_replica(Address("127.0.0.1", 47063), 0)
    state.follow = follower(FollowState.STREAMING, position=Position(B, 1351), last_io_ms=9900)
    state.adopt_snapshot(A, 1000, 0, 0)
    state.apply_raw(b"x" * 314)
    state.continue_stream(B, 0)
    state.apply_raw(b"x" * 37)

    assert lines(state) == [
        "role:slave",
        "master_host:127.0.0.1",
        "master_port:47063",
        "master_link_status:up",
        "master_last_io_seconds_ago:0",
        "master_sync_in_progress:0",
        "slave_read_repl_offset:1351",
        "slave_repl_offset:1351",
        "slave_priority:100",
        "slave_read_only:1",
        "replica_announced:1",
        "connected_slaves:0",
        "master_failover_state:no-failover",
        "master_replid:" + "b" * 40,
        "master_replid2:" + "a" * 40,
        "master_repl_offset:1351",
        "second_repl_offset:1315",
        "repl_backlog_active:1",
        "repl_backlog_size:1048576",
        "repl_backlog_first_byte_offset:1001",
        "repl_backlog_histlen:351",
    ]
    assert role_reply(state) == [b"slave", b"127.0.0.1", 47063, b"connected", 1351]


def test_a_replica_that_was_never_connected() -> None:
    """-1 seconds down means: never up; sentinels know it."""
    state = make_state()
    state.become_replica(Address("master.example", 6379), 0)
    found = lines(state)

    assert "master_link_status:down" in found
    assert "master_last_io_seconds_ago:-1" in found
    assert "master_link_down_since_seconds:-1" in found
    assert role_reply(state) == [b"slave", b"master.example", 6379, b"connect", -1]


def test_a_replica_that_receives_a_snapshot() -> None:
    """How far it has come."""
    state = make_state()
    state.become_replica(Address("127.0.0.1", 6379), 0)
    follow = state.follow = follower(FollowState.RECEIVING_SNAPSHOT)
    follow.snapshot = IncomingSnapshot(b"$300")
    follow.snapshot.receive(bytes(100))
    found = lines(state)

    assert "master_sync_in_progress:1" in found
    start = found.index("master_sync_total_bytes:300")
    assert found[start : start + 5] == [
        "master_sync_total_bytes:300",
        "master_sync_read_bytes:100",
        "master_sync_left_bytes:200",
        "master_sync_perc:33.33",
        "master_sync_last_io_seconds_ago:2",
    ]
    assert role_reply(state) == [b"slave", b"127.0.0.1", 6379, b"sync", -1]


def test_a_replica_whose_link_is_lost_says_since_when_and_why() -> None:
    """The reason is ours; Redis leaves it to the log."""
    state = make_state()
    state.become_replica(Address("127.0.0.1", 6379), 0)
    state.adopt_snapshot(A, 1000, 0, 0)
    state.end_link("key 'k'\r\nis of a type", was_up=True, keeps_position=True, now_ms=4000)
    found = lines(state)

    assert "master_link_down_since_seconds:6" in found
    assert "slave_repl_offset:1000" in found
    assert "master_link_error:key 'k' is of a type" in found


def test_a_replica_whose_position_is_unknown_shows_one() -> None:
    """As Redis does without a cached master."""
    state = make_state()
    state.become_replica(Address("127.0.0.1", 6379), 0)
    state.adopt_snapshot(A, 1000, 0, 0)
    state.end_link("corrupt", was_up=True, keeps_position=False, now_ms=4000)

    assert "slave_repl_offset:1" in lines(state)


def test_handshakes_are_one_state_to_role() -> None:
    """Whatever step they are at."""
    state = make_state()
    state.become_replica(Address("127.0.0.1", 6379), 0)
    state.follow = follower(FollowState.CAPABILITIES)

    reply = role_reply(state)
    assert isinstance(reply, list)
    assert reply[3] == b"handshake"
    assert state.identity == Identity(B)
