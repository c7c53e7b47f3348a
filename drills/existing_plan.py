"""What a drill on a deployment that somebody else runs is going to do, in lines. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .checks import Check, Status
from .deployment import Deployment, Member
from .faults import Shutdown
from .keys import Keys
from .scenarios.scenario import Scenario
from .verdict import Budget

_WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingDrillPlan:
    """Where, what, and what was looked at before."""

    deployment: Deployment
    scenario: Scenario
    keys: Keys
    writer_count: int
    budget: Budget
    checks: Sequence[Check]

    @property
    def faults(self) -> list[Check]:
        """The checks that forbid the drill."""
        return [check for check in self.checks if check.status is Status.FAULT]

    @property
    def may_lose_writes(self) -> bool:
        """Whether it may cost acknowledged writes, the drill's and everybody else's."""
        return self.scenario.loss_window_ms is not None

    @property
    def ends_master(self) -> bool:
        """Whether somebody has to start the master again."""
        return isinstance(self.scenario.fault, Shutdown)

    def lines(self) -> Iterator[str]:
        """Yield the plan for people."""
        scenario, deployment = self.scenario, self.deployment
        yield f"Drill {scenario.name} on {deployment.master_name}: {scenario.summary}"
        yield ""
        yield from textwrap.wrap(scenario.description, _WIDTH)
        yield ""
        yield f"nodes      {_names(deployment.nodes)}"
        yield f"sentinels  {_names(deployment.sentinels)}"
        yield f"           quorum {deployment.quorum}, down-after {deployment.down_after_ms} ms"
        yield f"fault      {scenario.fault.name}"
        yield (
            f"writes     {self.writer_count} writers, at most {self.keys.set_limit} keys below "
            f"{self.keys.prefix}, removed at the end, expiring after {self.keys.ttl_s} s"
        )
        yield f"allowed    no writer without an OK for more than {self.budget.outage_ms:.0f} ms"
        if self.may_lose_writes:
            yield "DANGER     any client's acknowledged writes that no replica has may be lost"
        if self.ends_master:
            yield "DANGER     the master ends, and somebody has to start it again"
        yield ""
        yield from map(str, self.checks)


def _names(members: Sequence[Member]) -> str:
    return ", ".join(f"{member.name} ({member.program})" for member in members)
