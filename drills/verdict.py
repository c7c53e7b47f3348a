"""What a drill has found, what was allowed, and each demand that it met or did not.

Pure: `judge` turns findings into criteria, each with what it demands and what was found. A drill
has passed if all of them are met, so a reader can check the verdict line by line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from .checkers import CounterVerdict, Outage, SetVerdict
from .history import Operation
from .observation import SentinelEvent
from .resyncs import Resyncs
from .scenarios.scenario import Failovers
from .timeline import Phase
from .units import NS_PER_MS

#: What is found of a criterion that cannot be judged from outside.
NOT_OBSERVED: Final = "not observed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a pass allows."""

    outage_ms: float
    #: None: no acknowledged write may be lost.
    loss_window_ms: int | None
    failovers: Failovers = Failovers.ONE
    #: Whether for a time nobody may be promoted.
    has_minority_time: bool = False
    #: How long the old master may take writes after its return; None: it does not come back.
    demotion_ms: int | None = None
    #: Whether writes may be lost after the fault, too, until every writer is served again.
    loses_until_service: bool = False
    #: Whether a sentinel of ours would tell how long writes had to wait.
    tells_pause: bool = True


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
    #: Exit codes of processes that ended though nobody meant them to; None: not observed.
    ended: Mapping[str, int] | None
    #: How long after the last write all was at rest; None if it never was.
    rest_ms: float | None
    #: What was still missing then, in words.
    not_at_rest: Sequence[str]
    events: Sequence[SentinelEvent]
    #: For how long more than one node took writes, in milliseconds.
    split_brain_ms: float
    #: By how much the oldest answer to a read was out of date, in milliseconds: of reads made
    #: through the client that follows the master (`client`), and from each node itself.
    stale_read_ms: Mapping[str, float]
    #: How each node that is left, and whose log can be read, was synchronised as a replica since
    #: the fault.
    resyncs: Mapping[str, Resyncs]
    #: How long the old master took writes after its return; None: to the end, or it never came.
    demoted_ms: float | None
    #: When the majority of the sentinels was started again, after the fault; None: it never went.
    restored_ms: float | None
    #: How much later than it asked for the drill itself was woken, at worst.
    late_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One demand and whether it was met."""

    name: str
    demanded: str
    found: str
    #: None: it cannot be observed here, and so says nothing.
    passed: bool | None


def judge(findings: Findings, budget: Budget) -> list[Criterion]:
    """Return every criterion of a drill with its verdict."""
    if budget.failovers is not Failovers.ONE:
        return [_judge_calm(findings, budget.failovers), *_judge_common(findings, budget)]
    by_name = {phase.name: phase.after_ms for phase in findings.phases}
    pause = _reached("pause", "the leader says how long writes waited", findings.pause_ms)
    measured = [pause if budget.tells_pause else replace(pause, found=NOT_OBSERVED, passed=None)]
    return [
        _judge_failover(findings),
        *(measured if budget.loss_window_ms is None else []),
        _reached("agreement", "every sentinel names the new master", by_name["agreed"]),
        _reached("service", "every writer is served again", by_name["client_all_ok"]),
        *_judge_common(findings, budget),
        *_judge_masters(findings, budget),
        _reached("order", "one master, all agree, every replica linked", by_name["converged"]),
    ]


def _judge_calm(findings: Findings, demanded: Failovers) -> Criterion:
    """Nothing was to change, and nobody even to stand for election; or hardly anything."""
    switched = ", ".join(findings.switched_to) or "none"
    is_calm = not findings.switched_to and not findings.elections
    may_be_one = demanded is Failovers.ONE_AT_MOST and len(findings.switched_to) <= 1
    return Criterion(
        name="failover",
        demanded=demanded.value,
        found=f"{switched}; attempts: {findings.elections}",
        passed=is_calm or may_be_one,
    )


def _judge_masters(findings: Findings, budget: Budget) -> list[Criterion]:
    """Return the criteria about who was master when it was not to be, where there are some."""
    criteria = []
    if budget.has_minority_time:
        first_ms = min(findings.accepted_ms.values(), default=None)
        back_ms = findings.restored_ms
        criteria.append(
            Criterion(
                name="majority",
                demanded="nobody is promoted before the sentinels' majority is back",
                found=f"back after {milliseconds(back_ms)}, "
                f"first write taken after {milliseconds(first_ms)}",
                passed=back_ms is not None and (first_ms is None or first_ms > back_ms),
            )
        )
    if budget.demotion_ms is not None:
        criteria.append(
            Criterion(
                name="demotion",
                demanded=f"the old master takes no writes {budget.demotion_ms} ms after its return",
                found=milliseconds(findings.demoted_ms),
                passed=findings.demoted_ms is not None
                and findings.demoted_ms <= budget.demotion_ms,
            )
        )
    return criteria


def _judge_common(findings: Findings, budget: Budget) -> list[Criterion]:
    """Return the criteria of every drill."""
    return [
        Criterion(
            name="outage",
            demanded=f"no writer without an OK for more than {budget.outage_ms:.0f} ms",
            found=milliseconds(findings.outage.max_ms),
            passed=findings.outage.max_ms is not None
            and findings.outage.max_ms <= budget.outage_ms,
        ),
        _judge_loss(findings, budget),
        _judge_values(findings),
        Criterion(
            name="rest",
            demanded="every replica at the master's offset once nobody writes",
            found="; ".join(findings.not_at_rest) or milliseconds(findings.rest_ms),
            passed=findings.rest_ms is not None,
        ),
        _judge_processes(findings.ended),
    ]


def _judge_processes(ended: Mapping[str, int] | None) -> Criterion:
    name, demanded = "processes", "no other process ended"
    if ended is None:
        return Criterion(name=name, demanded=demanded, found=NOT_OBSERVED, passed=None)
    found = ", ".join(f"{name} ({code})" for name, code in ended.items()) or "none"
    return Criterion(name=name, demanded=demanded, found=found, passed=not ended)


def _judge_failover(findings: Findings) -> Criterion:
    switched = ", ".join(findings.switched_to) or "none"
    return Criterion(
        name="failover",
        demanded=Failovers.ONE.value,
        found=f"{findings.old_master} to {findings.new_master or 'none'} ({switched})",
        passed=len(findings.switched_to) == 1
        and findings.new_master not in (None, findings.old_master),
    )


def _judge_loss(findings: Findings, budget: Budget) -> Criterion:
    window_ms = budget.loss_window_ms
    name, demanded = "loss", "no acknowledged write lost"
    if window_ms is not None:
        demanded = f"acknowledged writes lost only from the last {window_ms} ms before the fault"
        if budget.loses_until_service:
            demanded += ", and until every writer was served again"
    if findings.writes is None:
        return Criterion(
            name=name, demanded=demanded, found="the data could not be read", passed=False
        )
    outside = lost_beyond(findings, findings.writes, budget)
    found = f"{len(findings.writes.lost)} of {findings.writes.acknowledged} lost"
    if outside:
        found += f", {len(outside)} of them outside, such as {outside[0].key}"
    return Criterion(name=name, demanded=demanded, found=found, passed=not outside)


def lost_beyond(findings: Findings, writes: SetVerdict, budget: Budget) -> list[Operation]:
    """Return the lost writes that `budget` does not allow to be lost."""
    if budget.loss_window_ms is None:
        return list(writes.lost)
    start_ns = findings.fault_ns - budget.loss_window_ms * NS_PER_MS
    end_ns: float = findings.fault_ns
    if budget.loses_until_service:
        served = {phase.name: phase.after_ms for phase in findings.phases}["client_all_ok"]
        end_ns += (served or 0) * NS_PER_MS
    return [
        operation
        for operation in writes.lost
        if operation.invoked_ns > end_ns or (operation.completed_ns or 0) < start_ns
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


def _reached(name: str, demanded: str, after_ms: float | None) -> Criterion:
    return Criterion(
        name=name, demanded=demanded, found=milliseconds(after_ms), passed=after_ms is not None
    )


def milliseconds(value: float | None) -> str:
    """Return a time as reports show it."""
    return "never" if value is None else f"{value:.0f} ms"
