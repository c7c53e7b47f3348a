"""How long the calls of one command took: a histogram with two significant digits.

Values are nanoseconds. They share a bucket as in Redis' `hdr_histogram.c` with a precision of two
digits: up to 255 each has its own, above that the eight leading bits count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

#: What is shorter or longer is counted as this.
_SHORTEST_NS: Final = 1
_LONGEST_NS: Final = 1_000_000_000
#: The first boundary of `cumulative`; each following one is twice as far.
_FIRST_LEVEL_NS: Final = 1024


class LatencyHistogram:
    """Counts of durations; what is asked of it costs more than adding to it."""

    __slots__ = ("_counts", "total_count")

    def __init__(self) -> None:
        #: How many durations, by the largest value of their bucket.
        self._counts: dict[int, int] = {}
        self.total_count = 0

    def add(self, seconds: float, count: int = 1) -> None:
        """Count `count` calls that took `seconds` each."""
        bucket = _largest_alike(min(_LONGEST_NS, max(_SHORTEST_NS, round(seconds * 1e9))))
        self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.total_count += count

    def percentile_us(self, percentile: float) -> float:
        """Return below which duration `percentile` of a hundred calls stayed, in microseconds."""
        wanted = max(1, int(percentile / 100 * self.total_count + 0.5))
        reached = 0
        bucket = 0
        for bucket in sorted(self._counts):
            reached += self._counts[bucket]
            if reached >= wanted:
                break
        return bucket / 1000

    def cumulative(self) -> Iterator[tuple[int, int]]:
        """Iterate over (microseconds, how many calls took no longer), where that number rises."""
        buckets: Sequence[int] = sorted(self._counts)
        level = _FIRST_LEVEL_NS
        reached = told = position = 0
        while position < len(buckets):
            limit = _largest_alike(level)
            while position < len(buckets) and buckets[position] <= limit:
                reached += self._counts[buckets[position]]
                position += 1
            if reached > told:
                yield limit // 1000, reached
                told = reached
            level *= 2


def _largest_alike(duration_ns: int) -> int:
    """Return the largest value in the bucket of a duration."""
    return duration_ns | ((1 << max(0, duration_ns.bit_length() - 8)) - 1)
