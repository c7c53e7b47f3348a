"""What a drill is about: the nodes of one master and the sentinels that watch it.

`Deployment` is what observing, timing and judging need to know of it. A laboratory's plan
(`drills.lab`) is one; `ExistingDeployment` is one that runs already, as its sentinels tell of it.
Pure.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vedette.types import Address


class Part(enum.Enum):
    """What a process is in a deployment."""

    NODE = "node"
    SENTINEL = "sentinel"


class Member(Protocol):
    """One process of a deployment."""

    @property
    def name(self) -> str: ...

    @property
    def part(self) -> Part: ...

    @property
    def address(self) -> Address:
        """Where everybody takes it to be."""

    @property
    def direct_address(self) -> Address:
        """Where it can be reached whatever becomes of its link."""

    @property
    def program(self) -> str:
        """What it is, as reports say it."""

    @property
    def is_ours(self) -> bool:
        """Whether it is a program of Vedette."""

    @property
    def knows_coordinated(self) -> bool:
        """Whether it is a sentinel that can be told SENTINEL FAILOVER ... COORDINATED."""


class Deployment(Protocol):
    """A master with its replicas and sentinels; times in milliseconds."""

    @property
    def master_name(self) -> str:
        """Under which the sentinels watch the master."""

    @property
    def nodes(self) -> Sequence[Member]: ...

    @property
    def sentinels(self) -> Sequence[Member]: ...

    @property
    def quorum(self) -> int: ...

    @property
    def down_after_ms(self) -> int: ...

    @property
    def failover_timeout_ms(self) -> int: ...

    @property
    def parallel_syncs(self) -> int: ...


def node_of(deployment: Deployment, name: str) -> Member:
    """Return the node of that name, which there must be."""
    return next(node for node in deployment.nodes if node.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingMember:
    """A process that somebody else runs."""

    part: Part
    address: Address
    program: str
    is_ours: bool
    knows_coordinated: bool = False

    @property
    def name(self) -> str:
        return str(self.address)

    @property
    def direct_address(self) -> Address:
        return self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingDeployment:
    """A deployment that somebody else runs, as of the moment it was asked."""

    master_name: str
    nodes: tuple[ExistingMember, ...]
    sentinels: tuple[ExistingMember, ...]
    quorum: int
    #: The longest that a sentinel has, if they differ.
    down_after_ms: int
    failover_timeout_ms: int
    parallel_syncs: int
