"""Sets beside the real server: replies, datasets, streams, payloads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from server.persistence.rdb.payload import dump_payload, restore_payload
from server.store.sets import Set
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
numbers = st.sampled_from(
    b"1|2|3|-1|100|-40000|9223372036854775807|-9223372036854775808".split(b"|")
)
anything = st.one_of(
    numbers, st.sampled_from([b"x", b"y", b"", b"007", b"9223372036854775808", b"a\0b", b"q" * 70])
)
#: Such that what is chosen at random does not depend on chance.
counts = st.sampled_from(b"0|100|-0|x|9223372036854775807|-9223372036854775808".split(b"|"))
key_counts = st.sampled_from([b"1", b"2", b"2", b"3", b"0", b"-1", b"x", b"100"])
limits = st.sampled_from([b"0", b"1", b"2", b"100", b"-1", b"x"])
cursors = st.sampled_from([b"0", b"0", b"x", b"-1"])


def writes(members: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """Draw commands that change sets."""
    return st.one_of(
        words(st.sampled_from([b"SADD", b"srem"]), keys, members),
        words(b"SADD", keys, members, members, members),
        words(b"SREM", keys, members, members, members),
        words(b"SMOVE", keys, keys, members),
        words(st.sampled_from([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), keys, keys),
        words(
            st.sampled_from([b"SINTERSTORE", b"SUNIONSTORE", b"SDIFFSTORE"]), keys, keys, keys, keys
        ),
    )


looks = st.one_of(
    words(b"SISMEMBER", keys, anything),
    words(b"SMISMEMBER", keys, anything, anything),
    words(b"SCARD", keys),
    with_options(
        words(b"SINTERCARD", key_counts, keys, keys),
        words(st.sampled_from([b"LIMIT", b"limit"]), limits),
        words(st.sampled_from([b"LIMIT", b"bogus"])),
        most=2,
    ),
    words(b"TYPE", keys),
)
#: The order of what these return is Redis' own once a set is a hash table.
whole_reads = st.one_of(
    words(b"SMEMBERS", keys),
    words(st.sampled_from([b"SINTER", b"SUNION", b"SDIFF"]), keys, keys),
    words(st.sampled_from([b"SINTER", b"SUNION", b"SDIFF"]), keys, keys, keys),
    words(b"SRANDMEMBER", keys, counts),
    words(b"SRANDMEMBER", keys, counts, counts),
    words(b"SPOP", keys, counts),
    words(b"SPOP", keys, counts, counts),
    with_options(
        words(b"SSCAN", keys, cursors),
        words(b"COUNT", counts),
        words(b"match", st.sampled_from([b"*", b"1*", b"?", b"[12]"])),
        words(st.sampled_from([b"COUNT", b"TYPE", b"bogus"])),
        words(b"TYPE", b"set"),
        most=2,
    ),
    words(b"OBJECT", b"ENCODING", keys),
)
others = st.one_of(
    words(b"SET", keys, numbers),
    words(b"GET", keys),
    words(b"DEL", keys),
    words(b"COPY", keys, keys, b"REPLACE"),
    words(b"RENAME", keys, keys),
    words(b"PEXPIREAT", keys, st.sampled_from([b"1", b"4102444800000"])),
    words(st.sampled_from([b"MULTI", b"EXEC"])),
    words(b"WATCH", keys),
)
of_integers = st.lists(
    st.one_of(writes(numbers), writes(numbers), looks, whole_reads, others),
    min_size=10,
    max_size=40,
)
of_anything = st.lists(
    st.one_of(writes(anything), writes(anything), looks, others), min_size=10, max_size=40
)


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_and_datasets_are_those_of_redis(redis: RedisServer, protocol: int) -> None:
    """Sets of integers have an order, so that bytes can be compared."""
    check_same_replies(redis.port, protocol, of_integers, 200)


def test_sets_of_anything_hold_what_those_of_redis_hold(redis: RedisServer) -> None:
    """The digest compares what has no order."""
    check_same_replies(redis.port, 2, of_anything, 150)


def test_replicas_are_told_what_redis_tells_them(redis: RedisServer, replica: Replica) -> None:
    """A set popped to its end leaves as DEL."""
    check_same_streams(redis.port, replica, of_integers, 120)


def test_popped_members_leave_as_removals(redis: RedisServer, replica: Replica) -> None:
    """A replica of ours has the set that we have; redis-server applies the same stream."""
    engine = TestEngine("enable-debug-command yes")
    redis.call("FLUSHALL")
    engine.call("SADD", "s", *range(3000))
    popped = {engine.call("SPOP", "s")} | set(engine.call("SPOP", "s", 2500))
    assert len(popped) == 2501

    for unit in engine.sink.units:
        for _, command in unit:
            redis.call(*command)

    assert [len(unit) for unit in engine.sink.units] == [1, 1, 3]
    assert redis.call("DEBUG", "DIGEST") == engine.call("DEBUG", "DIGEST")


SETS = {
    "one": [b"m"],
    "integers": [b"%d" % number for number in (0, -1, 40_000, -(2**31), 2**63 - 1)],
    "mixed": [b"1", b"007", b"", b"m" * 20_000],
    "many": [b"member:%d" % number for number in range(2000)],
    "many integers": [b"%d" % number for number in range(600)],
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("compression", ["yes", "no"])
def test_payloads_are_taken_on_both_sides(redis: RedisServer, name: str, compression: str) -> None:
    """MIGRATE, full synchronisation and snapshots move sets by them; encodings are the same."""
    members = SETS[name]
    redis.call("CONFIG", "SET", "rdbcompression", compression)
    redis.call("DEL", "ours", "theirs")
    redis.call("SADD", "theirs", *members)

    restored = restore_payload(redis.call("DUMP", "theirs"))
    assert isinstance(restored, Set)
    assert restored.members == set(members)
    payload = dump_payload(Set(set(members)), compress=compression == "yes")
    assert redis.call("RESTORE", "ours", 0, payload) == b"OK"
    assert redis.call("DEBUG", "DIGEST-VALUE", "ours") == redis.call(
        "DEBUG", "DIGEST-VALUE", "theirs"
    )
    encodings = [redis.call("OBJECT", "ENCODING", key) for key in ("ours", "theirs")]
    assert encodings == [restored.encoding()] * 2
