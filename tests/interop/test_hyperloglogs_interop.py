"""Large HyperLogLogs beside the real server: grown, merged and damaged at random, byte for byte."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.support.differential import Command, check_same
from tests.support.redis import RedisServer

#: What sparse ones may take: never, soon, as is usual, and longer than is of use.
LIMITS = (0, 100, 3000, 15_000)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield a real server."""
    with RedisServer({"rdbcompression": "no"}) as server:
        yield server


def growing(rng: random.Random) -> Iterator[Command]:
    """Draw commands by which three HyperLogLogs grow to some thousand elements and are merged."""
    for _ in range(12):
        key = rng.choice([b"a", b"b", b"c"])
        size = rng.choice([1, 3, 40, 300])
        yield (b"PFADD", key, *(b"%d" % rng.randrange(5000) for _ in range(size)))
        yield (b"GET", key)
        yield (b"PFCOUNT", key)
        yield (b"GET", key)
        if rng.random() < 0.4:
            target, *sources = (rng.choice([b"a", b"b", b"c", b"d"]) for _ in range(3))
            yield (b"PFCOUNT", target, *sources)
            yield (b"PFMERGE", target, *sources)
            yield (b"GET", target)
    yield (b"PFDEBUG", b"DECODE", b"a")
    yield (b"PFDEBUG", b"GETREG", b"a")


@pytest.mark.parametrize("seed", range(8))
def test_large_ones_are_the_same_bytes(redis: RedisServer, seed: int) -> None:
    """A replica of the other kind counts on with what it was sent."""
    limit = LIMITS[seed % len(LIMITS)]
    redis.call("CONFIG", "SET", "hll-sparse-max-bytes", limit)
    commands = list(growing(random.Random(seed)))

    check_same(redis.port, 2, commands, f"hll-sparse-max-bytes {limit}\n")


def test_damage_is_told_alike(redis: RedisServer) -> None:
    """Anybody may write into such a string; the count of a damaged one is Redis' too."""
    rng = random.Random(1)
    commands: list[Command] = []
    for _ in range(150):
        elements = (b"%d" % rng.randrange(10**6) for _ in range(rng.randrange(1, 150)))
        commands += [(b"DEL", b"a"), (b"PFADD", b"a", *elements)]
        for _ in range(rng.randrange(1, 4)):
            # Not into the head: the cached count of what cannot be would be believed.
            place = b"%d" % rng.randrange(16, 100)
            commands.append((b"SETRANGE", b"a", place, bytes([rng.randrange(256)])))
        commands += [(b"PFCOUNT", b"a"), (b"PFADD", b"a", b"more"), (b"PFCOUNT", b"a", b"b")]

    redis.call("CONFIG", "SET", "hll-sparse-max-bytes", 3000)
    check_same(redis.port, 2, commands)
