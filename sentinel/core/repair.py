"""Nodes that do not fit the configuration are made to: strays demoted, replicas pointed right.

Evaluated whenever a replica's INFO was read. Two cases:

1. It says role:master (`+convert-to-slave`). Redis waits 8 s, in case a newer configuration is on
   its way. (a) A replica that says so now may have been promoted by somebody, and the news may
   indeed be coming: 8 s. (b) A former master that comes back from a failover as it went is a stray,
   and every second it goes on costs writes. So the fellows are asked at once which address
   they hold for the master, and in which epoch they last voted about it. If a majority, ourselves
   included, names our address and has voted in no epoch above our configuration's, then no newer
   one existed when they were asked: its leader would have needed the vote of one of them. That is
   better knowledge than any wait; without it, 8 s. (c) The same goes for a node that says so in the
   first INFO of its run, but was not seen to be the master: it was started that way, by hand or
   while this sentinel was down. Else only an order that is being carried out can have promoted it;
   whoever has that order has voted for itself, so all fellows that live must confirm.
2. It follows another node (`+fix-slave-config`). Redis waits for the failover timeout, since a
   leader may keep replicas back on purpose (`parallel-syncs`). But a leader that is at work moves
   the next as soon as one is done: a replica that follows one of our own nodes, while no other is
   synchronising, has been forgotten (its leader may be dead) and is moved after a few seconds.
   Whoever follows a stranger was sent there by an operator: the failover timeout, as with Redis.

Both only while the master looks sane: up, reporting role:master, read a short while ago. Reference:
`sentinel.c: sentinelRefreshInstanceInfo, sentinelMasterLooksSane`.
"""

from __future__ import annotations

import math

from vedette.resp.exchange import Received
from vedette.types import Address, RunId

from . import lineage, notices, orders, turns
from .hosts import same, shown
from .machine import Machine, Request, RequestKind
from .model import FailoverState, Master, Node, PeerSentinel, Role
from .timing import (
    CONFIRM_GAP_MS,
    FIX_TURN_MS,
    FIX_WAIT_MS,
    REPAIR_GAP_MS,
    Periods,
)


def on_master_info(machine: Machine, master: Master) -> None:
    """The master has just proved that it is one: strays that waited for that need not wait on."""
    for node in master.replicas.values():
        if node.role_reported is Role.MASTER:
            on_replica_info(machine, master, node)


def on_replica_info(machine: Machine, master: Master, node: Node) -> None:
    """Repair a replica, if it needs that and may be."""
    if not _is_repairable(machine, master, node):
        return
    if node.role_reported is Role.MASTER:
        _consider_conversion(machine, master, node)
        return
    if master.failover.state is not FailoverState.NONE:
        return  # we are the leader, and `reconfiguration.py` has its own order
    if node.master_address is not None and node.master_address != master.address:
        waited_ms = machine.now_ms - max(node.master_address_ms, node.role_reported_ms)
        if waited_ms > _fix_wait_ms(machine, master, node):
            _order(machine, master, node, "+fix-slave-config")


def on_confirmation(
    machine: Machine,
    master: Master,
    request: Request,
    peer: PeerSentinel,
    replies: tuple[Received, ...],
) -> None:
    """A fellow said which address it holds for the master, and when it last voted."""
    node = request.node
    if node is None or node.role_reported is not Role.MASTER:
        return
    # An answer to a question from before the node's return would prove nothing.
    if request.sent_ms < max(node.role_reported_ms, node.link.status_since_ms):
        return
    address, vote = replies
    if _names(machine, master, address) and (
        _newer_vote_epoch(vote, machine.state.my_id) <= master.config_epoch
    ):
        node.confirmed_by.add(peer.run_id)
        on_replica_info(machine, master, node)


def _names(machine: Machine, master: Master, reply: Received) -> bool:
    """Whether a fellow's answer names the address that we hold for the master."""
    match reply:
        case [bytes(host), bytes(port)] if port.isdigit():
            told = Address(host.decode("utf-8", "replace"), int(port))
            return same(machine.state, told, master.address)
        case _:
            return False


def _newer_vote_epoch(reply: Received, my_id: RunId) -> float:
    """The epoch of a vote in an answer to a down query; infinite if the answer makes no sense.

    0 for a vote that we were given: that we do not lead is known here.
    """
    match reply:
        case [int(), leader, int(epoch)]:
            return 0 if leader == my_id.encode() else epoch
        case _:
            return math.inf


def _is_repairable(machine: Machine, master: Master, node: Node) -> bool:
    if machine.state.tilt_since_ms is not None or not lineage.may_be_ordered(master, node):
        return False
    if master.replicas.get(node.address) is not node:
        return False
    if same(machine.state, node.address, master.address):
        return False  # two names that lead to one place: one of them is out of date
    if master.failover.state not in (FailoverState.NONE, FailoverState.RECONF_SLAVES):
        return False
    if node.repaired_ms is not None and machine.now_ms - node.repaired_ms < REPAIR_GAP_MS:
        return False
    return looks_sane(master, machine.now_ms, machine.state.periods)


def looks_sane(master: Master, now_ms: int, periods: Periods) -> bool:
    """Whether the master is fit to be named to a replica."""
    node = master.node
    return (
        not node.is_s_down
        and node.link.is_up
        and node.role_reported is Role.MASTER
        and node.info_refresh_ms is not None
        and now_ms - node.info_refresh_ms < periods.sane_info_age_ms
    )


def _consider_conversion(machine: Machine, master: Master, node: Node) -> None:
    has_waited = machine.now_ms - node.role_reported_ms > machine.state.periods.convert_wait_ms
    is_returned = node.turned_master_ms is None
    is_known_case = node.is_former_master or node.confirmed_by.issuperset(
        machine.live_peers(master)
    )
    vote = master.vote
    confirmations = 1 + len(node.confirmed_by & master.peers.keys())
    is_confirmed = (
        is_known_case
        and confirmations >= master.known_sentinels // 2 + 1
        and (vote.leader_epoch <= master.config_epoch or vote.leader == machine.state.my_id)
    )
    if has_waited or (is_returned and is_confirmed):
        _order(machine, master, node, "+convert-to-slave")
    elif is_returned:
        _ask_for_confirmation(machine, master, node)


def _ask_for_confirmation(machine: Machine, master: Master, node: Node) -> None:
    address = shown(machine.state, master.address)
    host, port = address.host.encode(), str(address.port).encode()
    my_id = machine.state.my_id.encode()
    commands = (
        (b"SENTINEL", b"get-master-addr-by-name", master.name.encode()),
        # Epoch 0 asks for no vote, but is answered with the last one given.
        (b"SENTINEL", b"is-master-down-by-addr", host, port, b"0", my_id),
    )
    for peer in master.peers.values():
        if peer.run_id in node.confirmed_by:
            continue
        if not machine.can_send(peer.link, peer.peer_link.refcount):
            continue
        last_ms = peer.confirm_asked_ms
        if last_ms is not None and machine.now_ms - last_ms < CONFIRM_GAP_MS:
            continue
        peer.confirm_asked_ms = machine.now_ms
        request = Request(
            RequestKind.CONFIRM, machine.now_ms, 2, node, peer, generation=master.generation
        )
        machine.send(peer.link, request, commands)


def _fix_wait_ms(machine: Machine, master: Master, node: Node) -> int:
    is_synchronising = any(
        other.role_reported is Role.REPLICA
        and other.master_address == master.address
        and not other.is_master_link_up
        and not other.is_s_down
        for other in master.replicas.values()
    )
    follows_one_of_ours = node.master_address in master.replicas
    if is_synchronising or not follows_one_of_ours:
        return master.options.failover_timeout_ms
    # One sentinel at a time; a second order would only restart the synchronisation.
    wait_ms = FIX_WAIT_MS + turns.rank(machine, master) * FIX_TURN_MS
    return min(wait_ms, master.options.failover_timeout_ms)


def _order(machine: Machine, master: Master, node: Node, event: str) -> None:
    node.repaired_ms = machine.now_ms
    notices.about_node(machine, event, node)
    orders.send_slaveof(machine, node, master.address, RequestKind.FOLLOW)
