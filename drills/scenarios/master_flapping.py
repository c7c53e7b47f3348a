"""The master stands still and goes on, again and again, each time for less than down-after."""

from __future__ import annotations

from ..faults import STOP_MASTER
from .scenario import Again, AwaitRest, Failovers, Inject, Load, Resume, Scenario

_STILL, _WELL = Load(duration_ms=0, down_afters=0.6), Load(duration_ms=0, down_afters=0.4)

MASTER_FLAPPING = Scenario(
    name="master-flapping",
    summary="SIGSTOP and SIGCONT the master five times, 0.6 and 0.4 of down-after long",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. The master is stopped with SIGSTOP for 0.6 of down-after and goes on for 0.4, "
        "five times, as on a machine that swaps. Expected: no failover, or a single one, but no "
        "flapping of the sentinels with it; of the acknowledged writes only the newest from before "
        "the first stop may be missing."
    ),
    steps=(
        Load(duration_ms=1500),
        Inject(STOP_MASTER),
        *(_STILL, Resume(), _WELL, Again()) * 4,
        _STILL,
        Resume(),
        Load(duration_ms=1000, down_afters=1.5),
        AwaitRest(timeout_ms=30_000),
    ),
    outage_beyond_down_after_ms=3500,
    loss_window_ms=1000,
    failovers=Failovers.ONE_AT_MOST,
    aliases=("flapping",),
)
