"""Hashes beside the real server: replies, datasets, streams, payloads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from server.persistence.rdb.payload import dump_payload, restore_payload
from server.store.hashes import Hash
from tests.support.differential import (
    Replica,
    check_same_replies,
    check_same_streams,
    with_options,
    words,
)
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield a real server that deletes expired keys only when they are touched."""
    with RedisServer({"rdbcompression": "no"}) as server:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        yield server


@pytest.fixture(scope="module")
def replica(redis: RedisServer) -> Iterator[Replica]:
    """Yield a listening replica of the real server."""
    listener = Replica(redis.port)
    yield listener
    listener.close()


keys = st.sampled_from([b"a", b"b", b"c", b"\x00\r\n"])
fields = st.sampled_from([b"f", b"g", b"1", b"", b"\x00\r\n"])
short_texts = st.sampled_from(
    b"v|w||1|-7|007|9223372036854775807|3.25|1e5|0x10|inf|nan| 1|-0.1|x".split(b"|")
)
any_texts = st.one_of(short_texts, st.just(b"l" * 65))
amounts = st.sampled_from(
    b"0|1|-1|9223372036854775807|-9223372036854775808|9223372036854775808|x||1.5|0.1|1e-5|inf|nan"
    b"|1e5000| 1".split(b"|")
)
#: Such that what is chosen at random does not depend on chance.
counts = st.sampled_from(b"0|100|-0|x|9223372036854775807|-9223372036854775808|7".split(b"|"))
cursors = st.sampled_from([b"0", b"0", b"x", b"-1", b"18446744073709551616"])


def writes(texts: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """Draw commands that change hashes."""
    return st.one_of(
        words(st.sampled_from([b"HSET", b"hmset"]), keys, fields, texts),
        words(st.sampled_from([b"HSET", b"HMSET"]), keys, fields, texts, fields, texts),
        words(st.sampled_from([b"HSET", b"HMSET"]), keys, fields, texts, fields),
        words(b"HSETNX", keys, fields, texts),
        words(b"HDEL", keys, fields),
        words(b"HDEL", keys, fields, fields, fields),
        words(b"HINCRBY", keys, fields, amounts),
        words(b"HINCRBYFLOAT", keys, fields, amounts),
    )


single_reads = st.one_of(
    words(st.sampled_from([b"HGET", b"HSTRLEN", b"HEXISTS"]), keys, fields),
    words(b"HMGET", keys, fields, fields),
    words(b"HLEN", keys),
    words(b"TYPE", keys),
    words(b"OBJECT", b"ENCODING", keys),
)
#: The order of what these return is Redis' own once a hash is a hash table.
whole_reads = st.one_of(
    words(st.sampled_from([b"HGETALL", b"HKEYS", b"HVALS"]), keys),
    words(b"HRANDFIELD", keys, counts),
    words(b"HRANDFIELD", keys, counts, st.sampled_from([b"withvalues", b"bogus"])),
    words(b"HRANDFIELD", keys, counts, b"WITHVALUES", b"x"),
    with_options(
        words(b"HSCAN", keys, cursors),
        words(b"COUNT", counts),
        words(b"match", st.sampled_from([b"*", b"f*", b"?", b"[fg]"])),
        words(st.sampled_from([b"COUNT", b"TYPE", b"bogus"])),
        words(b"TYPE", b"hash"),
        most=2,
    ),
)
others = st.one_of(
    words(b"SET", keys, short_texts),
    words(b"GET", keys),
    words(b"DEL", keys),
    words(b"COPY", keys, keys, b"REPLACE"),
    words(b"RENAME", keys, keys),
    words(b"PEXPIREAT", keys, st.sampled_from([b"1", b"4102444800000"])),
    words(st.sampled_from([b"MULTI", b"EXEC"])),
    words(b"WATCH", keys),
)
in_order = st.lists(
    st.one_of(writes(short_texts), writes(short_texts), single_reads, whole_reads, others),
    min_size=10,
    max_size=40,
)
with_long_texts = st.lists(
    st.one_of(writes(any_texts), single_reads, others), min_size=10, max_size=40
)


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_and_datasets_are_those_of_redis(redis: RedisServer, protocol: int) -> None:
    """What a client sees, errors included, must not depend on which server it talks to."""
    check_same_replies(redis.port, protocol, in_order, 200)


def test_hash_tables_hold_what_those_of_redis_hold(redis: RedisServer) -> None:
    """Beyond the size of a listpack; the digest compares what has no order."""
    check_same_replies(redis.port, 2, with_long_texts, 120)


def test_replicas_are_told_what_redis_tells_them(redis: RedisServer, replica: Replica) -> None:
    """Sums of decimals leave as the result."""
    check_same_streams(redis.port, replica, in_order, 120)


HASHES = {
    "one": {b"f": b"v"},
    "numbers": {b"1": b"-300", b"007": b"9223372036854775807", b"": b""},
    "long": {b"f" * 70: b"v" * 20_000},
    "many": {b"field:%d" % number: b"value:%d" % number for number in range(2000)},
}


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("compression", ["yes", "no"])
def test_payloads_are_taken_on_both_sides(redis: RedisServer, name: str, compression: str) -> None:
    """MIGRATE, full synchronisation and snapshots move hashes by them; encodings are the same."""
    hash_ = HASHES[name]
    redis.call("CONFIG", "SET", "rdbcompression", compression)
    redis.call("DEL", "ours", "theirs")
    redis.call("HSET", "theirs", *[word for pair in hash_.items() for word in pair])

    restored = restore_payload(redis.call("DUMP", "theirs"))
    assert isinstance(restored, Hash)
    assert restored.fields == hash_
    payload = dump_payload(Hash(hash_), compress=compression == "yes")
    assert redis.call("RESTORE", "ours", 0, payload) == b"OK"
    assert redis.call("DEBUG", "DIGEST-VALUE", "ours") == redis.call(
        "DEBUG", "DIGEST-VALUE", "theirs"
    )
    encodings = [redis.call("OBJECT", "ENCODING", key) for key in ("ours", "theirs")]
    assert encodings == [restored.encoding()] * 2


def test_encodings_change_where_those_of_redis_do(redis: RedisServer) -> None:
    """At the limits, with the directives' old and new names."""
    engine = TestEngine()
    for limits in (("hash-max-listpack-entries", 4), ("hash-max-ziplist-value", 8)):
        for size in (1, 8, 9, 64, 65):
            for server in (engine, redis):
                server.call("DEL", "k")
                server.call("CONFIG", "SET", *limits)
            for number in range(6):
                command = ("HSET", "k", f"f{number}", "v" * size)
                assert engine.call(*command) == redis.call(*command)
                encoding = redis.call("OBJECT", "ENCODING", "k")
                assert engine.call("OBJECT", "ENCODING", "k") == encoding
        redis.call("CONFIG", "SET", "hash-max-listpack-entries", 512)
        engine.call("CONFIG", "SET", "hash-max-listpack-entries", 512)
