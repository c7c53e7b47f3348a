"""docs/metrics.md lists every metric there is, as it is exposed."""

from __future__ import annotations

from typing import NamedTuple

from monitoring.families import Kind, Spec
from monitoring.metrics import ALL_SPECS
from tests.support.documents import ROOT, table_rows

PAGE = ROOT / "docs" / "metrics.md"
PROCESSES = {"server", "sentinel", "exporter"}


class Entry(NamedTuple):
    """A row of the page, but for where the metric is exposed."""

    name: str
    type: str
    labels: str
    meaning: str


def rows() -> list[list[str]]:
    """Return the rows about metrics, each with its process last."""
    return [row for row in table_rows(PAGE.read_text()) if row[0] != "Metric"]


def expected_entry(spec: Spec) -> Entry:
    """Return how a metric must be listed."""
    return Entry(
        f"`{spec.name}`",
        "untyped" if spec.kind is Kind.UNTYPED else spec.kind.value,
        ", ".join(f"`{label}`" for label in spec.labels),
        spec.meaning,
    )


def test_every_metric_is_documented_as_it_is_exposed() -> None:
    """Nothing is missing, nothing stale: type, labels and meaning are those of the program."""
    listed = {Entry(*row[:4]) for row in rows()}

    assert {expected_entry(spec) for spec in ALL_SPECS} == listed


def test_no_metric_is_listed_twice_or_without_its_process() -> None:
    """Which process says so, is compared with running ones in tests/interop."""
    names = [row[0] for row in rows()]

    assert len(names) == len(set(names))
    for row in rows():
        assert set(row[4].split(", ")) <= PROCESSES, row
