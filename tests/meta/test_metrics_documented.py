"""docs/metrics.md lists every metric there is, as it is exposed."""

from __future__ import annotations

from monitoring.catalogue import ALL_SPECS
from monitoring.families import Kind, Spec
from tests.support.metrics import documented_metrics


def expected_cells(spec: Spec) -> tuple[str, str, str, str]:
    """Return how a metric must be listed, but for the processes that expose it."""
    return (
        f"`{spec.name}`",
        "untyped" if spec.kind is Kind.UNTYPED else spec.kind.value,
        ", ".join(f"`{label}`" for label in spec.labels),
        spec.meaning,
    )


def test_every_metric_is_documented_as_it_is_exposed() -> None:
    """Nothing is missing, nothing stale: type, labels and meaning are those of the program."""
    listed = {(row.name, row.type, row.labels, row.meaning) for row in documented_metrics()}

    assert {expected_cells(spec) for spec in ALL_SPECS} == listed


def test_no_metric_is_listed_twice_or_without_its_processes() -> None:
    """That they are the right ones is seen where the processes run, in tests/interop."""
    rows = documented_metrics()

    assert len({row.name for row in rows}) == len(rows)
    known = {"server", "sentinel", "exporter", "drill", "client"}
    for row in rows:
        assert set(row.processes.split(", ")) <= known, row.name
