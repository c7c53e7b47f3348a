"""Looking for expired keys in the background, a bounded sample at a time.

A key that nobody touches would stay for ever. Redis (`expire.c: activeExpireCycle`) takes samples
of the keys that expire, and goes on as long as a sample shows that many are stale. Here half of a
sample is drawn at random, so that it says what share is stale, and half comes from a sweep over all
of them, so that in the end every stale key is found.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from .database import Database
from .dict_places import random_key, scan
from .keyspace import Keyspace

#: Keys in one sample: as many drawn as swept.
SAMPLE_COUNT = 20
#: A database is left when no more than this many of a sample had expired.
TOLERATED_COUNT = SAMPLE_COUNT // 10
#: What bounds how long other work waits: samples in one call, and the time that they take.
SAMPLES_PER_CALL = 200
SECONDS_PER_CALL = 0.01
#: Samples between two looks at the clock.
SAMPLES_A_LOOK = 20


class ExpiryCycle:
    """One for each keyspace; `run` is to be called `hz` times a second, by a master only.

    `expire(database, key)` deletes a key that has expired and tells whom it concerns. `clock` gives
    seconds, for durations.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        expire: Callable[[Database, bytes], None],
        generator: random.Random,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._keyspace = keyspace
        self._expire = expire
        self._random = generator
        self._clock = clock
        #: How far the sweep is, by database index: a cursor of `dict_places.scan`.
        self._cursors: dict[int, int] = {}
        #: The database to begin with, so that a call cut short is made up for.
        self._next_index = 0
        #: What share of the last samples had expired, 0 to 1 (INFO: expired_stale_perc).
        self.stale_share = 0.0
        #: How often a call ended with work left (INFO: expired_time_cap_reached_count).
        self.capped_count = 0

    def run(self, now_ms: int) -> int:
        """Delete some of the keys that have expired by `now_ms`; return how many."""
        if not self._keyspace.is_active_expiry_on:
            return 0
        databases = self._keyspace.databases
        samples_left = SAMPLES_PER_CALL
        ends_s = self._clock() + SECONDS_PER_CALL
        sampled = stale = 0
        for _ in range(len(databases)):
            database = databases[self._next_index]
            while database.expires and samples_left > 0:
                samples_left -= 1
                sample = self._draw(database)
                expired = database.expired_among(sample, now_ms)
                for key in expired:
                    self._expire(database, key)
                sampled += len(sample)
                stale += len(expired)
                if len(expired) <= TOLERATED_COUNT:
                    break
                if samples_left % SAMPLES_A_LOOK == 0 and self._clock() > ends_s:
                    samples_left = 0
            if samples_left == 0:
                self.capped_count += 1
                break
            self._next_index = (self._next_index + 1) % len(databases)
        if sampled:
            self.stale_share += 0.05 * (stale / sampled - self.stale_share)
        return stale

    def _draw(self, database: Database) -> set[bytes]:
        """Return the next keys of the sweep, and others drawn at random."""
        expires = database.expires
        count = SAMPLE_COUNT // 2
        cursor = self._cursors.get(database.index, 0)
        self._cursors[database.index], swept = scan(expires, cursor, count)
        if len(swept) == len(expires):
            return set(swept)
        random = self._random.random
        return {*swept, *(random_key(expires, random) for _ in range(count))}
