"""The master stands still for less than down-after, which is no reason to fail over."""

from __future__ import annotations

from ..faults import STOP_MASTER
from .scenario import AwaitRest, Failovers, Inject, Load, Resume, Scenario

SHORT_HANG = Scenario(
    name="short-hang",
    summary="SIGSTOP the master for half of down-after while clients write: nothing may change",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. The master is stopped with SIGSTOP for half of down-after, as by a slow disk "
        "or a long fork, and goes on. Expected: no failover and no election, and not one "
        "acknowledged write lost."
    ),
    steps=(
        Load(duration_ms=1500),
        Inject(STOP_MASTER),
        Load(duration_ms=0, down_afters=0.5),
        Resume(),
        Load(duration_ms=1000, down_afters=1.5),
        AwaitRest(timeout_ms=30_000),
    ),
    outage_beyond_down_after_ms=1000,
    loss_window_ms=None,
    failovers=Failovers.NONE,
)
