"""Findings of a drill that went well, to be made worse by tests."""

from __future__ import annotations

from drills.checkers import CounterVerdict, Outage, SetVerdict
from drills.history import Operation, Outcome
from drills.observation import SentinelEvent
from drills.resyncs import Resyncs
from drills.timeline import PHASES, Phase
from drills.verdict import Budget, Findings

__all__ = ["BUDGET", "COUNTER", "FAULT_NS", "GOOD", "MS", "WRITES", "make_lost"]

MS = 1_000_000
FAULT_NS = 10_000 * MS
BUDGET = Budget(outage_ms=3500, loss_window_ms=1000)

WRITES = SetVerdict(
    attempted=12, acknowledged=10, refused=1, unknown=1, lost=(), recovered=("r",), unexpected=()
)
COUNTER = CounterVerdict(
    acknowledged=5, unknown=0, final=5, lost_at_least=0, lost_at_most=0, repeated=(), excess=0
)
GOOD = Findings(
    fault_ns=FAULT_NS,
    old_master="node-1",
    new_master="node-2",
    leader="sentinel-3",
    switched_to=["127.0.0.1:6380"],
    elections=1,
    epochs=[1],
    phases=[Phase(name=n, meaning=m, after_ms=1000 + i) for i, (n, m) in enumerate(PHASES.items())],
    agreed_ms={"sentinel-1": 1006.04},
    accepted_ms={"node-2": 1004.0},
    outage=Outage(gap_ms={0: 1900.0, 1: 2100.0}, errors={"WriteUncertain": 2}),
    pause_ms=None,
    writes=WRITES,
    counter=COUNTER,
    sync_full=0,
    sync_partial=1,
    ended={},
    rest_ms=3.0,
    not_at_rest=[],
    events=[
        SentinelEvent(
            name="sentinel-3", channel="+sdown", payload="master m", time_ns=FAULT_NS + MS
        )
    ],
    split_brain_ms=12.5,
    stale_read_ms={"client": 3.0, "node-3": 41.0},
    resyncs={"node-2": Resyncs(0, 0), "node-3": Resyncs(1, 2)},
    demoted_ms=None,
    restored_ms=None,
    late_ms=4.0,
)


def make_lost(invoked_ms: int, completed_ms: int) -> Operation:
    return Operation(
        writer=0,
        function="set",
        key="drill:set:0:1",
        value="0:1",
        outcome=Outcome.OK,
        invoked_ns=FAULT_NS + invoked_ms * MS,
        completed_ns=FAULT_NS + completed_ms * MS,
    )
