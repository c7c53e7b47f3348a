"""The times that drills note: nanoseconds of one monotonic clock, told in milliseconds."""

from __future__ import annotations

from typing import Final

NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000


def elapsed_ms(start_ns: int, end_ns: int) -> float:
    """Return how long it was from one moment to another, in milliseconds."""
    return (end_ns - start_ns) / NS_PER_MS
