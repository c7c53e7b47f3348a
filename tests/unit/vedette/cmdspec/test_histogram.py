"""How long calls took: buckets of two digits, percentiles and cumulative counts."""

from __future__ import annotations

import pytest

from vedette.cmdspec.histogram import LatencyHistogram


def test_a_duration_shares_its_bucket_with_those_of_the_same_two_digits() -> None:
    """Redis prints the largest value of a bucket: 1 microsecond is 1.003."""
    histogram = LatencyHistogram()
    histogram.add(1e-6)

    assert histogram.percentile_us(50) == 1.003


@pytest.mark.parametrize(
    ("percentile", "expected"), [(0, 1.003), (50, 1.003), (90, 1.003), (95, 33.023), (100, 33.023)]
)
def test_a_percentile_is_the_least_that_so_many_stayed_below(
    percentile: float, expected: float
) -> None:
    """Nine short calls and a long one."""
    histogram = LatencyHistogram()
    histogram.add(1e-6, 9)
    histogram.add(33e-6)

    assert histogram.percentile_us(percentile) == expected


def test_counts_are_cumulative_at_each_doubling_and_told_only_where_they_rise() -> None:
    """As LATENCY HISTOGRAM gives them; the boundaries are Redis' own."""
    histogram = LatencyHistogram()
    for microseconds, count in ((0.5, 1), (1, 2), (20, 3), (100, 4), (5_000_000, 1)):
        histogram.add(microseconds * 1e-6, count)

    assert histogram.total_count == 11
    assert list(histogram.cumulative()) == [(1, 3), (33, 6), (132, 10), (1_082_130, 11)]
