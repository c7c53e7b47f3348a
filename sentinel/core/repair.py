"""Nodes that do not fit the configuration are made to: strays demoted, replicas pointed right.

Evaluated whenever a replica's INFO was read. Two cases:

1. It says role:master (`+convert-to-slave`). Redis waits 8 s, in case a newer configuration is on
   its way. (a) A node that was *turned* into a master under our eyes was promoted by somebody, and
   the news may indeed be coming: 8 s. (b) One that came back as a master is most likely the old
   one. Every second it goes on costs writes, so the fellows are asked at once which address they
   hold for the master; a majority that names ours, asked after the node came back, is better
   knowledge than any wait.
2. It follows somebody else (`+fix-slave-config`). The leader of the last failover repairs soon
   after it is done; the others wait for the failover timeout as Redis does, since the leader may
   be keeping replicas back on purpose (`parallel-syncs`) - unless the leader is gone.

Both only while the master looks sane: up, reporting role:master, read a short while ago. Reference:
`sentinel.c: sentinelRefreshInstanceInfo, sentinelMasterLooksSane`.
"""

from __future__ import annotations

from vedette.resp.exchange import Received

from . import election, notices, orders
from .machine import Machine, Request, RequestKind
from .model import FailoverState, Master, Node, PeerSentinel, Role
from .timing import (
    CONFIRM_GAP_MS,
    CONVERT_WAIT_MS,
    FIX_WAIT_LEADER_MS,
    FIX_WAIT_ORPHANED_MS,
    REPAIR_GAP_MS,
    SANE_INFO_AGE_MS,
)


def on_replica_info(machine: Machine, master: Master, node: Node) -> None:
    """Repair a replica, if it needs that and may be."""
    if not _is_repairable(machine, master, node):
        return
    if node.role_reported is Role.MASTER:
        _consider_conversion(machine, master, node)
    elif node.master_address is not None and node.master_address != master.address:
        waited_ms = machine.now_ms - max(node.master_address_ms, node.role_reported_ms)
        if waited_ms > _fix_wait_ms(machine, master):
            _order(machine, master, node, "+fix-slave-config")


def on_confirmation(
    machine: Machine, master: Master, request: Request, peer: PeerSentinel, reply: Received
) -> None:
    """A fellow said which address it holds for the master."""
    node = request.node
    if node is None or node.role_reported is not Role.MASTER:
        return
    # An answer to a question from before the node's return would prove nothing.
    if request.sent_ms < max(node.role_reported_ms, node.link.status_since_ms):
        return
    expected = [master.address.host.encode(), str(master.address.port).encode()]
    if reply == expected:
        node.confirmed_by.add(peer.run_id)
        on_replica_info(machine, master, node)


def _is_repairable(machine: Machine, master: Master, node: Node) -> bool:
    if machine.state.tilt_since_ms is not None or not node.link.is_up:
        return False
    if master.replicas.get(node.address) is not node:
        return False
    if master.failover.state not in (FailoverState.NONE, FailoverState.RECONF_SLAVES):
        return False
    if node.repaired_ms is not None and machine.now_ms - node.repaired_ms < REPAIR_GAP_MS:
        return False
    return looks_sane(master, machine.now_ms)


def looks_sane(master: Master, now_ms: int) -> bool:
    """Whether the master is fit to be named to a replica."""
    node = master.node
    return (
        not node.is_s_down
        and node.link.is_up
        and node.role_reported is Role.MASTER
        and node.info_refresh_ms is not None
        and now_ms - node.info_refresh_ms < SANE_INFO_AGE_MS
    )


def _consider_conversion(machine: Machine, master: Master, node: Node) -> None:
    has_waited = machine.now_ms - node.role_reported_ms > CONVERT_WAIT_MS
    is_returned = node.turned_master_ms is None
    confirmations = 1 + len(node.confirmed_by & master.peers.keys())
    is_confirmed = confirmations >= (1 + len(master.peers)) // 2 + 1
    if has_waited or (is_returned and is_confirmed):
        _order(machine, master, node, "+convert-to-slave")
    elif is_returned:
        _ask_for_confirmation(machine, master, node)


def _ask_for_confirmation(machine: Machine, master: Master, node: Node) -> None:
    command = (b"SENTINEL", b"get-master-addr-by-name", master.name.encode())
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
            RequestKind.CONFIRM, machine.now_ms, 1, node, peer, generation=master.generation
        )
        machine.send(peer.link, request, (command,))


def _fix_wait_ms(machine: Machine, master: Master) -> int:
    if master.config_leader == machine.state.my_id:
        return FIX_WAIT_LEADER_MS
    leader = master.peers.get(master.config_leader) if master.config_leader is not None else None
    if master.config_leader is not None and (leader is None or leader.is_s_down):
        # One sentinel at a time; a second order would only restart the synchronisation.
        return FIX_WAIT_ORPHANED_MS + election.rank(machine, master) * REPAIR_GAP_MS
    return master.options.failover_timeout_ms


def _order(machine: Machine, master: Master, node: Node, event: str) -> None:
    node.repaired_ms = machine.now_ms
    notices.about_node(machine, event, node)
    orders.send_slaveof(machine, node, master.address, RequestKind.FOLLOW)
