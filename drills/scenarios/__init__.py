"""The catalogue of drills. A new one is a module with a `Scenario`, and a line here."""

from __future__ import annotations

from typing import Final

from .coordinated_switchover import COORDINATED_SWITCHOVER, PLAIN_SWITCHOVER
from .majority_loss import MAJORITY_LOSS
from .master_crash import MASTER_CRASH, MASTER_CRASH_BY_PROTOCOL
from .master_flapping import MASTER_FLAPPING
from .master_hang import MASTER_HANG, MASTER_HANG_BY_PROTOCOL
from .master_partition import MASTER_PARTITION
from .replica_crash import REPLICA_CRASH
from .scenario import Scenario
from .short_hang import SHORT_HANG

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        MASTER_CRASH,
        MASTER_HANG,
        MASTER_PARTITION,
        MASTER_FLAPPING,
        MAJORITY_LOSS,
        COORDINATED_SWITCHOVER,
        SHORT_HANG,
        REPLICA_CRASH,
    )
}

#: Every name that a drill may be asked for by.
NAMES: dict[str, Scenario] = SCENARIOS | {
    alias: scenario for scenario in SCENARIOS.values() for alias in scenario.aliases
}


def on_existing(scenario: Scenario, *, knows_coordinated: bool) -> Scenario | None:
    """Return how `scenario` goes on a deployment that somebody else runs, by protocol alone.

    `knows_coordinated`: one of its sentinels does. Returns None if it cannot be done there.
    """
    if scenario is COORDINATED_SWITCHOVER:
        return COORDINATED_SWITCHOVER if knows_coordinated else PLAIN_SWITCHOVER
    return _BY_PROTOCOL.get(scenario.name)


_BY_PROTOCOL: Final = {
    MASTER_HANG.name: MASTER_HANG_BY_PROTOCOL,
    MASTER_CRASH.name: MASTER_CRASH_BY_PROTOCOL,
}

#: Names of the scenarios for which `on_existing` has an answer.
ON_EXISTING: Final = (COORDINATED_SWITCHOVER.name, *_BY_PROTOCOL)
