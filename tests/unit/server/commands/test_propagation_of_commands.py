"""What replicas are sent of each command: absolute times, effects, units. Redis 7.0 sends the same
(tests/interop compares the two streams).
"""

from __future__ import annotations

import pytest

from tests.support.engine import START_MS, TestEngine

Words = tuple[str, ...]


def sent(engine: TestEngine) -> list[list[str]]:
    """Return what was sent since the last call, as text."""
    return [[word.decode() for word in command] for command in engine.sink.take_commands()]


@pytest.mark.parametrize(
    ("command", "effect"),
    [
        (("set", "k", "w"), "set k w"),
        (("SET", "k", "w", "EX", "10"), f"SET k w PXAT {START_MS + 10_000}"),
        (("SET", "k", "w", "GET", "PXAT", "99999999999999"), "SET k w PXAT 99999999999999"),
        (("SET", "k", "w", "xx", "get"), "SET k w xx"),
        (("SET", "k", "w", "KEEPTTL"), "SET k w KEEPTTL"),
        (("SETEX", "k", "10", "w"), f"SET k w PXAT {START_MS + 10_000}"),
        (("PSETEX", "k", "10", "w"), f"SET k w PXAT {START_MS + 10}"),
        (("GETSET", "k", "w"), "SET k w"),
        (("GETDEL", "k"), "DEL k"),
        (("GETEX", "k", "EX", "10"), f"PEXPIREAT k {START_MS + 10_000}"),
        (("GETEX", "k", "PXAT", "1"), "DEL k"),
        (("GETEX", "lasting", "PERSIST"), "PERSIST lasting"),
        (("EXPIRE", "k", "10", "NX"), f"PEXPIREAT k {START_MS + 10_000} NX"),
        (("EXPIREAT", "k", "99999999999"), "PEXPIREAT k 99999999999000"),
        (("pexpireat", "k", "99999999999999"), "pexpireat k 99999999999999"),
        (("EXPIRE", "k", "-1"), "DEL k"),
        (("INCRBYFLOAT", "n", "0.5"), "SET n 1.5 KEEPTTL"),
        (("INCR", "n"), "INCR n"),
        (("APPEND", "k", "x"), "APPEND k x"),
        (("MOVE", "k", "1"), "MOVE k 1"),
        (("FLUSHALL",), "FLUSHALL"),
        (("SWAPDB", "1", "2"), "SWAPDB 1 2"),
    ],
)
def test_a_write_is_sent_as_its_effect(command: Words, effect: str) -> None:
    """A replica that runs it later, or twice, comes to the same dataset."""
    engine = TestEngine("save ''")
    for words in (("SET", "k", "v"), ("SET", "n", "1"), ("SET", "lasting", "v", "EX", "100")):
        engine.call(*words)
    sent(engine)

    engine.call(*command)

    assert sent(engine) == [effect.split()]


@pytest.mark.parametrize(
    "command",
    [
        ("GET", "k"),
        ("SET", "k", "w", "NX"),
        ("SETNX", "k", "w"),
        ("MSETNX", "k", "w", "j", "x"),
        ("GETDEL", "missing"),
        ("GETEX", "k"),
        ("GETEX", "k", "PERSIST"),
        ("DEL", "missing"),
        ("EXPIRE", "missing", "10"),
        ("PERSIST", "k"),
        ("RENAME", "k", "k"),
        ("COPY", "k", "k2x", "DB", "99"),
        ("INCR", "k"),
        ("SETRANGE", "k", "0", ""),
        ("TOUCH", "k"),
    ],
)
def test_what_changes_nothing_is_not_sent(command: Words) -> None:
    """The stream, and so the offset that failover compares, moves only with the data."""
    engine = TestEngine()
    engine.call("SET", "k", "v")
    sent(engine)
    dirty = engine.engine.keyspace.dirty

    engine.call(*command)

    assert (sent(engine), engine.engine.keyspace.dirty) == ([], dirty)


def test_a_flush_is_sent_even_if_there_was_nothing() -> None:
    """A writable replica may hold keys that its master does not."""
    engine = TestEngine("save ''")

    engine.call("FLUSHDB")

    assert sent(engine) == [["FLUSHDB"]]
    assert engine.engine.keyspace.dirty == 0


def test_expired_keys_are_deleted_in_replicas_before_what_follows() -> None:
    """The deletion and the write are one unit: no replica shows the key gone in between."""
    engine = TestEngine()
    engine.call("SET", "a", "1", "PX", "10")
    engine.call("SET", "b", "1", "PX", "10")
    engine.sink.units.clear()
    engine.advance(10)

    engine.call("SET", "a", "2")
    engine.call("GET", "b")

    assert engine.sink.units == [
        [(0, [b"DEL", b"a"]), (0, [b"SET", b"a", b"2"])],
        [(0, [b"DEL", b"b"])],
    ]


def test_keys_that_a_scan_finds_expired_are_deleted_one_by_one() -> None:
    """They have nothing to do with one another; Redis 7.0.15 wraps them in no MULTI either."""
    engine = TestEngine()
    for key in ("a", "b"):
        engine.call("SET", key, "1", "PX", "10")
    engine.sink.units.clear()
    engine.advance(10)

    engine.call("SCAN", "0", "COUNT", "10")

    assert sorted(engine.sink.units) == [[(0, [b"DEL", b"a"])], [(0, [b"DEL", b"b"])]]


def test_a_transaction_is_sent_as_one_unit() -> None:
    """With the database of each command, and without what changed nothing."""
    engine = TestEngine()
    for words in (
        ("MULTI",),
        ("SET", "a", "1"),
        ("GET", "a"),
        ("SELECT", "2"),
        ("INCRBYFLOAT", "a", "1"),
        ("EXEC",),
        ("SET", "b", "1"),
    ):
        engine.call(*words)

    assert engine.sink.units == [
        [(0, [b"SET", b"a", b"1"]), (2, [b"SET", b"a", b"1", b"KEEPTTL"])],
        [(2, [b"SET", b"b", b"1"])],
    ]


def test_a_writable_replica_keeps_expired_keys_and_logs_what_it_writes() -> None:
    """Expiry is the master's to decide. The replica's replicas never hear of its writes, since its
    replication is no sink; its append-only file does.
    """
    engine = TestEngine()
    engine.call("SET", "a", "1", "PX", "10")
    sent(engine)
    engine.engine.set_role(is_replica=True, is_read_only=False)
    engine.advance(10)

    assert engine.call("GET", "a") is None
    assert engine.call("SET", "b", "1") == b"OK"
    assert sent(engine) == [["SET", "b", "1"]]
    assert b"a" in engine.engine.keyspace.databases[0].values


def test_expiry_waits_while_clients_are_paused() -> None:
    """CLIENT PAUSE is for handing over to another node: the dataset must stand still."""
    engine = TestEngine()
    engine.call("SET", "a", "1", "PX", "10")
    sent(engine)
    engine.call("CLIENT", "PAUSE", "1000", "WRITE")
    engine.advance(20)

    assert engine.call("GET", "a") is None
    engine.engine.on_tick(engine.now_ms)
    assert sent(engine) == []
    engine.advance(1000)
    engine.engine.on_tick(engine.now_ms)
    assert sent(engine) == [["DEL", "a"]]
