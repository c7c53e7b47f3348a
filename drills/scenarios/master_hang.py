"""The master stops answering without a sign, and comes back when it has been replaced."""

from __future__ import annotations

from ..faults import STOP_MASTER
from .scenario import AwaitDemotion, AwaitFailover, AwaitRest, Inject, Load, Resume, Scenario

MASTER_HANG = Scenario(
    name="master-hang",
    summary="SIGSTOP the master while clients write, SIGCONT it when it has been replaced",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. The master is stopped with SIGSTOP: its kernel still takes connections and "
        "nothing answers, as with a host that hangs or a link that swallows packets. When every "
        "sentinel names the new master it goes on, and still takes itself for one. Expected: one "
        "failover, and the old master becomes a replica without any acknowledged write lost but "
        "the newest from before the fault."
    ),
    steps=(
        Load(duration_ms=1500),
        Inject(STOP_MASTER),
        AwaitFailover(timeout_ms=30_000),
        Resume(),
        AwaitDemotion(timeout_ms=30_000),
        Load(duration_ms=1000),
        AwaitRest(timeout_ms=30_000),
    ),
    outage_beyond_down_after_ms=3500,
    loss_window_ms=1000,
)
