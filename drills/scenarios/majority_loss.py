"""The majority of the sentinels is gone when the master dies: nobody may be promoted."""

from __future__ import annotations

from ..faults import KILL_MASTER
from .scenario import (
    AwaitFailover,
    AwaitRest,
    Inject,
    KillMajority,
    Load,
    RestoreSentinels,
    Scenario,
)

MAJORITY_LOSS = Scenario(
    name="majority-loss",
    summary="kill -9 the sentinels' majority, then the master: no failover before they are back",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. So many sentinels are killed that the others are no majority, then the master "
        "is. For three times down-after and two seconds nobody may be promoted, however long "
        "clients wait: those that are left cannot know whether the others have not chosen already. "
        "Then the killed sentinels are started again. Expected: one failover, with everybody "
        "served; of the acknowledged writes only the newest, not yet replicated ones may be "
        "missing."
    ),
    steps=(
        Load(duration_ms=1500),
        KillMajority(),
        Load(duration_ms=500),
        Inject(KILL_MASTER),
        Load(duration_ms=2000, down_afters=3),
        RestoreSentinels(),
        AwaitFailover(timeout_ms=60_000),
        Load(duration_ms=2000),
        AwaitRest(timeout_ms=15_000),
    ),
    # While nobody may be promoted, and until those that were started hold the master down.
    outage_down_afters=5,
    outage_beyond_down_after_ms=6500,
    loss_window_ms=1000,
    aliases=("sentinel-majority-loss",),
)
