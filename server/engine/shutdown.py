"""A shutdown that waits until the replicas have all of the stream, so that none has to be lost.

While it waits writes are paused, so that the data in the stream end at `target_offset`; what
follows it (PING, GETACK) need not be had by anybody. The wait is ended by the last replica that
acknowledges, by the deadline, by SHUTDOWN ABORT and by SHUTDOWN NOW.

Follows Redis 7.0 `server.c: prepareForShutdown, isReadyToShutdown, cancelShutdown`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..replication.feed import Feed
from .host import ShutdownRequest

#: The reason of clients' waits for the server's end.
SHUTDOWN: Final = "shutdown"


@dataclass(slots=True)
class Shutdown:
    """How a shutdown stands that was asked for and waits; the host writes it."""

    #: What is to happen when the wait is over; None: no shutdown waits.
    request: ShutdownRequest | None = None
    #: Up to where the stream has data.
    target_offset: int = 0
    #: When the wait ends (wall clock), whatever the replicas have.
    deadline_ms: int = 0

    @property
    def is_waiting(self) -> bool:
        """Whether a shutdown waits for replicas."""
        return self.request is not None

    def begin(self, request: ShutdownRequest, target_offset: int, deadline_ms: int) -> None:
        """Wait until the replicas have the stream up to `target_offset`, or it is `deadline_ms`."""
        self.request = request
        self.target_offset = target_offset
        self.deadline_ms = deadline_ms

    def end(self) -> None:
        """Note that the wait is over, whichever way."""
        self.request = None

    def lagging(self, feeds: Iterable[Feed]) -> list[Feed]:
        """Return those of the replicas that do not have all of the stream's data."""
        return [feed for feed in feeds if feed.reached_offset < self.target_offset]

    def is_over(self, feeds: Iterable[Feed], now_ms: int) -> bool:
        """Say whether the wait is to end now."""
        return now_ms >= self.deadline_ms or not self.lagging(feeds)
