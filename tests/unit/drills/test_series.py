"""Several runs as one table, and two series beside each other."""

from __future__ import annotations

from typing import Any

import pytest

from drills.documents import to_junit, to_markdown
from drills.series import (
    BadDocumentError,
    Spread,
    failed_criteria,
    render_comparison,
    render_series,
    runs_of,
    series_json,
    spreads,
)
from tests.support.drawing import draw


# Any: a JSON document.
def make_run(outage_ms: float, *, passed: bool = True, lost: int = 0) -> dict[str, Any]:
    return {
        "drill": "master-crash",
        "passed": passed,
        "seed": 7,
        "version": "1",
        "writers": 4,
        "leader": "sentinel-2",
        "note": "what a pass says",
        "topology": {
            "nodes": {"node-1": "vedette-server"},
            "sentinels": {"sentinel-1": "redis-sentinel"},
            "quorum": 1,
            "down_after_ms": 1000,
        },
        "criteria": [
            {
                "name": "failover",
                "demanded": "one",
                "found": "a | b",
                "passed": True,
                "advice": None,
            },
            {
                "name": "outage",
                "demanded": "< 3",
                "found": f"{outage_ms}",
                "passed": passed,
                "advice": None if passed else "look there",
            },
        ],
        "phases_ms": {"sdown": outage_ms - 100, "reconfigured": None},
        "outage_ms": {"p50": 1.0, "max": outage_ms},
        "pause_ms": None,
        "split_brain_ms": 0.0,
        "writes": {"lost": lost, "unknown": 1},
    }


def test_spread_counts_only_what_was_reached() -> None:
    runs = [make_run(1000.0 + i) for i in range(20)]
    runs[0]["phases_ms"]["sdown"] = None
    runs[1]["writes"] = None

    found = spreads(runs)

    assert found["outage"] == Spread(20, 1000.0, 1009.5, 1018.0, 1019.0)
    assert found["sdown"].count == 19
    assert found["lost writes"].count == 19
    assert "reconfigured" not in found
    assert "pause" not in found
    assert next(iter(found)) == "sdown"


@pytest.mark.parametrize(
    ("count", "p95"), [(1, 0.0), (2, 1.0), (19, 18.0), (20, 18.0), (21, 19.0), (100, 94.0)]
)
def test_p95_is_a_value_that_was_measured(count: int, p95: float) -> None:
    runs = [make_run(float(i)) for i in range(count)]

    assert spreads(runs)["outage"].p95 == p95


def test_a_series_holds_its_runs_and_passes_only_if_all_do() -> None:
    runs = [make_run(1000.0), make_run(9000.0, passed=False)]

    document = series_json(runs)

    assert (document["passed"], document["passed_count"]) == (False, 1)
    assert document["figures"]["outage"] == {
        "count": 2, "min": 1000.0, "p50": 5000.0, "p95": 9000.0, "max": 9000.0,
    }  # fmt: skip
    assert runs_of(document) == runs
    assert runs_of(runs[0]) == runs[:1]
    assert failed_criteria(runs) == {"outage": 1}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"runs": []},
        {"runs": "x"},
        {"runs": [{"drill": 1}]},
        {"drill": "master-crash", "passed": True, "phases_ms": {}},
    ],
)
def test_what_is_no_report_is_refused(document: dict[str, object]) -> None:
    """Also what looks like one at first, but lacks what is compared."""
    with pytest.raises(BadDocumentError):
        runs_of(document)


def test_a_series_is_drawn_with_what_was_not_met() -> None:
    text = draw(render_series([make_run(1000.0), make_run(9000.0, passed=False)]))

    assert "1 of 2 runs passed; not met: outage 1" in text
    row = next(line.split() for line in text.splitlines() if line.strip().startswith("outage"))
    assert row == ["outage", "2", "1000", "5000", "9000", "9000"]


def rows(text: str) -> dict[str, str]:
    return {
        line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if line.strip()
    }


def test_only_ranges_that_do_not_meet_are_a_difference() -> None:
    """Of runs as few as two a difference may be chance."""
    before = [make_run(ms) for ms in (1000.0, 1010.0, 1020.0)]
    slower = [make_run(ms) for ms in (1500.0, 1510.0, 1520.0)]
    alike = [make_run(ms) for ms in (1015.0, 1016.0, 1090.0)]

    def compared(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> str:
        return rows(draw(render_comparison("a", first, "b", second)))["outage"]

    assert compared(before, slower) == "1010 1000 to 1020 1510 1500 to 1520 +500 *"
    assert compared(slower, before) == "1510 1500 to 1520 1010 1000 to 1020 -500 *"
    assert compared(before, alike) == "1010 1000 to 1020 1016 1015 to 1090 +6"
    assert compared(before[:2], slower) == "1005 1000 to 1010 1510 1500 to 1520 +505"


def test_a_figure_of_one_series_alone_is_shown_without_a_difference() -> None:
    after = make_run(1000.0)
    after["demoted_ms"] = 12.0

    text = rows(draw(render_comparison("a", [make_run(1000.0)], "b", [after])))

    assert text["demoted"] == "- - 12 12 to 12 -"


def test_markdown_has_verdict_figures_and_criteria() -> None:
    page = to_markdown([make_run(1000.0), make_run(9000.0, passed=False)])

    lines = page.splitlines()
    assert lines[0] == "# Drill master-crash: FAILED"
    assert "- runs: 1 of 2 passed" in lines
    assert "| outage | 1000 | 5000 | 9000 | 9000 |" in lines
    assert "| pass | failover | one | a \\| b |" in lines
    assert "| **FAIL** | outage | < 3 | 9000.0 |" in lines
    assert [line for line in lines if "look there" in line] == ["- **outage**: look there"]
    assert lines[-1] == "> what a pass says"


def test_junit_has_a_case_for_each_criterion() -> None:
    text = to_junit([make_run(1000.0), make_run(9000.0, passed=False)])

    assert '<testsuite name="master-crash.2" tests="2" failures="1" skipped="0">' in text
    assert '<failure message="&lt; 3">found: 9000.0\nlook there</failure>' in text
    assert text.count("<failure") == 1
