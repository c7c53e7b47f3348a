"""When the machine wants to be woken, and for what.

One deadline for each key; setting it again moves it. Nothing here knows what a key means.
"""

from __future__ import annotations

import heapq
from enum import IntEnum, auto
from typing import NamedTuple

from vedette.types import Address


class TimerKind(IntEnum):
    """What a deadline is for. An integer, since it is hashed more often than anything else."""

    COMMAND_LINK = auto()  # reconnect, or PING
    PUBSUB_LINK = auto()  # reconnect, or check for silence
    PEER_LINK = auto()  # reconnect, or PING
    INFO = auto()
    NODE_HELLO = auto()
    PEER_HELLO = auto()
    NODE_DOWN = auto()
    PEER_DOWN = auto()
    ASK = auto()
    CANDIDACY = auto()
    ELECTION = auto()
    FAILOVER = auto()
    CONFLICT = auto()
    RECONF = auto()
    FORGET = auto()
    SAVE = auto()
    TILT = auto()
    NAMES = auto()


class Timer(NamedTuple):
    """Key of one deadline: what for, of which master, of which node or peer."""

    kind: TimerKind
    name: str = ""
    subject: Address | str = ""


class Timers:
    """Deadlines by key. Those due at the same time fire in the order in which they were set."""

    def __init__(self) -> None:
        self._deadlines: dict[Timer, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, Timer]] = []
        self._serial = 0

    def set(self, timer: Timer, at_ms: int) -> None:
        """Let `timer` fire at `at_ms`, and no more at any time set before."""
        self._serial += 1
        self._deadlines[timer] = (at_ms, self._serial)
        heapq.heappush(self._heap, (at_ms, self._serial, timer))
        # Moved deadlines leave their old entry behind; sweep before they outnumber the live ones.
        if len(self._heap) > 64 + 4 * len(self._deadlines):
            self._heap = [(at, serial, key) for key, (at, serial) in self._deadlines.items()]
            heapq.heapify(self._heap)

    def set_earlier(self, timer: Timer, at_ms: int) -> None:
        """Like `set`, unless it is to fire earlier already."""
        deadline = self._deadlines.get(timer)
        if deadline is None or at_ms < deadline[0]:
            self.set(timer, at_ms)

    def set_periodic(self, timer: Timer, at_ms: int, period_ms: int, now_ms: int) -> None:
        """Let `timer` fire at `at_ms` or up to an eighth of its period before.

        Such deadlines lie on a grid, so that what is due of a thousand masters comes in few
        wake-ups, and leaves in few packets. Finer grids contain the coarser ones: a power of two.
        """
        grid_ms = 1 << max((period_ms >> 3).bit_length() - 1, 0)
        self.set(timer, max(at_ms - at_ms % grid_ms, now_ms + 1))

    def cancel(self, timer: Timer) -> None:
        """Let `timer` not fire; harmless if it was not set."""
        self._deadlines.pop(timer, None)

    def cancel_master(self, name: str) -> None:
        """Drop all timers of one master."""
        for timer in [timer for timer in self._deadlines if timer.name == name]:
            del self._deadlines[timer]

    def is_set(self, timer: Timer) -> bool:
        """Whether `timer` is going to fire."""
        return timer in self._deadlines

    def due_ms(self, timer: Timer) -> int | None:
        """When `timer` is going to fire, None if it is not set."""
        deadline = self._deadlines.get(timer)
        return None if deadline is None else deadline[0]

    @property
    def next_ms(self) -> int | None:
        """The earliest deadline."""
        heap, deadlines = self._heap, self._deadlines
        while heap:
            at_ms, serial, timer = heap[0]
            deadline = deadlines.get(timer)
            if deadline is not None and deadline[1] == serial:
                return at_ms
            heapq.heappop(heap)
        return None

    def pop_due(self, now_ms: int) -> Timer | None:
        """Take out one timer whose time has come, the earliest first."""
        heap, deadlines = self._heap, self._deadlines
        while heap and heap[0][0] <= now_ms:
            _, serial, timer = heapq.heappop(heap)
            deadline = deadlines.get(timer)
            if deadline is not None and deadline[1] == serial:
                del deadlines[timer]
                return timer
        return None
