"""What a drill is run with, and what follows from that of what a pass allows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vedette.errors import VedetteError

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
    """What a drill is run with."""

    scenario: Scenario
    topology: Topology
    ports: PortBases
    seed: int
    writer_count: int
    #: Override what is allowed, in milliseconds.
    outage_ms: int | None = None
    demotion_ms: int | None = None
    #: Whether all connections are to go over TLS.
    is_tls: bool = False

    def require_possible(self) -> None:
        """Check what the scenario needs of its laboratory, before there is one.

        Raises:
            DrillError: it lacks something.
        """
        name = self.scenario.name
        if self.scenario.expects_failover and not self.topology.replica_count:
            raise DrillError(f"{name} needs a replica that can be promoted")
        if isinstance(self.scenario.fault, Order) and Kind.VEDETTE not in self._sentinel_kinds:
            raise DrillError(
                f"{name} needs a sentinel of Vedette, which {self.scenario.fault.name} is told: "
                "--sentinels vedette, or a list with it"
            )

    @property
    def budget(self) -> Budget:
        """What a pass allows."""
        scenario = self.scenario
        allowed_ms = (
            scenario.outage_down_afters * self.topology.down_after_ms
            + scenario.outage_beyond_down_after_ms
        )
        return Budget(
            outage_ms=self.outage_ms or allowed_ms,
            loss_window_ms=scenario.loss_window_ms,
            failovers=scenario.failovers,
            has_minority_time=scenario.kills_majority,
            demotion_ms=self._demotion_ms if scenario.awaits_demotion else None,
        )

    @property
    def _sentinel_kinds(self) -> list[Kind]:
        return hand_out_kinds(self.topology.sentinels, self.topology.sentinel_count)

    @property
    def _demotion_ms(self) -> int:
        is_ours = all(kind is Kind.VEDETTE for kind in self._sentinel_kinds)
        return self.demotion_ms or (_DEMOTION_MS if is_ours else _OTHERS_DEMOTION_MS)
