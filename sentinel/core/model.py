"""The state of a sentinel: what it knows of masters, nodes, fellow sentinels and links.

Theory of operation. `SentinelState` is the root. A `Master` is a *name* under watch; the process
that currently holds the role is its `node`, the others are its `replicas`. A `Node` is one process
at one address and keeps its links when a switch moves it from one role to the other, so a failover
needs no new connections. A `PeerSentinel` is what one master's view holds of a fellow sentinel; the
`PeerLink` below it is shared by all masters that know the same run id (`link_state.py`).

Only the modules of `sentinel.core` write here, each field by the module named beside it. Readers
outside (commands, metrics) must treat everything as frozen and not keep references over an await.

All times are milliseconds of the runtime's monotonic clock; a name in `_ms` that is None means
"never" or "not so now". What survives a restart is built by `durable.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, IntFlag
from typing import Final

from vedette.types import Address, RunId

from .dataset import UNKNOWN, Dataset, Lineage
from .history import FailoverRecord, new_history
from .link_state import Link, LinkKind, PeerLink
from .options import GlobalOptions, MasterOptions
from .timing import DEFAULT_PERIODS, Periods

DEFAULT_PRIORITY: Final = 100
#: INFO's `master_failover_state` of a node at rest.
NO_FAILOVER: Final = "no-failover"


class Role(Enum):
    """What a node's INFO says of itself; the value is INFO's spelling."""

    MASTER = "master"
    REPLICA = "slave"


class FailoverState(Enum):
    """How far our own failover of a master has come; the value is Redis' spelling.

    RECONF_SLAVES begins when the promotion was seen: the switch is already announced and the other
    replicas are being pointed to the new master.
    """

    NONE = "none"
    WAIT_START = "wait_start"  # candidate: collecting votes
    SELECT_SLAVE = "select_slave"  # leader: freshest offsets are coming in
    SEND_FAILOVER = "send_failover"  # coordinated: the master is told to hand over
    SEND_SLAVEOF_NOONE = "send_slaveof_noone"
    WAIT_PROMOTION = "wait_promotion"
    RECONF_SLAVES = "reconf_slaves"


class SimulatedFailure(IntFlag):
    """Where SENTINEL SIMULATE-FAILURE has the process crash; the values are INFO's."""

    NONE = 0
    CRASH_AFTER_ELECTION = 1
    CRASH_AFTER_PROMOTION = 2


class ReconfState(Enum):
    """How far one replica has come in being pointed to the new master."""

    NONE = "none"
    SENT = "reconf_sent"  # SLAVEOF is on its way
    IN_PROGRESS = "reconf_inprog"  # its INFO names the new master
    DONE = "reconf_done"  # its link to the new master is up


@dataclass(slots=True)
class Node:
    """One Redis-speaking process at one address, master or replica of the master `name`."""

    name: str
    address: Address
    link: Link
    pubsub: Link
    #: From INFO; "" until it was read once. Written by `discovery.py`, as all down to `role...`.
    run_id: str = ""
    info_refresh_ms: int | None = None
    #: The text of that INFO, as SENTINEL INFO-CACHE shows it.
    info: bytes | None = None
    #: None until an INFO was read since the node became known or was moved by a switch.
    role_reported: Role | None = None
    #: Since when it reports that role (or since when it is known).
    role_reported_ms: int = 0
    #: When INFO showed this same run turning from replica to master: somebody promoted it.
    turned_master_ms: int | None = None
    #: It was the master until a switch that we saw, and has not reported to be a replica since.
    is_former_master: bool = False
    #: It was the master, and has not been seen as a synchronised replica of the new one since.
    is_missed: bool = False
    #: The following come from a replica's INFO.
    master_address: Address | None = None
    #: When `master_address` last changed.
    master_address_ms: int = 0
    is_master_link_up: bool = False
    #: `master_link_down_since_seconds` in ms, 0 while the link is up.
    master_link_down_ms: int = 0
    priority: int = DEFAULT_PRIORITY
    repl_offset: int = 0
    is_announced: bool = True
    #: `master_failover_state` of its INFO; None: it does not know FAILOVER.
    failover_state: str | None = None
    #: What it holds, by its last INFO.
    dataset: Dataset = UNKNOWN
    #: The same as of when that was last known to be the master's data. Written by `lineage.py`.
    kin_dataset: Dataset = UNKNOWN
    #: It holds somebody else's data. Written by `lineage.py`.
    is_foreign: bool = False
    #: A new run of the master, whose data were not seen yet. Written by `guard.py`.
    is_unjudged: bool = False
    #: When it was found to have come back without the master's data. Written by `guard.py`.
    lost_data_ms: int | None = None
    #: Subjectively down since. Written by `detection.py`.
    s_down_since_ms: int | None = None
    #: A new run_id was seen and no PONG since (`master_reboot`). Written by `detection.py`.
    rebooted_ms: int | None = None
    is_script_kill_sent: bool = False
    #: The last PING was answered with BUSY.
    is_busy: bool = False
    #: First words of commands that it refused beside SLAVEOF, over this connection. Written by
    #: `orders.py`.
    declined: set[bytes] = field(default_factory=set)
    #: Written by `reconfiguration.py`.
    reconf: ReconfState = ReconfState.NONE
    reconf_sent_ms: int = 0
    #: When a repair (convert, fix) was last sent, None if never since the last switch.
    repaired_ms: int | None = None
    #: Peers that hold our configuration and have voted for no newer one, asked after this node
    #: came back claiming to be a master. Written by `repair.py`.
    confirmed_by: set[RunId] = field(default_factory=set)
    #: Written by `probes.py`.
    is_info_waiting: bool = False
    info_sent_ms: int | None = None
    is_hello_waiting: bool = False

    @property
    def is_s_down(self) -> bool:
        """Whether this sentinel alone believes the node down."""
        return self.s_down_since_ms is not None

    @property
    def is_failing_over(self) -> bool:
        """Whether it is about to hand its role over (FAILOVER), as of its last INFO."""
        return self.failover_state not in (None, NO_FAILOVER)

    @property
    def is_connected(self) -> bool:
        """Whether both links are up; else SENTINEL shows the flag `disconnected`."""
        return self.link.is_up and self.pubsub.is_up


@dataclass(slots=True)
class PeerSentinel:
    """A fellow sentinel as one master's view knows it."""

    name: str
    run_id: RunId
    address: Address
    #: Shared with the other masters' views of the same run id.
    peer_link: PeerLink
    s_down_since_ms: int | None = None
    last_hello_ms: int = 0
    hello_count: int = 0
    #: The highest current epoch that it spoke of.
    spoken_epoch: int = 0
    #: What its last hello said of this master.
    hello_config_epoch: int = 0
    hello_master_address: Address | None = None
    is_hello_waiting: bool = False
    #: Its answer to our down query, and when it came; expires (`opinions.py`, as all below).
    says_down: bool = False
    says_down_ms: int = 0
    #: Its vote as it last told us.
    voted_leader: RunId | None = None
    voted_leader_epoch: int = 0
    #: The election in which it last answered our request for a vote.
    answered_epoch: int = 0
    is_ask_waiting: bool = False
    #: To be asked again when it has answered, for it asked us meanwhile.
    is_ask_due: bool = False
    #: When it was last asked to confirm our configuration. Written by `repair.py`.
    confirm_asked_ms: int | None = None

    @property
    def link(self) -> Link:
        """The shared connection."""
        return self.peer_link.link

    @property
    def is_s_down(self) -> bool:
        """Whether this sentinel believes the peer down, by this master's down-after."""
        return self.s_down_since_ms is not None


@dataclass(slots=True)
class Vote:
    """The last vote given for one master's leadership. `leader_epoch` never falls.

    `leader` is None after a restart: only the epoch is durable, which is enough never to vote twice
    in it. `save_id` is the save that makes it durable (0 for what was loaded).
    """

    leader_epoch: int = 0
    leader: RunId | None = None
    save_id: int = 0
    #: Somebody is going to be told of it when it is on disk: it may not change any more.
    is_promised: bool = False


@dataclass(slots=True)
class Failover:
    """Our own failover of one master, written by election, failover and reconfiguration.

    All but `state` is meaningful only while `state` is not NONE, except where said.
    """

    state: FailoverState = FailoverState.NONE
    state_since_ms: int = 0
    started_ms: int = 0
    #: The epoch it was begun in, and so the config epoch that it ends in.
    epoch: int = 0
    #: Begun by SENTINEL FAILOVER: needs neither ODOWN nor votes.
    is_forced: bool = False
    #: Begun to end a conflict: promotes nobody.
    is_settling: bool = False
    #: Begun by SENTINEL FAILOVER COORDINATED: by votes, and the master hands over itself.
    is_coordinated: bool = False
    #: Kept: until when such an order, if nobody is elected for it, is stood for again.
    ordered_until_ms: int = 0
    #: When the master was told to hand over (and so its writers to wait), and whether it said OK.
    told_ms: int | None = None
    is_told_accepted: bool = False
    #: Until when it may take.
    handover_until_ms: int = 0
    promoted: Address | None = None
    #: It has said that it is the master: the configuration is saved, and then announced.
    is_proven: bool = False
    #: Replicas that refused or missed the promotion -> not chosen again before.
    refused: dict[Address, int] = field(default_factory=dict)
    #: The master's address when it began, for the notices that name it.
    old_address: Address | None = None
    #: Kept over attempts: elections lost in a row, and when the next may begin.
    attempts: int = 0
    not_before_ms: int = 0
    #: Kept: whom we last voted for and are waiting for, and since when (None: for nobody).
    awaited_leader: RunId | None = None
    awaited_since_ms: int = 0
    #: Kept: when that one was last asked whether it still leads; see `leader_watch.py`.
    leader_asked_ms: int = 0
    #: Kept: until when no hello goes through the master, whose writers may have to wait.
    hushed_until_ms: int = 0
    #: Kept: the last attempt found no replica; the next waits until there is one.
    is_waiting_for_replica: bool = False


#: Stands for whoever asked to forget a sentinel before our start, and may have gone on from it.
UNKNOWN_ASKER: Final = RunId("")


@dataclass(slots=True)
class Leaving:
    """A fellow sentinel that we agreed to forget: out of the view, but in the majority's sum."""

    address: Address
    #: Who asked for it and has not taken that back; with the last it comes back into the view.
    asked_by: set[RunId]


@dataclass(slots=True, kw_only=True)
class Forgetting:
    """Our own order to forget fellow sentinels, until all that stay have agreed."""

    #: The client's request that is to be answered; a `RequestId`.
    request: int
    targets: tuple[RunId, ...]
    #: All sentinels known when it began, ourselves included.
    known: tuple[RunId, ...]
    #: Who has not agreed yet.
    waiting: set[RunId]
    #: The highest epoch told by who has.
    epoch: int


@dataclass(slots=True)
class Master:
    """One monitored name."""

    name: str
    options: MasterOptions
    node: Node
    config_epoch: int = 0
    vote: Vote = field(default_factory=Vote)
    replicas: dict[Address, Node] = field(default_factory=dict)
    peers: dict[RunId, PeerSentinel] = field(default_factory=dict)
    #: Fellows on their way out, those that are out (an ordered set), and our own order under way.
    #: Written by `membership.py`, as the next.
    leaving: dict[RunId, Leaving] = field(default_factory=dict)
    forgotten: dict[RunId, None] = field(default_factory=dict)
    forgetting: Forgetting | None = None
    #: Replicas that were forgotten, and when.
    forgotten_replicas: dict[Address, int] = field(default_factory=dict)
    #: Objectively down since. Written by `detection.py`.
    o_down_since_ms: int | None = None
    failover: Failover = field(default_factory=Failover)
    #: Counts switches and resets: answers to older questions are void.
    generation: int = 0
    #: When the current address was adopted.
    switched_ms: int = 0
    #: Since when a fellow names another master in our epoch. Written by `conflict.py`.
    conflict_since_ms: int | None = None
    #: Whose data these are. Written by `lineage.py`.
    lineage: Lineage = field(default_factory=Lineage)
    #: The last failovers, oldest first. Written by `history.py`.
    history: deque[FailoverRecord] = field(default_factory=new_history)

    @property
    def address(self) -> Address:
        """Where clients shall go; a switch changes it at the moment the promotion is seen."""
        return self.node.address

    @property
    def is_s_down(self) -> bool:
        """Whether this sentinel alone believes the master down."""
        return self.node.is_s_down

    @property
    def is_o_down(self) -> bool:
        """Whether a quorum believes the master down."""
        return self.o_down_since_ms is not None

    @property
    def known_sentinels(self) -> int:
        """All sentinels that a majority is taken of, ourselves included."""
        return 1 + len(self.peers) + len(self.leaving)

    def is_out(self, run_id: RunId) -> bool:
        """Whether a sentinel gets no vote of ours, and is not met again: see `membership.py`."""
        return run_id in self.leaving or run_id in self.forgotten

    def nodes(self) -> Iterator[Node]:
        """The master's node, then the replicas in the order in which they became known."""
        yield self.node
        yield from self.replicas.values()

    def find_node(self, address: Address) -> Node | None:
        """The node at this address, in either role."""
        if self.node.address == address:
            return self.node
        return self.replicas.get(address)


@dataclass(slots=True)
class HostName:
    """Where a host name leads."""

    #: "" until a first look-up has succeeded; a failed one changes nothing.
    ip: str = ""
    asked_ms: int | None = None


@dataclass(slots=True)
class SentinelState:
    """All that one sentinel knows."""

    my_id: RunId
    options: GlobalOptions
    #: Written by SENTINEL DEBUG.
    periods: Periods = DEFAULT_PERIODS
    #: Written by SENTINEL SIMULATE-FAILURE.
    simulated_failures: SimulatedFailure = SimulatedFailure.NONE
    current_epoch: int = 0
    masters: dict[str, Master] = field(default_factory=dict)
    peer_links: dict[RunId, PeerLink] = field(default_factory=dict)
    #: Names of masters by an address where each was found, and may be still. Written by `hosts.py`.
    found_masters: dict[Address, str] = field(default_factory=dict)
    #: Since when the machine distrusts its own clock after a stall; None normally (`+tilt`).
    tilt_since_ms: int | None = None
    tilt_count: int = 0
    #: How long all of them lasted that are over.
    tilted_ms: int = 0
    #: Votes that fellows told us of, each once: those for us, and those for others. Written by
    #: `opinions.py`.
    votes_for_us: int = 0
    votes_for_others: int = 0
    #: Host names that instances are known by. Written by `names.py`.
    host_names: dict[str, HostName] = field(default_factory=dict)
    #: What others sent and we did not believe, by kind: how often, and when it was last announced.
    #: Written by `distrust.py`.
    refused_counts: dict[str, int] = field(default_factory=dict)
    refused_announced_ms: dict[str, int] = field(default_factory=dict)
    #: The last save that succeeded, the last that ended, the last that was asked for.
    saved_id: int = 0
    settled_id: int = 0
    requested_id: int = 0
    #: The epoch in the newest record on disk: the highest that may be spoken.
    saved_epoch: int = 0
    #: Why the last save failed, "" if it did not. Meanwhile no vote is cast.
    save_error: str = ""


def new_node(name: str, address: Address) -> Node:
    """A node nothing is known of yet, both links down."""
    return Node(
        name=name,
        address=address,
        link=Link(LinkKind.COMMAND, address),
        pubsub=Link(LinkKind.PUBSUB, address),
    )


def add_peer(state: SentinelState, master: Master, run_id: RunId, address: Address) -> PeerSentinel:
    """Put a fellow sentinel into a master's view, sharing the link if it is known already."""
    peer_link = state.peer_links.get(run_id)
    if peer_link is None:
        peer_link = PeerLink(run_id, Link(LinkKind.PEER, address))
        state.peer_links[run_id] = peer_link
    peer_link.masters.add(master.name)
    peer_link.shortest_down_after_ms = None
    peer = PeerSentinel(master.name, run_id, address, peer_link)
    master.peers[run_id] = peer
    return peer
