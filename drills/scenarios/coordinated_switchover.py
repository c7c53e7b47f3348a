"""Nothing fails: the master is told to hand over under load, and must not lose a thing."""

from __future__ import annotations

from dataclasses import replace

from ..faults import COORDINATED_FAILOVER, PLAIN_FAILOVER, Order
from .scenario import AwaitFailover, AwaitRest, Inject, Load, Scenario, Step


def _steps(order: Order) -> tuple[Step, ...]:
    return (
        Load(duration_ms=1500),
        Inject(order),
        AwaitFailover(timeout_ms=15_000),
        Load(duration_ms=2000),
        AwaitRest(timeout_ms=15_000),
    )


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
    steps=_steps(COORDINATED_FAILOVER),
    outage_beyond_down_after_ms=2500,
    loss_window_ms=None,
    aliases=("coordinated-failover", "switchover", "manual-failover"),
)

#: Of a deployment none of whose sentinels knows the word.
PLAIN_SWITCHOVER = replace(
    COORDINATED_SWITCHOVER,
    summary="SENTINEL FAILOVER while clients write; no sentinel here knows COORDINATED",
    description=(
        "Several writers set unique keys and increment one counter through the client that follows "
        "the master. A sentinel is told to promote a replica. Expected: another master, and of the "
        "acknowledged writes only those may be missing that the old one took until its clients had "
        "left it."
    ),
    steps=_steps(PLAIN_FAILOVER),
    loss_window_ms=1000,
    loses_until_service=True,
)
