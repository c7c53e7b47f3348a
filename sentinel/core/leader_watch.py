"""Does a redis-sentinel that we voted for lead a failover? Asked of itself, while we wait for it.

One of our kind that gives up is done within its patience. A redis-sentinel that does, because it
finds no fit replica, says so to nobody else and then rests for twice the failover time-out; one
that finds no majority stands for ten seconds first. So it is asked for SENTINEL MASTER: the flags
tell of the one, the state of its failover of the other. Only pace hangs on the answer: to stand
earlier takes another epoch and a majority like any other candidacy. Reference: `sentinel.c:
sentinelAbortFailover, sentinelFailoverWaitStart, addReplySentinelRedisInstance`.
"""

from __future__ import annotations

from vedette.resp.exchange import Received

from .machine import Machine, Request, RequestKind
from .model import Master, PeerSentinel
from .timing import LEADER_ASK_PERIOD_MS, LEADER_ELECTION_MS

_IN_PROGRESS = b"failover_in_progress"
_NOT_ELECTED_YET = b"wait_start"


def ask(machine: Machine, master: Master) -> None:
    """Ask the awaited leader, if it is a redis-sentinel and was not asked a moment ago."""
    failover = master.failover
    leader = failover.awaited_leader
    peer = master.peers.get(leader) if leader is not None else None
    if peer is None or peer.peer_link.is_vedette:
        return
    # Whoever asks for votes has begun; the first question may wait, too.
    last_ms = max(failover.leader_asked_ms, failover.awaited_since_ms)
    can_send = machine.can_send(peer.link, peer.peer_link.refcount)
    if not can_send or machine.now_ms - last_ms < LEADER_ASK_PERIOD_MS:
        return
    failover.leader_asked_ms = machine.now_ms
    request = Request(
        RequestKind.LEADER,
        machine.now_ms,
        1,
        peer=peer,
        generation=master.generation,
        epoch=master.vote.leader_epoch,
    )
    command = (b"SENTINEL", b"master", master.name.encode("utf-8", "surrogateescape"))
    machine.send(peer.link, request, (command,))


def has_given_up(master: Master, peer: PeerSentinel, request: Request, reply: Received) -> bool:
    """Whether the answer shows that whom we voted for neither leads, nor soon may, nor has led."""
    is_awaited = master.failover.awaited_leader == peer.run_id
    if not is_awaited or request.epoch != master.vote.leader_epoch:
        return False
    if not isinstance(reply, list) or len(reply) % 2:
        return False
    words = [word for word in reply if isinstance(word, bytes)]
    if len(words) != len(reply):
        return False
    fields = dict(zip(words[::2], words[1::2], strict=True))
    flags, config_epoch = fields.get(b"flags"), fields.get(b"config-epoch", b"")
    if flags is None or not config_epoch.isdigit():
        return False
    if int(config_epoch) >= request.epoch:
        return False
    if _IN_PROGRESS not in flags.split(b","):
        return True
    stood_ms = request.sent_ms - master.failover.awaited_since_ms
    return fields.get(b"failover-state") == _NOT_ELECTED_YET and stood_ms >= LEADER_ELECTION_MS
