"""Who may lead a failover: votes given, candidacies, votes counted.

Theory of operation. A vote belongs to a (master, epoch) and is given once; it is on disk before it
is spoken, our own included. So at most one sentinel can collect a majority in an epoch, whatever is
lost, delayed, paused or restarted. All else here is about being quick without harm:

- Sentinels that reach ODOWN at the same moment do not all stand: their candidacies are spread by a
  rank that all can work out alike (a checksum over master, epoch and run id). Who has not said yet
  that it holds the master down is not waited for: it could not stand.
- Votes are counted as they arrive, by the epoch of *this master's* election; other masters' epochs,
  which move the shared `current_epoch`, void nothing.
- A lost election ends when the last answer makes it hopeless and is repeated after a short random
  time, in a new epoch. Who voted for another waits for that leader while it answers, pings it often
  meanwhile, and stands itself a fraction of a second after it was lost or gave up.
- A sentinel that cannot reach a majority does not stand, so it mints no epochs while cut off.

Stock sentinels grant any higher epoch at once and wait 2 x failover-timeout after each vote, so
both kinds can lead and vote in one quorum. Reference: `sentinel.c: sentinelVoteLeader,
sentinelGetLeader, sentinelStartFailoverIfNeeded`.
"""

from __future__ import annotations

from vedette.types import RunId, is_run_id

from . import (
    distrust,
    history,
    leader_watch,
    notices,
    opinions,
    probes,
    selection,
    switchover,
    transitions,
    turns,
)
from . import failover as leading
from .actions import Answer
from .distrust import Disbelief
from .events import VoteRequested
from .history import Defeat
from .hosts import find_master
from .machine import Machine
from .model import FailoverState, Master
from .timers import Timer, TimerKind
from .timing import (
    LEADER_CUT_MS,
    LEADER_PATIENCE_KIN_MS,
    LEADER_PATIENCE_MS,
    LEADER_PATIENCE_SPREAD_MS,
    LEADER_PING_PERIOD_MS,
    LEADER_SILENCE_MS,
    NO_REPLICA_WAIT_MS,
    RANK_DELAY_MS,
    RECHECK_MS,
    RETRY_DOUBLINGS_MAX,
    RETRY_MAX_MS,
    RETRY_MIN_MS,
    UNSAVED_PAUSE_MS,
)

# -- epochs ----------------------------------------------------------------------------------------


def adopt_epoch(machine: Machine, epoch: int, master: Master) -> None:
    """Follow a higher epoch that somebody spoke of; it is saved before we speak of it ourselves."""
    state = machine.state
    if epoch <= state.current_epoch:
        return
    state.current_epoch = epoch
    machine.mark_dirty(master)
    notices.about(machine, "+new-epoch", str(epoch), master)


# -- votes given -----------------------------------------------------------------------------------


def on_vote_requested(machine: Machine, event: VoteRequested) -> None:
    """Answer a fellow's query about an address: our opinion, and a vote if it stands."""
    master = find_master(machine.state, event.address)
    if master is None:
        machine.act(Answer(event.request, [0, b"*", 0]))
        return
    is_down = int(master.is_s_down and machine.state.tilt_since_ms is None)
    if event.candidate is None:
        machine.act(Answer(event.request, [is_down, b"*", 0]))
        if master.is_s_down and not master.is_o_down:
            opinions.ask_back(machine, master, event.asker)
        return
    if not _is_credible(machine, master, event):
        machine.act(Answer(event.request, [is_down, b"*", 0]))
        return
    adopt_epoch(machine, event.epoch, master)
    if master.is_out(event.candidate):
        pass
    elif may_vote(master, event.epoch):
        _vote(machine, master, event.candidate, event.epoch)
    elif _may_yield(machine, master, event.epoch):
        _yield(machine, master, event.candidate)
    _answer_with_vote(machine, master, event, is_down)


def _is_credible(machine: Machine, master: Master, event: VoteRequested) -> bool:
    """Whether a request for a vote can come from a candidate."""
    assert event.candidate is not None
    if not distrust.is_credible_epoch(machine, event.epoch):
        kind, reason = Disbelief.EPOCH, f"epoch {event.epoch} is out of reach"
    elif not is_run_id(event.candidate):
        kind, reason = Disbelief.VOTE, "no run id"
    else:
        return True
    distrust.refuse(machine, kind, "a candidate", reason, master)
    return False


def may_vote(master: Master, epoch: int) -> bool:
    """Whether a vote in this epoch is still ours to give.

    Redis also refuses an epoch below its `current_epoch`, which other masters' elections move; the
    vote's uniqueness does not need that. In its place stands the configuration's own epoch: whoever
    wins at or below it could announce nothing. A leader at work stands by its own election.
    """
    return (
        epoch > master.vote.leader_epoch
        and epoch > master.config_epoch
        and master.failover.state not in transitions.LEADING
    )


def _vote(machine: Machine, master: Master, candidate: RunId, epoch: int) -> None:
    """Give this epoch's vote away; `_answer_with_vote` speaks it once it is on disk."""
    failover = master.failover
    if failover.state is FailoverState.WAIT_START:
        # Somebody is ahead of us; to win now would only make two leaders.
        transitions.finish(machine, master, "-failover-abort-not-elected")
    _record_vote(machine, master, candidate, epoch)
    if candidate != machine.state.my_id:
        _await_leader(machine, master, candidate)
        if not master.is_s_down:
            switchover.hush(machine, master)  # for what else could it want to lead?


def _may_yield(machine: Machine, master: Master, epoch: int) -> bool:
    """Whether our own vote of this epoch may still go to another: nobody has heard of it.

    It counts, and is spoken, once it is on disk; and what is on disk is the epoch, not for whom.
    An order takes its epoch for a configuration without asking anybody, and keeps it.
    """
    vote, failover = master.vote, master.failover
    return (
        failover.state is FailoverState.WAIT_START
        and not failover.is_forced
        and failover.epoch == vote.leader_epoch == epoch
        and not machine.is_saved(vote.save_id)
        and not vote.is_promised
    )


def _yield(machine: Machine, master: Master, candidate: RunId) -> None:
    """Vote for who was quicker to save: of candidates with slow disks one wins, not none."""
    transitions.finish(machine, master, "-failover-abort-not-elected")
    master.vote.leader = candidate
    _announce_vote(machine, master)
    _await_leader(machine, master, candidate)


def _record_vote(machine: Machine, master: Master, candidate: RunId, epoch: int) -> None:
    vote = master.vote
    assert epoch > vote.leader_epoch, "a vote is given once"
    vote.leader_epoch = epoch
    vote.leader = candidate
    vote.is_promised = False
    machine.mark_dirty(master)
    vote.save_id = machine.next_save_id
    _announce_vote(machine, master)


def _announce_vote(machine: Machine, master: Master) -> None:
    """Say whom we voted for once that is on disk, if it is still so then."""
    vote = master.vote
    leader, epoch = vote.leader, vote.leader_epoch

    def announce(is_saved: bool) -> None:
        if is_saved and (vote.leader, vote.leader_epoch) == (leader, epoch):
            notices.about(machine, "+vote-for-leader", f"{leader} {epoch}", master)

    machine.await_save(vote.save_id, announce)


def _answer_with_vote(machine: Machine, master: Master, event: VoteRequested, is_down: int) -> None:
    """Speak the recorded vote, when it is on disk; without that, no vote."""
    vote = master.vote
    if machine.is_saved(vote.save_id):
        leader = (vote.leader or "*").encode()
        machine.act(Answer(event.request, [is_down, leader, vote.leader_epoch]))
        return
    spoken = (vote.leader or "*").encode(), vote.leader_epoch

    def answer(is_saved: bool) -> None:
        leader, epoch = spoken if is_saved else (b"*", 0)
        machine.act(Answer(event.request, [is_down, leader, epoch]))

    vote.is_promised = True
    machine.await_save(vote.save_id, answer, master)


def _await_leader(machine: Machine, master: Master, leader: RunId) -> None:
    failover = master.failover
    failover.ordered_until_ms = 0  # somebody else is at work on it
    failover.awaited_leader = leader
    failover.awaited_since_ms = machine.now_ms
    spread_ms = machine.random_ms(0, LEADER_PATIENCE_SPREAD_MS)
    peer = master.peers.get(leader)
    is_kin = peer is not None and peer.peer_link.is_vedette
    patience_ms = LEADER_PATIENCE_KIN_MS if is_kin else LEADER_PATIENCE_MS
    failover.not_before_ms = machine.now_ms + patience_ms + spread_ms
    if peer is not None:
        probes.watch_leader(machine, peer.peer_link, failover.not_before_ms)
    if master.is_o_down:
        consider(machine, master)


def await_no_longer(machine: Machine, master: Master) -> None:
    """The leader that we voted for has given up: stand before long, unless another does."""
    failover = master.failover
    failover.awaited_leader = None
    failover.not_before_ms = machine.now_ms + machine.random_ms(RETRY_MIN_MS, RETRY_MAX_MS)
    consider(machine, master)


# -- candidacy -------------------------------------------------------------------------------------


def consider(machine: Machine, master: Master) -> None:
    """The master is objectively down, or something in the way is gone: plan to stand."""
    if not master.is_o_down or master.failover.state is not FailoverState.NONE:
        return
    earliest_ms = _earliest_ms(machine, master)
    if earliest_ms > machine.now_ms:
        # What is waited for may cease to be worth it meanwhile.
        leader_watch.ask(machine, master)
        recheck_ms = LEADER_PING_PERIOD_MS if master.failover.awaited_leader else RECHECK_MS
        at_ms = min(earliest_ms, machine.now_ms + recheck_ms)
    else:
        at_ms = machine.now_ms + turns.candidacy_delay_ms(machine, master)
    machine.timers.set(Timer(TimerKind.CANDIDACY, master.name), at_ms)


def on_candidacy_timer(machine: Machine, master: Master) -> None:
    """Stand, unless something speaks against it; then look again later."""
    if master.failover.state is not FailoverState.NONE:
        return
    if not master.is_o_down:
        _go_on_with_order(machine, master)
        return
    if _earliest_ms(machine, master) > machine.now_ms:
        consider(machine, master)
        return
    if (
        _is_alone(machine, master)
        or _should_wait_for_replica(machine, master)
        or machine.state.tilt_since_ms is not None
    ):
        at_ms = machine.now_ms + RECHECK_MS
        machine.timers.set(Timer(TimerKind.CANDIDACY, master.name), at_ms)
        return
    stand(machine, master)


def _go_on_with_order(machine: Machine, master: Master) -> None:
    """Stand again for a coordinated failover for which nobody was elected, if its time allows."""
    if machine.now_ms >= master.failover.ordered_until_ms or master.is_s_down:
        return
    if _is_alone(machine, master) or machine.state.tilt_since_ms is not None:
        machine.timers.set(Timer(TimerKind.CANDIDACY, master.name), machine.now_ms + RECHECK_MS)
    else:
        stand(machine, master, is_coordinated=True)


def _is_alone(machine: Machine, master: Master) -> bool:
    """Whether too few can be reached to elect anybody."""
    return 1 + len(machine.live_peers(master)) < opinions.needed_votes(master)


def _should_wait_for_replica(machine: Machine, master: Master) -> bool:
    """Whether there is nobody to promote, so that another had better lead.

    To win all the same would make the others wait for us. But after a while one attempt is made, so
    that its failure shows in the events why nothing happens.
    """
    if selection.candidates(master, machine.now_ms, machine.state.periods):
        return False
    if switchover.is_stuck(master.node):
        return False  # then the master itself is who to turn to
    assert master.o_down_since_ms is not None
    has_waited = machine.now_ms - master.o_down_since_ms > NO_REPLICA_WAIT_MS
    return master.failover.is_waiting_for_replica or not has_waited


def stand(
    machine: Machine,
    master: Master,
    *,
    is_forced: bool = False,
    is_settling: bool = False,
    is_coordinated: bool = False,
) -> None:
    """Begin a failover in a new epoch and vote for ourselves; ask for votes once that is saved.

    `is_forced`: by an operator's order, which needs no votes. `is_settling`: to end a conflict.
    `is_coordinated`: to have the master hand over.
    """
    state = machine.state
    failover = master.failover
    epoch = state.current_epoch + 1
    machine.timers.cancel(Timer(TimerKind.CANDIDACY, master.name))
    adopt_epoch(machine, epoch, master)
    failover.epoch = epoch
    failover.started_ms = machine.now_ms
    failover.is_forced = is_forced
    failover.is_settling = is_settling
    failover.is_coordinated = is_coordinated
    failover.promoted = None
    failover.old_address = master.address
    failover.awaited_leader = None
    failover.attempts += 1
    if is_coordinated:
        switchover.hush(machine, master)
    for peer in master.peers.values():
        peer.answered_epoch = 0
    transitions.become(machine, master, FailoverState.WAIT_START)
    for node in master.replicas.values():
        probes.info_now(machine, node)  # the freshest offsets, while the votes come in
    _record_vote(machine, master, state.my_id, epoch)
    generation = master.generation

    def begin(is_saved: bool) -> None:
        current = machine.is_current(master.name, generation)
        if current is None or failover.state is not FailoverState.WAIT_START:
            return
        if failover.epoch == epoch:
            _on_own_vote(machine, master, is_saved=is_saved)

    machine.hold(begin, master)
    timeout_ms = min(state.periods.election_timeout_ms, master.options.failover_timeout_ms)
    machine.timers.set(Timer(TimerKind.ELECTION, master.name), machine.now_ms + timeout_ms)


def _on_own_vote(machine: Machine, master: Master, *, is_saved: bool) -> None:
    """Our own vote is on disk and counts from now on, or it is not and we may not stand."""
    if not is_saved:
        master.failover.not_before_ms = machine.now_ms + UNSAVED_PAUSE_MS
        history.note_defeat(master, Defeat.UNSAVED)
        transitions.finish(machine, master, "-failover-abort-not-elected")
        return
    if master.failover.is_forced:
        leading.become_leader(machine, master)
        return
    opinions.ask_all(machine, master, is_forced=True)
    tally(machine, master)


def _earliest_ms(machine: Machine, master: Master) -> int:
    """When we may stand: after the pause we owe, shortened if who we wait for is lost."""
    failover = master.failover
    if failover.awaited_leader is None:
        return failover.not_before_ms
    leader = master.peers.get(failover.awaited_leader)
    if leader is None:
        return failover.not_before_ms
    # A PING just sent starts it, too, and a connection lost.
    silent_since_ms = leader.link.suspect_since_ms
    if silent_since_ms is None:
        return failover.not_before_ms
    is_cut = not leader.link.is_up
    patience_ms = LEADER_CUT_MS if is_cut else LEADER_SILENCE_MS + turns.crowd_ms(machine, master)
    rank_delay_ms = turns.rank(machine, master) * RANK_DELAY_MS
    lost_ms = max(silent_since_ms, failover.awaited_since_ms) + patience_ms + rank_delay_ms
    return min(failover.not_before_ms, lost_ms)


def on_election_timer(machine: Machine, master: Master) -> None:
    """Nobody was elected in good time."""
    if master.failover.state is FailoverState.WAIT_START:
        _lose(machine, master, Defeat.TIMEOUT)


# -- votes counted ---------------------------------------------------------------------------------


def votes_for_us(machine: Machine, master: Master) -> int:
    """Votes in the epoch of our candidacy; our own only once it is on disk."""
    epoch = master.failover.epoch
    my_id = machine.state.my_id
    vote = master.vote
    is_own = vote.leader == my_id and vote.leader_epoch == epoch and machine.is_saved(vote.save_id)
    return int(is_own) + sum(
        peer.answered_epoch == epoch
        and peer.voted_leader == my_id
        and peer.voted_leader_epoch == epoch
        for peer in master.peers.values()
    )


def tally(machine: Machine, master: Master) -> None:
    """Count after each answer: elected, still open, or hopeless."""
    failover = master.failover
    if failover.state is not FailoverState.WAIT_START or failover.is_forced:
        return
    votes = votes_for_us(machine, master)
    if votes >= opinions.needed_votes(master):
        leading.become_leader(machine, master)
        return
    still_open = sum(peer.answered_epoch != failover.epoch for peer in master.peers.values())
    if votes + still_open < opinions.needed_votes(master):
        _lose(machine, master, Defeat.SPLIT)


def _lose(machine: Machine, master: Master, defeat: Defeat) -> None:
    """Not elected, for `defeat` if nobody else was: wait for who was, or stand again soon."""
    failover = master.failover
    winner = _likely_winner(machine, master)
    history.note_defeat(master, defeat if winner is None else Defeat.LOST)
    transitions.finish(machine, master, "-failover-abort-not-elected")
    if winner is not None:
        _await_leader(machine, master, winner)
        return
    factor = 2 ** min(failover.attempts - 1, RETRY_DOUBLINGS_MAX)
    delay_ms = machine.random_ms(RETRY_MIN_MS, RETRY_MAX_MS * factor)
    failover.not_before_ms = machine.now_ms + delay_ms
    machine.timers.set(Timer(TimerKind.CANDIDACY, master.name), failover.not_before_ms)


def _likely_winner(machine: Machine, master: Master) -> RunId | None:
    """Another candidate that has a majority as far as the answers to us show."""
    votes: dict[RunId, set[RunId]] = {}
    for peer in master.peers.values():
        leader = peer.voted_leader
        is_of_now = peer.voted_leader_epoch >= master.failover.epoch
        if leader is None or leader == machine.state.my_id or not is_of_now:
            continue
        # A candidate has its own vote, whether it told us or not.
        votes.setdefault(leader, {leader}).add(peer.run_id)
    for leader in sorted(votes):
        if len(votes[leader]) >= opinions.needed_votes(master):
            return leader
    return None
