"""The report of a drill: what was measured, what was expected of it, and the verdict.

Pure: `judge` turns findings into criteria, each with what it demands and what was found; the same
report becomes a JSON document (`to_json`) or something rich can draw (`render_report`). The verdict
is nothing but the conjunction of the criteria, so a reader can check it line by line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .checkers import CounterVerdict, Outage, SetVerdict
from .history import Operation
from .lab import LabPlan
from .observation import SentinelEvent
from .scenarios.scenario import Scenario
from .timeline import NS_PER_MS, Phase

#: Lost or unexpected keys that a report names; the history has them all.
EXAMPLE_LIMIT = 10

_WHAT_CANNOT_BE_PROMISED = (
    "Replication is asynchronous: a failover that nobody coordinated may lose the acknowledged "
    "writes that no replica had yet. A pass says that the loss stayed within the budget."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a pass allows."""

    outage_ms: float
    #: None: no acknowledged write may be lost.
    loss_window_ms: int | None
    #: Whether the master is to be replaced.
    expects_failover: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that a drill measured; times of one monotonic clock, in nanoseconds."""

    fault_ns: int
    old_master: str
    new_master: str | None
    leader: str | None
    switched_to: Sequence[str]
    elections: int
    epochs: Sequence[int]
    phases: Sequence[Phase]
    #: When each sentinel named the new master, and each node first accepted a write, in ms.
    agreed_ms: Mapping[str, float]
    accepted_ms: Mapping[str, float]
    outage: Outage
    #: How long writes were kept waiting, by the leader's `+coordinated-pause`; None: not said.
    pause_ms: float | None
    writes: SetVerdict | None
    counter: CounterVerdict | None
    #: Full and partial synchronisations that the new master served since the fault.
    sync_full: int
    sync_partial: int
    #: Exit codes of processes that ended though nobody meant them to.
    ended: Mapping[str, int]
    #: How long after the last write all was at rest; None if it never was.
    rest_ms: float | None
    #: What was still missing then, in words.
    not_at_rest: Sequence[str]
    events: Sequence[SentinelEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One demand and whether it was met."""

    name: str
    demanded: str
    found: str
    passed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A finished drill."""

    scenario: Scenario
    plan: LabPlan
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
        return all(criterion.passed for criterion in self.criteria)


def judge(findings: Findings, budget: Budget) -> list[Criterion]:
    """Return every criterion of a drill with its verdict."""
    if not budget.expects_failover:
        return [_judge_calm(findings), *_judge_common(findings, budget)]
    by_name = {phase.name: phase.after_ms for phase in findings.phases}
    measured = [_reached("pause", "the leader says how long writes waited", findings.pause_ms)]
    return [
        _judge_failover(findings),
        *(measured if budget.loss_window_ms is None else []),
        _reached("agreement", "every sentinel names the new master", by_name["agreed"]),
        _reached("service", "every writer is served again", by_name["client_all_ok"]),
        *_judge_common(findings, budget),
        _reached("order", "one master, all agree, every replica linked", by_name["converged"]),
    ]


def _judge_calm(findings: Findings) -> Criterion:
    """Nothing was to change, and nobody even to stand for election."""
    switched = ", ".join(findings.switched_to) or "none"
    return Criterion(
        name="failover",
        demanded="none, nor an attempt at one",
        found=f"{switched}; attempts: {findings.elections}",
        passed=not findings.switched_to and not findings.elections,
    )


def _judge_common(findings: Findings, budget: Budget) -> list[Criterion]:
    """Return the criteria of every drill."""
    return [
        Criterion(
            name="outage",
            demanded=f"no writer without an OK for more than {budget.outage_ms:.0f} ms",
            found=_milliseconds(findings.outage.max_ms),
            passed=findings.outage.max_ms is not None
            and findings.outage.max_ms <= budget.outage_ms,
        ),
        _judge_loss(findings, budget),
        _judge_values(findings),
        Criterion(
            name="rest",
            demanded="every replica at the master's offset once nobody writes",
            found="; ".join(findings.not_at_rest) or _milliseconds(findings.rest_ms),
            passed=findings.rest_ms is not None,
        ),
        Criterion(
            name="processes",
            demanded="no other process ended",
            found=", ".join(f"{name} ({code})" for name, code in findings.ended.items()) or "none",
            passed=not findings.ended,
        ),
    ]


def _judge_failover(findings: Findings) -> Criterion:
    switched = ", ".join(findings.switched_to) or "none"
    return Criterion(
        name="failover",
        demanded="exactly one, to another node",
        found=f"{findings.old_master} to {findings.new_master or 'none'} ({switched})",
        passed=len(findings.switched_to) == 1
        and findings.new_master not in (None, findings.old_master),
    )


def _judge_loss(findings: Findings, budget: Budget) -> Criterion:
    window_ms = budget.loss_window_ms
    name, demanded = "loss", "no acknowledged write lost"
    if window_ms is not None:
        demanded = f"acknowledged writes lost only from the last {window_ms} ms before the fault"
    if findings.writes is None:
        return Criterion(
            name=name, demanded=demanded, found="the data could not be read", passed=False
        )
    outside = lost_beyond(findings, findings.writes, window_ms)
    found = f"{len(findings.writes.lost)} of {findings.writes.acknowledged} lost"
    if outside:
        found += f", {len(outside)} of them outside, such as {outside[0].key}"
    return Criterion(name=name, demanded=demanded, found=found, passed=not outside)


def lost_beyond(findings: Findings, writes: SetVerdict, window_ms: int | None) -> list[Operation]:
    """Return the lost writes that are not of the last `window_ms` before the fault; None: all."""
    window_start_ns = findings.fault_ns - (window_ms or 0) * NS_PER_MS
    return [
        operation
        for operation in writes.lost
        if window_ms is None
        or operation.invoked_ns > findings.fault_ns
        or (operation.completed_ns or 0) < window_start_ns
    ]


def _judge_values(findings: Findings) -> Criterion:
    name, demanded = "values", "no key, value or increment that nobody asked for"
    if findings.writes is None or findings.counter is None:
        return Criterion(
            name=name, demanded=demanded, found="the data could not be read", passed=False
        )
    unexpected, excess = findings.writes.unexpected, findings.counter.excess
    found = f"{len(unexpected)} unexpected, {excess} increments too many"
    if unexpected:
        found += f", such as {unexpected[0]}"
    return Criterion(
        name=name, demanded=demanded, found=found, passed=not unexpected and not excess
    )


def _note(scenario: Scenario) -> str:
    """What a pass says."""
    if scenario.loss_window_ms is None:
        return "A pass says that not one acknowledged write was lost in this run."
    return _WHAT_CANNOT_BE_PROMISED


def _reached(name: str, demanded: str, after_ms: float | None) -> Criterion:
    return Criterion(
        name=name, demanded=demanded, found=_milliseconds(after_ms), passed=after_ms is not None
    )


def _milliseconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} ms"


# Any: a JSON document.
def to_json(report: Report) -> dict[str, Any]:
    """Return the report as a JSON document; times in milliseconds after the fault."""
    findings = report.findings
    topology = report.plan.topology
    return {
        "drill": report.scenario.name,
        "passed": report.passed,
        "version": report.version,
        "seed": report.seed,
        "writers": report.writer_count,
        "fault": report.scenario.fault.name,
        "topology": {
            "nodes": {process.name: process.program for process in report.plan.nodes},
            "sentinels": {process.name: process.program for process in report.plan.sentinels},
            "quorum": topology.quorum,
            "down_after_ms": topology.down_after_ms,
            "failover_timeout_ms": topology.failover_timeout_ms,
            "parallel_syncs": topology.parallel_syncs,
        },
        "criteria": [
            {
                "name": criterion.name,
                "demanded": criterion.demanded,
                "found": criterion.found,
                "passed": criterion.passed,
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
        },
        "rest_ms": _rounded(findings.rest_ms),
        "unexpected_exits": dict(findings.ended),
        "events": [
            {
                "after_ms": _rounded((event.time_ns - findings.fault_ns) / NS_PER_MS),
                "sentinel": event.name,
                "event": event.channel,
                "payload": event.payload,
            }
            for event in findings.events
        ],
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
        _lab_line(report),
        *([render_phases(report.findings.phases)] if report.scenario.expects_failover else []),
        _facts_table(report),
        _criteria_table(report.criteria),
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
            _milliseconds(phase.after_ms) if is_reached else "-",
            Text(phase.name, style="bold" if is_reached else "dim"),
            Text(phase.meaning, style="" if is_reached else "dim"),
        )
    return table


def _lab_line(report: Report) -> Text:
    nodes = ", ".join(process.kind.value for process in report.plan.nodes)
    sentinels = ", ".join(process.kind.value for process in report.plan.sentinels)
    return Text(
        f"nodes: {nodes}; sentinels: {sentinels}, quorum {report.plan.topology.quorum}, "
        f"down-after {report.plan.topology.down_after_ms} ms; {report.writer_count} writers, "
        f"seed {report.seed}"
    )


def _facts_table(report: Report) -> Table:
    findings = report.findings
    leader = next((p for p in report.plan.sentinels if p.name == findings.leader), None)
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
        f"median {_milliseconds(findings.outage.p50_ms)}, "
        f"longest {_milliseconds(findings.outage.max_ms)}",
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
            f"{len(counter.repeated)} answers given twice",
        )
    errors = ", ".join(f"{name} {count}" for name, count in findings.outage.errors.items())
    table.add_row("errors", errors or "none")
    table.add_row(
        "resynchronisation",
        f"{resync_kind(findings)} ({findings.sync_full} full, {findings.sync_partial} partial)",
    )
    if report.kept_in is not None:
        table.add_row("kept in", report.kept_in)
    return table


def _criteria_table(criteria: Sequence[Criterion]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "criterion", "demanded", "found"):
        table.add_column(column)
    for criterion in criteria:
        mark = Text("pass", style="green") if criterion.passed else Text("FAIL", style="bold red")
        table.add_row(mark, criterion.name, criterion.demanded, Text(criterion.found))
    return table
