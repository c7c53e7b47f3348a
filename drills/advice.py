"""What a demand that was not met means, and what to do about it.

Pure. `advise` is asked about failed criteria only. It reads no more out of the findings than they
say: where the cause is not known it says where to look.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from .verdict import Budget, Criterion, Findings, milliseconds

#: Beyond this the drill itself had so little of the machine that its times say little.
LATE_MS: Final = 250
_LOGS: Final = "With --keep each process' output.log stays, and history.jsonl"


def advise(criterion: Criterion, findings: Findings, budget: Budget) -> str:
    """Return one or two sentences about a criterion that failed."""
    return _ADVICE[criterion.name](findings, budget)


def lateness_note(findings: Findings) -> str | None:
    """Return why the times are to be doubted, or None if they are not."""
    if findings.late_ms <= LATE_MS:
        return None
    return (
        f"The drill itself was up to {milliseconds(findings.late_ms)} late: this machine has too "
        "much to do. Repeat it where it has not before you draw conclusions from times."
    )


def _failover(findings: Findings, budget: Budget) -> str:
    del budget
    count = len(findings.switched_to)
    if count > 1:
        return (
            f"The sentinels failed over {count} times, and each time cost an outage and what no "
            "replica had yet. Sentinels of Redis and Valkey do that where down-after-milliseconds "
            "is 1000 or less: raise it, or have only Vedette's."
        )
    if count:
        return "A fault that was to be sat out cost a failover: raise down-after-milliseconds."
    if findings.elections:
        return (
            f"There were {findings.elections} attempts, and nobody was promoted. SENTINEL EXPLAIN "
            f"on a sentinel of Vedette says what it waits for. {_LOGS}."
        )
    return f"No sentinel even tried: did they hold the master down, was there a quorum? {_LOGS}."


def _outage(findings: Findings, budget: Budget) -> str:
    reached = sorted(
        (phase.after_ms, phase.name) for phase in findings.phases if phase.after_ms is not None
    )
    steps = zip([(0.0, "the fault"), *reached], reached, strict=False)
    longest = max(
        ((after_ms - before_ms, before, name) for (before_ms, before), (after_ms, name) in steps),
        default=None,
    )
    if longest is None:
        return "Nothing of a failover was seen: the master was slow, or the way to it was."
    took_ms, before, name = longest
    return (
        f"Most of it, {milliseconds(took_ms)}, went by between {before} and `{name}`. "
        "Until `sdown` it is down-after-milliseconds, until `elected` the sentinels' disks and "
        "fellows, until `promoted` the replica, and then the clients."
    )


def _loss(findings: Findings, budget: Budget) -> str:
    if findings.writes is None:
        return "No single master was left to read from at the end: see `order` and `rest`."
    if len(findings.switched_to) > 1:
        return "Lost with the second failover: see `failover`."
    outage_ms = findings.outage.max_ms or 0
    if findings.split_brain_ms > outage_ms or budget.demotion_ms is not None:
        return (
            f"Two masters took writes for {milliseconds(findings.split_brain_ms)}, and those of "
            "the old one are gone. min-replicas-to-write 1 with a low min-replicas-max-lag on the "
            "nodes has a master that is cut off refuse them."
        )
    return (
        "The promoted replica did not have them. min-replicas-to-write bounds that, WAIT tells of "
        "a single write; a planned change by SENTINEL FAILOVER ... COORDINATED loses none."
    )


def _said(text: str) -> Callable[[Findings, Budget], str]:
    def advice(findings: Findings, budget: Budget) -> str:
        del findings, budget
        return text

    return advice


_ADVICE: Final[Mapping[str, Callable[[Findings, Budget], str]]] = {
    "failover": _failover,
    "outage": _outage,
    "loss": _loss,
    "pause": _said(
        "The leader is no sentinel of Vedette, or gave the handover up: see its `-failover-abort` "
        "or `+coordinated` events in the JSON."
    ),
    "agreement": _said(
        "A sentinel did not hear of the new master in time: compare SENTINEL MASTER on each, and "
        "whether they reach one another."
    ),
    "service": _said(
        "A writer got no OK from the new master. Above are the errors that writers got; "
        "`MasterUnavailable` says what stood in its way."
    ),
    "values": _said(
        "Data that nobody wrote, or wrote once: that must never be. Keep the run (--keep) and "
        "report it with its seed."
    ),
    "rest": _said(
        "A replica does not reach the master: its log says what its link is doing. A full "
        "synchronisation of much data takes its time."
    ),
    "processes": _said(f"A process ended by itself. {_LOGS}."),
    "majority": _said(
        "A minority promoted a node: is `quorum` in SENTINEL MASTER what it should be, and do all "
        "sentinels know all others (num-other-sentinels)?"
    ),
    "demotion": _said(
        "An old master that is back took writes for long, and loses them when it follows. "
        "Sentinels of Redis and Valkey take some ten seconds; min-replicas-to-write 1 on the nodes "
        "has it refuse writes at once."
    ),
    "order": _said(
        "Not all nodes ended up behind one master that every sentinel names: ROLE on each node "
        "and SENTINEL REPLICAS show who is missing."
    ),
}
