"""The state of connections: what one link's answers tell, and what fellow sentinels share.

A part of the state whose root is `model.py`, with the same rules: who writes what stands with it,
and times are milliseconds of the runtime's monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NewType

from vedette.types import Address, RunId

#: One connection attempt; unique for the life of the process.
LinkId = NewType("LinkId", int)


class LinkKind(Enum):
    """What a connection is for."""

    COMMAND = "cmd"  # to a node: PING, INFO, PUBLISH, reconfiguration
    PUBSUB = "pubsub"  # to a node: the hello channel
    PEER = "peer"  # to a fellow sentinel: PING, PUBLISH, down queries and votes


class LinkStatus(Enum):
    """Where one link stands. DOWN means that the next attempt is scheduled."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"


@dataclass(slots=True)
class Link:
    """One logical connection and what its answers tell about the process behind it.

    Written by `links.py` (connection) and `probes.py` (pings). The PEER and COMMAND kinds are
    pinged; a PUBSUB link only counts as alive while messages come.
    """

    kind: LinkKind
    address: Address
    status: LinkStatus = LinkStatus.DOWN
    #: The current attempt, None while DOWN.
    id: LinkId | None = None
    status_since_ms: int = 0
    #: Our own IP on this connection.
    local_host: str = ""
    #: Commands sent and not yet answered.
    pending_count: int = 0
    #: Attempts since the link was last up.
    failed_attempts: int = 0
    last_ping_sent_ms: int = 0
    #: When the PING that still waits for a reply was sent.
    ping_waiting_since_ms: int | None = None
    #: Last reply to a PING of any kind, and last acceptable one.
    last_pong_ms: int = 0
    last_valid_pong_ms: int = 0
    #: The first attempt to connect: ages of replies count from here until there is one.
    opened_ms: int = 0
    #: Last message over a PUBSUB link.
    last_activity_ms: int = 0
    #: First unanswered PING, or the loss of the connection that kept one from being sent. Only an
    #: acceptable reply to PING clears it.
    suspect_since_ms: int | None = None
    #: The longest suspicion that an answer ended, in the window since then and in the one before.
    suspected_most_ms: int = 0
    suspected_most_before_ms: int = 0
    window_since_ms: int = 0
    #: The first and the last of the refusals in a row that attempts to connect met with, and their
    #: number. A connection that was accepted, or an attempt that failed otherwise, ends the row.
    refused_since_ms: int | None = None
    refused_last_ms: int = 0
    refusal_count: int = 0

    @property
    def is_up(self) -> bool:
        """Whether requests can be sent."""
        return self.status is LinkStatus.UP


@dataclass(slots=True)
class PeerLink:
    """The one connection to a fellow sentinel, shared by all masters that know it."""

    run_id: RunId
    link: Link
    #: It works as we do, by its INFO; taken for granted until that is known. Sets the pace only.
    is_vedette: bool = True
    #: It leads a failover as far as we know, and is pinged often, until then.
    awaited_until_ms: int = 0
    #: Names of the masters whose view holds this peer; the link ends with the last of them.
    masters: set[str] = field(default_factory=set)
    #: Those of them that hold it down. Written by `detection.py`.
    down_for: set[str] = field(default_factory=set)
    #: The shortest down-after of these masters, None when it has to be worked out again: a thousand
    #: of them are not to be asked for each PING.
    shortest_down_after_ms: int | None = None

    @property
    def refcount(self) -> int:
        """`link-refcount` as SENTINEL SENTINELS shows it."""
        return len(self.masters)
