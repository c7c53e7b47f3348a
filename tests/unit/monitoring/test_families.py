"""Families: what is collected comes out once, under its name, as prometheus_client takes it."""

from __future__ import annotations

import pytest
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitoring.families import Families, Histogram, Kind, Spec


class Snapshot(Collector):
    """Families in the shape of a registry."""

    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return list(self._families.metrics())


def text_of(families: Families) -> list[str]:
    """Return the lines of the text format, HELP left out."""
    lines = generate_latest(Snapshot(families)).decode().splitlines()
    return [line for line in lines if not line.startswith("# HELP")]


def test_a_counter_keeps_its_name_and_has_no_created_series() -> None:
    """The library appends `_total` to counters and adds series of its own unless kept from it."""
    families = Families()

    families.add(Spec("a_total", Kind.COUNTER, "x"), 3)

    assert text_of(families) == ["# TYPE a_total counter", "a_total 3.0"]


def test_a_counter_without_total_is_untyped_under_its_own_name() -> None:
    """`redis_total_error_replies` is what dashboards ask for."""
    families = Families()

    families.add(Spec("redis_total_error_replies", Kind.UNTYPED, "x"), 3)

    assert text_of(families) == [
        "# TYPE redis_total_error_replies untyped",
        "redis_total_error_replies 3.0",
    ]


def test_a_counter_must_be_named_as_one() -> None:
    """Else queries and documentation would not find what is exposed."""
    with pytest.raises(AssertionError):
        Spec("a", Kind.COUNTER, "x")


def test_samples_of_the_same_labels_are_exposed_once() -> None:
    """Prometheus drops the whole scrape over one pair; two links of one replica would make it."""
    families = Families()
    spec = Spec("a", Kind.GAUGE, "x", ("ip", "port"))

    families.add(spec, 1, "::1", "6379")
    families.add(spec, 5, "::1", "6380")
    families.add(spec, 2, "::1", "6379")

    assert text_of(families) == [
        "# TYPE a gauge",
        'a{ip="::1",port="6379"} 2.0',
        'a{ip="::1",port="6380"} 5.0',
    ]


def test_a_sample_needs_a_value_for_each_label() -> None:
    """A label more or less would be another metric than the documented one."""
    with pytest.raises(ValueError, match="shorter"):
        Families().add(Spec("a", Kind.GAUGE, "x", ("ip", "port")), 1, "::1")


def test_a_name_belongs_to_one_spec() -> None:
    """Two types of one name cannot be told apart by who reads them."""
    families = Families()
    families.add(Spec("a", Kind.GAUGE, "x"), 1)

    with pytest.raises(AssertionError):
        families.add(Spec("a", Kind.UNTYPED, "x"), 1)


def test_label_values_are_escaped() -> None:
    """Texts of errors and messages come from elsewhere and may hold anything."""
    families = Families()

    families.add(Spec("a", Kind.GAUGE, "x", ("err",)), 1, 'say "no"\\\nor not')

    assert text_of(families)[1] == 'a{err="say \\"no\\"\\\\\\nor not"} 1.0'


def test_a_histogram_counts_each_value_below_its_bounds() -> None:
    """A value on a bound belongs to that bucket; buckets add up; +Inf holds them all."""
    histogram = Histogram((0.5, 1.0, 2.0))
    for value in (0.1, 0.5, 1.5, 7.0):
        histogram.observe(value)
    families = Families()

    families.add_histogram(Spec("a_seconds", Kind.HISTOGRAM, "x", ("phase",)), histogram, "elect")

    assert text_of(families) == [
        "# TYPE a_seconds histogram",
        'a_seconds_bucket{le="0.5",phase="elect"} 2.0',
        'a_seconds_bucket{le="1.0",phase="elect"} 2.0',
        'a_seconds_bucket{le="2.0",phase="elect"} 3.0',
        'a_seconds_bucket{le="+Inf",phase="elect"} 4.0',
        'a_seconds_sum{phase="elect"} 9.1',
        'a_seconds_count{phase="elect"} 4.0',
    ]


def test_a_summary_has_quantiles_sum_and_count() -> None:
    """redis_exporter's latencies are summaries whose quantiles are percentages."""
    families = Families()
    spec = Spec("a_usec", Kind.SUMMARY, "x", ("cmd",))

    families.add_summary(spec, 2, 30, "get", quantiles={"50": 10.0, "99.9": 20.0})

    assert text_of(families) == [
        "# TYPE a_usec summary",
        'a_usec{cmd="get",quantile="50"} 10.0',
        'a_usec{cmd="get",quantile="99.9"} 20.0',
        'a_usec_sum{cmd="get"} 30.0',
        'a_usec_count{cmd="get"} 2.0',
    ]
