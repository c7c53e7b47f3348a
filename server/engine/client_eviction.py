"""Closing clients that together take more memory than `maxmemory-clients` allows.

The largest go first (Redis 7.0 `networking.c: evictClients`). Neither master nor replicas count.
Clients under CLIENT NO-EVICT count and stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vedette.clients import ClientKind, Session
from vedette.clients.footprint import footprint_of

from .. import directives

if TYPE_CHECKING:
    from .engine import ServerEngine

#: At most one part in so many of the time goes into adding up what clients take.
_SHARE: Final = 20


class ClientEviction:
    """`after_batch` is to be called when commands have run, and before replies leave."""

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine
        #: 0: no limit.
        self.limit_bytes = 0
        self.evicted_count = 0
        self._looked_at_s = 0.0
        self._look_s = 0.0

    def apply_settings(self) -> None:
        """Put the directive into effect; as a percentage it is one of maxmemory."""
        configuration = self._engine.configuration
        limit = configuration[directives.MAX_MEMORY_CLIENTS]
        if limit < 0:
            limit = configuration[directives.MAX_MEMORY] * -limit // 100
        self.limit_bytes = limit
        self.review()

    def after_batch(self) -> None:
        """Keep to the limit; cheap where it is too early to add up."""
        if self.limit_bytes and (self._engine.clock() - self._looked_at_s >= self._look_s * _SHARE):
            self.review()

    def review(self) -> None:
        """Add up what clients take, and close the largest while it is too much."""
        if not self.limit_bytes:
            return
        started_s = self._engine.clock()
        sizes = [
            (footprint_of(session).total_bytes, session)
            for session in self._engine.clients
            if self._is_counted(session)
        ]
        excess_bytes = sum(size for size, _ in sizes) - self.limit_bytes
        if excess_bytes > 0:
            self._evict(sizes, excess_bytes)
        self._looked_at_s = self._engine.clock()
        self._look_s = self._looked_at_s - started_s

    def _evict(self, sizes: list[tuple[int, Session]], excess_bytes: int) -> None:
        sizes.sort(key=lambda each: each[0], reverse=True)
        for size, session in sizes:
            if excess_bytes <= 0:
                break
            if session.is_no_evict:
                continue
            excess_bytes -= size
            self.evicted_count += 1
            self._engine.clients.request_close(session, is_abrupt=True)

    def _is_counted(self, session: Session) -> bool:
        """Return whether `session` is a client that is to stay as far as others are concerned."""
        if session.is_deaf or session.is_close_requested:
            return False
        kind = session.kind
        if kind not in (ClientKind.NORMAL, ClientKind.PUBSUB):
            return False
        limit = self._engine.settings.output_limits.get(kind)
        if limit is None or not limit.hard_size_bytes:
            return True
        # One that owes more than it may is about to be closed for that, and nobody in its place.
        return sum(map(len, session.outbox)) + session.unsent_bytes < limit.hard_size_bytes
