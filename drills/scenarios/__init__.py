"""The catalogue of drills. A new one is a module with a `Scenario`, and a line here."""

from __future__ import annotations

from .coordinated_switchover import COORDINATED_SWITCHOVER
from .majority_loss import MAJORITY_LOSS
from .master_crash import MASTER_CRASH
from .master_flapping import MASTER_FLAPPING
from .master_hang import MASTER_HANG
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
