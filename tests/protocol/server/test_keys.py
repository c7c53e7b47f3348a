"""Keys, databases and expiry on the wire; the real server agrees (tests/interop)."""

from __future__ import annotations

import pytest

from tests.support.engine import START_MS, TestEngine
from tests.support.transcripts import check_transcript
from vedette.resp.encode import encode_command


def test_a_key_named_twice_exists_twice_and_is_deleted_once() -> None:
    """A key named twice exists twice and is deleted once."""
    check_transcript(r"""
        > MSET a 1 b 2 c 3
        < +OK\r\n
        > EXISTS a a missing
        < :2\r\n
        > DEL a a missing
        < :1\r\n
        > UNLINK b
        < :1\r\n
        > TOUCH c a
        < :1\r\n
        > TYPE c
        < +string\r\n
        > TYPE a
        < +none\r\n
        > DBSIZE
        < :1\r\n
    """)


def test_renaming_takes_the_expiry_time_along() -> None:
    """And drops that of the key it overwrites."""
    check_transcript(r"""
        > SET a 1 EX 100
        < +OK\r\n
        > SET b 2 EX 5
        < +OK\r\n
        > RENAMENX a b
        < :0\r\n
        > RENAME a b
        < +OK\r\n
        > TTL b
        < :100\r\n
        > RENAME a c
        < -ERR no such key\r\n
        > RENAME b b
        < +OK\r\n
        > RENAMENX b b
        < :0\r\n
    """)


def test_copying_and_moving_between_databases() -> None:
    """The expiry time goes along; what is there is kept unless REPLACE says otherwise."""
    check_transcript(r"""
        > SET a 1 EX 100
        < +OK\r\n
        > COPY a a
        < -ERR source and destination objects are the same\r\n
        > COPY a b
        < :1\r\n
        > TTL b
        < :100\r\n
        > COPY a b
        < :0\r\n
        > COPY a b REPLACE
        < :1\r\n
        > COPY a b DB 16
        < -ERR DB index is out of range\r\n
        > COPY a b DB
        < -ERR syntax error\r\n
        > MOVE a 1
        < :1\r\n
        > MOVE a 1
        < :0\r\n
        > MOVE b 0
        < -ERR source and destination objects are the same\r\n
        > SELECT 1
        < +OK\r\n
        > TTL a
        < :100\r\n
        > SELECT 16
        < -ERR DB index is out of range\r\n
        > SELECT one
        < -ERR value is not an integer or out of range\r\n
    """)


def test_emptying_and_swapping_databases() -> None:
    """FLUSHDB is for one, FLUSHALL for all, and SWAPDB exchanges two under their clients."""
    check_transcript(r"""
        > SET a 1
        < +OK\r\n
        > SWAPDB 0 1
        < +OK\r\n
        > DBSIZE
        < :0\r\n
        > SELECT 1
        < +OK\r\n
        > GET a
        < $1\r\n1\r\n
        > SELECT 0
        < +OK\r\n
        > FLUSHDB ASYNC
        < +OK\r\n
        > FLUSHALL NOW
        < -ERR syntax error\r\n
        > SWAPDB 1 x
        < -ERR invalid second DB index\r\n
        > SWAPDB 1 16
        < -ERR DB index is out of range\r\n
        > FLUSHALL
        < +OK\r\n
        > SELECT 1
        < +OK\r\n
        > DBSIZE
        < :0\r\n
    """)


def test_a_key_without_expiry_counts_as_living_for_ever() -> None:
    """NX, XX, GT and LT; a key without expiry time counts as living for ever."""
    check_transcript(r"""
        > SET k v
        < +OK\r\n
        > EXPIRE k 100 XX
        < :0\r\n
        > EXPIRE k 100 GT
        < :0\r\n
        > EXPIRE k 100 NX
        < :1\r\n
        > EXPIRE k 50 GT
        < :0\r\n
        > EXPIRE k 50 LT
        < :1\r\n
        > EXPIRE k 10 NX
        < :0\r\n
        > EXPIRE k 10 NX XX
        < -ERR NX and XX, GT or LT options at the same time are not compatible\r\n
        > EXPIRE k 10 GT LT
        < -ERR GT and LT options at the same time are not compatible\r\n
        > EXPIRE k 10 AB
        < -ERR Unsupported option AB\r\n
        > EXPIRE k 9223372036854775807
        < -ERR invalid expire time in 'expire' command\r\n
        > TTL k
        < :50\r\n
        > PERSIST k
        < :1\r\n
        > PERSIST k
        < :0\r\n
        > TTL k
        < :-1\r\n
        > EXPIRE k -1
        < :1\r\n
        > EXISTS k
        < :0\r\n
        > EXPIRE k 10
        < :0\r\n
    """)


def test_absolute_expiry_times_come_back_as_they_were_set() -> None:
    """What was set is what is returned, in seconds and in milliseconds."""
    at_ms = START_MS + 10_400
    check_transcript(rf"""
        > SET k v
        < +OK\r\n
        > PEXPIREAT k {at_ms}
        < :1\r\n
        > PEXPIRETIME k
        < :{at_ms}\r\n
        > EXPIRETIME k
        < :{START_MS // 1000 + 10}\r\n
        > EXPIREAT k {START_MS // 1000 + 20}
        < :1\r\n
        > PTTL k
        < :20000\r\n
        > PEXPIRETIME missing
        < :-2\r\n
    """)


def test_a_value_survives_dump_and_restore_and_a_damaged_one_is_refused() -> None:
    """A value goes through its encoding unharmed; a damaged one is refused."""
    engine = TestEngine()
    engine.call("SET", "a", "some value", "EX", 100)
    payload = engine.call("DUMP", "a")

    assert engine.call("RESTORE", "b", 5000, payload) == b"OK"
    assert (engine.call("GET", "b"), engine.call("PTTL", "b")) == (b"some value", 5000)
    assert engine.error("RESTORE", "b", 0, payload) == "BUSYKEY Target key name already exists."
    assert engine.call("RESTORE", "b", START_MS + 9, payload, "REPLACE", "ABSTTL") == b"OK"
    assert engine.call("PTTL", "b") == 9
    damaged = payload[:-1] + bytes([payload[-1] ^ 1])
    assert engine.error("RESTORE", "c", 0, damaged).endswith("version or checksum are wrong")
    assert engine.error("RESTORE", "c", -1, payload) == "ERR Invalid TTL value, must be >= 0"
    assert engine.call("RESTORE", "c", 1, payload, "ABSTTL") == b"OK"
    assert engine.call("EXISTS", "c") == 0, "it had expired before it came"
    assert engine.call("DUMP", "c") is None


def test_keys_scan_and_randomkey_find_what_is_there() -> None:
    """Expired keys are not found, by whatever way."""
    engine = TestEngine()
    for number in range(30):
        engine.call("SET", f"key:{number}", number)
    engine.call("SET", "gone", 1, "PX", 10)
    engine.advance(10)
    expected = {b"key:%d" % number for number in range(30)}

    assert set(engine.call("KEYS", "*")) == expected
    assert sorted(engine.call("KEYS", "key:[12]")) == [b"key:1", b"key:2"]
    cursor, found = b"0", set()
    while True:
        cursor, keys = engine.call("SCAN", cursor, "COUNT", 7, "MATCH", "k*", "TYPE", "string")
        found |= set(keys)
        if cursor == b"0":
            break
    assert found == expected
    assert engine.call("SCAN", 0, "TYPE", "list", "COUNT", 100) == [b"0", []]
    assert {engine.call("RANDOMKEY") for _ in range(500)} == expected
    assert engine.call("DBSIZE") == 30, "the scan deleted the expired key"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("SCAN", "x"), "ERR invalid cursor"),
        (("SCAN", "18446744073709551616"), "ERR invalid cursor"),
        (("SCAN", "0", "COUNT", "0"), "ERR syntax error"),
        (("SCAN", "0", "COUNT"), "ERR syntax error"),
        (("SCAN", "0", "COUNT", "x"), "ERR value is not an integer or out of range"),
        (("OBJECT", "FREQ"), "ERR wrong number of arguments for 'object|freq' command"),
        (("MEMORY", "USAGE", "a", "SAMPLES", "-1"), "ERR syntax error"),
    ],
)
def test_arguments_that_make_no_sense(words: tuple[str, ...], error: str) -> None:
    """Each gets Redis' error."""
    engine = TestEngine()
    engine.call("SET", "a", 1)

    assert engine.error(*words) == error


def test_randomkey_of_an_empty_database_is_null() -> None:
    """There is nothing to choose from."""
    assert TestEngine().call("RANDOMKEY") is None


@pytest.mark.parametrize(
    ("value", "encoding", "references"),
    [
        ("1234", b"int", 2**31 - 1),
        ("12345", b"int", 1),
        ("-1", b"int", 1),
        ("9223372036854775808", b"embstr", 1),
        ("x" * 44, b"embstr", 1),
        ("x" * 45, b"raw", 1),
    ],
)
def test_objects_are_described_as_redis_would_keep_them(
    value: str, encoding: bytes, references: int
) -> None:
    """Clients and Redis' own tests ask for it."""
    engine = TestEngine()
    engine.call("SET", "k", value)

    assert engine.call("OBJECT", "ENCODING", "k") == encoding
    assert engine.call("OBJECT", "REFCOUNT", "k") == references
    assert engine.call("OBJECT", "IDLETIME", "k") == 0
    assert engine.call("OBJECT", "ENCODING", "missing") is None
    assert engine.call("MEMORY", "USAGE", "k") > len(value)


def test_a_pipeline_is_answered_in_order() -> None:
    """Requests that arrive together, cut anywhere, give the same replies as one by one."""
    data = b"".join(encode_command([b"INCR", b"n"]) for _ in range(20)) + b"GET n\r\n"
    expected = b"".join(b":%d\r\n" % number for number in range(1, 21)) + b"$2\r\n20\r\n"

    for cut in range(0, len(data), 7):
        engine = TestEngine()
        assert engine.send(data[:cut]) + engine.send(data[cut:]) == expected
