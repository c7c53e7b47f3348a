"""What a client costs in memory: what CLIENT LIST shows, and eviction of clients goes by.

Follows Redis 7.0 `networking.c: getClientMemoryUsage`, reckoned from what is held for a session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .session import Session

#: A session with its parser and empty containers; measured.
_SESSION_BYTES: Final = 2600
#: What a string costs beside its bytes, and an entry of a set or dictionary.
_STRING_BYTES: Final = 33
_ENTRY_BYTES: Final = 60
#: What a request costs beside its words.
_REQUEST_BYTES: Final = 56


@dataclass(frozen=True, slots=True)
class Footprint:
    """Bytes held for one client."""

    #: Received and not run yet.
    query_bytes: int
    #: Queued since MULTI.
    queued_bytes: int
    #: Owed to it.
    output_bytes: int
    #: What it has subscribed to, watches or has tracked.
    interest_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it, and the session itself."""
        return (
            _SESSION_BYTES
            + self.query_bytes
            + self.queued_bytes
            + self.output_bytes
            + self.interest_bytes
        )


def footprint_of(session: Session) -> Footprint:
    """Return what is held for `session` now."""
    queued = session.queued_commands or ()
    tracking = session.tracking
    prefixes = tracking.prefixes if tracking is not None else ()
    return Footprint(
        session.parser.buffered_bytes + session.waiting_bytes,
        sum(_REQUEST_BYTES + _size_of(argv) for _, argv in queued),
        sum(map(len, session.outbox)) + session.unsent_bytes,
        _interest_bytes(session.channels)
        + _interest_bytes(session.patterns)
        + _interest_bytes(session.shard_channels)
        + _interest_bytes(prefixes)
        + sum(len(key) + 2 * (_STRING_BYTES + _ENTRY_BYTES) for _, key in session.watched),
    )


def _size_of(words: list[bytes]) -> int:
    return sum(map(len, words)) + _STRING_BYTES * len(words)


def _interest_bytes(names: dict[bytes, None] | tuple[bytes, ...]) -> int:
    """Return what `names` take here and in the registry that finds the client by them."""
    return sum(map(len, names)) + len(names) * (_STRING_BYTES + 2 * _ENTRY_BYTES) if names else 0
