"""What redis_exporter exposes has the same name, type and labels here: dashboards depend on it."""

from __future__ import annotations

import pytest

from monitoring.catalogue import ALL_SPECS
from monitoring.families import Kind
from tests.support.metrics import NOT_EXPOSED, read_samples

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


@pytest.mark.parametrize("scraped", ["master", "replica", "sentinel"])
def test_what_redis_exporter_exposes_is_called_the_same_here(scraped: str) -> None:
    """Names, types and labels agree; what differs is listed, with its reason."""
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
