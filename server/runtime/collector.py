"""The collector of garbage cycles, tuned so that nobody notices it, and watched.

Reference counts free nearly everything; the collector only looks for cycles, and for that goes
through all that it has not set aside. A dataset of a million small hashes would take it 100 ms and
more. So what survives its first collection is set aside at once (`gc.freeze`), and a collection
never has to look at more than `_YOUNG_OBJECTS`.

What is set aside while it lives and becomes a cycle of garbage later (there is next to none of it
in this program) is found by a collection of everything. That is made only when nobody would notice:
the server is idle, and the last one is long ago by comparison with how long it takes. MEMORY PURGE
makes one at any time.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import Final

from ..engine.host import CollectorPauses

#: New objects, less those that are gone, after which the collector looks at them: 0.5 ms.
_YOUNG_OBJECTS: Final = 10_000
#: A collection of everything is made at most once in so many seconds, and at most in a part in so
#: many of the time.
_FULL_PERIOD_S: Final = 60.0
_FULL_SHARE: Final = 5000
#: Commands a second up to which a server counts as idle.
_IDLE_RATE: Final = 20


class Collector:
    """The one owner of the collector's settings; `on_pause(ms)` hears of each collection."""

    def __init__(self, on_pause: Callable[[float], object] = lambda ms: None) -> None:
        self._on_pause = on_pause
        self._started_s = 0.0
        self._is_tuned = False
        self._count = 0
        self._total_s = 0.0
        self._longest_s = 0.0
        self._full_s = 0.0
        self._full_at_s = time.monotonic()
        self._last: tuple[float, int] | None = None

    def tune(self) -> None:
        """Set all that there is aside, the loaded dataset above all, and begin to watch."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG_OBJECTS, 20, 100)
        self._is_tuned = True
        gc.callbacks.append(self._on_collection)

    def close(self) -> None:
        """Leave the collector to others."""
        if self._is_tuned:
            self._is_tuned = False
            gc.callbacks.remove(self._on_collection)

    def _on_collection(self, phase: str, info: Mapping[str, int]) -> None:
        now_s = time.perf_counter()
        if phase == "start":
            self._started_s = now_s
            return
        took_s = now_s - self._started_s
        self._count += 1
        self._total_s += took_s
        self._longest_s = max(self._longest_s, took_s)
        self._on_pause(took_s * 1000)
        gc.freeze()

    def collect_all(self) -> None:
        """Look at everything, however long it takes."""
        started_s = time.monotonic()
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        self._full_at_s = time.monotonic()
        self._full_s = self._full_at_s - started_s

    def on_tick(self, commands_processed: int) -> None:
        """Look at everything if nobody would notice; to be called some times a second."""
        now_s = time.monotonic()
        if self._last is None or now_s - self._last[0] >= 1.0:
            last, self._last = self._last, (now_s, commands_processed)
            is_idle = last is not None and (
                0 <= commands_processed - last[1] <= _IDLE_RATE * (now_s - last[0])
            )
            if is_idle and now_s - self._full_at_s >= max(
                _FULL_PERIOD_S, self._full_s * _FULL_SHARE
            ):
                self.collect_all()

    def pauses(self) -> CollectorPauses:
        """Return how often and how long the collector has kept everybody waiting."""
        return CollectorPauses(count=self._count, total_s=self._total_s, longest_s=self._longest_s)
