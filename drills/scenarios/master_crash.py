"""The master vanishes under load: the failover that everything else is a variation of."""

from __future__ import annotations

from dataclasses import replace

from ..faults import END_MASTER, KILL_MASTER
from .scenario import AwaitDemotion, AwaitFailover, AwaitRest, Inject, Load, Resume, Scenario

MASTER_CRASH = Scenario(
    name="master-crash",
    summary="kill -9 the master while clients write",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. The master is killed with SIGKILL and does not come back. Expected: one "
        "failover, to the replica that has most; every writer is served again; of the "
        "acknowledged writes only the newest, not yet replicated ones may be missing."
    ),
    steps=(
        Load(duration_ms=1500),
        Inject(KILL_MASTER),
        AwaitFailover(timeout_ms=30_000),
        Load(duration_ms=2000),
        AwaitRest(timeout_ms=15_000),
    ),
    outage_beyond_down_after_ms=2500,
    loss_window_ms=1000,
    aliases=("crash",),
)

#: Of a deployment that somebody else runs, and so starts again.
MASTER_CRASH_BY_PROTOCOL = replace(
    MASTER_CRASH,
    summary="SHUTDOWN NOSAVE the master while clients write; somebody starts it again",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. The master is told to end at once, without saving and without waiting for its "
        "replicas. Whoever runs it starts it again. Expected: one failover, to the replica that "
        "has most; every writer is served again; the old master becomes a replica when it is back; "
        "of the acknowledged writes only the newest, not yet replicated ones may be missing."
    ),
    steps=(
        Load(duration_ms=1500),
        Inject(END_MASTER),
        AwaitFailover(timeout_ms=30_000),
        Load(duration_ms=2000),
        Resume(),
        AwaitDemotion(timeout_ms=30_000),
        AwaitRest(timeout_ms=30_000),
    ),
)
