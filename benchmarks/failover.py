"""Failover with Vedette's sentinels beside failover with redis-sentinel, on the same nodes.

    python -m benchmarks.failover [--runs N] [--nodes redis|vedette] [--down-after MS] [--json FILE]

Runs the drills `master-crash` (kill -9) and `master-hang` (SIGSTOP) in laboratories of three nodes
and three sentinels, in turn with each kind of sentinel, and prints the median of each phase in
milliseconds from the fault. Exit code 1: a drill failed its criteria; 2: a program is missing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from .processes import require, vedette_program, write_json

FAULTS = ("master-crash", "master-hang")
SENTINELS = ("vedette", "redis")
PHASES = (
    "sdown",
    "odown",
    "elected",
    "promoted",
    "announced",
    "agreed",
    "client_all_ok",
    "reconfigured",
    "converged",
)
DRILL_TIMEOUT_S = 180.0


def run_drill(fault: str, sentinels: str, nodes: str, down_after_ms: int) -> dict[str, Any]:
    """Run one drill and return its report; raises SystemExit if it could not be run."""
    program = vedette_program("vedette")
    command = [program, "drill", "run", fault, "--sentinels", sentinels, "--nodes", nodes]
    command += ["--down-after", str(down_after_ms), "--json"]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=DRILL_TIMEOUT_S, check=False
    )
    if result.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stderr}")
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def summarise(fault: str, reports: Sequence[dict[str, Any]]) -> list[str]:
    """Return the lines of a table: a row a phase, a column a kind of sentinel."""
    lines = [
        f"{fault}, median ms after the fault",
        f"  {'phase':16s}{'vedette':>10s}{'redis':>10s}",
    ]
    for phase in PHASES:
        cells = [
            _median(phase, [r for r in reports if r["bench_sentinels"] == s]) for s in SENTINELS
        ]
        lines.append(f"  {phase:16s}" + "".join(f"{cell:>10s}" for cell in cells))
    return lines


def _median(phase: str, reports: Sequence[dict[str, Any]]) -> str:
    reached = [report["phases_ms"].get(phase) for report in reports]
    values = [float(after_ms) for after_ms in reached if after_ms is not None]
    return f"{statistics.median(values):.0f}" if values else "-"


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="Vedette's sentinels beside redis-sentinel")
    parser.add_argument("--runs", type=int, default=5, help="of each drill with each sentinel")
    parser.add_argument("--nodes", choices=("vedette", "redis"), default="redis")
    parser.add_argument("--down-after", type=int, default=1000)
    parser.add_argument("--json", help="write all reports to this file")
    options = parser.parse_args()
    require("redis-server", "redis-sentinel")
    everything = []
    for fault in FAULTS:
        reports = []
        for number in range(options.runs):
            for sentinels in SENTINELS:
                report = run_drill(fault, sentinels, options.nodes, options.down_after)
                report["bench_sentinels"] = sentinels
                reports.append(report)
                verdict = "passed" if report["passed"] else "FAILED"
                print(
                    f"{fault} {number + 1}/{options.runs} {sentinels}: {verdict}", file=sys.stderr
                )
        print("\n".join(summarise(fault, reports)), flush=True)
        everything += reports
    write_json(options.json, everything)
    is_ours_ok = all(r["passed"] for r in everything if r["bench_sentinels"] == "vedette")
    return 0 if is_ours_ok else 1


if __name__ == "__main__":
    sys.exit(main())
