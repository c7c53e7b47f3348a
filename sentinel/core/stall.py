"""The machine was not run for a while: its process was stopped, swapped out or starved.

Time that passed while nobody listened proves nothing about others, so it is taken off every running
suspicion: the replies may be lying in the sockets. Redis distrusts itself for 30 s after a stall of
2 s (TILT); here a fresh probe answers in a round trip, and the events stay for whoever reads them.
A failover that was under way across a long stall is given up: the others have long gone on.
"""

from __future__ import annotations

from . import detection, failover, links, notices
from .machine import Machine
from .model import FailoverState, Link
from .timers import Timer, TimerKind
from .timing import STALL_ABORT_MS, STALL_MS

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
    if late_ms < STALL_MS:
        return
    for link in _probed_links(machine):
        if link.suspect_since_ms is not None:
            link.suspect_since_ms = min(link.suspect_since_ms + late_ms, machine.now_ms)
        links.restart_refusals(machine, link)
    for master in machine.state.masters.values():
        for node in master.nodes():
            silent_since_ms = node.pubsub.last_activity_ms
            node.pubsub.last_activity_ms = min(silent_since_ms + late_ms, machine.now_ms)
    if late_ms < STALL_ABORT_MS:
        return
    for master in machine.state.masters.values():
        event = _ABORTS.get(master.failover.state)
        if event is not None:
            failover.abort(machine, master, event)


def end_tilt(machine: Machine) -> None:
    """Fresh probes have had time to be answered: trust what they say."""
    state = machine.state
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


def _probed_links(machine: Machine) -> list[Link]:
    state = machine.state
    found = [peer_link.link for peer_link in state.peer_links.values()]
    for master in state.masters.values():
        found += [node.link for node in master.nodes()]
    return found
