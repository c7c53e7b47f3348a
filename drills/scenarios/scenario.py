"""What a drill does, as data: a list of steps that the runner carries out in order."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from ..faults import Injection


class Failovers(enum.Enum):
    """How often the master is to be replaced."""

    ONE = "exactly one, to another node"
    NONE = "none, nor an attempt at one"
    ONE_AT_MOST = "at most one"


@dataclass(frozen=True, slots=True)
class Load:
    """Let the writers write for `duration_ms`, and so many of the sentinels' down-afters more."""

    duration_ms: int
    down_afters: float = 0.0


@dataclass(frozen=True, slots=True)
class Inject:
    """Inject the fault, or give the order. From here the time of each phase is counted; a scenario
    has one.
    """

    fault: Injection


@dataclass(frozen=True, slots=True)
class Again:
    """Inject the same fault, which was undone, once more, into the same process."""


@dataclass(frozen=True, slots=True)
class KillMajority:
    """Kill so many sentinels that the others are no majority."""


@dataclass(frozen=True, slots=True)
class RestoreSentinels:
    """Start the sentinels that were killed again."""


@dataclass(frozen=True, slots=True)
class AwaitFailover:
    """Wait until every sentinel names a new master and every writer is served again."""

    #: Beyond the sentinels' down-after.
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Undo the fault: let a process that was stopped go on (SIGCONT), or heal its link. Of what
    ends by itself, or by somebody else's hand: wait for that.
    """


@dataclass(frozen=True, slots=True)
class AwaitDemotion:
    """Wait until the old master, which is back, is no master any more."""

    timeout_ms: int


@dataclass(frozen=True, slots=True)
class AwaitRest:
    """Stop writing, and wait until one master is left with all others at its offset."""

    timeout_ms: int


Step: TypeAlias = (
    Load
    | Inject
    | Again
    | KillMajority
    | RestoreSentinels
    | AwaitFailover
    | Resume
    | AwaitDemotion
    | AwaitRest
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One drill of the catalogue."""

    name: str
    #: One line for lists.
    summary: str
    #: What is done and what is expected, for people.
    description: str
    #: The last one is `AwaitRest`.
    steps: tuple[Step, ...]
    #: Time that clients may be without writes beyond the sentinels' down-after.
    outage_beyond_down_after_ms: int
    #: Acknowledged writes may be lost if they came so shortly before the fault: replication is
    #: asynchronous. None: none may be lost at all.
    loss_window_ms: int | None
    #: Other names that people call it by.
    aliases: tuple[str, ...] = ()
    #: With such a window: it reaches from the fault on until every writer is served by the new
    #: master, as the old one goes on taking writes.
    loses_until_service: bool = False
    failovers: Failovers = Failovers.ONE
    #: How many down-afters clients may be without writes, before what is allowed beyond.
    outage_down_afters: float = 1.0
    #: Whether links are interrupted, for which proxies have to stand before the nodes.
    needs_proxies: bool = False

    @property
    def fault(self) -> Injection:
        return next(step.fault for step in self.steps if isinstance(step, Inject))

    @property
    def expects_failover(self) -> bool:
        """Whether the master is certainly to be replaced."""
        return self.failovers is Failovers.ONE

    @property
    def kills_majority(self) -> bool:
        """Whether there is a time in which nobody may be promoted."""
        return any(isinstance(step, KillMajority) for step in self.steps)

    @property
    def awaits_demotion(self) -> bool:
        """Whether the old master comes back as one."""
        return any(isinstance(step, AwaitDemotion) for step in self.steps)
