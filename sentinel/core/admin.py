"""What operators order: MONITOR, REMOVE, SET, RESET, FAILOVER, FLUSHCONFIG, CONFIG SET, DEBUG.

The commands have checked arguments already; here the state changes, is saved, and the client is
answered once that has ended. As in Redis a change stays in force when only its save failed, and the
client is told.
"""

from __future__ import annotations

from vedette.resp.replies import OK, ErrorReply, Reply

from . import (
    detection,
    election,
    links,
    membership,
    names,
    notices,
    opinions,
    probes,
    selection,
    stall,
    switch,
)
from .actions import Answer
from .dataset import Lineage
from .events import (
    FailoverRequested,
    FailureSimulated,
    GlobalOptionsRequested,
    MonitorRequested,
    OptionsRequested,
    PeriodsChanged,
    RemoveRequested,
    RequestId,
    ResetRequested,
    SaveRequested,
)
from .machine import Machine
from .model import FailoverState, Master, SimulatedFailure, Vote, new_node
from .options import MasterOptions
from .timing import ORDER_PATIENCE_MS

NO_SUCH_MASTER = ErrorReply(b"ERR No such master with that name")
DUPLICATE_NAME = ErrorReply(b"ERR Duplicate master name.")
SAVE_FAILED = ErrorReply(b"ERR Failed to save config file. Check server logs.")
IN_PROGRESS = ErrorReply(b"INPROG Failover already in progress")
NO_FAILOVER_COMMAND = ErrorReply(b"NOGOODPRIMARY Primary does not support FAILOVER command")
MASTER_IS_DOWN = ErrorReply(b"NOGOODPRIMARY Primary cannot be reached to hand over")
NO_GOOD_REPLICA = ErrorReply(b"NOGOODSLAVE No suitable replica to promote")


def _answer_when_saved(machine: Machine, request: RequestId, reply: Reply) -> None:
    def answer(is_saved: bool) -> None:
        machine.act(Answer(request, reply if is_saved else SAVE_FAILED))

    machine.hold(answer)


def on_monitor(machine: Machine, event: MonitorRequested) -> None:
    """Watch a new name. A fellow's view of it comes with its hello."""
    state = machine.state
    if event.name in state.masters:
        machine.act(Answer(event.request, DUPLICATE_NAME))
        return
    master = Master(
        name=event.name,
        options=MasterOptions(
            quorum=event.quorum,
            down_after_ms=state.periods.default_down_after_ms,
            failover_timeout_ms=state.periods.default_failover_timeout_ms,
        ),
        node=new_node(event.name, event.address),
        # The name may have been watched before, and voted for: in no epoch so far is there a vote
        # left to give.
        vote=Vote(leader_epoch=state.current_epoch),
    )
    state.masters[master.name] = master
    _answer_when_saved(machine, event.request, OK)
    names.use(machine, event.address.host)
    announce(machine, master)
    links.open_node(machine, master.node)


def announce(machine: Machine, master: Master) -> None:
    """Say that a master is being watched."""
    notices.about_master(machine, "+monitor", master, f" quorum {master.options.quorum}")


def on_remove(machine: Machine, event: RemoveRequested) -> None:
    """Stop watching a name."""
    master = machine.state.masters.get(event.name)
    if master is None:
        machine.act(Answer(event.request, NO_SUCH_MASTER))
        return
    notices.about_master(machine, "-monitor", master)
    membership.cancel(machine, master)
    switch.forget_past(machine, master)
    for peer in list(master.peers.values()):
        links.forget_peer(machine, peer)
    for node in master.nodes():
        links.close_node(machine, node, forever=True)
    machine.timers.cancel_master(master.name)
    del machine.state.masters[master.name]
    _answer_when_saved(machine, event.request, OK)


def on_options(machine: Machine, event: OptionsRequested) -> None:
    """SENTINEL SET: put the new options in force, also where clocks are running by the old."""
    master = machine.state.masters.get(event.name)
    if master is None:
        machine.act(Answer(event.request, NO_SUCH_MASTER))
        return
    old = master.options
    master.options = event.options
    for words in event.applied:
        text = b" ".join(words).decode("utf-8", "replace")
        notices.about_master(machine, "+set", master, f" {text}")
    new_credentials = (event.options.auth_user, event.options.auth_pass)
    if new_credentials != (old.auth_user, old.auth_pass):
        for node in master.nodes():
            links.mark_sound(node.link)
            links.mark_sound(node.pubsub)
            links.close_node(machine, node)
    for node in master.nodes():
        detection.check_node(machine, node)
    for peer in master.peers.values():
        peer.peer_link.shortest_down_after_ms = None
        detection.check_peer(machine, peer)
    if master.is_s_down:
        detection.check_quorum(machine, master)
    if event.error is not None:
        machine.mark_dirty()
        machine.act(Answer(event.request, ErrorReply(event.error)))
    else:
        _answer_when_saved(machine, event.request, OK)


def on_global_options(machine: Machine, event: GlobalOptionsRequested) -> None:
    """SENTINEL CONFIG SET: new credentials mean new connections to the fellows."""
    state = machine.state
    old = state.options
    state.options = event.options
    names.start(machine)
    if event.options.peer_credentials != old.peer_credentials:
        for peer_link in state.peer_links.values():
            links.close(machine, links.peer_owner(peer_link))
    _answer_when_saved(machine, event.request, OK)


def on_reset(machine: Machine, event: ResetRequested) -> None:
    """Forget replicas, fellows and all that is under way; what lives is found again.

    The vote and the configuration's epoch stay: a reset must not let anybody vote twice.
    """
    count = 0
    for name in event.names:
        master = machine.state.masters.get(name)
        if master is not None:
            _reset(machine, master)
            count += 1
    machine.mark_dirty()
    machine.act(Answer(event.request, count))


def _reset(machine: Machine, master: Master) -> None:
    membership.cancel(machine, master)
    switch.forget_past(machine, master)
    for peer in list(master.peers.values()):
        links.forget_peer(machine, peer)
    for node in master.nodes():
        links.close_node(machine, node, forever=True)
    machine.timers.cancel_master(master.name)
    master.replicas.clear()
    master.lineage = Lineage()
    master.node = new_node(master.name, master.address)
    notices.about_master(machine, "+reset-master", master)
    links.open_node(machine, master.node)


def on_failover(machine: Machine, event: FailoverRequested) -> None:
    """SENTINEL FAILOVER: begin, plainly without asking anybody, COORDINATED by an election.

    Plainly the epoch is taken, and saved before anything is done in it, but nobody else has agreed
    to it: two operators at two sentinels can mint the same one, as with Redis.
    """
    master = machine.state.masters.get(event.name)
    if master is None:
        machine.act(Answer(event.request, NO_SUCH_MASTER))
        return
    if master.failover.state is not FailoverState.NONE:
        machine.act(Answer(event.request, IN_PROGRESS))
        return
    if not selection.candidates(master, machine.now_ms, machine.state.periods):
        machine.act(Answer(event.request, NO_GOOD_REPLICA))
        return
    if event.is_coordinated and master.node.failover_state is None:
        machine.act(Answer(event.request, NO_FAILOVER_COMMAND))
        return
    if event.is_coordinated and (master.is_s_down or not master.node.link.is_up):
        machine.act(Answer(event.request, MASTER_IS_DOWN))
        return
    if event.is_coordinated:
        master.failover.ordered_until_ms = machine.now_ms + ORDER_PATIENCE_MS
    election.stand(
        machine,
        master,
        is_forced=not event.is_coordinated,
        is_coordinated=event.is_coordinated,
    )
    _answer_when_saved(machine, event.request, OK)


def on_save(machine: Machine, event: SaveRequested) -> None:
    """SENTINEL FLUSHCONFIG."""
    _answer_when_saved(machine, event.request, OK)


def on_periods(machine: Machine, event: PeriodsChanged) -> None:
    """SENTINEL DEBUG: what is shorter than before begins now, what is longer the next time."""
    machine.state.periods = event.periods
    probes.hasten(machine)
    stall.hasten(machine)
    for master in machine.state.masters.values():
        detection.check_node(machine, master.node)
        opinions.hasten(machine, master)


def on_simulated_failure(machine: Machine, event: FailureSimulated) -> None:
    """SENTINEL SIMULATE-FAILURE: remember where to crash."""
    machine.state.simulated_failures = SimulatedFailure(event.failures)
