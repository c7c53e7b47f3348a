"""After a promotion: the other replicas are pointed to the new master, a few at a time.

The switch is announced already; this runs behind it and blocks nothing. Each replica goes NONE →
SENT (SLAVEOF is on its way) → IN_PROGRESS (its INFO names the new master) → DONE (its link is up).
At most `parallel-syncs` are between SENT and DONE. The old master is told first and does not count:
as long as it believes itself master, clients may lose what they write to it. Reference:
`sentinel.c: sentinelFailoverReconfNextSlave, sentinelFailoverDetectEnd`.
"""

from __future__ import annotations

from . import lineage, notices, orders, probes, transitions
from .machine import Machine, RequestKind
from .model import FailoverState, Master, Node, ReconfState, Role
from .timers import Timer, TimerKind
from .timing import RECONF_POLL_MS

_UNDER_WAY = frozenset({ReconfState.SENT, ReconfState.IN_PROGRESS})


def start(machine: Machine, master: Master, old: Node) -> None:
    """Begin; `old` is the node that was master until now."""
    assert master.failover.state is FailoverState.RECONF_SLAVES
    if lineage.may_be_ordered(master, old):
        # A process that is merely stopped finds this in its socket when it wakes, before any
        # client's next request.
        notices.about_node(machine, "+convert-to-slave", old)
        orders.send_slaveof(machine, old, master.address, RequestKind.FOLLOW)
        old.repaired_ms = machine.now_ms
    advance(machine, master)


def advance(machine: Machine, master: Master) -> None:
    """Send what may be sent now, and end the failover when nothing is left to do."""
    failover = master.failover
    assert failover.state is FailoverState.RECONF_SLAVES
    waiting = _replicas_to_move(master)
    if all(node.reconf is ReconfState.DONE or node.is_s_down for node in waiting):
        _end(machine, master, "+failover-end")
        return
    if machine.now_ms - failover.started_ms > master.options.failover_timeout_ms:
        _give_up(machine, master)
        return
    under_way = sum(node.reconf in _UNDER_WAY for node in waiting)
    for node in waiting:
        if under_way >= master.options.parallel_syncs:
            break
        is_willing = lineage.may_be_ordered(master, node) and not node.is_s_down
        if node.reconf is ReconfState.NONE and is_willing:
            orders.send_slaveof(machine, node, master.address, RequestKind.FOLLOW)
            node.reconf = ReconfState.SENT
            node.reconf_sent_ms = machine.now_ms
            notices.about_node(machine, "+slave-reconf-sent", node)
            under_way += 1
    timer = Timer(TimerKind.RECONF, master.name)
    machine.timers.set_earlier(timer, machine.now_ms + RECONF_POLL_MS)


def on_timer(machine: Machine, master: Master) -> None:
    """Look after replicas under way: ask them how far they are, pass over who does not answer."""
    timeout_ms = machine.state.periods.slave_reconf_timeout_ms
    for node in _replicas_to_move(master):
        if node.reconf not in _UNDER_WAY:
            continue
        if node.reconf is ReconfState.SENT and machine.now_ms - node.reconf_sent_ms > timeout_ms:
            node.reconf = ReconfState.DONE
            notices.about_node(machine, "-slave-reconf-sent-timeout", node)
        else:
            probes.info_now(machine, node)
    advance(machine, master)


def on_info(machine: Machine, master: Master, node: Node) -> None:
    """A replica's INFO was read while the reconfiguration runs."""
    follows = node.role_reported is Role.REPLICA and node.master_address == master.address
    if follows and node.reconf is ReconfState.SENT:
        node.reconf = ReconfState.IN_PROGRESS
        notices.about_node(machine, "+slave-reconf-inprog", node)
    if follows and node.is_master_link_up:
        if node.reconf is ReconfState.IN_PROGRESS:
            node.reconf = ReconfState.DONE
            notices.about_node(machine, "+slave-reconf-done", node)
        elif node.reconf is ReconfState.NONE:
            node.reconf = ReconfState.DONE  # somebody else has moved it already
    advance(machine, master)


def abandon(machine: Machine, master: Master) -> None:
    """The new master is down itself: what remains is the business of the next failover."""
    _end(machine, master, "+failover-end-for-timeout")


def _end(machine: Machine, master: Master, event: str) -> None:
    """Nobody is on its way any more, nor shown to be (`reconf_done` and its like)."""
    transitions.finish(machine, master, event)
    for node in master.replicas.values():
        node.reconf = ReconfState.NONE


def _replicas_to_move(master: Master) -> list[Node]:
    old_address = master.failover.old_address
    return [
        node
        for node in master.replicas.values()
        if node.address != old_address and not node.is_foreign
    ]


def _give_up(machine: Machine, master: Master) -> None:
    """Time is over: end, but tell all that can be told, best effort."""
    left = [node for node in _replicas_to_move(master) if node.reconf is ReconfState.NONE]
    _end(machine, master, "+failover-end-for-timeout")
    for node in left:
        if lineage.may_be_ordered(master, node):
            orders.send_slaveof(machine, node, master.address, RequestKind.FOLLOW)
            notices.about_node(machine, "+slave-reconf-sent-be", node)
