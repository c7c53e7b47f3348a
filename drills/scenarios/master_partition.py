"""The network swallows everything to and from the master, which goes on taking itself for one."""

from __future__ import annotations

from ..faults import PARTITION_MASTER
from .scenario import AwaitDemotion, AwaitFailover, AwaitRest, Inject, Load, Resume, Scenario

MASTER_PARTITION = Scenario(
    name="master-partition",
    summary="cut the master off from everybody while clients write, heal it when it was replaced",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. Proxies before all nodes let nothing through to and from the master any more: "
        "no connection ends, nobody is told anything. It is well and takes the writes of whoever "
        "still reaches it, here a probe. When every sentinel names the new master the link is "
        "healed. Expected: one failover, the old master becomes a replica at once, and of the "
        "acknowledged writes only the newest from before the fault may be missing."
    ),
    steps=(
        Load(duration_ms=1500),
        Inject(PARTITION_MASTER),
        AwaitFailover(timeout_ms=30_000),
        Load(duration_ms=1000),
        Resume(),
        AwaitDemotion(timeout_ms=30_000),
        Load(duration_ms=1000),
        AwaitRest(timeout_ms=30_000),
    ),
    outage_beyond_down_after_ms=3500,
    loss_window_ms=1000,
    needs_proxies=True,
    aliases=("partition",),
)
