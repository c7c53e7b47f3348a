"""What all parts of the machine share within one step: state, clock, timers, outbox, requests.

Owns the numbering of links, requests and saves, and what is held back until a save. Knows nothing
of detection, elections or configuration: the modules that do take a `Machine` as first argument.

Durability. `mark_dirty()` asks for a save at the end of the step; `hold(then)` does so too and
calls `then(is_saved)` when it (or a later one) has ended. Whatever must be durable before it is
spoken is spoken in such a `then`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from vedette.types import Address, RunId

from .actions import Action, Persist, Send
from .durable import DurableMaster, DurableState, durable_master, durable_state
from .link_state import Link, LinkId, LinkKind, PeerLink
from .model import Master, Node, PeerSentinel, SentinelState
from .timers import Timer, TimerKind, Timers
from .timing import FOUND_SAVE_DELAY_MS, MAX_PENDING, SAVE_RETRY_MS


class RequestKind(Enum):
    """What a reply is going to be about."""

    SETUP = auto()  # AUTH, CLIENT SETNAME, SUBSCRIBE
    PING = auto()
    INFO = auto()
    HELLO = auto()
    ASK = auto()
    PROMOTE = auto()
    HAND_OVER = auto()  # FAILOVER TO, INFO behind it
    REWRITE = auto()  # CONFIG REWRITE
    STAY = auto()  # FAILOVER ABORT, INFO behind it
    FOLLOW = auto()  # SLAVEOF <master> in its transaction, INFO behind it
    CONFIRM = auto()
    LEADER = auto()  # whether who we voted for still leads
    FORGET = auto()  # a fellow's agreement to forget sentinels
    FORGET_NEWS = auto()
    SCRIPT_KILL = auto()


@dataclass(frozen=True, slots=True)
class SlaveOf:
    """The transaction of `orders.py` as it was sent: whom to follow (None: nobody), and all words.

    The commands have Redis' names, whatever the node calls them.
    """

    target: Address | None
    commands: tuple[tuple[bytes, ...], ...]


@dataclass(slots=True)
class Request:
    """What was sent and to whom, kept until the replies come or the link ends.

    Never changed; a frozen record would take a microsecond more to make, for every PING.
    """

    kind: RequestKind
    sent_ms: int
    count: int
    node: Node | None = None
    peer: PeerSentinel | None = None
    #: The master's generation when it was sent; an older one voids the answer.
    generation: int = 0
    #: The election it belongs to (ASK with our id, PROMOTE), else 0.
    epoch: int = 0
    #: What PROMOTE and FOLLOW said.
    order: SlaveOf | None = None


class LinkOwner(NamedTuple):
    """A link with what it belongs to: exactly one of `node` and `peer_link` is given."""

    link: Link
    node: Node | None
    peer_link: PeerLink | None

    @property
    def timer(self) -> Timer:
        """The key of this link's one timer."""
        if self.peer_link is not None:
            return Timer(TimerKind.PEER_LINK, "", self.peer_link.run_id)
        assert self.node is not None
        if self.link.kind is LinkKind.COMMAND:
            return Timer(TimerKind.COMMAND_LINK, self.node.name, self.node.address)
        return Timer(TimerKind.PUBSUB_LINK, self.node.name, self.node.address)


class Machine:
    """The shared part of one sentinel; see the module's docstring."""

    def __init__(self, state: SentinelState, rng: random.Random) -> None:
        self.state = state
        self.rng = rng
        self.now_ms = 0
        self.timers = Timers()
        self.outbox: list[Action] = []
        self.owners: dict[LinkId, LinkOwner] = {}
        #: Links to nodes and fellows that are tried in vain, by their timers.
        self.unreached: set[Timer] = set()
        self._requests: dict[LinkId, dict[int, Request]] = {}
        self._last_link = 0
        self._last_token = 0
        self._is_dirty = False
        #: The record of each master as of the last save, and whose are out of date (None: all).
        self._records: dict[str, DurableMaster] = {}
        self._changed: set[str] | None = None
        self._held: list[tuple[int, Callable[[bool], None]]] = []
        #: Saves under way: their id and the epoch they hold.
        self._saving: list[tuple[int, int]] = []
        self._down_masters: int | None = None

    # -- actions ---------------------------------------------------------------------------------

    def act(self, action: Action) -> None:
        """Append an action to this step's list."""
        self.outbox.append(action)

    def new_link_id(self, owner: LinkOwner) -> LinkId:
        """Number a connection attempt and remember whose it is."""
        self._last_link += 1
        link_id = LinkId(self._last_link)
        self.owners[link_id] = owner
        self._requests[link_id] = {}
        return link_id

    def can_send(self, link: Link, users: int = 1) -> bool:
        """Whether the link is up and not clogged by requests without a reply."""
        return link.is_up and link.pending_count < MAX_PENDING * users

    def send(
        self,
        link: Link,
        request: Request,
        commands: tuple[tuple[bytes, ...], ...],
        *,
        is_urgent: bool = False,
    ) -> None:
        """Send commands over a link that is up, and remember what for."""
        assert link.is_up
        assert link.id is not None
        assert len(commands) == request.count
        self._last_token += 1
        self._requests[link.id][self._last_token] = request
        link.pending_count += request.count
        self.act(Send(link.id, self._last_token, commands, is_urgent))

    def take_request(self, link: Link, token: int) -> Request | None:
        """Find the request that was answered and forget it; None if it is not known."""
        assert link.id is not None
        request = self._requests[link.id].pop(token, None)
        if request is not None:
            link.pending_count -= request.count
            _release(link, request)
        return request

    def forget_link(self, link: Link) -> None:
        """Forget the current connection of `link` with all that still waited on it."""
        assert link.id is not None
        for request in self._requests.pop(link.id).values():
            _release(link, request)
        del self.owners[link.id]
        link.id = None
        link.pending_count = 0

    def has_request(self, link: Link, kind: RequestKind) -> bool:
        """Whether a request of this kind waits on the link."""
        if link.id is None:
            return False
        return any(request.kind is kind for request in self._requests[link.id].values())

    # -- time and chance -------------------------------------------------------------------------

    def random_ms(self, low_ms: int, high_ms: int) -> int:
        """A random time in the closed range."""
        return self.rng.randint(low_ms, high_ms)

    # -- durability ------------------------------------------------------------------------------

    def mark_dirty(self, master: Master | None = None) -> None:
        """Have the state saved at the end of this step.

        With a `master` whoever calls says that nothing but its record, and the epoch, has changed:
        the records of a thousand others need not be made anew for one vote.
        """
        self._is_dirty = True
        if master is None:
            self._changed = None
        elif self._changed is not None:
            self._changed.add(master.name)

    def mark_found(self) -> None:
        """Have the state saved before long: a node or fellow was found.

        Whoever is lost with a crash before that is found again, and a sentinel that meets a
        thousand masters' fellows must not write its whole file for each of them.
        """
        delay_ms = FOUND_SAVE_DELAY_MS + len(self.state.masters)
        self.timers.set_earlier(Timer(TimerKind.SAVE), self.now_ms + delay_ms)

    def hold(self, then: Callable[[bool], None], master: Master | None = None) -> int:
        """Save at the end of this step, call `then(is_saved)` afterwards; return the save's id.

        `master` is as for `mark_dirty`.
        """
        self.mark_dirty(master)
        save_id = self.next_save_id
        self._held.append((save_id, then))
        return save_id

    def await_save(
        self, save_id: int, then: Callable[[bool], None], master: Master | None = None
    ) -> None:
        """Call `then(is_saved)` when a save that was asked for has ended; if it failed, another."""
        if save_id > self.state.settled_id:
            self._held.append((save_id, then))
        else:
            self.hold(then, master)

    @property
    def next_save_id(self) -> int:
        """The save that this step asks for, if it does."""
        return self.state.requested_id + 1

    def is_saved(self, save_id: int) -> bool:
        """Whether what was first part of this save is on disk."""
        return save_id <= self.state.saved_id

    def flush(self) -> None:
        """End of a step: ask for the save that something in it wanted."""
        self._down_masters = None
        if not self._is_dirty:
            return
        self._is_dirty = False
        state = self.state
        state.requested_id += 1
        self._saving.append((state.requested_id, state.current_epoch))
        self.timers.cancel(Timer(TimerKind.SAVE))
        self.act(Persist(state.requested_id, self._durable_state()))

    def _durable_state(self) -> DurableState:
        masters = self.state.masters
        if self._changed is None:
            self._records = {name: durable_master(master) for name, master in masters.items()}
        else:
            for name in self._changed:
                self._records[name] = durable_master(masters[name])
        self._changed = set()
        return durable_state(self.state, tuple(self._records.values()))

    def on_persisted(self, save_id: int, is_saved: bool) -> None:
        """A save ended: let go of what was held for it, or arrange for another try."""
        state = self.state
        if save_id <= state.settled_id:
            return
        state.settled_id = save_id
        if is_saved:
            state.saved_id = save_id
            for saving_id, epoch in self._saving:
                if saving_id <= save_id:
                    state.saved_epoch = max(state.saved_epoch, epoch)
        elif save_id == state.requested_id:
            self.timers.set(Timer(TimerKind.SAVE), self.now_ms + SAVE_RETRY_MS)
        self._saving = [entry for entry in self._saving if entry[0] > save_id]
        ready = [then for held_id, then in self._held if held_id <= save_id]
        self._held = [entry for entry in self._held if entry[0] > save_id]
        for then in ready:
            then(is_saved)

    # -- look-ups --------------------------------------------------------------------------------

    def count_down_masters(self) -> int:
        """How many masters this sentinel believed down when that was first asked in this step.

        Fifty that die together ask for it each, and of a thousand not all are to be looked at then.
        """
        if self._down_masters is None:
            self._down_masters = sum(each.is_s_down for each in self.state.masters.values())
        return self._down_masters

    def master_of(self, node: Node | PeerSentinel) -> Master:
        """The master a node or a peer's record belongs to."""
        return self.state.masters[node.name]

    def is_current(self, name: str, generation: int) -> Master | None:
        """The master, unless a switch or reset came between."""
        master = self.state.masters.get(name)
        return master if master is not None and master.generation == generation else None

    def live_peers(self, master: Master) -> list[RunId]:
        """Fellow sentinels that can be reached now, by our own lights."""
        return [
            peer.run_id for peer in master.peers.values() if peer.link.is_up and not peer.is_s_down
        ]


def _release(link: Link, request: Request) -> None:
    """Clear the mark that kept a second request of the same kind from being sent."""
    if request.kind is RequestKind.PING:
        link.ping_waiting_since_ms = None
    elif request.kind is RequestKind.INFO and request.node is not None:
        request.node.is_info_waiting = False
    elif request.kind is RequestKind.HELLO:
        receiver = request.node or request.peer
        assert receiver is not None
        receiver.is_hello_waiting = False
    elif request.kind is RequestKind.ASK and request.peer is not None:
        request.peer.is_ask_waiting = False
