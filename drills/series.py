"""Several runs of drills as figures: their spread, and two series beside each other.

Pure, and made from the JSON documents of `drills.report`, so runs of another day or another machine
can be taken in as well as those just made. Times are milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vedette.errors import VedetteError

# Any: a JSON document, as `drills.report.to_json` gives it.
Document = Mapping[str, Any]

#: What of a run is read here.
_NEEDED_KEYS = frozenset({"drill", "passed", "phases_ms", "outage_ms", "writes"})
#: Runs of each series from which on a difference may be marked.
_FEWEST_RUNS = 3


class BadDocumentError(VedetteError):
    """The JSON is no report of a drill."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure over several runs; runs in which it was not reached are not counted."""

    count: int
    minimum: float
    median: float
    #: The smallest value that 95 of 100 runs do not exceed.
    p95: float
    maximum: float


def runs_of(document: Document) -> list[Document]:
    """Return the runs in a document: itself, or those of a series.

    Raises:
        BadDocumentError: it is neither.
    """
    runs = document.get("runs", [document])
    if not isinstance(runs, list) or not runs:
        raise BadDocumentError("it holds no runs")
    for run in runs:
        if not isinstance(run, dict) or _NEEDED_KEYS - run.keys():
            raise BadDocumentError("it is no report of `vedette drill run --json`")
    return runs


def series_json(runs: Sequence[Document]) -> dict[str, Any]:
    """Return the document of several runs: each of them, and the spread of their figures."""
    return {
        "drill": runs[0]["drill"],
        "passed": all(run["passed"] for run in runs),
        "passed_count": sum(run["passed"] for run in runs),
        "figures": {
            name: {
                "count": spread.count,
                "min": spread.minimum,
                "p50": spread.median,
                "p95": spread.p95,
                "max": spread.maximum,
            }
            for name, spread in spreads(runs).items()
        },
        "runs": list(runs),
    }


def spreads(runs: Sequence[Document]) -> dict[str, Spread]:
    """Return the spread of every figure that at least one run has, in the order of the report."""
    values: dict[str, list[float]] = {}
    for run in runs:
        for name, value in _figures(run):
            values.setdefault(name, [])
            if value is not None:
                values[name].append(value)
    return {name: _spread(found) for name, found in values.items() if found}


def _figures(run: Document) -> list[tuple[str, float | None]]:
    """Return what of a run can be compared, by name."""
    figures: list[tuple[str, float | None]] = [*run["phases_ms"].items()]
    figures.append(("outage", run["outage_ms"]["max"]))
    figures += [
        (name, run[key])
        for name, key in (
            ("pause", "pause_ms"),
            ("demoted", "demoted_ms"),
            ("two masters", "split_brain_ms"),
        )
        if run.get(key) is not None
    ]
    if run["writes"] is not None:
        figures.append(("lost writes", run["writes"]["lost"]))
        figures.append(("unknown writes", run["writes"]["unknown"]))
    return figures


def _spread(values: Sequence[float]) -> Spread:
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    # The nearest rank: never a value between two that were measured.
    p95 = ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]
    return Spread(len(ordered), ordered[0], round(median, 1), p95, ordered[-1])


def failed_criteria(runs: Sequence[Document]) -> dict[str, int]:
    """Return how many runs did not meet each criterion that one of them did not meet."""
    return dict(
        Counter(
            criterion["name"]
            for run in runs
            for criterion in run.get("criteria", [])
            if criterion["passed"] is False
        )
    )


def render_series(runs: Sequence[Document]) -> RenderableType:
    """Return the spread of several runs for a terminal."""
    table = _table("figure", "runs", "min", "median", "p95", "max")
    for name, spread in spreads(runs).items():
        table.add_row(
            name,
            str(spread.count),
            *(f"{it:.0f}" for it in (spread.minimum, spread.median, spread.p95, spread.maximum)),
        )
    passed = sum(run["passed"] for run in runs)
    failed = ", ".join(f"{name} {count}" for name, count in failed_criteria(runs).items())
    verdict = f"{passed} of {len(runs)} runs passed" + (f"; not met: {failed}" if failed else "")
    return Group(
        Text(f"Drill {runs[0]['drill']}, {len(runs)} runs", style="bold"),
        table,
        Text(verdict, style="bold green" if passed == len(runs) else "bold red"),
    )


def render_comparison(
    before_name: str, before: Sequence[Document], after_name: str, after: Sequence[Document]
) -> RenderableType:
    """Return two series beside each other; figures whose ranges do not meet are marked."""
    table = _table("figure", "before", "range", "after", "range", "difference")
    first, second = spreads(before), spreads(after)
    for name in dict.fromkeys([*first, *second]):
        old, new = first.get(name), second.get(name)
        cells = [*_cells(old), *_cells(new)]
        if old is None or new is None:
            table.add_row(name, *cells, "-")
            continue
        # No run of the one was as any run of the other. Of one or two runs that says nothing.
        is_apart = min(old.count, new.count) >= _FEWEST_RUNS and (
            new.minimum > old.maximum or new.maximum < old.minimum
        )
        difference = f"{new.median - old.median:+.0f}" + (" *" if is_apart else "  ")
        table.add_row(name, *cells, Text(difference, style="bold" if is_apart else ""))
    passed = [f"{sum(run['passed'] for run in runs)} of {len(runs)}" for runs in (before, after)]
    return Group(
        Text(f"before: {before_name}, {passed[0]} passed"),
        Text(f"after: {after_name}, {passed[1]} passed"),
        table,
        Text("medians; * the ranges do not meet", style="dim"),
    )


def _cells(spread: Spread | None) -> tuple[str, str]:
    if spread is None:
        return "-", "-"
    return f"{spread.median:.0f}", f"{spread.minimum:.0f} to {spread.maximum:.0f}"


def _table(first: str, *columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
