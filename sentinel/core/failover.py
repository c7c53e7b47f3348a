"""The leader's work: choose a replica, promote it, see the proof, announce the switch.

One function per state; each is entered through `transitions.become`. Nothing waits for a tick: the
choice follows the election in the same step, INFO rides behind the promotion, and the switch is
announced as soon as what role:master in it proves is on disk. A replica that refuses, falls silent
or loses its link is passed over for the next best within the same epoch, with an event that says
why.

Safety: only an elected (or ordered) leader gets here, with an epoch of its own; the config epoch is
that epoch, and it is bound to an address once, in `on_proven`. It is saved before anybody hears of
it: a leader that crashed right after would have told clients what no sentinel knows. Reference:
`sentinel.c: sentinelFailoverStateMachine`.
"""

from __future__ import annotations

from . import (
    conflict,
    history,
    lineage,
    notices,
    orders,
    probes,
    reconfiguration,
    selection,
    switchover,
    transitions,
)
from .actions import Crash, RunScript
from .hosts import shown
from .machine import Machine, RequestKind
from .model import Failover, FailoverState, Master, Node, Role, SimulatedFailure
from .switch import switch_master
from .timers import Timer, TimerKind
from .timing import (
    ABORT_PAUSE_MS,
    FRESH_INFO_WAIT_MS,
    MISSED_FOR_MS,
    PROMOTION_PATIENCE_MS,
    PROMOTION_POLL_MS,
    PROMOTION_RESEND_MS,
    REFUSED_FOR_MS,
    SILENCE_MS,
)


def become_leader(machine: Machine, master: Master) -> None:
    """Elected, or ordered by an operator: begin."""
    notices.about_master(machine, "+elected-leader", master)
    if _crashes(machine, SimulatedFailure.CRASH_AFTER_ELECTION):
        return
    failover = master.failover
    failover.attempts = 0
    failover.awaited_leader = None
    failover.ordered_until_ms = 0
    failover.is_waiting_for_replica = False
    if failover.is_settling:
        conflict.settle(machine, master)
        return
    transitions.become(machine, master, FailoverState.SELECT_SLAVE)
    select_replica(machine, master)


def _crashes(machine: Machine, failure: SimulatedFailure) -> bool:
    """Crash if that was ordered for this moment; whoever calls does nothing more then."""
    if not machine.state.simulated_failures & failure:
        return False
    machine.act(Crash())
    return True


def select_replica(machine: Machine, master: Master) -> None:
    """SELECT_SLAVE: take the best replica as soon as the newest offsets are in."""
    failover = master.failover
    assert failover.state is FailoverState.SELECT_SLAVE
    deadline_ms = failover.state_since_ms + FRESH_INFO_WAIT_MS
    if machine.now_ms < deadline_ms and any(
        node.is_info_waiting
        and node.link.is_up
        and not node.is_s_down
        and not selection.is_set_aside(master, node, machine.now_ms)
        for node in master.replicas.values()
    ):
        machine.timers.set(Timer(TimerKind.FAILOVER, master.name), deadline_ms)
        return
    ranked = selection.candidates(master, machine.now_ms, machine.state.periods)
    if switchover.is_called_back(machine, master, ranked):
        return
    if not ranked:
        failover.is_waiting_for_replica = True
        failover.not_before_ms = machine.now_ms + ABORT_PAUSE_MS
        transitions.finish(machine, master, "-failover-abort-no-good-slave")
        return
    record = history.current(master)
    if record is not None:
        record.chosen_by = selection.decided_by(master, ranked, machine.now_ms)
    if failover.is_coordinated:
        switchover.begin(machine, master, ranked[0])
        return
    if not switchover.is_disarmed(machine, master, ranked[0]):
        return
    promote(machine, master, ranked[0])


def promote(machine: Machine, master: Master, replica: Node) -> None:
    """SEND_SLAVEOF_NOONE and on to WAIT_PROMOTION: the order goes out, with INFO behind it."""
    failover = master.failover
    failover.promoted = replica.address
    notices.about_node(machine, "+selected-slave", replica)
    transitions.become(machine, master, FailoverState.SEND_SLAVEOF_NOONE)
    orders.send_slaveof(machine, replica, None, RequestKind.PROMOTE, failover.epoch)
    transitions.become(machine, master, FailoverState.WAIT_PROMOTION)
    machine.timers.set(Timer(TimerKind.FAILOVER, master.name), machine.now_ms + PROMOTION_POLL_MS)


def watch_promotion(machine: Machine, master: Master) -> None:
    """WAIT_PROMOTION: ask again, and do not wait for a replica that is lost."""
    failover = master.failover
    assert failover.state is FailoverState.WAIT_PROMOTION
    assert failover.promoted is not None
    if failover.is_proven:
        return
    if failover.is_coordinated:
        switchover.watch(machine, master)
        return
    replica = master.replicas[failover.promoted]
    link = replica.link
    if machine.now_ms - failover.started_ms > master.options.failover_timeout_ms:
        abort(machine, master, "-failover-abort-slave-timeout")
        return
    given_up_ms = _given_up_ms(machine, master, replica)
    if replica.is_s_down or machine.now_ms >= given_up_ms:
        reason = "no connection" if not link.is_up else "no answer"
        pass_over(machine, master, replica, reason, MISSED_FOR_MS)
        return
    if link.is_up:
        is_order_waiting = machine.has_request(link, RequestKind.PROMOTE)
        resend_ms = failover.state_since_ms + PROMOTION_RESEND_MS
        if not is_order_waiting and machine.now_ms > resend_ms:
            orders.send_slaveof(machine, replica, None, RequestKind.PROMOTE, failover.epoch)
        else:
            probes.info_now(machine, replica)
    next_ms = min(machine.now_ms + PROMOTION_POLL_MS, given_up_ms)
    machine.timers.set(Timer(TimerKind.FAILOVER, master.name), next_ms)


def _given_up_ms(machine: Machine, master: Master, replica: Node) -> int:
    """When the chosen replica is to be given up: soon if it cannot be reached.

    Also if the order itself is not answered, unless the next in line lacks something that this one
    holds: it may only be busy, with writing its configuration to a slow disk for one.
    """
    link, ordered_ms = replica.link, master.failover.state_since_ms
    patience_ms = ordered_ms + PROMOTION_PATIENCE_MS
    if not link.is_up:
        # Each attempt to reconnect restarts the status' clock, the suspicion's runs on.
        cut_ms = link.suspect_since_ms
        return min((link.status_since_ms if cut_ms is None else cut_ms) + SILENCE_MS, patience_ms)
    if not machine.has_request(link, RequestKind.PROMOTE):
        return patience_ms
    ranked = selection.candidates(master, machine.now_ms, machine.state.periods)
    following = next((node for node in ranked if node is not replica), None)
    if following is None or not selection.holds_as_much(master, following, replica):
        return patience_ms
    return ordered_ms + SILENCE_MS


def pass_over(
    machine: Machine, master: Master, replica: Node, reason: str, set_aside_ms: int
) -> None:
    """The replica did not become master: say why, set it aside for a while, try the next."""
    notices.about_node(machine, "-selected-slave", replica, f" #{reason}")
    master.failover.refused[replica.address] = machine.now_ms + set_aside_ms
    master.failover.promoted = None
    transitions.become(machine, master, FailoverState.SELECT_SLAVE)
    select_replica(machine, master)


def on_timer(machine: Machine, master: Master) -> None:
    """The timer that belongs to whichever state the failover is in."""
    if master.failover.state is FailoverState.SELECT_SLAVE:
        select_replica(machine, master)
    elif master.failover.state is FailoverState.WAIT_PROMOTION:
        watch_promotion(machine, master)


def on_replica_info(machine: Machine, master: Master, node: Node) -> None:
    """A replica's INFO was read: it may be the proof, or the last offset that was waited for."""
    failover = master.failover
    if failover.state is FailoverState.SELECT_SLAVE:
        select_replica(machine, master)
    elif (
        failover.state is FailoverState.WAIT_PROMOTION
        and node.address == failover.promoted
        and node.role_reported is Role.MASTER
        and not failover.is_proven
        and switchover.may_announce(machine, master)
    ):
        on_proven(machine, master, node)
    elif failover.state is FailoverState.RECONF_SLAVES:
        reconfiguration.on_info(machine, master, node)


def on_promotion_refused(
    machine: Machine, master: Master, node: Node, epoch: int, reason: str
) -> None:
    """The transaction failed, and the INFO behind it showed no master."""
    if is_promoting(master, node, epoch):
        pass_over(machine, master, node, reason, REFUSED_FOR_MS)


def is_promoting(master: Master, node: Node, epoch: int) -> bool:
    """Whether this node is being promoted in this epoch, and has not shown that it is yet."""
    failover = master.failover
    return (
        failover.state is FailoverState.WAIT_PROMOTION
        and not failover.is_proven
        and failover.epoch == epoch
        and failover.promoted == node.address
    )


def on_proven(machine: Machine, master: Master, node: Node) -> None:
    """The proof is here: save the configuration that begins with it, in our epoch.

    One that cannot be saved is announced none the less: the node is the master.
    """
    failover = master.failover
    assert failover.epoch > master.config_epoch
    notices.about_node(machine, "+promoted-slave", node)
    if _crashes(machine, SimulatedFailure.CRASH_AFTER_PROMOTION):
        return
    _note_loss(machine, master, node)
    failover.is_proven = True

    def announce(is_saved: bool) -> None:
        current = machine.state.masters.get(master.name)
        if current is master and master.failover is failover and failover.is_proven:
            _announce(machine, master, node)

    machine.hold(announce, master)


def _announce(machine: Machine, master: Master, node: Node) -> None:
    """A new configuration begins: everybody is told."""
    ended = master.failover
    switchover.on_promoted(machine, master, node)
    transitions.become(machine, master, FailoverState.RECONF_SLAVES)
    old_address = master.address
    run_reconfig_script(machine, master, node, "leader")
    old = switch_master(machine, master, node.address, ended.epoch)
    master.failover = Failover(
        state=FailoverState.RECONF_SLAVES,
        state_since_ms=machine.now_ms,
        started_ms=ended.started_ms,
        epoch=ended.epoch,
        old_address=old_address,
    )
    reconfiguration.start(machine, master, old)


def _note_loss(machine: Machine, master: Master, node: Node) -> None:
    lost_bytes = lineage.estimate_lost_bytes(master, node)
    if lost_bytes is None:
        return
    record = history.current(master)
    if record is not None:
        record.estimated_lost_bytes = lost_bytes
    notices.about_node(machine, "+estimated-loss", node, f" bytes {lost_bytes}")


def run_reconfig_script(machine: Machine, master: Master, new: Node, role: str) -> None:
    """Queue the client-reconfig script; `role` is `leader` or `observer`."""
    script = master.options.client_reconfig_script
    if script is None:
        return
    old_host, old_port = shown(machine.state, master.address)
    new_host, new_port = shown(machine.state, new.address)
    words = (master.name, role, "start", old_host, str(old_port), new_host, str(new_port))
    machine.act(RunScript(script, words))


def abort(machine: Machine, master: Master, event: str) -> None:
    """Give up a failover that has promoted nobody; another may begin after a pause."""
    assert master.failover.state is not FailoverState.RECONF_SLAVES
    master.failover.not_before_ms = machine.now_ms + ABORT_PAUSE_MS
    transitions.finish(machine, master, event)


def on_master_recovered(machine: Machine, master: Master) -> None:
    """The master answers again before anything was done to a replica: let it be."""
    failover = master.failover
    early = (FailoverState.WAIT_START, FailoverState.SELECT_SLAVE)
    if failover.state in early and not failover.is_forced:
        history.note_defeat(master, history.Defeat.NEEDLESS)
        abort(machine, master, "-failover-abort-not-elected")
    # The next failure is a new one: nobody is at work on it yet.
    failover.attempts = 0
    failover.is_waiting_for_replica = False
    failover.awaited_leader = None
    failover.not_before_ms = 0
