"""The latency monitor: what took long, by kind of event (Redis 7.0 `latency.c`).

An event is something that keeps everybody waiting: a slow command, a fork, a round of expiry. The
worst of each second is kept, for the last 160 seconds in which there was any.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

SERIES_LENGTH: Final = 160

#: Events of a command, by whether it should be over in a moment.
COMMAND: Final = "command"
FAST_COMMAND: Final = "fast-command"
UNBLOCKING: Final = "command-unblocking"
EXPIRE_CYCLE: Final = "expire-cycle"
EVICTION_CYCLE: Final = "eviction-cycle"
GARBAGE_COLLECTION: Final = "garbage-collection"
FORK: Final = "fork"
AOF_WRITE: Final = "aof-write"
AOF_WRITE_PENDING_FSYNC: Final = "aof-write-pending-fsync"
AOF_WRITE_ACTIVE_CHILD: Final = "aof-write-active-child"
AOF_WRITE_ALONE: Final = "aof-write-alone"
AOF_FSYNC_ALWAYS: Final = "aof-fsync-always"


@dataclass(slots=True)
class Series:
    """The samples of one event, oldest first, as (Unix seconds, milliseconds)."""

    samples: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=SERIES_LENGTH))
    #: The longest ever, also of what the samples do not go back to.
    worst_ms: int = 0

    @property
    def durations_ms(self) -> list[int]:
        """The samples without their times."""
        return [duration_ms for _, duration_ms in self.samples]


class LatencyMonitor:
    """Events that took at least `threshold_ms`; 0: none are noted."""

    def __init__(self) -> None:
        self.threshold_ms = 0
        self._series: dict[str, Series] = {}

    def note(self, event: str, duration_ms: float, now_ms: int) -> None:
        """Enter that `event` took so long, if that is long enough; it ended at `now_ms`."""
        whole_ms = int(duration_ms)
        if not 0 < self.threshold_ms <= whole_ms:
            return
        series = self._series.setdefault(event, Series())
        series.worst_ms = max(series.worst_ms, whole_ms)
        now_s = now_ms // 1000
        if series.samples and series.samples[-1][0] == now_s:
            whole_ms = max(whole_ms, series.samples.pop()[1])
        series.samples.append((now_s, whole_ms))

    def events(self) -> list[tuple[str, Series]]:
        """Return the events that were noted, with their samples."""
        return list(self._series.items())

    def series(self, event: str) -> Series | None:
        """Return the samples of `event`, if there are any."""
        return self._series.get(event)

    def forget(self, event: str | None = None) -> int:
        """Forget `event`, in any case, or all; return how many events that were."""
        names = [name for name in self._series if event is None or name == event.lower()]
        for name in names:
            del self._series[name]
        return len(names)
