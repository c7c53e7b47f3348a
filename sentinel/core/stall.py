"""The machine was not run for a while: its process was stopped, swapped out or starved.

Time that passed while nobody listened proves nothing about others. So it is taken off every clock
that runs against somebody: suspicions, the patience with strays and with replicas under way; and
whoever is suspected keeps at least the time of a fresh probe, for the replies may be lying in the
sockets. Who was down already stays down until it answers: that was found out before. But nobody
stands against it before the fresh probe has had its time. Redis distrusts itself for 30 s after a
stall of 2 s (TILT); here the fresh probe decides, within `tilt_period_ms` at most, and the events
stay for whoever reads them.

Across a long stall the others have gone on without us. A failover of ours that was under way is
given up, also one that only reconfigures: its orders may be those of yesterday. What the fellows
thought is asked anew before it counts.
"""

from __future__ import annotations

from . import detection, failover, history, links, notices, opinions, reconfiguration
from .machine import LinkOwner, Machine
from .model import FailoverState, Master, Node
from .timers import Timer, TimerKind
from .timing import FRESH_PROBE_MS, STALL_ABORT_MS, STALL_MIN_MS, STALL_MS, master_ping_period_ms

_ABORTS = {
    FailoverState.WAIT_START: "-failover-abort-not-elected",
    FailoverState.SELECT_SLAVE: "-failover-abort-not-elected",
    FailoverState.WAIT_PROMOTION: "-failover-abort-slave-timeout",
}


def notice_stall(machine: Machine, due_ms: int | None) -> None:
    """Compare the clock with when the machine was due; call first in every step."""
    if due_ms is None:
        return
    late_ms = machine.now_ms - due_ms
    if late_ms >= machine.state.periods.tilt_trigger_ms:
        _enter_tilt(machine)
    if late_ms < STALL_MIN_MS:
        return
    for owner in _probed(machine):
        _void_suspicion(machine, owner, late_ms)
    if late_ms < STALL_MS:
        return
    for master in machine.state.masters.values():
        for node in master.nodes():
            _void_patience(machine, node, late_ms)
        if late_ms >= STALL_ABORT_MS:
            _give_up(machine, master)


def _void_suspicion(machine: Machine, owner: LinkOwner, late_ms: int) -> None:
    """Take the stall off what is held against a link, and leave it the time of a fresh probe."""
    down_after_ms = links.down_after_ms(machine, owner)
    if late_ms < min(STALL_MS, down_after_ms // 2):
        return
    link, node, now_ms = owner.link, owner.node, machine.now_ms
    # A master's silence is counted from up to one period before the suspicion.
    period_ms = master_ping_period_ms(down_after_ms, machine.state.periods.ping_period_ms)
    probe_ms = min(FRESH_PROBE_MS + period_ms, down_after_ms)
    if link.suspect_since_ms is not None and not (node is not None and node.is_s_down):
        since_ms = max(link.suspect_since_ms + late_ms, now_ms - down_after_ms + probe_ms)
        link.suspect_since_ms = min(since_ms, now_ms)
    if link.ping_waiting_since_ms is not None:
        link.ping_waiting_since_ms = min(link.ping_waiting_since_ms + late_ms, now_ms)
    links.restart_refusals(machine, link)
    if node is not None:
        _put_off_candidacy(machine, node, probe_ms)


def _put_off_candidacy(machine: Machine, node: Node, probe_ms: int) -> None:
    """Do not stand against a master before the probe has decided.

    Neither for a timer that ran out, nor because fellows say at once what they said before.
    """
    master = machine.master_of(node)
    if node is not master.node:
        return
    timer = Timer(TimerKind.CANDIDACY, master.name)
    due_ms = machine.timers.due_ms(timer)
    earliest_ms = machine.now_ms + probe_ms
    failover = master.failover
    failover.not_before_ms = max(failover.not_before_ms, earliest_ms)
    if due_ms is not None and due_ms < earliest_ms:
        machine.timers.set(timer, earliest_ms)


def _void_patience(machine: Machine, node: Node, late_ms: int) -> None:
    """Take the stall off the times that a node was given to do something."""
    now_ms = machine.now_ms
    node.pubsub.last_activity_ms = min(node.pubsub.last_activity_ms + late_ms, now_ms)
    node.role_reported_ms = min(node.role_reported_ms + late_ms, now_ms)
    node.master_address_ms = min(node.master_address_ms + late_ms, now_ms)
    node.reconf_sent_ms = min(node.reconf_sent_ms + late_ms, now_ms)


def _give_up(machine: Machine, master: Master) -> None:
    """Across a long stall: begin nothing, and go on with nothing, on what was known before."""
    event = _ABORTS.get(master.failover.state)
    if master.failover.told_ms is not None or master.failover.is_proven:
        pass  # the master is handing over, or about to, or has a successor: that goes to its end
    elif event is not None:
        history.note_defeat(master, history.Defeat.STALLED)
        failover.abort(machine, master, event)
    elif master.failover.state is FailoverState.RECONF_SLAVES:
        reconfiguration.abandon(machine, master)
    for peer in master.peers.values():
        peer.says_down = False
    if master.is_s_down:
        detection.check_quorum(machine, master)
        opinions.ask_all(machine, master, is_forced=True)


def end_tilt(machine: Machine) -> None:
    """Fresh probes have had time to be answered: trust what they say."""
    state = machine.state
    assert state.tilt_since_ms is not None
    state.tilted_ms += machine.now_ms - state.tilt_since_ms
    state.tilt_since_ms = None
    notices.about(machine, "-tilt", "#tilt mode exited")
    for master in state.masters.values():
        for node in list(master.nodes()):
            detection.check_node(machine, node)
        for peer in master.peers.values():
            detection.check_peer(machine, peer)


def hasten(machine: Machine) -> None:
    """The length of tilt mode has changed: do not stay in it longer than the new one."""
    state = machine.state
    if state.tilt_since_ms is not None:
        end_ms = state.tilt_since_ms + state.periods.tilt_period_ms
        machine.timers.set_earlier(Timer(TimerKind.TILT), max(end_ms, machine.now_ms))


def _enter_tilt(machine: Machine) -> None:
    state = machine.state
    if state.tilt_since_ms is None:
        state.tilt_since_ms = machine.now_ms
        state.tilt_count += 1
        notices.about(machine, "+tilt", "#tilt mode entered")
    machine.timers.set(Timer(TimerKind.TILT), machine.now_ms + state.periods.tilt_period_ms)


def _probed(machine: Machine) -> list[LinkOwner]:
    state = machine.state
    found = [links.peer_owner(peer_link) for peer_link in state.peer_links.values()]
    for master in state.masters.values():
        found += [links.command_owner(node) for node in master.nodes()]
    return found
