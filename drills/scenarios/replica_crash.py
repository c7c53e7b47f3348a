"""A replica vanishes without a word, which is no reason to fail over."""

from __future__ import annotations

from ..faults import KILL_REPLICA
from .scenario import AwaitRest, Failovers, Inject, Load, Scenario

REPLICA_CRASH = Scenario(
    name="replica-crash",
    summary="kill -9 a replica while clients write: nothing may change",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. A replica is killed with SIGKILL and stays dead. Expected: no failover and no "
        "election, no pause for the writers, and not one acknowledged write lost."
    ),
    steps=(
        Load(duration_ms=1500),
        Inject(KILL_REPLICA),
        Load(duration_ms=1000, down_afters=1.5),
        AwaitRest(timeout_ms=30_000),
    ),
    outage_beyond_down_after_ms=0,
    loss_window_ms=None,
    failovers=Failovers.NONE,
)
