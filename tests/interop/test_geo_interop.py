"""Positions beside the real server: the same bytes to the last decimal, and the same streams."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

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
    """Yield a real server."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def replica(redis: RedisServer) -> Iterator[Replica]:
    """Yield a listening replica of the real server."""
    listener = Replica(redis.port)
    yield listener
    listener.close()


keys = st.sampled_from([b"a", b"a", b"b", b"\x00\r\n"])
members = st.sampled_from([b"x", b"y", b"z", b"v", b"w", b"", b"STORE", b"-300", b"q" * 70])
longitudes = st.one_of(
    st.floats(-180, 180, allow_subnormal=False).map(lambda value: b"%.6f" % value),
    st.floats(13, 15).map(lambda value: b"%.4f" % value),
    st.sampled_from(b"0|180|-180|179.9999|-179.9999|13.361389|181|x|nan|-0|1e1".split(b"|")),
)
latitudes = st.one_of(
    st.floats(-85, 85, allow_subnormal=False).map(lambda value: b"%.6f" % value),
    st.floats(37, 39).map(lambda value: b"%.4f" % value),
    st.sampled_from(b"0|85.05112878|-85.05112878|85|67|-81|38.115556|86|x||inf".split(b"|")),
)
sizes = st.one_of(
    st.sampled_from(b"0|1|100|200.5|500|1000|5000|20000|-1|x|1e-3|nan|1e9|inf".split(b"|")),
    st.integers(0, 6000).map(lambda value: b"%d" % value),
)
units = st.sampled_from([b"m", b"km", b"KM", b"km", b"ft", b"mi", b"yd"])
counts = st.sampled_from(b"1|2|3|100|0|-1|x".split(b"|"))

common = (
    words(st.sampled_from([b"WITHDIST", b"WITHCOORD", b"withhash"])),
    words(st.sampled_from([b"ASC", b"desc", b"ASC"])),
    words(b"COUNT", counts),
    words(b"COUNT", counts, b"ANY"),
    words(st.sampled_from([b"ANY", b"COUNT", b"bogus"])),
)
centres = st.one_of(
    words(b"FROMMEMBER", members),
    words(b"FROMLONLAT", longitudes, latitudes),
    words(b"FROMLONLAT", longitudes, latitudes),
)
shapes = st.one_of(words(b"BYRADIUS", sizes, units), words(b"BYBOX", sizes, sizes, units))
storing = st.one_of(words(b"STORE", keys), words(b"STOREDIST", keys), words(b"STORE"))

additions = st.one_of(
    words(b"GEOADD", keys, longitudes, latitudes, members),
    words(b"GEOADD", keys, *[longitudes, latitudes, members] * 4),
    with_options(
        words(b"GEOADD", keys), words(st.sampled_from([b"NX", b"xx"])), words(b"CH")
    ).flatmap(lambda head: words(*head, longitudes, latitudes, members)),
    words(b"GEOADD", keys, longitudes, latitudes, members, longitudes),
    words(
        b"ZADD",
        keys,
        st.sampled_from([b"0", b"-1", b"1e300", b"4503599627370497", b"7.5"]),
        members,
    ),
)
reads = st.one_of(
    words(b"GEOPOS", keys, members, members),
    words(b"GEOHASH", keys, members, members),
    words(b"GEODIST", keys, members, members),
    words(b"GEODIST", keys, members, members, units),
    words(b"GEODIST", keys, members, members, units, units),
)
searches = st.one_of(
    with_options(
        st.tuples(centres, shapes).map(lambda parts: sum(parts, ())), *common, centres, shapes
    ).flatmap(lambda tail: words(b"GEOSEARCH", keys, *tail)),
    with_options(
        st.tuples(centres, shapes).map(lambda parts: sum(parts, ())), *common, words(b"STOREDIST")
    ).flatmap(lambda tail: words(b"GEOSEARCHSTORE", keys, keys, *tail)),
    with_options(
        words(
            st.sampled_from([b"GEORADIUS", b"GEORADIUS_RO"]), keys, longitudes, latitudes, sizes
        ).flatmap(lambda head: words(*head, units)),
        *common,
        storing,
    ),
    with_options(
        words(
            st.sampled_from([b"GEORADIUSBYMEMBER", b"GEORADIUSBYMEMBER_RO"]), keys, members, sizes
        ).flatmap(lambda head: words(*head, units)),
        *common,
        storing,
    ),
)
others = st.one_of(
    words(b"SET", keys, members),
    words(b"DEL", keys),
    words(b"OBJECT", b"ENCODING", keys),
    words(b"ZRANGE", keys, b"0", b"-1", b"WITHSCORES"),
)
sequences = st.lists(
    st.one_of(additions, additions, additions, reads, searches, searches, searches, others),
    min_size=10,
    max_size=50,
)


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_and_datasets_are_those_of_redis(redis: RedisServer, protocol: int) -> None:
    """All over the globe, at its edges and the poles' too."""
    check_same_replies(redis.port, protocol, sequences, 100)


def test_replicas_are_told_what_redis_tells_them(redis: RedisServer, replica: Replica) -> None:
    """Positions are sent as scores."""
    check_same_streams(redis.port, replica, sequences, 50)
