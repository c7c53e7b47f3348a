"""A node's INFO was read: learn from it, and let those act whom it concerns.

Owns the INFO-derived fields of `Node`, and how replicas become known. The acting half (promotions,
reconfigurations, repairs) is called from here and lives elsewhere. Reference: `sentinel.c:
sentinelRefreshInstanceInfo`.
"""

from __future__ import annotations

from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address

from . import (
    detection,
    distrust,
    failover,
    guard,
    lineage,
    links,
    membership,
    names,
    notices,
    probes,
    repair,
    switch,
    switchover,
)
from .distrust import Disbelief
from .facts import Facts, read_facts
from .machine import Machine
from .model import Master, Node, Role, new_node


def on_info(machine: Machine, node: Node, reply: Received) -> None:
    """Take in a reply to INFO. An error, or text that names no role, changes nothing."""
    if isinstance(reply, ReplyError):
        return
    master = machine.master_of(node)
    facts = read_facts(reply) if isinstance(reply, bytes) else Facts()
    if facts.role is None:
        where = str(node.address)
        distrust.refuse(machine, Disbelief.INFO, where, "nothing that names a role", master)
        return
    assert isinstance(reply, bytes)
    is_master_node = node is master.node
    was_urgent = node.info_refresh_ms is None
    node.info_refresh_ms = machine.now_ms
    node.info = reply
    is_same_run = _note_run(machine, master, node, facts)
    if is_master_node and facts.role is Role.MASTER:
        for address in facts.replicas:
            if not membership.is_stale_listing(master, address):
                add_replica(machine, master, address)
    _note_role(machine, master, node, facts.role, is_same_run=is_same_run)
    if facts.role is Role.REPLICA:
        _note_replica(machine, node, facts)
    node.failover_state = facts.failover_state
    node.dataset = facts.dataset
    if is_master_node:
        guard.on_master_info(machine, master)
    else:
        lineage.note_replica(machine, master, node)
        guard.review(machine, master)
    if was_urgent:
        probes.schedule_info(machine, node)
    if is_master_node:
        detection.check_node(machine, node)
        switchover.on_master_info(machine, master)
        repair.on_master_info(machine, master)
    else:
        failover.on_replica_info(machine, master, node)
        repair.on_replica_info(machine, master, node)
        switch.note_return(machine, master, node)
    if node is not master.node and probes.is_misplaced(master, node):
        probes.schedule_info(machine, node)  # sooner than was planned when it was asked


def add_replica(machine: Machine, master: Master, address: Address) -> None:
    """A replica that the master lists; new ones are saved, announced and connected to."""
    known_as = names.recognise(machine, master, address)
    if known_as is None or master.find_node(known_as) is not None:
        return
    node = new_node(master.name, known_as)
    master.replicas[known_as] = node
    notices.about_node(machine, "+slave", node)
    machine.mark_found()
    links.open_node(machine, node)


def _note_run(machine: Machine, master: Master, node: Node, facts: Facts) -> bool:
    """Note which run of the process this is; return whether it is the one that was read before."""
    if facts.run_id is None or facts.run_id == node.run_id:
        return True
    if node.run_id:
        notices.about_node(machine, "+reboot", node)
        guard.on_restart(master, node)
        node.turned_master_ms = None
        if node is master.node and master.options.reboot_down_after_ms > 0:
            node.rebooted_ms = machine.now_ms
    node.run_id = facts.run_id
    return False


def _note_role(
    machine: Machine, master: Master, node: Node, role: Role, *, is_same_run: bool
) -> None:
    """Note what the node says it is; a change against what it was, or was taken for, is news."""
    expected = Role.MASTER if node is master.node else Role.REPLICA
    previous = node.role_reported or expected
    if role is not previous:
        event = "+role-change" if role is expected else "-role-change"
        notices.about_node(machine, event, node, f" new reported role is {role.value}")
        node.confirmed_by.clear()
        node.role_reported_ms = machine.now_ms
        if role is Role.MASTER and node.role_reported is Role.REPLICA and is_same_run:
            node.turned_master_ms = machine.now_ms
        elif role is Role.REPLICA:
            node.turned_master_ms = None
            node.master_address_ms = machine.now_ms
    node.role_reported = role


def _note_replica(machine: Machine, node: Node, facts: Facts) -> None:
    node.is_former_master = False
    master_address = facts.master_address
    if master_address is not None:
        master = machine.master_of(node)
        # What cannot be placed is compared as it stands.
        master_address = names.recognise(machine, master, master_address) or master_address
    if master_address != node.master_address:
        node.master_address = master_address
        node.master_address_ms = machine.now_ms
    node.is_master_link_up = bool(facts.is_master_link_up)
    node.master_link_down_ms = 0 if node.is_master_link_up else facts.master_link_down_ms
    if facts.priority is not None:
        node.priority = facts.priority
    if facts.repl_offset is not None:
        node.repl_offset = facts.repl_offset
    if facts.is_announced is not None:
        node.is_announced = facts.is_announced
