"""When, or how often, keys are used: what LRU and LFU eviction and OBJECT IDLETIME and FREQ go by.

A mark for each key stands in `Database.usage`, as long as marks are made: for RECENCY the second in
which the key was last used; for FREQUENCY, as in Redis, the minute (16 bits) of the last change and
a counter (8 bits) that rises the more slowly the higher it is, and falls with time. A key without a
mark has not been used since marks are made. Follows Redis 7.0 `evict.c: LFULogIncr,
LFUDecrAndReturn, estimateObjectIdleTime`. Why marks are not made all the time: docs/adr/0025.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from .database import Database

#: What the counter of a new key is, so that it has a chance to be used before it is evicted.
FIRST_FREQUENCY: Final = 5
MOST_FREQUENT: Final = 255
_MINUTES_MASK: Final = 0xFFFF
#: How many marks are kept to be shared: more than there are counters in one minute.
_SHARED_MARKS: Final = 512


class Measure(enum.Enum):
    """What the marks tell."""

    RECENCY = "recency"
    FREQUENCY = "frequency"


class KeyUsage:
    """The one writer of `Database.usage`. Times are seconds of the wall clock.

    `log_factor` and `decay_minutes` are the directives lfu-log-factor and lfu-decay-time.
    """

    def __init__(self, databases: Iterable[Database], generator: random.Random) -> None:
        self._databases = tuple(databases)
        self._random = generator
        self.measure = Measure.RECENCY
        self.log_factor = 10
        self.decay_minutes = 1
        #: Since when marks are made: a key without one has not been used since.
        self.since_s = 0
        #: Marks by themselves. An integer for each key would take 32 bytes of it.
        self._shared: dict[int, int] = {}

    def begin(self, measure: Measure, now_s: int) -> None:
        """Forget all marks, and go on with those of `measure`."""
        self.measure = measure
        self.since_s = now_s
        for database in self._databases:
            database.usage = {}

    def mark_count(self) -> int:
        """Return how many marks there are."""
        return sum(len(database.usage) for database in self._databases)

    # --- uses ------------------------------------------------------------------------------------

    def mark_recency(self, database: Database, key: bytes, now_s: int) -> None:
        """Note a use of `key`, which may be gone by now."""
        if key in database.values:
            database.usage[key] = self._share(now_s)

    def _share(self, mark: int) -> int:
        """Return the mark that other keys hold, if there is an equal one."""
        shared = self._shared
        if len(shared) > _SHARED_MARKS:
            shared.clear()
        return shared.setdefault(mark, mark)

    def mark_frequency(self, database: Database, key: bytes, now_s: int) -> None:
        """Note a use of `key`, which may be gone by now, in its counter."""
        if key not in database.values:
            return
        mark = database.usage.get(key)
        if mark is None:
            count = FIRST_FREQUENCY
        else:
            count = self._decayed(mark, now_s)
            if count < MOST_FREQUENT:
                above = max(0, count - FIRST_FREQUENCY)
                if self._random.random() < 1 / (above * self.log_factor + 1):
                    count += 1
        database.usage[key] = self._share(_frequency_mark(count, now_s))

    # --- what the marks say ----------------------------------------------------------------------

    def idle_s(self, database: Database, key: bytes, now_s: int) -> int:
        """Return for how long `key` has not been used, or has at least not been."""
        return max(0, now_s - database.usage.get(key, self.since_s))

    def frequency(self, database: Database, key: bytes, now_s: int) -> int:
        """Return the counter of `key`, 0 to 255."""
        mark = database.usage.get(key)
        return self._decayed(
            _frequency_mark(FIRST_FREQUENCY, self.since_s) if mark is None else mark, now_s
        )

    def _decayed(self, mark: int, now_s: int) -> int:
        count = mark & 0xFF
        if not self.decay_minutes:
            return count
        elapsed = (now_s // 60 - (mark >> 8)) & _MINUTES_MASK
        return max(0, count - elapsed // self.decay_minutes)

    def mark_shown(self, database: Database, key: bytes) -> int:
        """Return the mark as DEBUG OBJECT shows it: 24 bits."""
        default = self.since_s
        if self.measure is Measure.FREQUENCY:
            default = _frequency_mark(FIRST_FREQUENCY, self.since_s)
        return database.usage.get(key, default) & 0xFFFFFF

    # --- what is told from outside ---------------------------------------------------------------

    def set_idle(self, database: Database, key: bytes, idle_s: int, now_s: int) -> None:
        """Have `key` be unused for `idle_s` (RESTORE IDLETIME); nothing if that is not measured."""
        if self.measure is Measure.RECENCY:
            database.usage[key] = now_s - idle_s

    def set_frequency(self, database: Database, key: bytes, count: int, now_s: int) -> None:
        """Give `key` that counter (RESTORE FREQ); nothing if that is not measured."""
        if self.measure is Measure.FREQUENCY:
            database.usage[key] = _frequency_mark(count, now_s)

    def adopt(
        self,
        database: Database,
        idle_s: Mapping[bytes, int],
        frequency: Mapping[bytes, int],
        now_s: int,
    ) -> None:
        """Take over what a snapshot says of its keys, as far as it is what is measured."""
        if self.measure is Measure.RECENCY:
            database.usage = {key: now_s - idle for key, idle in idle_s.items()}
        else:
            database.usage = {
                key: _frequency_mark(count, now_s) for key, count in frequency.items()
            }


def _frequency_mark(count: int, now_s: int) -> int:
    return (now_s // 60 & _MINUTES_MASK) << 8 | count


class SavedMarks(Mapping[bytes, int]):
    """What is saved of the keys of `database`, reckoned as it is asked for: no copy is made.

    Idle seconds under RECENCY, counters under FREQUENCY.
    """

    def __init__(self, usage: KeyUsage, database: Database, now_s: int) -> None:
        self._read = usage.idle_s if usage.measure is Measure.RECENCY else usage.frequency
        self._database = database
        self._now_s = now_s

    def __len__(self) -> int:
        return len(self._database.usage)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._database.usage)

    def __getitem__(self, key: bytes) -> int:
        if key not in self._database.usage:
            raise KeyError(key)
        return self._read(self._database, key, self._now_s)
