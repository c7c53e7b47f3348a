"""What fellow sentinels think of a master, and whom they vote for: asked here, noted here.

The one query, SENTINEL IS-MASTER-DOWN-BY-ADDR, asks for an opinion (`*`) or for a vote (our run
id). It is sent on the edge of a suspicion and repeated quickly until the quorum agrees and while
votes are collected, then at Redis' pace. An answer counts for `opinion_lifetime_ms`, and not beyond
a switch. Reference: `sentinel.c: sentinelAskMasterStateToOtherSentinels`.
"""

from __future__ import annotations

from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address, RunId, is_run_id

from . import distrust
from .distrust import Disbelief
from .hosts import same, shown
from .machine import Machine, Request, RequestKind
from .model import FailoverState, Master, PeerSentinel, SentinelState
from .timers import Timer, TimerKind
from .timing import ASK_PERIOD_URGENT_MS


def ask_all(machine: Machine, master: Master, *, is_forced: bool = False) -> None:
    """Ask every reachable fellow about a master that we believe down; plan the next round.

    A fellow that still owes an answer is not asked again, unless `is_forced`: a request for votes
    says something new.
    """
    for peer in master.peers.values():
        if machine.can_send(peer.link, peer.peer_link.refcount) and (
            is_forced or not peer.is_ask_waiting
        ):
            _ask(machine, master, peer)
    timer = Timer(TimerKind.ASK, master.name)
    machine.timers.set(timer, machine.now_ms + _ask_period_ms(machine, master))


def hasten(machine: Machine, master: Master) -> None:
    """The period of asking has changed: do not wait longer than the new one."""
    timer = Timer(TimerKind.ASK, master.name)
    if machine.timers.is_set(timer):
        machine.timers.set_earlier(timer, machine.now_ms + _ask_period_ms(machine, master))


def _ask_period_ms(machine: Machine, master: Master) -> int:
    period_ms = machine.state.periods.ask_period_ms
    is_urgent = not master.is_o_down or master.failover.state is FailoverState.WAIT_START
    return min(period_ms, ASK_PERIOD_URGENT_MS) if is_urgent else period_ms


def ask_back(machine: Machine, master: Master, asker: bytes) -> None:
    """A fellow asked about a master that we suspect too: its opinion has just changed, so ask.

    `asker` is the client's name, which says who it is. The others are not asked, nor is one that
    we know to agree, so two that ask each other come to an end. Not while in TILT: what we answer
    then does not show our opinion, and neither would end it.
    """
    if machine.state.tilt_since_ms is not None:
        return
    for peer in master.peers.values():
        if peer.says_down or not asker.startswith(_client_name(peer.run_id)):
            continue
        if peer.is_ask_waiting:
            peer.is_ask_due = True  # what it is about to answer may be of before
        elif machine.can_send(peer.link, peer.peer_link.refcount):
            _ask(machine, master, peer)


def _client_name(run_id: RunId) -> bytes:
    """How the names begin that a sentinel's connections have: see `links.py`."""
    return f"sentinel-{run_id[:8]}-".encode()


def on_answer(
    machine: Machine, master: Master, peer: PeerSentinel, request: Request, reply: Received
) -> None:
    """Note an answer; one of a wrong shape counts for nothing."""
    found = _read_answer(machine, reply)
    if found is None:
        if not isinstance(reply, ReplyError):
            where = str(peer.address)
            distrust.refuse(machine, Disbelief.VOTE, where, "no opinion and vote", master)
        return
    is_down, leader, leader_epoch = found
    peer.says_down = is_down
    peer.says_down_ms = machine.now_ms
    if request.epoch:
        peer.answered_epoch = max(peer.answered_epoch, request.epoch)
    if leader is not None and leader_epoch >= peer.voted_leader_epoch:
        if (leader, leader_epoch) != (peer.voted_leader, peer.voted_leader_epoch):
            _count_vote(machine, leader)
        peer.voted_leader = leader
        peer.voted_leader_epoch = leader_epoch
    is_due, peer.is_ask_due = peer.is_ask_due, False
    if is_due and not is_down and master.is_s_down and not master.is_o_down:
        _ask(machine, master, peer)


def _count_vote(machine: Machine, leader: RunId) -> None:
    state = machine.state
    if leader == state.my_id:
        state.votes_for_us += 1
    else:
        state.votes_for_others += 1


def _read_answer(machine: Machine, reply: Received) -> tuple[bool, RunId | None, int] | None:
    """Whether the master is down, the vote (None: none) and its epoch; None for anything else."""
    if not isinstance(reply, list) or len(reply) != 3:
        return None
    is_down, leader, epoch = reply
    if type(is_down) is not int or type(leader) is not bytes or type(epoch) is not int:
        return None
    if not distrust.is_credible_epoch(machine, epoch):
        return None
    if leader == b"*":
        return is_down == 1, None, epoch
    run_id = RunId(leader.decode("utf-8", "replace"))
    return (is_down == 1, run_id, epoch) if is_run_id(run_id) else None


def expire(machine: Machine, master: Master) -> None:
    """Forget opinions that have grown too old."""
    lifetime_ms = machine.state.periods.opinion_lifetime_ms
    for peer in master.peers.values():
        if peer.says_down and machine.now_ms - peer.says_down_ms > lifetime_ms:
            peer.says_down = False


def needed_votes(master: Master) -> int:
    """A majority of all sentinels ever heard of, and never less than the quorum."""
    majority = master.known_sentinels // 2 + 1
    return max(majority, master.options.quorum)


def count_down(master: Master) -> int:
    """How many sentinels, ourselves included, believe the master down."""
    return int(master.is_s_down) + sum(peer.says_down for peer in master.peers.values())


def named_address(state: SentinelState, master: Master, peer: PeerSentinel) -> Address:
    """What a fellow calls this master: our address, unless it names another in our epoch."""
    address = peer.hello_master_address
    if address is None or peer.hello_config_epoch != master.config_epoch:
        return master.address
    return master.address if same(state, address, master.address) else address


def _ask(machine: Machine, master: Master, peer: PeerSentinel) -> None:
    failover = master.failover
    is_candidate = failover.state is FailoverState.WAIT_START and machine.is_saved(
        master.vote.save_id
    )
    state = machine.state
    epoch = failover.epoch if is_candidate else state.saved_epoch
    # Who names another node finds the master by that one's address.
    address = named_address(state, master, peer) if is_candidate else master.address
    host, port = shown(state, address)
    command = (
        b"SENTINEL",
        b"is-master-down-by-addr",
        host.encode(),
        str(port).encode(),
        str(epoch).encode(),
        state.my_id.encode() if is_candidate else b"*",
    )
    peer.is_ask_waiting = True
    request = Request(
        RequestKind.ASK,
        machine.now_ms,
        1,
        peer=peer,
        generation=master.generation,
        epoch=epoch if is_candidate else 0,
    )
    machine.send(peer.link, request, (command,))
