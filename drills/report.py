"""The report of a drill: what was measured, what was expected of it, and the verdict.

Pure: the same report becomes a JSON document (`to_json`) or something rich can draw
(`render_report`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .advice import advise, lateness_note
from .checkers import CLIENT, CounterVerdict, SetVerdict
from .deployment import Deployment
from .scenarios.scenario import Scenario
from .timeline import Phase
from .units import elapsed_ms
from .verdict import NOT_OBSERVED, Budget, Criterion, Findings, milliseconds

#: Lost or unexpected keys that a report names; the history has them all.
EXAMPLE_LIMIT = 10
_MARKS: Final = {True: ("pass", "green"), False: ("FAIL", "bold red"), None: ("-", "dim")}

_WHAT_CANNOT_BE_PROMISED = (
    "Replication is asynchronous: a failover that nobody coordinated may lose the acknowledged "
    "writes that no replica had yet. A pass says that the loss stayed within the budget."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished drill."""

    scenario: Scenario
    deployment: Deployment
    seed: int
    writer_count: int
    version: str
    findings: Findings
    budget: Budget
    criteria: Sequence[Criterion]
    #: Where configuration, logs and the history were kept, or None if they were not.
    kept_in: str | None = None

    @property
    def passed(self) -> bool:
        return all(criterion.passed is not False for criterion in self.criteria)


def _note(scenario: Scenario) -> str:
    """What a pass says."""
    if scenario.loss_window_ms is None:
        return "A pass says that not one acknowledged write was lost in this run."
    return _WHAT_CANNOT_BE_PROMISED


# Any: a JSON document.
def to_json(report: Report) -> dict[str, Any]:
    """Return the report as a JSON document; times in milliseconds after the fault."""
    findings = report.findings
    deployment = report.deployment
    return {
        "drill": report.scenario.name,
        "passed": report.passed,
        "version": report.version,
        "seed": report.seed,
        "writers": report.writer_count,
        "fault": report.scenario.fault.name,
        "topology": {
            "nodes": {process.name: process.program for process in deployment.nodes},
            "sentinels": {process.name: process.program for process in deployment.sentinels},
            "master_name": deployment.master_name,
            "quorum": deployment.quorum,
            "down_after_ms": deployment.down_after_ms,
            "failover_timeout_ms": deployment.failover_timeout_ms,
            "parallel_syncs": deployment.parallel_syncs,
        },
        "criteria": [
            {
                "name": criterion.name,
                "demanded": criterion.demanded,
                "found": criterion.found,
                "passed": criterion.passed,
                "advice": _advice(criterion, report),
            }
            for criterion in report.criteria
        ],
        "phases_ms": {phase.name: _rounded(phase.after_ms) for phase in findings.phases},
        "agreed_ms": {name: _rounded(value) for name, value in findings.agreed_ms.items()},
        "accepted_write_ms": {
            name: _rounded(value) for name, value in findings.accepted_ms.items()
        },
        "old_master": findings.old_master,
        "new_master": findings.new_master,
        "leader": findings.leader,
        "elections": findings.elections,
        "epochs": list(findings.epochs),
        "pause_ms": _rounded(findings.pause_ms),
        "outage_ms": {
            "p50": _rounded(findings.outage.p50_ms),
            "max": _rounded(findings.outage.max_ms),
            "by_writer": [_rounded(value) for value in findings.outage.gap_ms.values()],
        },
        "errors": dict(findings.outage.errors),
        "writes": None if findings.writes is None else _writes_json(findings.writes),
        "counter": None if findings.counter is None else _counter_json(findings.counter),
        "resync": {
            "kind": resync_kind(findings),
            "full": findings.sync_full,
            "partial": findings.sync_partial,
            "by_replica": {
                name: {"full": resyncs.full, "partial": resyncs.partial}
                for name, resyncs in findings.resyncs.items()
            },
        },
        "duplicates": None if findings.counter is None else findings.counter.excess,
        "stale_read_ms": {
            source: _rounded(value) for source, value in findings.stale_read_ms.items()
        },
        "split_brain_ms": _rounded(findings.split_brain_ms),
        "demoted_ms": _rounded(findings.demoted_ms),
        "majority_restored_ms": _rounded(findings.restored_ms),
        "rest_ms": _rounded(findings.rest_ms),
        "unexpected_exits": None if findings.ended is None else dict(findings.ended),
        "events": [
            {
                "after_ms": _rounded(elapsed_ms(findings.fault_ns, event.time_ns)),
                "sentinel": event.name,
                "event": event.channel,
                "payload": event.payload,
            }
            for event in findings.events
        ],
        "late_ms": _rounded(findings.late_ms),
        "kept_in": report.kept_in,
        "note": _note(report.scenario),
    }


# Any: parts of a JSON document.
def _writes_json(writes: SetVerdict) -> dict[str, Any]:
    return {
        "attempted": writes.attempted,
        "acknowledged": writes.acknowledged,
        "refused": writes.refused,
        "unknown": writes.unknown,
        "lost": len(writes.lost),
        "lost_keys": [operation.key for operation in writes.lost[:EXAMPLE_LIMIT]],
        "recovered": len(writes.recovered),
        "unexpected": len(writes.unexpected),
        "unexpected_keys": list(writes.unexpected[:EXAMPLE_LIMIT]),
    }


# Any: parts of a JSON document.
def _counter_json(counter: CounterVerdict) -> dict[str, Any]:
    return {
        "acknowledged": counter.acknowledged,
        "unknown": counter.unknown,
        "final": counter.final,
        "lost_at_least": counter.lost_at_least,
        "lost_at_most": counter.lost_at_most,
        "repeated": len(counter.repeated),
        "excess": counter.excess,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def resync_kind(findings: Findings) -> str:
    """Return how the other replicas came to follow the new master: full, partial, mixed, none."""
    match findings.sync_full > 0, findings.sync_partial > 0:
        case True, True:
            return "mixed"
        case True, False:
            return "full"
        case False, True:
            return "partial"
    return "none"


def render_report(report: Report) -> RenderableType:
    """Return the report for a terminal."""
    return Group(
        Text(f"Drill {report.scenario.name}: {report.scenario.summary}", style="bold"),
        _deployment_line(report),
        *([render_phases(report.findings.phases)] if report.scenario.expects_failover else []),
        _facts_table(report),
        _criteria_table(report.criteria),
        *_explanations(report),
        Text(
            "PASS" if report.passed else "FAIL", style="bold green" if report.passed else "bold red"
        ),
        Text(_note(report.scenario), style="dim"),
    )


def render_phases(phases: Sequence[Phase]) -> Table:
    """Return the table of phases; those not reached show as a dash."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("after the fault", justify="right", no_wrap=True)
    table.add_column("phase", no_wrap=True)
    table.add_column("meaning")
    for phase in phases:
        is_reached = phase.after_ms is not None
        table.add_row(
            milliseconds(phase.after_ms) if is_reached else "-",
            Text(phase.name, style="bold" if is_reached else "dim"),
            Text(phase.meaning, style="" if is_reached else "dim"),
        )
    return table


def _deployment_line(report: Report) -> Text:
    nodes = ", ".join(member.program for member in report.deployment.nodes)
    sentinels = ", ".join(member.program for member in report.deployment.sentinels)
    return Text(
        f"nodes: {nodes}; sentinels: {sentinels}, quorum {report.deployment.quorum}, "
        f"down-after {report.deployment.down_after_ms} ms; {report.writer_count} writers, "
        f"seed {report.seed}"
    )


def _facts_table(report: Report) -> Table:
    findings = report.findings
    leader = next((p for p in report.deployment.sentinels if p.name == findings.leader), None)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    successor = findings.new_master or "none"
    moved = f"{findings.old_master} -> {successor}"
    is_calm = not report.scenario.expects_failover and findings.new_master is None
    table.add_row("master", findings.old_master if is_calm else moved)
    table.add_row("leader", f"{leader.name} ({leader.program})" if leader else "none")
    epochs = ", ".join(str(epoch) for epoch in findings.epochs) or "none"
    table.add_row("epochs used", f"{epochs} (attempts at a failover: {findings.elections})")
    table.add_row(
        "write outage",
        f"median {milliseconds(findings.outage.p50_ms)}, "
        f"longest {milliseconds(findings.outage.max_ms)}",
    )
    if findings.writes is not None:
        writes = findings.writes
        table.add_row(
            "writes",
            f"{writes.acknowledged} acknowledged, {len(writes.lost)} of them lost; "
            f"{writes.unknown} of unknown outcome, {len(writes.recovered)} of them there; "
            f"{writes.refused} refused; {len(writes.unexpected)} unexpected",
        )
    if findings.counter is not None:
        counter = findings.counter
        table.add_row(
            "increments",
            f"{counter.acknowledged} acknowledged, {counter.lost_at_least} to "
            f"{counter.lost_at_most} lost; {counter.unknown} of unknown outcome; "
            f"{len(counter.repeated)} answers given twice; {counter.excess} applied twice",
        )
    errors = ", ".join(f"{name} {count}" for name, count in findings.outage.errors.items())
    table.add_row("errors", errors or "none")
    by_replica = ", ".join(f"{name}: {found}" for name, found in findings.resyncs.items())
    by_replica = by_replica or NOT_OBSERVED
    table.add_row(
        "resynchronisation",
        f"{resync_kind(findings)} ({findings.sync_full} full, {findings.sync_partial} partial); "
        f"as replica {by_replica}",
    )
    table.add_row("stale reads", _stale_reads(findings.stale_read_ms))
    table.add_row("two masters", f"{milliseconds(findings.split_brain_ms)} in all")
    table.add_row("this machine", f"the drill was at most {milliseconds(findings.late_ms)} late")
    if report.kept_in is not None:
        table.add_row("kept in", report.kept_in)
    return table


def _advice(criterion: Criterion, report: Report) -> str | None:
    if criterion.passed is not False:
        return None
    return advise(criterion, report.findings, report.budget)


def _explanations(report: Report) -> list[RenderableType]:
    """What failed, in sentences, and whether the figures are to be believed."""
    lines = [
        Text.assemble((criterion.name, "bold"), f": {advice}")
        for criterion in report.criteria
        if (advice := _advice(criterion, report)) is not None
    ]
    doubt = lateness_note(report.findings)
    if doubt is not None:
        lines.append(Text(doubt, style="yellow"))
    return [*lines, Text()] if lines else []


def _stale_reads(stale_read_ms: Mapping[str, float]) -> str:
    nodes = {name: value for name, value in stale_read_ms.items() if name != CLIENT}
    parts = [f"through the client at most {milliseconds(stale_read_ms.get(CLIENT))} out of date"]
    parts += [f"{name} {milliseconds(value)}" for name, value in sorted(nodes.items())]
    return ", ".join(parts)


def _criteria_table(criteria: Sequence[Criterion]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "criterion", "demanded", "found"):
        table.add_column(column)
    for criterion in criteria:
        mark, style = _MARKS[criterion.passed]
        table.add_row(
            Text(mark, style=style), criterion.name, criterion.demanded, Text(criterion.found)
        )
    return table
