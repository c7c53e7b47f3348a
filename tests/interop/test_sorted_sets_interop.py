"""Sorted sets beside the real server: replies, datasets, streams, payloads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from server.persistence.rdb.payload import dump_payload, restore_payload
from server.store.encoding_limits import EncodingLimits
from server.store.score_order import Pair
from server.store.sorted_sets import SortedSet
from tests.support.differential import (
    Replica,
    check_same_replies,
    check_same_streams,
    with_options,
    words,
)
from tests.support.redis import RedisServer


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield a real server that deletes expired keys only when they are touched."""
    with RedisServer() as server:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        yield server


@pytest.fixture(scope="module")
def replica(redis: RedisServer) -> Iterator[Replica]:
    """Yield a listening replica of the real server."""
    listener = Replica(redis.port)
    yield listener
    listener.close()


keys = st.sampled_from([b"a", b"b", b"c", b"\x00\r\n"])
#: Holds members of one score only, as ranges of members need it.
LEX = b"lex"
members = st.sampled_from([b"x", b"y", b"z", b"", b"1", b"-300", b"a\0b", b"q" * 70])
scores = st.sampled_from(
    b"0|1|-1|2.5|3|3|-0.125|100|inf|-inf|+Infinity|1e3|0x10|-0|nan|x||1_0| 1|1 |1e400|1e-400"
    b"|1e17|123456789012345678|0.1|3.14159|1e22|-1e-7|.5|5.".split(b"|")
)
bounds = st.sampled_from(
    b"0|1|(1|-1|(2.5|3|-inf|+inf|(inf|(-inf|100|(-0|nan|(nan|x||(| 1|1 |1e400|-1e400|[1".split(b"|")
)
ends = st.sampled_from(b"-|+|[x|(x|[y|(z|[|(|[a\0b|x|(+|-x|[zz".split(b"|"))
indexes = st.sampled_from(b"0|1|-1|2|-2|5|-100|100|x|9223372036854775807|007".split(b"|"))
counts = st.sampled_from(b"0|1|2|3|100|-1|x|9223372036854775807|-9223372036854775808".split(b"|"))
numbers = st.sampled_from([b"1", b"2", b"2", b"3", b"0", b"-1", b"x"])
timeouts = st.sampled_from([b"1", b"0.01", b"0", b"-1", b"x", b"nan", b"1e-3"])
aggregates = words(b"AGGREGATE", st.sampled_from([b"SUM", b"min", b"MAX", b"avg"]))
weights = words(b"WEIGHTS", *[st.sampled_from([b"2", b"0.5", b"-1", b"inf", b"0", b"x", b"1"])] * 2)
limits = words(b"LIMIT", indexes, indexes)
with_scores = words(b"WITHSCORES")

additions = st.one_of(
    words(b"ZADD", keys, scores, members),
    words(b"ZADD", keys, scores, members, scores, members, scores, members),
    with_options(
        words(b"ZADD", keys),
        *[words(st.sampled_from(group)) for group in ([b"NX", b"xx"], [b"GT", b"LT"], [b"ch"])],
        words(b"INCR"),
    ).flatmap(lambda head: words(*head, scores, members)),
    words(b"ZADD", keys, b"xx", b"ch", scores, members, scores, members),
    words(b"ZINCRBY", keys, scores, members),
    words(b"ZADD", LEX, b"0", members),
)
reads = st.one_of(
    words(b"ZCARD", keys),
    words(b"ZSCORE", keys, members),
    words(b"ZMSCORE", keys, members, members),
    words(st.sampled_from([b"ZRANK", b"ZREVRANK"]), keys, members),
    words(b"ZCOUNT", keys, bounds, bounds),
    words(b"ZLEXCOUNT", LEX, ends, ends),
    words(b"ZRANDMEMBER", keys, counts.filter(lambda count: count not in b"1 2 3 -1".split())),
    words(b"ZRANDMEMBER", keys, b"100", st.sampled_from([b"WITHSCORES", b"x"])),
    words(b"ZSCAN", keys, b"0", b"COUNT", b"100", b"MATCH", b"[xy]"),
    words(b"ZSCAN", keys, st.sampled_from([b"x", b"0"]), b"TYPE", b"x"),
    words(b"OBJECT", b"ENCODING", keys),
    words(b"TYPE", keys),
)
ranges = st.one_of(
    with_options(words(b"ZRANGE", keys, indexes, indexes), with_scores, words(b"rev"), limits),
    with_options(words(b"ZREVRANGE", keys, indexes, indexes), with_scores, words(b"REV"), most=2),
    with_options(
        words(b"ZRANGE", keys, bounds, bounds, b"byscore"), with_scores, words(b"REV"), limits
    ),
    with_options(
        words(st.sampled_from([b"ZRANGEBYSCORE", b"ZREVRANGEBYSCORE"]), keys, bounds, bounds),
        with_scores,
        limits,
    ),
    with_options(words(b"ZRANGE", LEX, ends, ends, b"BYLEX"), with_scores, words(b"REV"), limits),
    with_options(
        words(st.sampled_from([b"ZRANGEBYLEX", b"ZREVRANGEBYLEX"]), LEX, ends, ends), limits
    ),
    with_options(
        words(b"ZRANGESTORE", keys, keys, bounds, bounds), words(b"BYSCORE"), words(b"REV"), limits
    ),
    words(b"ZRANGESTORE", keys, keys, indexes, indexes),
    words(b"ZRANGESTORE", keys, LEX, ends, ends, b"BYLEX"),
)
removals = st.one_of(
    words(b"ZREM", keys, members, members),
    words(b"ZREM", LEX, members),
    words(b"ZREMRANGEBYRANK", keys, indexes, indexes),
    words(b"ZREMRANGEBYSCORE", keys, bounds, bounds),
    words(b"ZREMRANGEBYLEX", LEX, ends, ends),
    words(st.sampled_from([b"ZPOPMIN", b"ZPOPMAX"]), keys),
    words(st.sampled_from([b"ZPOPMIN", b"ZPOPMAX"]), keys, counts),
    words(b"ZPOPMIN", keys, counts, counts),
    with_options(
        words(b"ZMPOP", numbers, keys, keys, st.sampled_from([b"MIN", b"max", b"mid"])),
        words(b"COUNT", counts),
        words(b"COUNT"),
        most=2,
    ),
)
algebra = st.one_of(
    with_options(
        words(st.sampled_from([b"ZUNION", b"ZINTER"]), numbers, keys, keys),
        weights,
        aggregates,
        with_scores,
    ),
    with_options(
        words(st.sampled_from([b"ZUNIONSTORE", b"ZINTERSTORE"]), keys, numbers, keys, keys),
        weights,
        aggregates,
    ),
    with_options(words(b"ZDIFF", numbers, keys, keys), with_scores, aggregates, most=2),
    words(b"ZDIFFSTORE", keys, numbers, keys, keys),
    with_options(words(b"ZINTERCARD", numbers, keys, keys), words(b"LIMIT", counts), most=2),
    words(b"ZUNION", b"3", keys, keys, keys, b"WITHSCORES"),
    words(b"ZINTER", b"3", keys, keys, keys, b"WITHSCORES"),
)
#: Only inside MULTI, where nothing waits.
blocking = st.one_of(
    words(st.sampled_from([b"BZPOPMIN", b"BZPOPMAX"]), keys, keys, timeouts),
    with_options(
        words(b"BZMPOP", timeouts, numbers, keys, keys, st.sampled_from([b"MIN", b"max"])),
        words(b"COUNT", counts),
        most=2,
    ),
)
others = st.one_of(
    words(b"SET", keys, members),
    words(b"SADD", keys, members, members, members),
    words(b"DEL", keys),
    words(b"COPY", keys, keys, b"REPLACE"),
    words(b"PEXPIREAT", keys, st.sampled_from([b"1", b"4102444800000"])),
)
#: What may stand in a transaction; it is opened and closed around each of these.
anything = st.one_of(
    *[st.tuples(each) for each in (additions, additions, reads, ranges, removals, algebra, others)],
    blocking.map(lambda command: ((b"MULTI",), command, (b"EXEC",))),
)
sequences = st.lists(anything, min_size=10, max_size=50).map(
    lambda parts: [command for part in parts for command in part]
)


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_and_datasets_are_those_of_redis(redis: RedisServer, protocol: int) -> None:
    """What a client sees, errors included, must not depend on which server it talks to."""
    check_same_replies(redis.port, protocol, sequences, 250)


def test_replicas_are_told_what_redis_tells_them(redis: RedisServer, replica: Replica) -> None:
    """Pops that wait and pops from several keys leave as pops from one key."""
    check_same_streams(redis.port, replica, sequences, 100)


SETS: list[list[Pair]] = [
    [(1.0, b"a")],
    [(float("-inf"), b"low"), (-2.5, b""), (0.1, b"x"), (0.1, b"y"), (float("inf"), b"high")],
    [(2.0**60, b"long" * 30), (1e300, b"7"), (5e-324, b"-9223372036854775808")],
    [(number / 7, b"element:%d" % number) for number in range(3000)],
]


@pytest.mark.parametrize("pairs", SETS, ids=["one", "odd", "long", "many"])
def test_payloads_pass_between_both_sides(redis: RedisServer, pairs: list[Pair]) -> None:
    """MIGRATE, full synchronisation and snapshots move sorted sets by them."""
    redis.call("DEL", "ours", "theirs")
    redis.call("ZADD", "theirs", *[word for score, name in pairs for word in (repr(score), name)])
    zset = SortedSet.within(EncodingLimits(), pairs)

    assert redis.call("RESTORE", "ours", 0, dump_payload(zset)) == b"OK"
    assert redis.call("DUMP", "ours") == redis.call("DUMP", "theirs") == dump_payload(zset)
    restored = restore_payload(redis.call("DUMP", "theirs"))
    assert restored.slice(0, len(pairs)) == sorted(pairs)
    assert redis.call("OBJECT", "ENCODING", "theirs") == restored.encoding()
