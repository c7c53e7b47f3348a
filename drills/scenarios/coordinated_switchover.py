"""Nothing fails: the master is told to hand over under load, and must not lose a thing."""

from __future__ import annotations

from ..faults import COORDINATED_FAILOVER
from .scenario import AwaitFailover, AwaitRest, Inject, Load, Scenario

COORDINATED_SWITCHOVER = Scenario(
    name="coordinated-switchover",
    summary="SENTINEL FAILOVER ... COORDINATED while clients write; nothing may be lost",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. A sentinel is told to have the master hand over. Expected: an election, a "
        "short pause of writes that the sentinel measures, another master, and not one "
        "acknowledged write lost. The sentinels must be Vedette's; the nodes may be anybody's that "
        "know FAILOVER."
    ),
    steps=(
        Load(duration_ms=1500),
        Inject(COORDINATED_FAILOVER),
        AwaitFailover(timeout_ms=15_000),
        Load(duration_ms=2000),
        AwaitRest(timeout_ms=15_000),
    ),
    outage_beyond_down_after_ms=2500,
    loss_window_ms=None,
    aliases=("coordinated-failover", "switchover", "manual-failover"),
)
