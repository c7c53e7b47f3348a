"""Where the outcome of `vedette drill run` goes: the terminal, and files in several formats."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from drills.checkers import CLIENT
from drills.documents import to_junit, to_markdown
from drills.report import Report, render_report, to_json
from drills.series import render_series, series_json
from drills.verdict import lost_beyond
from monitoring.drill_metrics import DrillOutcome, merge_outcome
from vedette.errors import VedetteError
from vedette.runtime.durable_file import write_durably

#: In place of a file: standard output, which then has nothing else.
STDOUT = "-"


class OutputError(VedetteError):
    """A file cannot be written; says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Files to be written, each only if it is named; `json` may be `STDOUT`."""

    json: str | None
    markdown: Path | None
    junit: Path | None
    metrics: Path | None

    def require_writable(self) -> None:
        """Check before a drill that its outcome will not be lost.

        Raises:
            OutputError: a file could not be written.
        """
        json_path = None if self.json in (None, STDOUT) else Path(self.json)
        for path in (json_path, self.markdown, self.junit, self.metrics):
            if path is None:
                continue
            if path.is_dir():
                raise OutputError(f"cannot write {path}: Is a directory")
            if not path.absolute().parent.is_dir():
                raise OutputError(f"cannot write {path}: there is no such directory")
            if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
                raise OutputError(f"cannot write {path}: Permission denied")


def show(report: Report, outputs: Outputs) -> None:
    """Show one run in the terminal, unless standard output is for JSON."""
    if outputs.json != STDOUT:
        Console().print(render_report(report))


def write_outputs(reports: Sequence[Report], outputs: Outputs) -> None:
    """Write the files, and show the spread of several runs.

    Raises:
        OutputError: one cannot be written.
    """
    runs = [to_json(report) for report in reports]
    document = runs[0] if len(runs) == 1 else series_json(runs)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if outputs.json == STDOUT:
        click.echo(text)
    elif len(runs) > 1:
        Console().print(render_series(runs))
    try:
        if outputs.json not in (None, STDOUT):
            Path(outputs.json).write_text(text + "\n")
        if outputs.markdown is not None:
            outputs.markdown.write_text(to_markdown(runs))
        if outputs.junit is not None:
            outputs.junit.write_text(to_junit(runs))
        if outputs.metrics is not None:
            for report in reports:
                _write_metrics(report, outputs.metrics)
    except (OSError, ValueError) as error:  # ValueError: the file of metrics holds something else
        raise OutputError(f"the outcome cannot be written: {error}") from error


def _write_metrics(report: Report, path: Path) -> None:
    """Put the outcome into a file that may have those of other drills."""
    findings = report.findings
    writes = findings.writes
    stale_ms = findings.stale_read_ms.get(CLIENT)
    outcome = DrillOutcome(
        drill=report.scenario.name,
        passed=report.passed,
        ended_s=time.time(),
        downtimes_s=[gap_ms / 1000 for gap_ms in findings.outage.gap_ms.values()],
        lost_writes=None if writes is None else len(writes.lost),
        beyond_budget=None if writes is None else len(lost_beyond(findings, writes, report.budget)),
        duplicates=None if findings.counter is None else findings.counter.excess,
        stale_read_s=None if stale_ms is None else stale_ms / 1000,
        split_brain_s=findings.split_brain_ms / 1000,
        resyncs={"full": findings.sync_full, "partial": findings.sync_partial},
        seed=report.seed,
        version=report.version,
    )
    before = path.read_text() if path.exists() else ""
    write_durably(str(path), merge_outcome(before, outcome).encode())
