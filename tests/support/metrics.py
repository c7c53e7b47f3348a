"""What metrics are compared with: redis_exporter's answers, and the list in docs/metrics.md."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from tests.support.documents import ROOT, table_rows

__all__ = [
    "NOT_EXPOSED",
    "DocumentedMetric",
    "Sample",
    "documented_metrics",
    "documented_names",
    "read_samples",
]

#: Names, types and labels in the answers of redis_exporter 1.45 about redis-server and
#: redis-sentinel 7.0.15.
_SAMPLES: Final = Path(__file__).with_name("redis_exporter_1.45.tsv")
_PAGE: Final = ROOT / "docs" / "metrics.md"

#: About redis_exporter's own build, and about key groups, which are not counted here.
NOT_EXPOSED: Final = {
    "redis_exporter_build_info",
    "redis_last_key_groups_scrape_duration_milliseconds",
}


class Sample(NamedTuple):
    """One metric of one of the answers."""

    scraped: str
    name: str
    type: str
    labels: str


class DocumentedMetric(NamedTuple):
    """A row of docs/metrics.md, its cells as they are written there."""

    name: str
    type: str
    labels: str
    meaning: str
    processes: str


def read_samples() -> list[Sample]:
    """Return redis_exporter's metrics, once for each of master, replica and sentinel."""
    lines = _SAMPLES.read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [Sample(*row, *[""] * (4 - len(row))) for row in rows]


def documented_metrics() -> list[DocumentedMetric]:
    """Return every metric of the page, in its order."""
    rows = [row for row in table_rows(_PAGE.read_text()) if row[0] != "Metric"]
    return [DocumentedMetric(*row) for row in rows]


def documented_names(process: str) -> set[str]:
    """Return the names of the metrics that the page lists for one kind of process."""
    return {
        row.name.strip("`") for row in documented_metrics() if process in row.processes.split(", ")
    }
