"""What a drill does, as data: a list of steps that the runner carries out in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from ..faults import Fault, Order


@dataclass(frozen=True, slots=True)
class Load:
    """Have every writer acknowledged at least once, and write on for `duration_ms`.

    `down_afters` is added to it, in the sentinels' down-after.
    """

    duration_ms: int
    down_afters: float = 0.0


@dataclass(frozen=True, slots=True)
class Inject:
    """Inject the fault, or give the order. From here the time of each phase is counted; a scenario
    has one.
    """

    fault: Fault | Order


@dataclass(frozen=True, slots=True)
class AwaitFailover:
    """Wait until every sentinel names a new master and every writer is served again."""

    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a process that the fault has stopped go on (SIGCONT)."""


@dataclass(frozen=True, slots=True)
class AwaitRest:
    """Stop writing, and wait until one master is left with all others at its offset."""

    timeout_ms: int


Step: TypeAlias = Load | Inject | AwaitFailover | Resume | AwaitRest


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One drill of the catalogue."""

    name: str
    #: One line for lists.
    summary: str
    #: What is done and what is expected, for people.
    description: str
    steps: tuple[Step, ...]
    #: Time that clients may be without writes beyond the sentinels' down-after.
    outage_beyond_down_after_ms: int
    #: Acknowledged writes may be lost if they came so shortly before the fault: replication is
    #: asynchronous. None: none may be lost at all.
    loss_window_ms: int | None
    #: Other names that people call it by.
    aliases: tuple[str, ...] = ()
    #: Whether the master is to be replaced. Else nothing may change, and writers may be without an
    #: OK for no longer than a down-after and `outage_beyond_down_after_ms`.
    expects_failover: bool = True

    @property
    def fault(self) -> Fault | Order:
        return next(step.fault for step in self.steps if isinstance(step, Inject))
