"""A coordinated failover: the master itself hands over to a replica, and nothing is lost.

Theory of operation. SENTINEL FAILOVER ... COORDINATED holds an election as if the master were down.
The leader then tells the master `FAILOVER TO <replica> TIMEOUT <ms>`: it keeps its writers waiting,
waits until the replica has everything, becomes its replica and makes it the master. All that is
atomic at the master, so it does not matter when the leader dies: the master either stays, by its
own time limit, or it follows the new one. The leader watches both:

- The replica says role:master: promoted. It is announced as soon as the old master has sent its
  waiting writers away, and the pause is measured.
- The master says role:master and no-failover again: it stayed (`-failover-abort-master-timeout`).
- It refuses (unknown, not permitted, not its replica): `-failover-abort-master-refused`.
- Neither in time. If it only waits it is told to stay. If it has begun to follow its target, which
  does not take over, it is freed from that (FAILOVER ABORT and SLAVEOF in one transaction, so that
  it never is a master in between) and the target is promoted as in any failover; with the target
  lost it is told to be the master again.
- The quorum holds the master down meanwhile: the failover goes on as an ordinary one.

Who finds a master that has handed over with nobody to announce it holds it down soon
(`detection.py`) and prefers its successor (`selection.py`). While writers wait PUBLISH waits too,
so who leads or has voted sends no hello through the master: the PINGs behind it would go
unanswered. Reference: Redis 7.0 `replication.c: failoverCommand`; Valkey 9 `COORDINATED`.
"""

from __future__ import annotations

from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address

from . import failover as leading
from . import history, names, notices, orders, probes, transitions
from .hosts import shown
from .machine import Machine, Request, RequestKind
from .model import FailoverState, Master, Node, Role
from .timers import Timer, TimerKind
from .timing import (
    HANDOVER_END_WAIT_MS,
    HANDOVER_GRACE_MS,
    HANDOVER_LIMIT_MS,
    HANDOVER_MIN_MS,
    HANDOVER_POLL_MS,
)

_TIMEOUT = "-failover-abort-master-timeout"
_REFUSED = "-failover-abort-master-refused"


def hush(machine: Machine, master: Master) -> None:
    """Writers may have to wait soon: send nothing through the master that would wait with them."""
    limit_ms = min(HANDOVER_LIMIT_MS, master.options.failover_timeout_ms)
    master.failover.hushed_until_ms = machine.now_ms + limit_ms + 2 * HANDOVER_GRACE_MS
    for node in master.nodes():
        probes.schedule_info(machine, node)


def begin(machine: Machine, master: Master, replica: Node) -> None:
    """SEND_FAILOVER and on to WAIT_PROMOTION: tell the master to hand over."""
    failover = master.failover
    left_ms = failover.started_ms + master.options.failover_timeout_ms - machine.now_ms
    limit_ms = min(HANDOVER_LIMIT_MS, left_ms)
    if limit_ms < HANDOVER_MIN_MS or not master.node.link.is_up:
        leading.abort(machine, master, _TIMEOUT)
        return
    failover.promoted = replica.address
    notices.about_node(machine, "+selected-slave", replica)
    transitions.become(machine, master, FailoverState.SEND_FAILOVER)
    failover.told_ms = machine.now_ms
    failover.is_told_accepted = False
    failover.handover_until_ms = machine.now_ms + limit_ms
    target = _as_listed(machine, master, replica)
    orders.send_handover(machine, master.node, target, limit_ms, failover.epoch)
    transitions.become(machine, master, FailoverState.WAIT_PROMOTION)
    machine.timers.set(Timer(TimerKind.FAILOVER, master.name), machine.now_ms + HANDOVER_POLL_MS)


def _as_listed(machine: Machine, master: Master, replica: Node) -> Address:
    """The replica's address in the master's own words, which it compares as they are."""
    for address in master.node.dataset.replicas:
        if names.recognise(machine, master, address) == replica.address:
            return address
    return shown(machine.state, replica.address)


def on_answer(machine: Machine, node: Node, request: Request, order: Received) -> None:
    """The master has heard the order to hand over: it obeys, or says why not."""
    master = machine.master_of(node)
    if not _is_handing_over(master) or request.epoch != master.failover.epoch:
        return
    if isinstance(order, ReplyError):
        target = master.failover.promoted
        assert target is not None
        notices.about_node(machine, "-selected-slave", master.replicas[target], f" #{order.text}")
        leading.abort(machine, master, _REFUSED)
        return
    master.failover.is_told_accepted = True


def _is_handing_over(master: Master) -> bool:
    failover = master.failover
    is_waiting = failover.state is FailoverState.WAIT_PROMOTION and not failover.is_proven
    return failover.is_coordinated and is_waiting


def on_master_info(machine: Machine, master: Master) -> None:
    """The master's INFO was read: it may show that it stays, or that the way is free."""
    failover, node = master.failover, master.node
    if failover.state is FailoverState.SELECT_SLAVE:
        leading.select_replica(machine, master)
        return
    if not _is_handing_over(master) or not failover.is_told_accepted or node.is_failing_over:
        return
    if node.role_reported is Role.MASTER:
        _give_up(machine, master)
        return
    assert failover.promoted is not None
    leading.on_replica_info(machine, master, master.replicas[failover.promoted])


def watch(machine: Machine, master: Master) -> None:
    """WAIT_PROMOTION: look at both nodes, and see to it that the master gets out of it."""
    failover, node = master.failover, master.node
    assert failover.promoted is not None
    target = master.replicas[failover.promoted]
    is_late = machine.now_ms >= failover.handover_until_ms + HANDOVER_GRACE_MS
    if master.is_o_down or (is_late and node.role_reported is Role.REPLICA):
        _go_on_plainly(machine, master)
        return
    if is_late:
        if node.is_failing_over and node.link.is_up:
            orders.send_stay(machine, node)
        _give_up(machine, master)
        return
    probes.info_now(machine, target)
    probes.info_now(machine, node)
    machine.timers.set(Timer(TimerKind.FAILOVER, master.name), machine.now_ms + HANDOVER_POLL_MS)


def _go_on_plainly(machine: Machine, master: Master) -> None:
    """We are elected, and the master does not get it done: promote by our own order."""
    master.failover.is_coordinated = False
    master.failover.promoted = None
    transitions.become(machine, master, FailoverState.SELECT_SLAVE)
    leading.select_replica(machine, master)


def _give_up(machine: Machine, master: Master) -> None:
    _record_pause(machine, master)
    leading.abort(machine, master, _TIMEOUT)


def is_called_back(machine: Machine, master: Master, candidates: list[Node]) -> bool:
    """Have a master that hands over to a replica that is lost stay, and end the failover.

    It has all, which no other replica need have. Its clients have been waiting, whoever leads.
    """
    node = master.node
    if not is_stuck(node) or any(each.address == node.master_address for each in candidates):
        return False
    orders.send_stay(machine, node)
    _give_up(machine, master)
    return True


def is_stuck(node: Node) -> bool:
    """Whether it has begun to follow its target, and can be told to do otherwise."""
    return node.is_failing_over and node.link.is_up and node.role_reported is Role.REPLICA


def is_disarmed(machine: Machine, master: Master, successor: Node) -> bool:
    """Whether the old master does not stand in the way of promoting `successor`.

    One that hands over, and whose target becomes master otherwise, would take that for a refusal
    and be a master again. So it is freed first and made to follow; for a while that is waited for.
    """
    failover, node = master.failover, master.node
    if not is_stuck(node):
        return True
    deadline_ms = failover.state_since_ms + HANDOVER_GRACE_MS
    if machine.now_ms >= deadline_ms:
        return True
    if not machine.has_request(node.link, RequestKind.FOLLOW):
        orders.send_slaveof(machine, node, successor.address, RequestKind.FOLLOW)
    machine.timers.set(Timer(TimerKind.FAILOVER, master.name), deadline_ms)
    return False


def may_announce(machine: Machine, master: Master) -> bool:
    """Whether the promoted replica may be announced: not while writers wait at the old master.

    They are to be told to go, rather than cut off and left in doubt. A round trip, as a rule.
    """
    failover, node = master.failover, master.node
    if not failover.is_coordinated or not (node.is_failing_over and node.link.is_up):
        return True
    assert failover.promoted is not None
    promoted_ms = master.replicas[failover.promoted].role_reported_ms
    if machine.now_ms - promoted_ms >= HANDOVER_END_WAIT_MS:
        return True
    probes.info_now(machine, node)
    return False


def on_promoted(machine: Machine, master: Master, node: Node) -> None:
    """The promotion is about to be announced: say how long writers had to wait.

    Who was promoted by FAILOVER has the old master in its file, and would follow it after a
    restart.
    """
    if master.failover.is_coordinated and node.link.is_up:
        orders.send_rewrite(machine, node)
    pause_ms = _record_pause(machine, master)
    if pause_ms is not None:
        notices.about_node(machine, "+coordinated-pause", node, f" ms {pause_ms}")


def _record_pause(machine: Machine, master: Master) -> int | None:
    """The time from the order to now: what a writer waited at most, and a little more."""
    if master.failover.told_ms is None:
        return None
    pause_ms = machine.now_ms - master.failover.told_ms
    record = history.current(master)
    if record is not None:
        record.pause_ms = pause_ms
    return pause_ms
