"""What redis_exporter exposes has the same name, type and labels here: dashboards depend on it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from monitoring.families import Kind
from monitoring.metrics import ALL_SPECS

#: Made from the answers of redis_exporter 1.45 about redis-server and redis-sentinel 7.0.15.
SAMPLES = Path(__file__).with_name("redis_exporter_1.45.tsv")

#: About the exporter's own build and about key groups, which are not counted here.
NOT_EXPOSED = {"redis_exporter_build_info", "redis_last_key_groups_scrape_duration_milliseconds"}

#: Counters there, without the suffix that prometheus_client gives every counter.
UNTYPED_HERE = {
    "redis_dump_payload_sanitizations",
    "redis_io_threaded_reads_processed",
    "redis_io_threaded_writes_processed",
    "redis_total_error_replies",
    "redis_total_reads_processed",
    "redis_total_writes_processed",
    "redis_unexpected_error_replies",
}


class Sample(NamedTuple):
    """One metric of one of the answers."""

    scraped: str
    name: str
    type: str
    labels: str


def read_samples() -> list[Sample]:
    lines = SAMPLES.read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [Sample(*row, *[""] * (4 - len(row))) for row in rows]


@pytest.mark.parametrize("scraped", ["master", "replica", "sentinel"])
def test_what_redis_exporter_exposes_is_called_the_same_here(scraped: str) -> None:
    """Names, types and labels agree; what differs is listed above, with its reason."""
    specs = {spec.name: spec for spec in ALL_SPECS}
    samples = [each for each in read_samples() if each.scraped == scraped]
    expected = {
        each.name: ("untyped" if each.name in UNTYPED_HERE else each.type, each.labels)
        for each in samples
        if each.name not in NOT_EXPOSED
    }
    ours = {
        name: (
            "untyped" if specs[name].kind is Kind.UNTYPED else specs[name].kind.value,
            ",".join(sorted(specs[name].labels)),
        )
        for name in expected
        if name in specs
    }

    assert len(samples) > 70
    assert expected == ours


def test_only_those_counters_are_untyped() -> None:
    """Untyped is a concession to old names; new counters end in `_total`."""
    assert {spec.name for spec in ALL_SPECS if spec.kind is Kind.UNTYPED} == UNTYPED_HERE


def test_every_metric_has_one_of_the_two_prefixes() -> None:
    """What is not redis_exporter's must not look like it."""
    names = [spec.name for spec in ALL_SPECS]

    assert len(set(names)) == len(names)
    assert all(name.startswith(("redis_", "vedette_")) for name in names)
