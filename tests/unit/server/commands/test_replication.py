"""REPLICAOF, REPLCONF, PSYNC, SYNC, WAIT and ROLE as clients see them; no sockets, time by hand."""

from __future__ import annotations

import pytest

from monitoring.families import Families
from monitoring.server_meter import StreamView
from server.replication.feed import FeedState
from tests.support.engine import TestEngine
from vedette.clients import Session
from vedette.clients.session import ClientKind
from vedette.resp.encode import encode_command


def make_engine() -> TestEngine:
    return TestEngine()


def attach_replica(test: TestEngine, acknowledged_offset: int = 0) -> Session:
    """Have a replica connect and be online."""
    session = test.connect()
    test.raw("REPLCONF", "listening-port", 6380, session=session)
    assert test.raw("PSYNC", "?", -1, session=session) == b""
    replication = test.engine.replication
    feed = replication.feeds[session.id]
    replication.begin_snapshot(feed)
    feed.become_sending(size_bytes=0)
    feed.become_online(test.now_ms)
    feed.acknowledged_offset = acknowledged_offset
    return session


def metered(test: TestEngine) -> dict[str, float]:
    """Return what the server's meter would add to a scrape, buckets left out."""
    families = Families()
    view = StreamView(is_writable=True, offset=0, backlog_size_bytes=None)
    test.engine.meter.add_to(families, view, 0.0)
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for metric in families.metrics()
        for sample in metric.samples
        if not sample.name.endswith("_bucket")
    }


# --- REPLICAOF -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["REPLICAOF", "SLAVEOF", "replicaof"])
def test_replicaof_makes_a_read_only_replica(name: str) -> None:
    """Clients may read the data there is, and write nothing."""
    test = make_engine()
    test.call("SET", "key", "value")
    assert test.raw(name, "127.0.0.1", 6399) == b"+OK\r\n"

    assert test.call("ROLE") == [b"slave", b"127.0.0.1", 6399, b"connect", -1]
    assert test.call("GET", "key") == b"value"
    assert test.error("SET", "key", "other") == (
        "READONLY You can't write against a read only replica."
    )


def test_replicaof_no_one_makes_a_master_of_a_new_history() -> None:
    """What it shared until here stays known."""
    test = make_engine()
    test.call("REPLICAOF", "127.0.0.1", 6399)
    old = test.engine.replication.identity.replid

    assert test.call("replicaof", "No", "oNe") == b"OK"
    assert test.engine.replication.identity.replid2 == old
    assert test.call("SET", "key", "value") == b"OK"


def test_replicaof_no_one_on_a_master_changes_nothing() -> None:
    """A sentinel may repeat it."""
    test = make_engine()
    before = test.engine.replication.identity

    assert test.call("REPLICAOF", "NO", "ONE") == b"OK"
    assert test.engine.replication.identity is before


def test_replicaof_the_same_master_changes_nothing() -> None:
    """Otherwise each repetition would cut the link."""
    test = make_engine()
    test.call("REPLICAOF", "Localhost", 6399)

    assert test.raw("REPLICAOF", "localhost", 6399) == (
        b"+OK Already connected to specified master\r\n"
    )


@pytest.mark.parametrize("port", ["x", "-1", "65536", "", "6379 "])
def test_replicaof_refuses_what_is_no_port(port: str) -> None:
    """With Redis' words, and without becoming a replica."""
    test = make_engine()

    assert test.error("REPLICAOF", "127.0.0.1", port) == "ERR Invalid master port"
    assert not test.engine.replication.is_replica


def test_replicaof_is_not_for_replicas() -> None:
    """A replica that tells its master to follow somebody is confused."""
    test = make_engine()
    session = attach_replica(test)

    assert test.error("REPLICAOF", "127.0.0.1", 1, session=session) == (
        "ERR Command is not valid when client is a replica."
    )


def test_replica_read_only_may_be_switched_off() -> None:
    """As `replica-read-only no` says, before and after the change of role."""
    test = TestEngine("replica-read-only no")
    test.call("REPLICAOF", "127.0.0.1", 6399)
    assert test.call("SET", "key", "value") == b"OK"
    test.configuration.set([(b"replica-read-only", b"yes")])

    assert test.error("SET", "key", "value").startswith("READONLY")


def test_stale_data_may_be_refused() -> None:
    """`replica-serve-stale-data no`: no answers while the link is down."""
    test = TestEngine("replica-serve-stale-data no")
    test.call("REPLICAOF", "127.0.0.1", 6399)

    assert test.error("GET", "key").startswith("MASTERDOWN")
    assert test.call("REPLICAOF", "NO", "ONE") == b"OK"
    assert test.call("GET", "key") is None


# --- PSYNC and REPLCONF --------------------------------------------------------------------------


def test_replconf_answers_ok_and_acknowledgements_nothing() -> None:
    """Their replies would run into the stream."""
    test = make_engine()

    assert test.call("REPLCONF", "listening-port", 6380, "capa", "eof") == b"OK"
    assert test.raw("REPLCONF", "ACK", 12) == b""
    assert test.raw("REPLCONF", "GETACK", "*") == b""
    assert test.error("REPLCONF", "listening-port") == "ERR syntax error"


def test_psync_makes_the_session_a_replica() -> None:
    """It is counted as one everywhere, and writes go into the stream from then on."""
    test = make_engine()
    session = attach_replica(test)
    test.call("SET", "key", "value")

    assert session.kind is ClientKind.REPLICA
    assert test.engine.context.statistics.sync_full == 1
    assert test.engine.context.statistics.sync_partial_err == 0
    feed = test.engine.replication.feeds[session.id]
    backlog = test.engine.replication.backlog
    assert backlog is not None
    assert feed.next_output(backlog, 1000) == (
        encode_command([b"SELECT", b"0"]) + encode_command([b"SET", b"key", b"value"])
    )


def test_psync_counts_what_it_decided() -> None:
    """INFO stats, by which operators see whether the backlog is large enough."""
    test = make_engine()
    attach_replica(test)
    replid = test.engine.replication.identity.replid
    test.raw("PSYNC", replid, 1, session=test.connect())
    test.raw("PSYNC", "f" * 40, 1, session=test.connect())
    test.raw("SYNC", session=test.connect())
    statistics = test.engine.context.statistics

    assert (statistics.sync_full, statistics.sync_partial_ok, statistics.sync_partial_err) == (
        3,
        1,
        1,
    )


def test_a_transaction_goes_into_the_stream_as_one() -> None:
    """MULTI and EXEC around what it changed, and nothing of what it read."""
    test = make_engine()
    session = attach_replica(test)
    for command in (["MULTI"], ["SET", "a", "1"], ["GET", "a"], ["INCR", "a"], ["EXEC"]):
        test.call(*command)
    feed = test.engine.replication.feeds[session.id]
    backlog = test.engine.replication.backlog
    assert backlog is not None

    expected = [[b"SELECT", b"0"], [b"MULTI"], [b"SET", b"a", b"1"], [b"INCR", b"a"], [b"EXEC"]]
    assert feed.next_output(backlog, 1000) == b"".join(map(encode_command, expected))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["PSYNC", "?", "x"], "ERR value is not an integer or out of range"),
        (["PSYNC", "?"], "ERR wrong number of arguments for 'psync' command"),
        (
            ["PSYNC", "f" * 40, "1", "FAILOVER"],
            "ERR PSYNC FAILOVER can't be sent to a master.",
        ),
        (["SYNC", "now"], "ERR wrong number of arguments for 'sync' command"),
    ],
)
def test_wrong_requests_make_no_replica(words: list[str], text: str) -> None:
    """The connection stays what it was."""
    test = make_engine()

    assert test.error(*words) == text
    assert test.engine.replication.feeds == {}
    assert test.session.kind is ClientKind.NORMAL


def test_a_replica_without_a_link_cannot_be_followed() -> None:
    """Its data may be replaced at any moment."""
    test = make_engine()
    test.call("REPLICAOF", "127.0.0.1", 6399)

    assert test.error("PSYNC", "?", -1) == (
        "NOMASTERLINK Can't SYNC while not connected with my master"
    )


def test_a_session_that_ends_is_no_replica_any_more() -> None:
    """Whatever ended it."""
    test = make_engine()
    session = attach_replica(test)
    feed = test.engine.replication.feeds[session.id]
    test.engine.disconnect(session)

    assert test.engine.replication.feeds == {}
    assert feed.state is FeedState.CLOSED


# --- WAIT ----------------------------------------------------------------------------------------


def test_wait_returns_at_once_when_enough_have_everything() -> None:
    """Zero replicas always have."""
    test = make_engine()
    test.call("SET", "key", "value")

    assert test.call("WAIT", 0, 0) == 0
    attach_replica(test, acknowledged_offset=10_000)
    assert test.call("WAIT", 1, 0) == 1


def test_wait_blocks_until_the_replicas_acknowledge() -> None:
    """And asks them to, once however many wait."""
    test = make_engine()
    session = attach_replica(test)
    test.call("SET", "key", "value")
    offset = test.engine.replication.offset
    other = test.connect()
    assert test.raw("WAIT", 1, 0) == b""
    assert test.raw("WAIT", 1, 0, session=other) == b""
    test.engine.replication.flush_requests()
    getack = encode_command([b"REPLCONF", b"GETACK", b"*"])
    assert test.engine.replication.offset == offset + len(getack)

    feed = test.engine.replication.feeds[session.id]
    feed.receive(encode_command([b"REPLCONF", b"ACK", b"%d" % (offset - 1)]), test.now_ms)
    test.engine.wake("wait")
    test.engine.end_batch()
    assert test.session.outbox == []
    feed.receive(encode_command([b"REPLCONF", b"ACK", b"%d" % offset]), test.now_ms)
    test.engine.wake("wait")
    test.engine.end_batch()

    assert (test.session.outbox, other.outbox) == ([b":1\r\n"], [b":1\r\n"])


def test_wait_gives_up_after_its_timeout_with_the_count_so_far() -> None:
    """0 means for ever, anything else milliseconds."""
    test = make_engine()
    attach_replica(test)
    test.call("SET", "key", "value")
    test.raw("WAIT", 1, 250)
    test.advance(249)
    test.engine.expire_waits()
    assert test.session.outbox == []
    test.advance(1)
    test.engine.expire_waits()

    assert test.session.outbox == [b":0\r\n"]


def test_waits_are_measured_whichever_way_they_end() -> None:
    """One is met, one falls short after its 250 ms."""
    test = make_engine()
    attach_replica(test)
    test.call("SET", "key", "value")
    test.call("WAIT", 0, 0)
    test.raw("WAIT", 1, 250)
    test.advance(250)
    test.engine.expire_waits()

    samples = metered(test)
    assert samples["vedette_wait_seconds_count{wait}"] == 2
    assert samples["vedette_wait_seconds_sum{wait}"] == 0.25
    assert samples["vedette_wait_shortfall_total{wait}"] == 1


def test_resynchronisations_and_changes_of_the_role_are_counted() -> None:
    """The role at the start is no change, nor is to follow another master."""
    test = make_engine()
    attach_replica(test)
    test.call("REPLICAOF", "127.0.0.1", 6399)
    test.call("REPLICAOF", "127.0.0.1", 6398)
    test.call("REPLICAOF", "NO", "ONE")

    samples = metered(test)
    assert samples["vedette_resync_causes_total{master,full,requested}"] == 1
    assert samples["vedette_role_changes_total{replica}"] == 1
    assert samples["vedette_role_changes_total{master}"] == 1


def test_master_takes_writes_unless_something_is_against_it() -> None:
    """What would be refused, and what would only be delayed, is not writable now."""
    test = make_engine()
    engine = test.engine
    assert engine.is_taking_writes()
    engine.set_write_guard(lambda: False)
    assert not engine.is_taking_writes()
    engine.set_write_guard(None)
    test.call("CLIENT", "PAUSE", 100, "WRITE")
    assert not engine.is_taking_writes()
    test.call("CLIENT", "UNPAUSE")
    assert engine.is_taking_writes()
    test.call("REPLICAOF", "127.0.0.1", 6399)
    assert not engine.is_taking_writes()


def test_wait_inside_a_transaction_does_not_wait() -> None:
    """Nothing can arrive while it runs."""
    test = make_engine()
    attach_replica(test)
    test.call("SET", "key", "value")
    test.call("MULTI")
    test.call("SET", "key", "other")
    test.call("WAIT", 1, 0)

    assert test.call("EXEC") == [b"OK", 0]


def test_wait_ends_when_the_master_becomes_a_replica() -> None:
    """Its replicas will acknowledge nothing more to it."""
    test = make_engine()
    attach_replica(test)
    test.call("SET", "key", "value")
    waiting = test.connect()
    test.raw("WAIT", 1, 0, session=waiting)
    test.call("REPLICAOF", "127.0.0.1", 6399)

    assert waiting.outbox == [
        b"-UNBLOCKED force unblock from blocking operation, instance state changed "
        b"(master -> replica?)\r\n"
    ]
    assert test.error("WAIT", 0, 0).startswith("ERR WAIT cannot be used with replica instances.")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["x", "0"], "ERR value is not an integer or out of range"),
        (["1", "x"], "ERR timeout is not an integer or out of range"),
        (["1", "-1"], "ERR timeout is negative"),
    ],
)
def test_wait_refuses_wrong_numbers(words: list[str], text: str) -> None:
    """With Redis' words."""
    assert make_engine().error("WAIT", *words) == text


# --- PSYNC FAILOVER ------------------------------------------------------------------------------


def test_a_replica_becomes_the_master_when_its_master_asks_for_it() -> None:
    """It then grants what was asked for: the stream from where both stand."""
    test = make_engine()
    test.call("REPLICAOF", "127.0.0.1", 6399)
    replication = test.engine.replication
    replication.adopt_snapshot(b"e" * 40, 100, 0, test.now_ms)
    session = test.connect()

    assert test.error("PSYNC", "f" * 40, 101, "FAILOVER") == (
        "ERR PSYNC FAILOVER replid must match my replid."
    )
    assert test.raw("PSYNC", "e" * 40, 101, "failover", session=session) == b""
    assert not replication.is_replica
    assert replication.identity.replid2 == b"e" * 40
    assert replication.feeds[session.id].state is FeedState.ONLINE


def test_writes_wait_while_a_failover_does_and_go_on_when_it_is_aborted() -> None:
    """CLIENT UNPAUSE does not end that wait, for it is not the operator's."""
    test = make_engine()
    attach_replica(test)
    writer = test.connect()
    test.call("SET", "key", "value")
    assert test.call("FAILOVER") == b"OK"
    assert test.raw("SET", "key", "other", session=writer) == b""
    test.call("CLIENT", "UNPAUSE")

    assert test.call("GET", "key") == b"value"
    assert test.raw("FAILOVER", "ABORT") == b"+OK\r\n"
    test.engine.end_batch()
    assert b"".join(writer.outbox) == b"+OK\r\n"
    assert test.call("GET", "key") == b"other"


def test_an_aborted_failover_leaves_the_operators_pause_in_force() -> None:
    test = make_engine()
    attach_replica(test)
    writer = test.connect()
    test.call("CLIENT", "PAUSE", 10_000, "WRITE")
    test.call("FAILOVER")
    test.call("FAILOVER", "ABORT")

    assert test.raw("SET", "key", "value", session=writer) == b""
    test.advance(10_001)
    assert test.call("SET", "other", "value") == b"OK"


def test_while_a_failover_waits_one_request_for_acknowledgements_and_no_ping_is_sent() -> None:
    """The stream must stand still, or no replica would ever have all of it."""
    test = make_engine()
    attach_replica(test)
    replication = test.engine.replication
    test.call("FAILOVER")
    replication.flush_requests()
    end = replication.offset
    test.raw("WAIT", 1, 0, session=test.connect())
    replication.flush_requests()
    replication.on_time(test.now_ms + 1_000_000)

    assert replication.offset == end
