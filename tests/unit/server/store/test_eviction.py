"""Which key goes next: the policies, approximated by samples of every database."""

from __future__ import annotations

import random

import pytest

from server.store.eviction import Eviction, Policy, entry_bytes
from server.store.hashes import Hash
from server.store.keyspace import Keyspace
from server.store.usage import KeyUsage, Measure

NOW_S = 1_700_000_000
POLICIES = [
    f"{scope}-{order}"
    for scope in ("allkeys", "volatile")
    for order in ("lru", "lfu", "random", "ttl")
    if (scope, order) != ("allkeys", "ttl")
]


def eviction_by(policy: str, keyspace: Keyspace) -> tuple[Eviction, KeyUsage]:
    usage = KeyUsage(keyspace.databases, random.Random(1))
    usage.begin(Measure.FREQUENCY if "lfu" in policy else Measure.RECENCY, NOW_S - 10_000)
    eviction = Eviction(keyspace, usage, random.Random(2))
    eviction.set_policy(Policy.parse(policy))
    return eviction, usage


def keyspace_of(count: int) -> Keyspace:
    """Return a keyspace with keys 0 to `count`; even ones expire, the lower the sooner."""
    keyspace = Keyspace(4)
    for number in range(count):
        database = keyspace.databases[number % 3]
        key = b"%d" % number
        database.set(key, b"value")
        if number % 2 == 0:
            database.expire_at(key, 10_000 + number)
    return keyspace


def evicted(eviction: Eviction, count: int) -> list[int]:
    """Evict `count` keys; return their numbers."""
    numbers = []
    for _ in range(count):
        choice = eviction.choose(NOW_S)
        assert choice is not None
        database, key = choice
        assert database.delete(key)
        numbers.append(int(key))
    return numbers


@pytest.mark.parametrize("policy", POLICIES)
def test_every_key_that_may_go_goes_and_no_other(policy: str) -> None:
    """Volatile policies leave keys alone that do not expire, even if nothing else is left."""
    keyspace = keyspace_of(60)
    eviction, _ = eviction_by(policy, keyspace)
    may_go = 30 if policy.startswith("volatile") else 60

    numbers = evicted(eviction, may_go)

    assert eviction.choose(NOW_S) is None
    assert len(set(numbers)) == may_go
    assert all(number % 2 == 0 for number in numbers) or may_go == 60


def test_noeviction_chooses_nothing() -> None:
    """Commands are refused instead."""
    eviction, _ = eviction_by("noeviction", keyspace_of(10))

    assert eviction.choose(NOW_S) is None


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "volatile-ttl"])
def test_the_worst_half_goes_first(policy: str) -> None:
    """Keys used recently, or often, or with long to live, mostly stay."""
    keyspace = keyspace_of(600)
    eviction, usage = eviction_by(policy, keyspace)
    for number in range(600):
        database = keyspace.databases[number % 3]
        usage.set_idle(database, b"%d" % number, 600 - number, NOW_S)
        usage.set_frequency(database, b"%d" % number, number * 255 // 600, NOW_S)

    numbers = evicted(eviction, 150)

    wrong = [number for number in numbers if number >= 300]
    assert len(wrong) < 8


def test_random_policies_take_databases_in_turn() -> None:
    """No database is emptied for the sake of another."""
    eviction, _ = eviction_by("allkeys-random", keyspace_of(90))

    numbers = evicted(eviction, 30)

    assert [sum(number % 3 == index for number in numbers) for index in range(3)] == [10, 10, 10]


def test_a_candidate_that_is_gone_is_passed_over() -> None:
    """The pool is kept from one choice to the next, and keys come and go meanwhile."""
    keyspace = keyspace_of(40)
    eviction, _ = eviction_by("allkeys-lru", keyspace)
    evicted(eviction, 1)
    for database in keyspace.databases:
        database.clear()
    keyspace.databases[3].set(b"7", b"")

    assert eviction.choose(NOW_S) == (keyspace.databases[3], b"7")


def test_the_size_of_an_entry_is_that_of_key_and_value() -> None:
    """Rounded up as allocated; an expiry time is a number more; a collection has its elements."""
    database = Keyspace(1).databases[0]
    database.set(b"0123456789abcdef", b"x" * 32)
    database.set(b"hash", Hash({b"f" * 100: b"v" * 100}))

    assert entry_bytes(database, b"0123456789abcdef") == 64 + 80
    database.expire_at(b"0123456789abcdef", 5)
    assert entry_bytes(database, b"0123456789abcdef") == 64 + 80 + 32
    assert entry_bytes(database, b"hash") > 400
