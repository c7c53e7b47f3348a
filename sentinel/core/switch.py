"""The one place where a master's address changes.

Owns the exchange of roles between nodes. **On a switch every opinion, suspicion and timer about the
old address ends with it**: the new master starts with a clean slate, answers to older questions are
void (`Master.generation`), and no stale "down" counts towards a second, needless failover. Only the
vote stays, for it may never be given twice.

Nodes keep their connections. So the old master, if its process was merely stopped, still has one on
which it can be told to follow before it does anything else.
"""

from __future__ import annotations

from vedette.types import Address, RunId

from . import lineage, links, notices, probes
from .hosts import shown
from .machine import Machine
from .model import Failover, Master, Node, PeerSentinel, ReconfState, Role, new_node
from .timers import Timer, TimerKind

_ENDED_TIMERS = (TimerKind.ASK, TimerKind.CANDIDACY, TimerKind.ELECTION, TimerKind.FAILOVER)


def switch_master(
    machine: Machine,
    master: Master,
    address: Address,
    config_epoch: int,
    teller: RunId | None = None,
) -> Node:
    """Adopt a configuration with another address; return the node that was master before.

    Its epoch is higher, or the same where `conflict.py` has a reason.
    Emits +switch-master and a +slave for each replica, saves, and spreads the news; more slowly if
    it is that of a fellow, the `teller`, who does so too. The failover's
    record is cleared; a leader that goes on to reconfigure sets its state afterwards.
    """
    assert address != master.address
    assert config_epoch >= master.config_epoch
    old = master.node
    from_host, from_port = shown(machine.state, old.address)
    to_host, to_port = shown(machine.state, address)
    event = f"{master.name} {from_host} {from_port} {to_host} {to_port}"
    new = master.replicas.pop(address, None)
    is_known = new is not None
    if new is None:
        new = new_node(master.name, address)
    master.node = new
    master.replicas[old.address] = old
    master.config_epoch = config_epoch
    master.switched_ms = machine.now_ms
    if teller is None:
        probes.tell_fellows(machine, master)
    forget_past(machine, master)
    for node in master.nodes():
        _start_afresh(machine, node)
    old.is_former_master = True
    old.is_missed = True
    new.is_former_master = False
    new.is_missed = False
    new.is_foreign = False
    old.run_id = ""  # comes back as a stranger, not as a reboot
    notices.about(machine, "+switch-master", event, master)
    for node in master.replicas.values():
        notices.about_node(machine, "+slave", node)
    machine.mark_dirty(master)
    if not is_known:
        links.open_node(machine, new)
    elif new.link.is_up and new.link.ping_waiting_since_ms is None:
        probes.send_ping(machine, links.command_owner(new))  # at a master's pace from now on
    if teller is None:
        probes.tell_nodes(machine, master)
    else:
        probes.relay_hello(machine, master, teller)
    for node in master.nodes():
        probes.info_now(machine, node)
    return old


def note_return(machine: Machine, master: Master, node: Node) -> None:
    """A replica's INFO was read: say so if the old master has come back for good with it.

    Until it is synchronised its offset tells what is thrown away then.
    """
    if not node.is_missed:
        return
    record = master.history[-1] if master.history else None
    diverged_bytes = lineage.diverged_bytes(master, node)
    if record is not None and diverged_bytes is not None and record.old_address == node.address:
        record.discarded_bytes = max(diverged_bytes, record.discarded_bytes or 0)
    follows = node.role_reported is Role.REPLICA and node.master_address == master.address
    if follows and node.is_master_link_up:
        node.is_missed = False
        notices.about_node(machine, "+rejoined", node)


def forget_past(machine: Machine, master: Master) -> None:
    """End everything that was believed or under way about a master, except its vote."""
    master.generation += 1
    master.o_down_since_ms = None
    master.failover = Failover()
    for kind in (*_ENDED_TIMERS, TimerKind.RECONF):
        machine.timers.cancel(Timer(kind, master.name))
    for peer in master.peers.values():
        forget_opinion(peer)


def forget_opinion(peer: PeerSentinel) -> None:
    """Forget what a fellow sentinel said of the master and whom it voted for."""
    peer.says_down = False
    peer.says_down_ms = 0
    peer.voted_leader = None
    peer.voted_leader_epoch = 0
    peer.answered_epoch = 0
    peer.is_ask_due = False


def _start_afresh(machine: Machine, node: Node) -> None:
    """Clear what a node was suspected of and took part in; its connections stay."""
    machine.timers.cancel(Timer(TimerKind.NODE_DOWN, node.name, node.address))
    node.s_down_since_ms = None
    node.link.suspect_since_ms = None
    links.end_refusals(node.link)
    if not node.link.is_up or node.link.ping_waiting_since_ms is not None:
        links.suspect(machine, links.command_owner(node))
    node.link.failed_attempts = 0
    node.role_reported = None
    node.role_reported_ms = machine.now_ms
    node.turned_master_ms = None
    node.master_address_ms = machine.now_ms
    node.rebooted_ms = None
    node.is_unjudged = False
    node.lost_data_ms = None
    node.is_script_kill_sent = False
    node.reconf = ReconfState.NONE
    node.repaired_ms = None
    node.confirmed_by.clear()
