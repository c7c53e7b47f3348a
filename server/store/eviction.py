"""Which key is to go when memory is short: the policies of `maxmemory-policy`.

Approximated as in Redis (`evict.c: evictionPoolPopulate, performEvictions`): a few keys of every
database are drawn at random for each choice; the best candidates of earlier draws are kept in a
pool, so that over time it fills with keys that are really old, rare or soon to expire.
"""

from __future__ import annotations

import random
import sys
from bisect import insort
from dataclasses import dataclass
from typing import Final

from .database import Database
from .dict_places import random_key
from .keyspace import Keyspace
from .usage import MOST_FREQUENT, KeyUsage
from .values import Value

_POOL_SIZE: Final = 16
_BYTES_OVERHEAD: Final = sys.getsizeof(b"")
_INTEGER_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Policy:
    """A value of `maxmemory-policy` in its two parts."""

    #: Only keys that expire may go (`volatile-`).
    is_volatile: bool
    #: `lru`, `lfu`, `random` or `ttl`; empty: nothing is evicted.
    order: str

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Return the policy that the directive names."""
        scope, _, order = text.partition("-")
        return cls(scope == "volatile", order)

    @property
    def needs_usage(self) -> bool:
        """Whether all uses of keys have to be noted."""
        return self.order in ("lru", "lfu")


class Eviction:
    """Chooses keys; who deletes them is the caller. `samples` is maxmemory-samples."""

    def __init__(self, keyspace: Keyspace, usage: KeyUsage, generator: random.Random) -> None:
        self._databases = keyspace.databases
        self._usage = usage
        self._random = generator.random
        self.policy = Policy.parse("noeviction")
        self.samples = 5
        #: Candidates (score, database index, key), the best last. Some may be gone by now.
        self._pool: list[tuple[int, int, bytes]] = []
        self._next_index = 0

    def set_policy(self, policy: Policy) -> None:
        """Choose by `policy` from now on."""
        self.policy = policy
        self._pool.clear()

    def choose(self, now_s: int) -> tuple[Database, bytes] | None:
        """Return the key that is to go next; None: there is none that may."""
        if not self.policy.order:
            return None
        if self.policy.order == "random":
            return self._choose_any()
        while self._fill_pool(now_s):
            while self._pool:
                _, index, key = self._pool.pop()
                database = self._databases[index]
                if key in self._candidates(database):
                    return database, key
        return None

    def _candidates(self, database: Database) -> dict[bytes, int] | dict[bytes, Value]:
        return database.expires if self.policy.is_volatile else database.values

    def _choose_any(self) -> tuple[Database, bytes] | None:
        """Return a key drawn at random, the databases taking turns."""
        count = len(self._databases)
        for _ in range(count):
            self._next_index = (self._next_index + 1) % count
            database = self._databases[self._next_index]
            candidates = self._candidates(database)
            if candidates:
                return database, random_key(candidates, self._random)
        return None

    def _fill_pool(self, now_s: int) -> bool:
        """Draw from every database; return False where there is nothing to draw."""
        pool = self._pool
        found = False
        for database in self._databases:
            candidates = self._candidates(database)
            if not candidates:
                continue
            found = True
            for _ in range(min(self.samples, len(candidates))):
                key = random_key(candidates, self._random)
                score = self._score(database, key, now_s)
                if len(pool) >= _POOL_SIZE:
                    if score <= pool[0][0]:
                        continue
                    del pool[0]
                insort(pool, (score, database.index, key))
        return found

    def _score(self, database: Database, key: bytes, now_s: int) -> int:
        """Return how well `key` can be spared: the higher, the better."""
        match self.policy.order:
            case "lru":
                return self._usage.idle_s(database, key, now_s)
            case "lfu":
                return MOST_FREQUENT - self._usage.frequency(database, key, now_s)
            case _:
                return -database.expires[key]


def entry_bytes(database: Database, key: bytes) -> int:
    """Return about how much memory the deletion of `key`, which must be there, gives back.

    Not counted is its place in the dictionary, which stays until that is copied.
    """
    value = database.values[key]
    size = _string_bytes(key)
    size += _string_bytes(value) if type(value) is bytes else sys.getsizeof(value)
    return size + _INTEGER_BYTES if key in database.expires else size


def _string_bytes(text: bytes) -> int:
    """Return what a string takes; allocations are of multiples of 16, single bytes shared."""
    return _BYTES_OVERHEAD + len(text) + 15 & ~15 if len(text) > 1 else 0
