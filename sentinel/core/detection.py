"""Is it down? First by our own lights (SDOWN), then by a quorum's (ODOWN).

SDOWN: there is a PING without an acceptable reply, or no connection to send one over, and the
silence has lasted for `down-after` (`links.suspect`, `links.silence_began_ms`, `on_pong`). Three
more reasons hold for a master: it has said for long that it is a replica, it rebooted and does not
finish loading, or, if `refused-after-milliseconds` is set, every attempt to connect was refused for
that long. ODOWN: SDOWN, and enough fellows said the same a moment ago.

Timers are set lazily: one per instance, at the earliest moment it could be down, and looked at
again then. Reference: `sentinel.c: sentinelCheckSubjectivelyDown, sentinelCheckObjectivelyDown`.
"""

from __future__ import annotations

from vedette.resp.exchange import Received, ReplyError

from . import distrust, election, failover, guard, links, notices, opinions, probes, reconfiguration
from .distrust import Disbelief
from .link_state import PeerLink
from .machine import LinkOwner, Machine, Request, RequestKind
from .model import FailoverState, Master, Node, PeerSentinel, Role
from .timers import Timer, TimerKind
from .timing import SUCCESSION_WAIT_MS

_ACCEPTABLE_ERRORS = ("LOADING", "MASTERDOWN")


def on_pong(machine: Machine, owner: LinkOwner, reply: Received) -> None:
    """A reply to PING came; only some count as a sign of life."""
    link = owner.link
    link.last_pong_ms = machine.now_ms
    is_pong = reply == b"PONG"
    if not is_pong and not isinstance(reply, ReplyError):
        where = str(link.address)
        distrust.refuse(machine, Disbelief.PING, where, "the answer to another command")
    if is_pong or (isinstance(reply, ReplyError) and reply.text.startswith(_ACCEPTABLE_ERRORS)):
        link.last_valid_pong_ms = machine.now_ms
        links.end_suspicion(machine, link)
        links.mark_sound(link)
    node = owner.node
    if node is not None:
        node.is_busy = isinstance(reply, ReplyError) and reply.text.startswith("BUSY")
        if is_pong:
            node.rebooted_ms = None
        check_node(machine, node)
        _kill_script(machine, node)
    else:
        assert owner.peer_link is not None
        check_peers(machine, owner.peer_link)
    probes.schedule_ping(machine, owner)


def check_node(machine: Machine, node: Node) -> None:
    """Compare a node's deadlines with the clock; note an edge, and plan the next look."""
    if machine.state.tilt_since_ms is not None:
        return
    deadline_ms = _deadline_ms(machine, node)
    if deadline_ms is not None and deadline_ms <= machine.now_ms:
        if not node.is_s_down:
            _on_node_down(machine, node)
        return
    if node.is_s_down:
        _on_node_up(machine, node)
    if deadline_ms is not None:
        timer = Timer(TimerKind.NODE_DOWN, node.name, node.address)
        machine.timers.set_earlier(timer, deadline_ms)


def check_peers(machine: Machine, peer_link: PeerLink) -> None:
    """The same for a fellow sentinel, in the view of every master that it concerns.

    While its PINGs are answered those are the views that hold it down; else all but those.
    """
    masters, down_for = machine.state.masters, peer_link.down_for
    is_suspect = peer_link.link.suspect_since_ms is not None
    for name in sorted(peer_link.masters - down_for if is_suspect else down_for):
        check_peer(machine, masters[name].peers[peer_link.run_id])


def check_peer(machine: Machine, peer: PeerSentinel) -> None:
    """One view of a fellow sentinel; its being down only matters for counting and pacing."""
    if machine.state.tilt_since_ms is not None:
        return
    suspect_since_ms = peer.link.suspect_since_ms
    if suspect_since_ms is None:
        if peer.is_s_down:
            peer.s_down_since_ms = None
            peer.peer_link.down_for.discard(peer.name)
            notices.about_peer(machine, "-sdown", peer)
        return
    deadline_ms = suspect_since_ms + machine.master_of(peer).options.down_after_ms
    if deadline_ms > machine.now_ms:
        machine.timers.set_earlier(Timer(TimerKind.PEER_DOWN, "", peer.run_id), deadline_ms)
    elif not peer.is_s_down:
        peer.s_down_since_ms = machine.now_ms
        peer.peer_link.down_for.add(peer.name)
        notices.about_peer(machine, "+sdown", peer)


def check_quorum(machine: Machine, master: Master) -> None:
    """Count who believes the master down; note an edge of ODOWN, but not while in TILT."""
    if machine.state.tilt_since_ms is not None:
        return
    opinions.expire(machine, master)
    have = opinions.count_down(master)
    need = master.options.quorum
    is_down = master.is_s_down and have >= need
    if is_down and not master.is_o_down:
        master.o_down_since_ms = machine.now_ms
        notices.about_master(machine, "+odown", master, f" #quorum {have}/{need}")
        election.consider(machine, master)
    elif not is_down and master.is_o_down:
        master.o_down_since_ms = None
        machine.timers.cancel(Timer(TimerKind.CANDIDACY, master.name))
        notices.about_master(machine, "-odown", master)


def on_ask_timer(machine: Machine, master: Master) -> None:
    """Repeat the question to the fellows for as long as the master is down to us."""
    if not master.is_s_down:
        return
    check_quorum(machine, master)
    opinions.ask_all(machine, master)


def _deadline_ms(machine: Machine, node: Node) -> int | None:
    """The earliest moment at which some reason makes the node down; None if there is no reason."""
    master = machine.master_of(node)
    options = master.options
    silent_since_ms = links.silence_began_ms(machine, node)
    silent_ms = None if silent_since_ms is None else silent_since_ms + options.down_after_ms
    if node is not master.node:
        return silent_ms
    deadlines = [] if silent_ms is None else [silent_ms]
    if links.refused_long_enough(node.link, options.refused_after_ms):
        deadlines.append(node.link.refused_last_ms)
    if node.role_reported is Role.REPLICA:
        wait_ms = 2 * machine.state.periods.info_period_ms
        if _has_handed_over(master):
            wait_ms = min(wait_ms, SUCCESSION_WAIT_MS)
        deadlines.append(node.role_reported_ms + options.down_after_ms + wait_ms)
    if node.rebooted_ms is not None and options.reboot_down_after_ms > 0:
        deadlines.append(node.rebooted_ms + options.reboot_down_after_ms)
    if node.lost_data_ms is not None:
        deadlines.append(node.lost_data_ms)
    if node.s_down_since_ms is not None and guard.is_waiting_for_verdict(master, node):
        deadlines.append(node.s_down_since_ms)
    return min(deadlines, default=None)


def _has_handed_over(master: Master) -> bool:
    """Whether it hands over to one of its own replicas, or has, and nobody has announced that."""
    node = master.node
    successor = master.replicas.get(node.master_address) if node.master_address else None
    if successor is None:
        return False
    return node.is_failing_over or successor.role_reported is Role.MASTER


def _on_node_down(machine: Machine, node: Node) -> None:
    master = machine.master_of(node)
    node.s_down_since_ms = machine.now_ms
    notices.about_node(machine, "+sdown", node)
    _kill_script(machine, node)
    if node is not master.node:
        if master.failover.state is FailoverState.RECONF_SLAVES:
            reconfiguration.advance(machine, master)
        return
    if master.failover.state is FailoverState.RECONF_SLAVES:
        reconfiguration.abandon(machine, master)
    for replica in master.replicas.values():
        probes.info_now(machine, replica)  # offsets as they are now, for the choice to come
    check_quorum(machine, master)
    opinions.ask_all(machine, master)


def _on_node_up(machine: Machine, node: Node) -> None:
    master = machine.master_of(node)
    node.s_down_since_ms = None
    node.is_script_kill_sent = False
    notices.about_node(machine, "-sdown", node)
    if node is master.node:
        check_quorum(machine, master)
        machine.timers.cancel(Timer(TimerKind.ASK, master.name))
        for peer in master.peers.values():
            peer.says_down = False
        failover.on_master_recovered(machine, master)
    probes.info_now(machine, node)


def _kill_script(machine: Machine, node: Node) -> None:
    """A node that is down because a script runs for ever gets one SCRIPT KILL."""
    if node.is_s_down and node.is_busy and not node.is_script_kill_sent and node.link.is_up:
        node.is_script_kill_sent = True
        command = links.rename(machine, node, (b"SCRIPT", b"KILL"))
        request = Request(RequestKind.SCRIPT_KILL, machine.now_ms, 1, node)
        machine.send(node.link, request, (command,))
