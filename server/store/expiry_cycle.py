"""Looking for expired keys in the background, a bounded sample at a time.

A key that nobody touches would stay for ever. Redis (`expire.c: activeExpireCycle`) takes random
samples of the keys that expire, and goes on as long as a sample shows that many are stale. Here a
sweep goes over each database's expiring keys in random order, without a key coming twice in a
sweep: so a sample says as much as Redis', and in the end every stale key is found.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from .database import Database
from .keyspace import Keyspace

#: Keys in one sample.
SAMPLE_COUNT = 20
#: A database is left when no more than this many of a sample had expired.
TOLERATED_COUNT = SAMPLE_COUNT // 10
#: Samples in one call at most: it bounds how long other work waits.
SAMPLES_PER_CALL = 200


class ExpiryCycle:
    """One for each keyspace; `run` is to be called `hz` times a second, by a master only.

    `expire(database, key)` deletes a key that has expired and tells whom it concerns.
    """

    def __init__(
        self,
        keyspace: Keyspace,
        expire: Callable[[Database, bytes], None],
        generator: random.Random,
    ) -> None:
        self._keyspace = keyspace
        self._expire = expire
        self._random = generator
        #: Keys of the sweep that are still to be looked at, by database index.
        self._pending: dict[int, list[bytes]] = {}
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
            if samples_left == 0:
                self.capped_count += 1
                break
            self._next_index = (self._next_index + 1) % len(databases)
        if sampled:
            self.stale_share += 0.05 * (stale / sampled - self.stale_share)
        return stale

    def _draw(self, database: Database) -> list[bytes]:
        """Take a random sample out of the sweep, beginning a new sweep where one has ended."""
        pending = self._pending.get(database.index)
        if not pending:
            pending = self._pending[database.index] = list(database.expires)
        sample = []
        for _ in range(min(SAMPLE_COUNT, len(pending))):
            index = int(self._random.random() * len(pending))
            pending[index], pending[-1] = pending[-1], pending[index]
            sample.append(pending.pop())
        return sample
