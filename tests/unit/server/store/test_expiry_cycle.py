"""The search for expired keys: it finds them all, does bounded work, and leaves the rest alone."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable

from server.store.database import Database
from server.store.expiry_cycle import SAMPLE_COUNT, SAMPLES_PER_CALL, ExpiryCycle
from server.store.keyspace import Keyspace

NOW_MS = 1_000_000


def keyspace_with(expired: int, living: int, *, index: int = 0) -> Keyspace:
    """Return a keyspace whose database `index` has so many keys expired and about to expire."""
    keyspace = Keyspace(4)
    database = keyspace.databases[index]
    for number in range(expired + living):
        key = b"key:%d" % number
        database.set(key, b"")
        database.expire_at(key, NOW_MS - 1 if number < expired else NOW_MS + 10_000)
    return keyspace


def cycle_over(keyspace: Keyspace, deleted: list[bytes]) -> ExpiryCycle:
    def expire(database: Database, key: bytes) -> None:
        assert database.delete(key)
        deleted.append(key)

    return ExpiryCycle(keyspace, expire, random.Random(1))


def test_every_expired_key_is_found_in_one_sweep() -> None:
    """Half of each sample is swept, so a stale key cannot be missed again and again."""
    keyspace = keyspace_with(expired=7, living=993)
    deleted: list[bytes] = []
    cycle = cycle_over(keyspace, deleted)

    for _ in range(1000 // (SAMPLE_COUNT // 2)):
        cycle.run(NOW_MS)

    assert sorted(deleted) == sorted(b"key:%d" % number for number in range(7))


def test_keys_that_have_not_expired_stay() -> None:
    """Time is what the caller says it is."""
    keyspace = keyspace_with(expired=0, living=100)
    cycle = cycle_over(keyspace, [])

    assert cycle.run(NOW_MS) == 0
    assert len(keyspace.databases[0]) == 100


def test_many_expired_keys_are_deleted_in_one_call_up_to_its_bound() -> None:
    """A call goes on while samples are stale, but never so long that clients notice."""
    total = SAMPLE_COUNT * SAMPLES_PER_CALL + 500
    keyspace = keyspace_with(expired=total, living=0)
    deleted: list[bytes] = []
    cycle = cycle_over(keyspace, deleted)

    first = cycle.run(NOW_MS)
    second = cycle.run(NOW_MS)

    assert SAMPLE_COUNT * SAMPLES_PER_CALL // 2 <= first <= SAMPLE_COUNT * SAMPLES_PER_CALL
    assert cycle.capped_count >= 1
    assert first < first + second <= total
    while cycle.run(NOW_MS):
        pass
    assert len(deleted) == total


def test_a_database_with_few_expired_keys_takes_one_sample() -> None:
    """Where next to nothing is stale, looking on would be work for nothing."""
    keyspace = keyspace_with(expired=0, living=10_000)
    looked_at: list[bytes] = []

    class Counting(Database):
        __slots__ = ()

        def expired_among(self, keys: Iterable[bytes], now_ms: int) -> list[bytes]:
            looked_at.extend(keys)
            return super().expired_among(keys, now_ms)

    keyspace.databases[0].__class__ = Counting

    ExpiryCycle(keyspace, lambda database, key: None, random.Random(1)).run(NOW_MS)

    assert SAMPLE_COUNT // 2 <= len(looked_at) <= SAMPLE_COUNT


def test_a_call_ends_when_its_time_is_over() -> None:
    """However many keys have expired, others have their turn after some milliseconds."""
    keyspace = keyspace_with(expired=SAMPLE_COUNT * SAMPLES_PER_CALL, living=0)
    times = itertools.count(0.0, 0.004)

    cycle = ExpiryCycle(keyspace, lambda database, key: None, random.Random(1), lambda: next(times))

    assert 0 < cycle.run(NOW_MS) < SAMPLE_COUNT * SAMPLES_PER_CALL // 2
    assert cycle.capped_count == 1


def test_every_database_is_looked_at() -> None:
    """Not only the first."""
    keyspace = keyspace_with(expired=3, living=0, index=2)
    deleted: list[bytes] = []

    cycle_over(keyspace, deleted).run(NOW_MS)

    assert len(deleted) == 3


def test_nothing_is_deleted_while_the_cycle_is_off() -> None:
    """DEBUG SET-ACTIVE-EXPIRE 0 leaves expired keys to those who touch them."""
    keyspace = keyspace_with(expired=50, living=0)
    keyspace.is_active_expiry_on = False
    cycle = cycle_over(keyspace, [])

    assert cycle.run(NOW_MS) == 0


def test_a_key_that_changed_since_it_was_drawn_is_judged_anew() -> None:
    """A sweep lasts; keys drawn from it may have been deleted or persisted meanwhile."""
    keyspace = keyspace_with(expired=100, living=0)
    deleted: list[bytes] = []
    cycle = cycle_over(keyspace, deleted)
    keyspace.databases[0].expire_at(b"key:5", None)
    keyspace.databases[0].delete(b"key:6")

    cycle.run(NOW_MS)

    assert list(keyspace.databases[0].values) == [b"key:5"]


def test_the_stale_share_follows_what_was_found() -> None:
    """INFO's expired_stale_perc rises while many samples are stale."""
    keyspace = keyspace_with(expired=400, living=0)
    cycle = cycle_over(keyspace, [])

    cycle.run(NOW_MS)

    assert 0 < cycle.stale_share <= 0.05
