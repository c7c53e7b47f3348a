"""What a drill is run with, and what follows from that of what a pass allows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vedette.errors import VedetteError

from .deployment import Deployment
from .faults import Order
from .lab import Kind, PortBases, Topology, hand_out_kinds
from .scenarios.scenario import Scenario
from .verdict import Budget

#: How long after its return an old master may take writes, by sentinels of ours and by any.
_DEMOTION_MS: Final = 1_000
_OTHERS_DEMOTION_MS: Final = 20_000


class DrillError(VedetteError):
    """The drill could not be run: nothing can be said of what it was to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillSettings:
    """What a drill is run with, wherever it takes place."""

    scenario: Scenario
    seed: int
    writer_count: int
    #: Override what is allowed, in milliseconds.
    outage_ms: int | None = None
    demotion_ms: int | None = None

    def budget(self, deployment: Deployment) -> Budget:
        """Return what a pass allows there."""
        scenario = self.scenario
        allowed_ms = (
            scenario.outage_down_afters * deployment.down_after_ms
            + scenario.outage_beyond_down_after_ms
        )
        are_ours = [sentinel.is_ours for sentinel in deployment.sentinels]
        demotion_ms = self.demotion_ms or (_DEMOTION_MS if all(are_ours) else _OTHERS_DEMOTION_MS)
        return Budget(
            outage_ms=self.outage_ms or allowed_ms,
            loss_window_ms=scenario.loss_window_ms,
            loses_until_service=scenario.loses_until_service,
            failovers=scenario.failovers,
            has_minority_time=scenario.kills_majority,
            demotion_ms=demotion_ms if scenario.awaits_demotion else None,
            tells_pause=any(are_ours),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LabSettings:
    """In which laboratory."""

    topology: Topology
    ports: PortBases
    #: Whether all connections are to go over TLS.
    is_tls: bool = False

    def require_possible(self, scenario: Scenario) -> None:
        """Check what `scenario` needs of its laboratory, before there is one.

        Raises:
            DrillError: it lacks something.
        """
        name = scenario.name
        if scenario.expects_failover and not self.topology.replica_count:
            raise DrillError(f"{name} needs a replica that can be promoted")
        kinds = hand_out_kinds(self.topology.sentinels, self.topology.sentinel_count)
        if isinstance(scenario.fault, Order) and Kind.VEDETTE not in kinds:
            raise DrillError(
                f"{name} needs a sentinel of Vedette, which {scenario.fault.name} is told: "
                "--sentinels vedette, or a list with it"
            )
