"""Observations counted by size, as Prometheus' histograms have them. Pure; knows no metric."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator


class Histogram:
    """Counts of observations by upper bound. `bounds` rise; the last bucket (+Inf) is implied."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        assert list(bounds) == sorted(set(bounds))
        self.bounds = bounds
        #: One count for each bound and one for what is above them all; not cumulative.
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation; a value on a bound belongs to that bound."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def copy(self) -> Histogram:
        """Return what was counted so far, as it stays."""
        copied = Histogram(self.bounds)
        copied.counts = [*self.counts]
        copied.sum = self.sum
        return copied

    def unbounded(self) -> Histogram:
        """Return what was counted so far without its sizes."""
        summed = Histogram(())
        summed.counts = [self.count]
        summed.sum = self.sum
        return summed

    @property
    def count(self) -> int:
        """How many observations there were."""
        return sum(self.counts)

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Yield each bucket's `le` and its count, in order, ending with +Inf."""
        total = 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            yield bound, total
