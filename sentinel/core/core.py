"""The machine's front door: one event in, the actions it leads to out.

Knows which module handles what, and nothing of how. See the package's docstring for its use.

One step is: notice a stall, handle the event, handle what has fallen due, ask for a save if
something changed. An event is handled before the timers, so a reply that is there when its deadline
passes still counts.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final, assert_never

from vedette.types import Address, RunId

from . import (
    admin,
    conflict,
    detection,
    discovery,
    distrust,
    election,
    failover,
    gossip,
    guard,
    leader_watch,
    lineage,
    links,
    membership,
    names,
    notices,
    opinions,
    orders,
    probes,
    reconfiguration,
    repair,
    stall,
    switchover,
)
from .actions import Action
from .distrust import Disbelief
from .events import (
    Event,
    FailoverRequested,
    FailureSimulated,
    ForgetRequested,
    ForgetStepRequested,
    GlobalOptionsRequested,
    HelloReceived,
    LinkDown,
    LinkLoss,
    LinkUp,
    MessageReceived,
    MonitorRequested,
    NameResolved,
    OptionsRequested,
    PeriodsChanged,
    Persisted,
    RemoveRequested,
    RepliesReceived,
    ResetRequested,
    SaveRequested,
    Started,
    TimePassed,
    VoteRequested,
)
from .link_state import LinkKind
from .machine import LinkOwner, Machine, Request, RequestKind
from .model import Master, Node, SentinelState
from .timers import Timer, TimerKind


class SentinelCore:
    """One sentinel.

    `state` comes from `initial_state()` and belongs to the machine from then on. `rng` is used for
    nothing but the spread of retries; a journal must keep its seed.
    """

    def __init__(self, state: SentinelState, rng: random.Random) -> None:
        self._machine = Machine(state, rng)
        #: As of the end of the last step; nothing moves a timer outside of one.
        self._next_ms: int | None = None

    @property
    def state(self) -> SentinelState:
        """All that is known, to be read only."""
        return self._machine.state

    @property
    def next_wakeup_ms(self) -> int | None:
        """When `TimePassed` is due at the latest; None if nothing is awaited."""
        return self._next_ms

    def step(self, event: Event) -> list[Action]:
        """Handle one event; return what is to be done, in order.

        Raises AssertionError when an invariant of the machine is broken: a bug, not an input.
        """
        machine = self._machine
        now_ms = event.now_ms
        assert now_ms >= machine.now_ms, "the monotonic clock went backwards"
        machine.now_ms = now_ms
        stall.notice_stall(machine, self._next_ms)
        _handle(machine, event)
        timers = machine.timers
        while (timer := timers.pop_due(now_ms)) is not None:
            _fire(machine, timer)
        machine.flush()
        self._next_ms = timers.next_ms
        actions = machine.outbox
        machine.outbox = []
        return actions


# -- events ----------------------------------------------------------------------------------------


def _handle(machine: Machine, event: Event) -> None:
    match event:
        case TimePassed():
            pass
        case RepliesReceived():
            _on_replies(machine, event)
        case LinkUp():
            owner = machine.owners.get(event.link)
            if owner is not None:
                links.on_up(machine, owner, event.local_host)
                probes.on_link_up(machine, owner)
        case LinkDown():
            _on_link_down(machine, event)
        case MessageReceived():
            owner = machine.owners.get(event.link)
            if owner is not None:
                owner.link.last_activity_ms = machine.now_ms
                gossip.on_hello(machine, event.payload, f"the channel of {owner.link.address}")
        case HelloReceived():
            gossip.on_hello(machine, event.payload, "a client")
        case VoteRequested():
            election.on_vote_requested(machine, event)
        case Persisted():
            _on_persisted(machine, event)
        case NameResolved():
            names.on_resolved(machine, event)
        case Started():
            _on_started(machine)
        case MonitorRequested():
            admin.on_monitor(machine, event)
        case RemoveRequested():
            admin.on_remove(machine, event)
        case OptionsRequested():
            admin.on_options(machine, event)
        case GlobalOptionsRequested():
            admin.on_global_options(machine, event)
        case ResetRequested():
            admin.on_reset(machine, event)
        case FailoverRequested():
            admin.on_failover(machine, event)
        case ForgetRequested():
            membership.on_forget(machine, event)
        case ForgetStepRequested():
            membership.on_step(machine, event)
        case SaveRequested():
            admin.on_save(machine, event)
        case PeriodsChanged():
            admin.on_periods(machine, event)
        case FailureSimulated():
            admin.on_simulated_failure(machine, event)
        case _:
            assert_never(event)


def _on_started(machine: Machine) -> None:
    """Save what we start with (a fresh id above all), then begin to speak."""
    names.start(machine)
    for master in machine.state.masters.values():
        admin.announce(machine, master)
        for peer in master.peers.values():
            peer.last_hello_ms = machine.now_ms  # as if it had just introduced itself

    def begin(is_saved: bool) -> None:
        for master in machine.state.masters.values():
            for node in master.nodes():
                links.open_node(machine, node)
        for peer_link in machine.state.peer_links.values():
            links.open_link(machine, links.peer_owner(peer_link))

    machine.hold(begin)


def _on_persisted(machine: Machine, event: Persisted) -> None:
    """Say so when saving begins to fail, and when it works again; then let go of what waited."""
    state = machine.state
    was_failing = bool(state.save_error)
    state.save_error = "" if event.is_saved else event.error or "unknown error"
    if state.save_error and not was_failing:
        notices.about(machine, "+save-failed", state.save_error)
    elif was_failing and not state.save_error:
        notices.about(machine, "-save-failed", "the state is saved again")
    machine.on_persisted(event.save_id, event.is_saved)


def _on_link_down(machine: Machine, event: LinkDown) -> None:
    owner = machine.owners.get(event.link)
    if owner is None:
        return
    if event.reason is LinkLoss.PROTOCOL:
        where = str(owner.link.address)
        distrust.refuse(machine, Disbelief.PROTOCOL, where, "no RESP, or too much of it")
    was_up = owner.link.is_up
    links.on_down(machine, owner, event.reason)
    names.on_link_down(machine, owner)
    node = owner.node
    if node is not None and owner.link.kind is LinkKind.COMMAND:
        node.confirmed_by.clear()
        master = machine.master_of(node)
        if was_up and node is master.node:
            guard.on_master_lost(machine, master)
        if event.reason is LinkLoss.REFUSED:
            detection.check_node(machine, node)


def _on_replies(machine: Machine, event: RepliesReceived) -> None:
    owner = machine.owners.get(event.link)
    if owner is None:
        return
    request = machine.take_request(owner.link, event.token)
    if request is None:
        return
    assert len(event.replies) == request.count, "one reply to each command"
    match request.kind:
        case RequestKind.PING:
            detection.on_pong(machine, owner, event.replies[0])
        case RequestKind.INFO:
            assert owner.node is not None
            discovery.on_info(machine, owner.node, event.replies[0])
        case RequestKind.ASK | RequestKind.CONFIRM | RequestKind.LEADER | RequestKind.FORGET:
            _on_peer_answer(machine, request, event)
        case RequestKind.PROMOTE | RequestKind.FOLLOW:
            _on_order_answered(machine, owner, request, event)
        case RequestKind.HAND_OVER | RequestKind.STAY:
            assert owner.node is not None
            order, info = event.replies
            if request.kind is RequestKind.HAND_OVER:
                switchover.on_answer(machine, owner.node, request, order)
            discovery.on_info(machine, owner.node, info)
        case RequestKind.SETUP:
            links.on_set_up(machine, owner, event.replies)
            if owner.link.kind is LinkKind.PUBSUB and owner.node is not None and owner.link.is_up:
                # Whoever subscribes last is heard by all, and they introduce themselves to it.
                probes.introduce_to_node(machine, owner.node)
        case (
            RequestKind.HELLO
            | RequestKind.REWRITE
            | RequestKind.SCRIPT_KILL
            | RequestKind.FORGET_NEWS
        ):
            pass
        case _:
            assert_never(request.kind)


def _on_peer_answer(machine: Machine, request: Request, event: RepliesReceived) -> None:
    peer = request.peer
    assert peer is not None
    master = machine.is_current(peer.name, request.generation)
    if master is None or master.peers.get(peer.run_id) is not peer:
        return
    if request.kind is RequestKind.CONFIRM:
        repair.on_confirmation(machine, master, request, peer, event.replies)
        return
    if request.kind is RequestKind.LEADER:
        if leader_watch.has_given_up(master, peer, request, event.replies[0]):
            election.await_no_longer(machine, master)
        return
    if request.kind is RequestKind.FORGET:
        membership.on_answer(machine, master, peer, event.replies[0])
        return
    opinions.on_answer(machine, master, peer, request, event.replies[0])
    if master.is_s_down:
        detection.check_quorum(machine, master)
    election.tally(machine, master)


def _on_order_answered(
    machine: Machine, owner: LinkOwner, request: Request, event: RepliesReceived
) -> None:
    node = owner.node
    assert node is not None
    order = request.order
    assert order is not None
    if event.replies[-1] == b"QUEUED":
        links.close(machine, owner)  # MULTI was obeyed and EXEC was not: it would queue all to come
    else:
        discovery.on_info(machine, node, event.replies[-1])
    master = machine.master_of(node)
    if orders.was_reduced(machine, node, order, event.replies):
        _order_again(machine, master, node, request)
        return
    reason = orders.refusal(order, event.replies)
    if request.kind is RequestKind.PROMOTE and reason is not None:
        failover.on_promotion_refused(machine, master, node, request.epoch, reason)


def _order_again(machine: Machine, master: Master, node: Node, request: Request) -> None:
    """Give an order again, without what was refused, if it still stands."""
    assert request.order is not None
    if request.kind is RequestKind.PROMOTE:
        if not failover.is_promoting(master, node, request.epoch):
            return
    elif request.generation != master.generation or not lineage.may_be_ordered(master, node):
        return
    orders.send_slaveof(machine, node, request.order.target, request.kind, request.epoch)


# -- timers ----------------------------------------------------------------------------------------


def _on_save_timer(machine: Machine) -> None:
    machine.mark_dirty()


_OF_MACHINE: Final[dict[TimerKind, Callable[[Machine], None]]] = {
    TimerKind.SAVE: _on_save_timer,
    TimerKind.TILT: stall.end_tilt,
    TimerKind.NAMES: names.on_timer,
}

_OF_MASTER: Final[dict[TimerKind, Callable[[Machine, Master], None]]] = {
    TimerKind.ASK: detection.on_ask_timer,
    TimerKind.CANDIDACY: election.on_candidacy_timer,
    TimerKind.ELECTION: election.on_election_timer,
    TimerKind.FAILOVER: failover.on_timer,
    TimerKind.CONFLICT: conflict.on_timer,
    TimerKind.RECONF: reconfiguration.on_timer,
    TimerKind.FORGET: membership.on_timer,
}


def _on_command_link_timer(machine: Machine, node: Node) -> None:
    probes.on_link_timer(machine, links.command_owner(node))


def _on_pubsub_link_timer(machine: Machine, node: Node) -> None:
    probes.on_link_timer(machine, links.pubsub_owner(node))


_OF_NODE: Final[dict[TimerKind, Callable[[Machine, Node], None]]] = {
    TimerKind.COMMAND_LINK: _on_command_link_timer,
    TimerKind.PUBSUB_LINK: _on_pubsub_link_timer,
    TimerKind.INFO: probes.info_now,
    TimerKind.NODE_HELLO: probes.on_node_hello_timer,
    TimerKind.NODE_DOWN: detection.check_node,
}


def _fire(machine: Machine, timer: Timer) -> None:
    """Hand a timer to whom it belongs; timers of what is gone were cancelled with it."""
    kind, name, subject = timer
    if kind in _OF_MACHINE:
        _OF_MACHINE[kind](machine)
    elif kind is TimerKind.PEER_LINK:
        peer_link = machine.state.peer_links[RunId(str(subject))]
        probes.on_link_timer(machine, links.peer_owner(peer_link))
    elif kind is TimerKind.PEER_DOWN:
        detection.check_peers(machine, machine.state.peer_links[RunId(str(subject))])
    elif kind in _OF_MASTER:
        _OF_MASTER[kind](machine, machine.state.masters[name])
    elif kind in _OF_NODE:
        assert isinstance(subject, Address)
        node = machine.state.masters[name].find_node(subject)
        assert node is not None
        _OF_NODE[kind](machine, node)
    else:
        assert kind is TimerKind.PEER_HELLO
        peer = machine.state.masters[name].peers[RunId(str(subject))]
        probes.on_peer_hello_timer(machine, peer)
