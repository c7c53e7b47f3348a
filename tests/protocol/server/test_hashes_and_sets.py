"""Hashes and sets on the wire; the real server agrees on what is not chance (tests/interop)."""

from __future__ import annotations

import pytest

from server.store.keyspace_events import parse_keyspace_events
from tests.support.engine import TestEngine
from tests.support.transcripts import check_transcript


def test_maps_and_sets_are_typed_in_resp3() -> None:
    """Flat arrays in RESP2."""
    engine = TestEngine()
    engine.call("HSET", "h", "f", "v")
    engine.call("SADD", "s", "m")

    assert engine.raw("HGETALL", "h") == b"*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
    assert engine.raw("SMEMBERS", "s") == b"*1\r\n$1\r\nm\r\n"
    engine.raw("HELLO", 3)
    assert engine.raw("HGETALL", "h") == b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n"
    assert engine.raw("HGETALL", "none") == b"%0\r\n"
    assert engine.raw("SMEMBERS", "s") == b"~1\r\n$1\r\nm\r\n"
    assert engine.raw("SPOP", "s", 1) == b"~1\r\n$1\r\nm\r\n"
    assert engine.raw("SINTER", "s") == b"~0\r\n"
    assert engine.raw("HRANDFIELD", "h", -1, "WITHVALUES") == (
        b"*1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n"
    )


def test_wrong_types_are_refused() -> None:
    """Also for the destination of SMOVE, but only where there is something to move from."""
    check_transcript(r"""
        > SET k v
        < +OK\r\n
        > HSET k f v
        < -WRONGTYPE Operation against a key holding the wrong kind of value\r\n
        > SADD k m
        < -WRONGTYPE Operation against a key holding the wrong kind of value\r\n
        > SMOVE none k m
        < :0\r\n
        > SADD s m
        < :1\r\n
        > SMOVE s k m
        < -WRONGTYPE Operation against a key holding the wrong kind of value\r\n
        > SINTER none k
        < -WRONGTYPE Operation against a key holding the wrong kind of value\r\n
        > SUNIONSTORE k s
        < :1\r\n
        > TYPE k
        < +set\r\n
    """)


@pytest.mark.parametrize(
    ("command", "events"),
    [
        ("HSET h a 1 b 2", ["hset h"]),
        ("HSETNX h old 1", []),
        ("HINCRBY h n 1", ["hincrby h"]),
        ("HINCRBYFLOAT h n 0.5", ["hincrbyfloat h"]),
        ("HDEL h none", []),
        ("HDEL h old", ["hdel h", "del h"]),
        ("SADD s one", []),
        ("SADD s two", ["sadd s"]),
        ("SREM s one", ["srem s", "del s"]),
        ("SMOVE s t one", ["srem s", "del s", "sadd t"]),
        ("SMOVE s u one", ["srem s", "del s"]),
        ("SPOP s", ["spop s", "del s"]),
        ("SPOP s 5", ["spop s", "del s"]),
        ("SPOP s 0", []),
        ("SUNIONSTORE s s u", ["sunionstore s"]),
        ("SINTERSTORE s s u", ["sinterstore s"]),
        ("SDIFFSTORE s s u", ["del s"]),
        ("SDIFFSTORE none none", []),
    ],
)
def test_events_are_those_of_redis(command: str, events: list[str]) -> None:
    """Their names, their order, and none where nothing changed; WATCH sees the same."""
    engine = TestEngine()
    for each in ("HSET h old 1", "SADD s one", "SADD u one"):
        engine.call(*each.split())
    listener = engine.connect()
    engine.send(b"PSUBSCRIBE *\r\n", listener)
    engine.engine.set_notified_events(parse_keyspace_events("EA"))
    watcher = engine.connect()
    engine.call("WATCH", "h", "s", session=watcher)
    engine.call("MULTI", session=watcher)

    engine.call(*command.split())

    words = b"".join(listener.outbox).split(b"\r\n")
    heard = [
        f"{name.decode().rpartition(':')[2]} {words[place + 2].decode()}"
        for place, name in enumerate(words)
        if name.startswith(b"__keyevent@0__:")
    ]
    assert heard == events
    assert engine.call("EXEC", session=watcher) == (None if events else [])


@pytest.mark.parametrize(
    ("command", "stream"),
    [
        ("HINCRBYFLOAT h n 0.5", ["HSET h n 0.5"]),
        ("HSETNX h n 1", ["HSETNX h n 1"]),
        ("SPOP s", ["SREM s one"]),
        ("SPOP s 1", ["DEL s"]),
        ("SPOP s 0", []),
        ("SMOVE s t one", ["SMOVE s t one"]),
        ("SADD s one", []),
    ],
)
def test_what_chance_or_rounding_decided_is_propagated(command: str, stream: list[str]) -> None:
    engine = TestEngine()
    engine.call("SADD", "s", "one")
    engine.sink.take_commands()

    engine.call(*command.split())

    assert [b" ".join(each).decode() for each in engine.sink.take_commands()] == stream


def test_repetitions_are_bounded() -> None:
    """A few bytes of a request must not make a reply that fills the memory."""
    engine = TestEngine()
    engine.call("SADD", "s", "m")
    engine.call("HSET", "h", "f", "v")

    assert engine.call("SRANDMEMBER", "s", -3) == [b"m"] * 3
    assert engine.error("SRANDMEMBER", "s", -(2**40)) == "ERR value is out of range"
    assert engine.error("HRANDFIELD", "h", -(2**40)) == "ERR value is out of range"
    assert engine.call("SRANDMEMBER", "none", -(2**40)) == []


def test_elements_that_stay_are_scanned() -> None:
    """SSCAN and HSCAN with others coming and going between the steps."""
    engine = TestEngine()
    lasting = {b"s%d" % number for number in range(2000)}
    engine.call("SADD", "s", *lasting, *(f"p{number}" for number in range(2000)))
    for number in range(0, 4000, 2):
        engine.call("HSET", "h", f"s{number}", "v", f"p{number}", "v")
    found: set[bytes] = set()
    fields: set[bytes] = set()
    cursor, field_cursor, turn = b"0", b"0", 0
    while turn == 0 or cursor != b"0" or field_cursor != b"0":
        if turn == 0 or cursor != b"0":
            cursor, members = engine.call("SSCAN", "s", cursor, "MATCH", "s*", "COUNT", 50)
            found.update(members)
        if turn == 0 or field_cursor != b"0":
            field_cursor, pairs = engine.call("HSCAN", "h", field_cursor, "COUNT", 50)
            fields.update(pairs[::2])
        for number in range(20):
            engine.call("SREM", "s", f"p{turn * 20 + number}")
            engine.call("SADD", "s", f"new{turn * 20 + number}")
            engine.call("HDEL", "h", f"p{turn * 20 + number}")
        turn += 1
        assert turn < 1000

    assert found == lasting
    assert fields >= {b"s%d" % number for number in range(0, 4000, 2)}


def test_loaded_values_have_the_encodings_of_the_limits_in_force() -> None:
    """As in Redis, which chooses them when it loads, by DEBUG RELOAD or RESTORE alike."""
    engine = TestEngine("enable-debug-command yes")
    engine.call("HSET", "h", "f", "v", "g", "w")
    engine.call("SADD", "s", 1, 2)
    payloads = [engine.call("DUMP", "h"), engine.call("DUMP", "s")]
    engine.call("CONFIG", "SET", "hash-max-listpack-entries", 1, "set-max-intset-entries", 1)

    def encodings() -> list[bytes]:
        return [engine.call("OBJECT", "ENCODING", key) for key in ("h", "s")]

    assert encodings() == [b"listpack", b"intset"]
    engine.call("DEBUG", "RELOAD")
    assert encodings() == [b"hashtable", b"hashtable"]
    engine.call("CONFIG", "SET", "hash-max-listpack-entries", 2, "set-max-intset-entries", 2)
    for key, payload in zip(("h", "s"), payloads, strict=True):
        engine.call("RESTORE", key, 0, payload, "REPLACE")
    assert encodings() == [b"listpack", b"intset"]


def test_memory_usage_counts_the_elements() -> None:
    """About what each takes, going by a few; the list for random draws counts too."""
    engine = TestEngine()
    engine.call("SADD", "s", *(f"member:{number:09}" for number in range(1000)))
    engine.call("HSET", "h", *(f"word:{number:011}" for number in range(2000)))
    set_bytes = engine.call("MEMORY", "USAGE", "s")
    hash_bytes = engine.call("MEMORY", "USAGE", "h")

    assert 1000 * 60 < set_bytes < 1000 * 130
    assert 1000 * 120 < hash_bytes < 1000 * 250
    engine.call("SRANDMEMBER", "s")
    assert set_bytes + 8000 <= engine.call("MEMORY", "USAGE", "s") < set_bytes + 10_000
