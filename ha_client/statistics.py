"""What a client has been through, as `FailoverClient.statistics` tells it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from vedette.histogram import Histogram
from vedette.types import Address

from .core.follower import Leaving


class RetryReason(enum.Enum):
    """Why a command is sent again."""

    NOT_SENT = "not_sent"
    NO_REPLY = "no_reply"
    REFUSED = "refused"  # by a node that is no master, or not ready


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
    #: `seeking`, `connecting` or `following`.
    state: str
    sentinels_known: int
    sentinels_connected: int
    #: How often another node became master.
    failovers: int
    #: How often a connection to a master was put to use after the first.
    reconnects: int
    #: Commands that were sent, or were about to be, and had to be sent (again) to the next master.
    retries: int
    #: The same by why, and by whether they may be executed twice without harm.
    retries_by_reason: Mapping[tuple[RetryReason, bool], int]
    #: How often a master in use was left, by why.
    leavings: Mapping[Leaving, int]
    #: What sentinels claimed that was older than what is known, and so was not believed.
    stale_claims: int
    #: Since a sentinel last told of the master; None before the first answer.
    topology_age_s: float | None
    #: How long commands found no master, from one master to the next.
    outages: Histogram
    #: Commands that are on their way to the master, or wait to be sent.
    pending: int
    #: Commands that ended in `WriteUncertain`.
    uncertain_writes: int
    #: Commands that ended in `MasterUnavailable`.
    unavailable: int
