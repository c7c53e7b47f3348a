"""The drill master-crash on real processes, run as people run it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import RunningProgram, is_alive
from tests.support.redis import require_redis


@pytest.fixture(params=["vedette", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "redis":
        require_redis()
    return name


def run_drill(kind: str, *args: str) -> RunningProgram:
    return RunningProgram(
        "vedette", "drill", "run", "master-crash", "--nodes", kind, "--sentinels", kind,
        "--down-after", "500", "--seed", "7", *args,
    )  # fmt: skip


def test_a_crashed_master_is_replaced_and_the_report_says_how(kind: str) -> None:
    """The whole spine at once: servers, sentinels and the client carry writers over a crash."""
    # The machine that runs the tests may be slow; how fast a failover is, is for the benchmarks.
    with run_drill(kind, "--json", "--max-outage", "60000") as drill:
        exit_code = drill.wait(120)
        assert exit_code in (0, 1), drill.stderr
        # Any: a JSON document.
        report: dict[str, Any] = json.loads(drill.stdout)

    failed = [criterion for criterion in report["criteria"] if not criterion["passed"]]
    assert failed == []
    assert exit_code == 0
    assert report["passed"] is True
    assert report["old_master"] == "node-1"
    assert report["new_master"] in ("node-2", "node-3")
    assert report["leader"] in report["topology"]["sentinels"]
    assert report["writes"]["acknowledged"] > 100
    assert report["outage_ms"]["max"] > 400
    check_phases(report["phases_ms"], down_after_ms=500)
    assert list(report["accepted_write_ms"]) == [report["new_master"]]
    assert set(report["agreed_ms"]) == set(report["topology"]["sentinels"])
    assert {"+sdown", "+odown", "+elected-leader", "+selected-slave", "+switch-master"} <= {
        event["event"] for event in report["events"]
    }


def check_phases(phases_ms: dict[str, float | None], down_after_ms: int) -> None:
    """Check that every phase was reached, and in an order that makes sense."""
    times = {name: value for name, value in phases_ms.items() if value is not None}
    assert times.keys() == phases_ms.keys(), "a phase was never reached"
    order = ["sdown", "odown", "elected", "selected", "promoted", "client_first_ok"]
    assert [times[name] for name in order] == sorted(times[name] for name in order)
    # A sentinel may have sent its last answered ping up to one period before the fault.
    assert times["sdown"] > 0
    assert times["converged"] > down_after_ms * 0.8


def test_an_interrupted_drill_ends_all_its_processes() -> None:
    require_redis()
    with run_drill("redis") as drill:
        pids = drill.lab_pids()
        assert len(pids) == 6
        drill.wait_for(r"kill -9 node-1 \(pid \d+\)")
        drill.interrupt()

        assert drill.wait() == 130
        assert not [name for name, pid in pids.items() if is_alive(pid)]
        assert "stopping all processes" in drill.stderr
        assert drill.stdout == ""


def test_a_drill_without_redis_cannot_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with run_drill("redis") as drill:
        assert drill.wait() == 2
        assert re.search("redis-sentinel and redis-server not found", drill.stderr)


def test_several_runs_are_reported_together(tmp_path: Path) -> None:
    files = {kind: tmp_path / kind for kind in ("json", "markdown", "junit", "metrics")}
    options = [word for kind, path in files.items() for word in (f"--{kind}", str(path))]
    with run_drill("vedette", "--repeat", "2", "--max-outage", "60000", *options) as drill:
        assert drill.wait(120) == 0, drill.stderr
        assert "2 of 2 runs passed" in drill.stdout

    # Any: a JSON document.
    document: dict[str, Any] = json.loads(files["json"].read_text())
    assert [run["seed"] for run in document["runs"]] == [7, 8]
    assert document["figures"]["outage"]["count"] == 2
    assert "- runs: 2 of 2 passed" in files["markdown"].read_text()
    assert files["junit"].read_text().count("<testsuite ") == 2
    assert 'vedette_drill_last_result{drill="master-crash"} 1' in files["metrics"].read_text()
