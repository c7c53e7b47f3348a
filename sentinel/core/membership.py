"""SENTINEL FORGET: what is gone for good ceases to be known.

Theory of operation. A replica is forgotten by each sentinel for itself. It comes back when the
master lists it in an INFO that was asked for afterwards.

A sentinel counts: the majority is taken of all that are known. To let one go by a single
sentinel's word would let a minority shrink what it knows until it is a majority. So:

1. All that stay must agree, and they must be a majority of all that are known. They must know the
   same sentinels, and each must itself hold those that are to go for down.
2. Who agrees takes the others out of its view at once and saves that before it answers: they are
   `leaving`. It gives them no vote and counts none of theirs; but the majority stays as it was.
3. When the last has agreed the majority shrinks (`forgotten`), at the asker and, as it tells them,
   at the others. Who is not reached keeps to the greater majority, which does no harm. No election
   under the new majority has an epoch in which one of those that stay voted before it agreed:
   each tells its epoch, and all go on from the highest.

Then any two majorities of one epoch share a voter: those that stay make up both, and the old
majority is no smaller than the new. The forgotten have only themselves, fewer than a majority of
what they know. That they are out lasts over restarts; RESET ends it, and a new run id is a new
sentinel. docs/adr has the reasons at length.

    known ──agree──> leaving ──all have agreed──> forgotten
      ^                 │ not all agree: the asker withdraws
      └─────────────────┘
"""

from __future__ import annotations

from collections.abc import Iterable

from vedette.resp.exchange import Received, ReplyError
from vedette.resp.replies import OK, ErrorReply
from vedette.types import Address, RunId

from . import detection, distrust, election, links, notices
from .actions import Answer
from .distrust import Disbelief
from .events import ForgetRequested, ForgetStep, ForgetStepRequested, RequestId
from .machine import Machine, Request, RequestKind
from .model import FailoverState, Forgetting, Leaving, Master, PeerSentinel, add_peer
from .timers import Timer, TimerKind
from .timing import FORGET_TIMEOUT_MS

#: Forgotten run ids that are kept for each master; each is one more line of the file.
FORGOTTEN_MAX = 100

NO_SUCH_MASTER = ErrorReply(b"ERR No such master with that name")
IN_PROGRESS = ErrorReply(b"INPROG A failover or another FORGET is in progress")
UNBELIEVABLE = ErrorReply(b"ERR The epoch is out of reach")
SAVE_FAILED = ErrorReply(b"ERR Failed to save config file. Check server logs.")


def on_forget(machine: Machine, event: ForgetRequested) -> None:
    """An operator's order; the names were checked by the command, but may have changed since."""
    master = machine.state.masters.get(event.name)
    if master is None:
        machine.act(Answer(event.request, NO_SUCH_MASTER))
    elif master.failover.state is not FailoverState.NONE or master.forgetting is not None:
        machine.act(Answer(event.request, IN_PROGRESS))
    elif event.replicas:
        _forget_replicas(machine, master, event)
    else:
        _begin(machine, master, event)


# -- replicas --------------------------------------------------------------------------------------


def _forget_replicas(machine: Machine, master: Master, event: ForgetRequested) -> None:
    for address in event.replicas:
        node = master.replicas.get(address)
        if node is None:
            continue
        notices.about_node(machine, "-slave", node)
        links.close_node(machine, node, forever=True)
        del master.replicas[address]
        master.forgotten_replicas[address] = machine.now_ms

    def answer(is_saved: bool) -> None:
        machine.act(Answer(event.request, OK if is_saved else SAVE_FAILED))

    machine.hold(answer)


def is_stale_listing(master: Master, address: Address) -> bool:
    """Whether the master's INFO that lists a replica was asked for before that was forgotten."""
    forgotten_ms = master.forgotten_replicas.get(address)
    if forgotten_ms is None:
        return False
    asked_ms = master.node.info_sent_ms
    if asked_ms is None or asked_ms <= forgotten_ms:
        return True
    del master.forgotten_replicas[address]
    return False


# -- sentinels: who asks ---------------------------------------------------------------------------


def _begin(machine: Machine, master: Master, event: ForgetRequested) -> None:
    # What an earlier order has left half done is done with this one.
    targets = tuple(dict.fromkeys((*event.sentinels, *master.leaving)))
    staying = [peer for peer in master.peers.values() if peer.run_id not in targets]
    problem = _obstacle(machine, master, targets, staying)
    if problem is not None:
        machine.act(Answer(event.request, ErrorReply(problem.encode())))
        return
    forgetting = Forgetting(
        request=event.request,
        targets=targets,
        known=tuple(sorted(_known_ids(machine, master))),
        waiting={peer.run_id for peer in staying},
        epoch=machine.state.current_epoch,
    )
    master.forgetting = forgetting
    _set_leaving(machine, master, targets, machine.state.my_id)

    def ask(is_saved: bool) -> None:
        if master.forgetting is not forgetting:
            return
        if not is_saved:
            _give_up(machine, master, SAVE_FAILED)
            return
        for peer in staying:
            if not machine.can_send(peer.link, peer.peer_link.refcount):
                _give_up(machine, master, _no_agreement(peer.run_id, "cannot be reached"))
                return
            _tell(machine, master, peer, ForgetStep.AGREE, forgetting)
        _conclude(machine, master)

    machine.hold(ask)
    timer = Timer(TimerKind.FORGET, master.name)
    machine.timers.set(timer, machine.now_ms + FORGET_TIMEOUT_MS)


def _obstacle(
    machine: Machine, master: Master, targets: tuple[RunId, ...], staying: list[PeerSentinel]
) -> str | None:
    """Why these sentinels may not be forgotten, as the text of an error."""
    known = master.known_sentinels
    if 1 + len(staying) < known // 2 + 1:
        return (
            f"NOMAJORITY Only {1 + len(staying)} of the {known} known sentinels would stay, "
            "which is no majority"
        )
    if 1 + len(staying) < master.options.quorum:
        return f"NOQUORUM Only {1 + len(staying)} sentinels would stay, fewer than the quorum"
    if len(master.forgotten) + len(targets) > FORGOTTEN_MAX:
        return f"ERR Not more than {FORGOTTEN_MAX} sentinels can be forgotten"
    for run_id in targets:
        peer = master.peers.get(run_id)
        if peer is not None and not peer.is_s_down:
            return f"ERR Sentinel {run_id} is not down; stop it first"
    for peer in staying:
        if not machine.can_send(peer.link, peer.peer_link.refcount):
            return f"NOAGREEMENT Sentinel {peer.run_id} cannot be reached"
    return None


def _tell(
    machine: Machine, master: Master, peer: PeerSentinel, step: ForgetStep, forgetting: Forgetting
) -> None:
    kind = RequestKind.FORGET if step is ForgetStep.AGREE else RequestKind.FORGET_NEWS
    request = Request(kind, machine.now_ms, 1, peer=peer, generation=master.generation)
    command = (
        b"SENTINEL",
        b"forget-step",
        master.name.encode("utf-8", "surrogateescape"),
        step.value.encode(),
        machine.state.my_id.encode(),
        b"%d" % forgetting.epoch,
        ",".join(forgetting.targets).encode(),
        ",".join(forgetting.known).encode(),
        (",".join(master.forgotten) or "-").encode(),
    )
    machine.send(peer.link, request, (command,))


def on_answer(machine: Machine, master: Master, peer: PeerSentinel, reply: Received) -> None:
    """A fellow agreed, by telling its epoch, or said why not."""
    forgetting = master.forgetting
    if forgetting is None or peer.run_id not in forgetting.waiting:
        return
    if not isinstance(reply, int):
        reason = reply.text if isinstance(reply, ReplyError) else "does not know this command"
        _give_up(machine, master, _no_agreement(peer.run_id, f"says: {reason}"))
        return
    if not distrust.is_credible_epoch(machine, reply):
        reason = f"epoch {reply} is out of reach"
        distrust.refuse(machine, Disbelief.EPOCH, str(peer.address), reason, master)
        _give_up(machine, master, _no_agreement(peer.run_id, f"says: {reason}"))
        return
    forgetting.waiting.discard(peer.run_id)
    forgetting.epoch = max(forgetting.epoch, reply)
    _conclude(machine, master)


def on_timer(machine: Machine, master: Master) -> None:
    """Not all have answered."""
    if master.forgetting is not None:
        missing = ", ".join(sorted(master.forgetting.waiting))
        _give_up(machine, master, _no_agreement(missing, "did not answer"))


def cancel(machine: Machine, master: Master) -> None:
    """The master is reset or removed: end what is under way, and the memory of the forgotten."""
    if master.forgetting is not None:
        _give_up(machine, master, ErrorReply(b"ERR The master was reset or removed"))
    master.leaving.clear()
    master.forgotten.clear()
    master.forgotten_replicas.clear()


def _conclude(machine: Machine, master: Master) -> None:
    """When all have agreed: the majority shrinks, here and then at the others."""
    forgetting = master.forgetting
    if forgetting is None or forgetting.waiting:
        return
    master.forgetting = None
    machine.timers.cancel(Timer(TimerKind.FORGET, master.name))
    _set_forgotten(machine, master, forgetting.targets, forgetting.epoch)
    for peer in master.peers.values():
        if machine.can_send(peer.link, peer.peer_link.refcount):
            _tell(machine, master, peer, ForgetStep.DONE, forgetting)

    def answer(is_saved: bool) -> None:
        machine.act(Answer(RequestId(forgetting.request), OK if is_saved else SAVE_FAILED))

    machine.hold(answer)


def _give_up(machine: Machine, master: Master, error: ErrorReply) -> None:
    forgetting = master.forgetting
    assert forgetting is not None
    master.forgetting = None
    machine.timers.cancel(Timer(TimerKind.FORGET, master.name))
    _withdraw(machine, master, forgetting.targets, machine.state.my_id)
    for peer in master.peers.values():
        is_told = peer.run_id in forgetting.known and peer.run_id not in forgetting.targets
        if is_told and machine.can_send(peer.link, peer.peer_link.refcount):
            _tell(machine, master, peer, ForgetStep.WITHDRAW, forgetting)
    machine.act(Answer(RequestId(forgetting.request), error))


def _no_agreement(who: str, why: str) -> ErrorReply:
    return ErrorReply(f"NOAGREEMENT Sentinel {who} {why}".encode())


# -- sentinels: who is asked -----------------------------------------------------------------------


def on_step(machine: Machine, event: ForgetStepRequested) -> None:
    """A fellow wants our agreement, or tells what came of it."""
    master = machine.state.masters.get(event.name)
    if master is None:
        machine.act(Answer(event.request, NO_SUCH_MASTER))
        return
    if not distrust.is_credible_epoch(machine, event.epoch):
        reason = f"epoch {event.epoch} is out of reach"
        distrust.refuse(machine, Disbelief.EPOCH, "whoever has us forget", reason, master)
        machine.act(Answer(event.request, UNBELIEVABLE))
        return
    if event.step is ForgetStep.AGREE:
        _agree(machine, master, event)
        return
    if event.step is ForgetStep.DONE:
        leaving = [run_id for run_id in event.targets if run_id in master.leaving]
        _set_forgotten(machine, master, leaving, event.epoch)
    else:
        _withdraw(machine, master, event.targets, event.asker)
    machine.act(Answer(event.request, OK))


def _agree(machine: Machine, master: Master, event: ForgetStepRequested) -> None:
    # What the asker has forgotten all had agreed to; the word of it was lost on its way to us.
    overdue = [run_id for run_id in event.forgotten if run_id in master.leaving]
    _set_forgotten(machine, master, overdue, event.epoch)
    problem = _objection(machine, master, event)
    if problem is not None:
        machine.act(Answer(event.request, ErrorReply(problem.encode())))
        return
    _set_leaving(machine, master, event.targets, event.asker)
    epoch = machine.state.current_epoch

    def answer(is_saved: bool) -> None:
        machine.act(Answer(event.request, epoch if is_saved else SAVE_FAILED))

    machine.hold(answer)


def _objection(machine: Machine, master: Master, event: ForgetStepRequested) -> str | None:
    """Why we do not agree, as the text of an error."""
    if master.failover.state is not FailoverState.NONE or master.forgetting is not None:
        return "INPROG A failover or another FORGET is in progress"
    if event.asker not in master.peers:
        return "ERR The asker is not known"
    if machine.state.my_id in event.targets:
        return "ERR It is this sentinel"
    targets = set(event.targets)
    if _known_ids(machine, master) | targets != set(event.known) | targets:
        return "ERR The views differ: other sentinels are known here"
    for run_id in event.targets:
        peer = master.peers.get(run_id)
        if peer is not None and not peer.is_s_down:
            return f"ERR Sentinel {run_id} is not down"
    if len(master.forgotten) + len(targets) > FORGOTTEN_MAX:
        return f"ERR Not more than {FORGOTTEN_MAX} sentinels can be forgotten"
    return None


# -- the two stages --------------------------------------------------------------------------------


def _known_ids(machine: Machine, master: Master) -> set[RunId]:
    return {machine.state.my_id, *master.peers, *master.leaving}


def _set_leaving(machine: Machine, master: Master, targets: Iterable[RunId], asker: RunId) -> None:
    """Take sentinels out of the view; they count for the majority, and for nothing else."""
    for run_id in targets:
        if run_id in master.leaving:
            master.leaving[run_id].asked_by.add(asker)
            continue
        peer = master.peers.get(run_id)
        if peer is None:
            continue  # forgotten already
        notices.about_peer(machine, "+sentinel-leaving", peer)
        links.forget_peer(machine, peer)
        master.leaving[run_id] = Leaving(peer.address, {asker})
    machine.mark_dirty()
    if master.is_s_down:
        detection.check_quorum(machine, master)  # without their word


def _set_forgotten(machine: Machine, master: Master, targets: Iterable[RunId], epoch: int) -> None:
    """Let the majority shrink. No election under it may use an epoch voted in under the old one."""
    for run_id in targets:
        leaving = master.leaving.pop(run_id, None)
        if leaving is None:
            continue  # another's conclusion came first
        master.forgotten[run_id] = None
        election.adopt_epoch(machine, epoch, master)
        payload = notices.describe_sentinel(machine, master, run_id, leaving.address)
        notices.about(machine, "-sentinel", payload, master)
        machine.mark_dirty()


def _withdraw(machine: Machine, master: Master, targets: Iterable[RunId], asker: RunId) -> None:
    """Take an agreement back, unless another has asked for it and may go on from it."""
    for run_id in targets:
        leaving = master.leaving.get(run_id)
        if leaving is None:
            continue
        leaving.asked_by.discard(asker)
        if leaving.asked_by:
            continue
        del master.leaving[run_id]
        peer = add_peer(machine.state, master, run_id, leaving.address)
        notices.about_peer(machine, "-sentinel-leaving", peer)
        links.open_link(machine, links.peer_owner(peer.peer_link))
        machine.mark_dirty()
