"""What a client has been through: counted in a `Tally`, told by `FailoverClient.statistics`."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from vedette.histogram import Histogram
from vedette.types import Address

from .core.follower import Leaving
from .errors import MasterUnavailable, WriteUncertain


class RetryReason(enum.Enum):
    """Why a command is sent again."""

    NOT_SENT = "not_sent"
    NO_REPLY = "no_reply"
    REFUSED = "refused"  # by a node that is no master, or not ready


class ReadBy(enum.Enum):
    """Who answered a read of `FailoverClient.replicas`."""

    REPLICA = "replica"
    MASTER = "master"


#: Bounds of `ClientStatistics.outages`, in seconds.
OUTAGE_BOUNDS_S: Final = (
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 30.0, 60.0,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientStatistics:
    """What a client has been through; counts are since it was opened."""

    #: The verified master in use, None while there is none.
    master: Address | None
    #: Highest configuration epoch heard of; -1 before the first answer of a sentinel.
    epoch: int
    #: `seeking`, `connecting` or `following`; `closed` before and after the client's block.
    state: str
    sentinels_known: int
    sentinels_connected: int
    #: How often another node became master.
    failovers: int
    #: How often a connection to a master was put to use after the first.
    reconnects: int
    #: Commands that were sent, or were about to be, and had to be sent (again) to the next master.
    retries: int
    #: The same by why, and by whether they may be executed twice without harm. Those that may not
    #: and had no reply are pops that waited, as BLPOP: each may have taken what nobody got.
    retries_by_reason: Mapping[tuple[RetryReason, bool], int]
    #: How often a master in use was left, by why.
    leavings: Mapping[Leaving, int]
    #: What sentinels claimed that was older than what is known, and so was not believed.
    stale_claims: int
    #: Since a sentinel last told of the master; None before the first answer and after the end.
    topology_age_s: float | None
    #: How long commands found no master, from one master to the next.
    outages: Histogram
    #: Commands that are on their way to the master, or wait to be sent.
    pending: int
    #: Commands that ended in `WriteUncertain`, those on connections of their own included.
    uncertain_writes: int
    #: Commands, connections and subscriptions that ended in `MasterUnavailable`.
    unavailable: int
    #: Connections to the master that one task has to itself: open now, and how many were made.
    own_connections: int
    own_connections_made: int
    #: Subscriptions that are open.
    subscriptions: int
    #: Times that a subscription had to be made anew, and how long nothing was subscribed to.
    gaps: int
    gap_seconds: float
    #: Reads by `replicas()`, by who answered.
    reads: Mapping[ReadBy, int]
    #: Replicas that may be read from now, in all open readers together.
    usable_replicas: int


class Tally:
    """What a client counts while it works; whoever does the work adds to it."""

    def __init__(self) -> None:
        #: By why, and whether the command may be executed twice without harm.
        self.retries: Counter[tuple[RetryReason, bool]] = Counter()
        self.outages = Histogram(OUTAGE_BOUNDS_S)
        self.uncertain_writes = 0
        self.unavailable = 0
        self.own_connections = 0
        self.own_connections_made = 0
        self.subscriptions = 0
        self.gaps = 0
        self.gap_seconds = 0.0
        self.reads: Counter[ReadBy] = Counter()

    def note_error(self, result: object) -> None:
        """Count the result of a command if it is one of the client's own errors."""
        if isinstance(result, WriteUncertain):
            self.uncertain_writes += 1
        elif isinstance(result, MasterUnavailable):
            self.unavailable += 1

    @contextmanager
    def own_connection(self) -> Iterator[None]:
        """Count a connection of one task, open as long as the block."""
        self.own_connections += 1
        self.own_connections_made += 1
        try:
            yield
        finally:
            self.own_connections -= 1

    @contextmanager
    def subscription(self) -> Iterator[None]:
        """Count a subscription, open as long as the block."""
        self.subscriptions += 1
        try:
            yield
        finally:
            self.subscriptions -= 1

    def note_gap(self, lost_s: float) -> None:
        """Count that a subscription was made anew after `lost_s` without one."""
        self.gaps += 1
        self.gap_seconds += lost_s
