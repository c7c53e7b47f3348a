"""The last events, numbered, so that who lost the connection can read on where it stopped.

Ids rise by one from event to event. The first of a process is its start in microseconds of Unix
time, so ids rise over restarts as well (unless the clock is set back), and an id from before a
restart is recognised as older than what is kept. The same ids stand in the log's lines.

Pure and bounded: a ring of `size_max` events, the oldest overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .core.actions import Level, Publish

EVENTS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event as it was published; `unix_ms` is when."""

    id: int
    unix_ms: int
    event: bytes
    payload: bytes
    level: Level
    #: The name of the master it belongs to, if any.
    master: str | None


class EventLog:
    """See the module's docstring. `start_unix_us` is the present time in microseconds."""

    def __init__(self, start_unix_us: int, size_max: int = EVENTS_MAX) -> None:
        assert start_unix_us > 0
        self._size_max = size_max
        self._ring: list[LoggedEvent] = []
        self._start_id = start_unix_us
        self._last_id = start_unix_us - 1

    @property
    def first_id(self) -> int:
        """The oldest event kept, or the one to come if there is none."""
        return self._last_id + 1 - len(self._ring)

    @property
    def last_id(self) -> int:
        """The newest event; below `first_id` if there is none."""
        return self._last_id

    def append(self, action: Publish, unix_ms: int) -> int:
        """Take in an event; return its id."""
        self._last_id += 1
        entry = LoggedEvent(
            self._last_id, unix_ms, action.event, action.payload, action.level, action.master
        )
        if len(self._ring) < self._size_max:
            self._ring.append(entry)
        else:
            self._ring[self._place(entry.id)] = entry
        return entry.id

    def since(self, last_seen_id: int, count: int) -> list[LoggedEvent]:
        """Return up to `count` events after `last_seen_id`, oldest first."""
        start = max(last_seen_id + 1, self.first_id)
        stop = min(self._last_id + 1, start + count)
        return [self._ring[self._place(each)] for each in range(start, stop)]

    def has_dropped(self, last_seen_id: int) -> bool:
        """Whether events after `last_seen_id` are not kept any more.

        From before the start of this process nothing is kept, so for an id from then it is so.
        0, which stands for no event at all, asks about this process only.
        """
        if last_seen_id == 0:
            return self.first_id > self._start_id
        return last_seen_id + 1 < self.first_id

    def _place(self, event_id: int) -> int:
        return (event_id - self._start_id) % self._size_max
