"""What the follower is told, and what it asks for: the vocabulary between core and runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from vedette.types import Address

from .answers import SentinelAnswer, Switch


@dataclass(frozen=True, slots=True)
class Started:
    """The first event: connect to the sentinels the follower was made with."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class Woken:
    """The time that `wake_at_ms` named has come."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class SentinelAnswered:
    """The outcome of `Ask`."""

    now_ms: int
    sentinel: Address
    answer: SentinelAnswer


@dataclass(frozen=True, slots=True)
class SentinelFailed:
    """The other outcome of `Ask`: refused, unreachable, too late. Also: its connection broke."""

    now_ms: int
    sentinel: Address
    reason: str


@dataclass(frozen=True, slots=True)
class SwitchAnnounced:
    """A sentinel published `+switch-master` of our master."""

    now_ms: int
    sentinel: Address
    switch: Switch


@dataclass(frozen=True, slots=True)
class Hinted:
    """A sentinel published something after which it may answer differently."""

    now_ms: int
    sentinel: Address


@dataclass(frozen=True, slots=True)
class LinkVerified:
    """The node that `Connect` named says by ROLE that it is a master."""

    now_ms: int
    generation: int


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """The connection could not be made, was refused by ROLE, or broke later.

    `is_timeout`: it broke because the master owed replies and was silent.
    """

    now_ms: int
    generation: int
    reason: str
    is_timeout: bool = False


@dataclass(frozen=True, slots=True)
class MasterDoubted:
    """The node answered a command as only a replica, or a node not ready, does."""

    now_ms: int
    generation: int
    reason: str


Event: TypeAlias = (
    Started
    | Woken
    | SentinelAnswered
    | SentinelFailed
    | SwitchAnnounced
    | Hinted
    | LinkVerified
    | LinkFailed
    | MasterDoubted
)


@dataclass(frozen=True, slots=True)
class Watch:
    """Begin to watch a sentinel: connect when asked, stay subscribed."""

    sentinel: Address


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Forget a sentinel that the others know no more."""

    sentinel: Address


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a sentinel, within the bound; ends in `SentinelAnswered` or `SentinelFailed`."""

    sentinel: Address


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection and check ROLE; ends in `LinkVerified` or `LinkFailed`."""

    generation: int
    address: Address


@dataclass(frozen=True, slots=True)
class Use:
    """Send commands over this generation's connection from now on."""

    generation: int
    address: Address
    epoch: int


@dataclass(frozen=True, slots=True)
class Retire:
    """Send nothing more over this connection; close it once what is in flight is answered."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close this connection at once, whatever is in flight."""

    generation: int
    reason: str


Action: TypeAlias = Watch | Unwatch | Ask | Connect | Use | Retire | Close
