"""The master stops answering without a sign, and comes back when it has been replaced."""

from __future__ import annotations

from dataclasses import replace

from ..faults import SLEEP_MASTER, STOP_MASTER, Injection
from .scenario import AwaitDemotion, AwaitFailover, AwaitRest, Inject, Load, Resume, Scenario, Step


def _steps(fault: Injection) -> tuple[Step, ...]:
    return (
        Load(duration_ms=1500),
        Inject(fault),
        AwaitFailover(timeout_ms=30_000),
        Resume(),
        AwaitDemotion(timeout_ms=30_000),
        Load(duration_ms=1000),
        AwaitRest(timeout_ms=30_000),
    )


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
    steps=_steps(STOP_MASTER),
    outage_beyond_down_after_ms=3500,
    loss_window_ms=1000,
    aliases=("hang",),
)

#: Of a deployment that somebody else runs.
MASTER_HANG_BY_PROTOCOL = replace(
    MASTER_HANG,
    summary="DEBUG SLEEP the master for down-after and 5 s while clients write",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. The master is told to sleep for down-after and five seconds: its kernel still "
        "takes connections and nothing answers. It wakes, and still takes itself for a master. "
        "Expected: one failover, and the old master becomes a replica without any acknowledged "
        "write lost but the newest from before the fault."
    ),
    steps=_steps(SLEEP_MASTER),
)
