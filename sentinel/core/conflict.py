"""Sentinels that name different masters in one epoch: noticed, announced, and brought to one.

Theory of operation. An epoch is meant to name one master. It may name two: two operators order
failovers at two sentinels at the same time, or files were made that name different nodes. A higher
epoch settles it, and an election makes one. Redis' sentinels ignore each other for ever.

    agreed ──a hello of our epoch names another address──> in conflict (`+config-conflict`)
    in conflict ──nobody names another any more──> agreed (`-config-conflict`)

While it lasts, one whose own master is fit stands for election by the usual rules: a new epoch, a
majority, each vote saved before it is spoken. Fellows are asked by the address that *they* hold,
for that is how they find the master (redis-sentinels too). The winner gives its address the new
epoch, and promotes nobody; the others follow, and demote what they took for the master. First to
stand is who has more sentinels behind its address, then the lower address. If nobody's master is
fit (two were made replicas of each other), an ordinary failover is held after a while.

Only addresses that we know as nodes of this master are fought over. A name that another
deployment uses as well is reported, and left to the operator. But who is alone with a master that
is not fit, while a majority names another in the same epoch, was misled (by a resolver that gave a
wrong address while the news came) and follows the majority: no election could be held for it.
"""

from __future__ import annotations

from vedette.types import Address, RunId

from . import (
    election,
    names,
    notices,
    opinions,
    probes,
    reconfiguration,
    repair,
    transitions,
    turns,
)
from .hosts import same
from .machine import Machine
from .model import FailoverState, Master, PeerSentinel
from .opinions import named_address
from .switch import switch_master
from .timers import Timer, TimerKind
from .timing import (
    CONFLICT_DEFER_MS,
    CONFLICT_RETRY_MS,
    CONFLICT_WAIT_MS,
    RANK_DELAY_MS,
)


def rivals(machine: Machine, master: Master) -> list[PeerSentinel]:
    """The fellows that name another master in the epoch of our configuration."""
    return [
        peer
        for peer in master.peers.values()
        if named_address(machine.state, master, peer) != master.address
    ]


def check(machine: Machine, master: Master) -> None:
    """Compare what the fellows said last; note an edge."""
    found = rivals(machine, master)
    if found and master.conflict_since_ms is None:
        master.conflict_since_ms = machine.now_ms
        host, port = named_address(machine.state, master, found[0])
        text = f" epoch {master.config_epoch} {found[0].run_id} names {host} {port}"
        notices.about_master(machine, "+config-conflict", master, text)
        _plan(machine, master, CONFLICT_WAIT_MS)
    elif not found and master.conflict_since_ms is not None:
        _end(machine, master)
        notices.about_master(machine, "-config-conflict", master)


def on_timer(machine: Machine, master: Master) -> None:
    """Stand, if it is for us to do so; look again later, as long as it lasts."""
    check(machine, master)
    if master.conflict_since_ms is None:
        return
    _plan(machine, master, CONFLICT_RETRY_MS)
    if not _is_fit(machine, master) and _follow_majority(machine, master):
        return
    failover = master.failover
    if machine.now_ms < failover.not_before_ms or not _may_stand(machine, master):
        return
    if failover.state is FailoverState.RECONF_SLAVES:
        reconfiguration.abandon(machine, master)
    if failover.state is FailoverState.NONE:
        election.stand(machine, master, is_settling=_is_fit(machine, master))


def settle(machine: Machine, master: Master) -> None:
    """Elected to end a conflict: our address is the master's in the new epoch."""
    master.config_epoch = master.failover.epoch
    machine.mark_dirty()
    _end(machine, master)
    transitions.finish(machine, master, "-config-conflict")
    probes.tell_fellows(machine, master)
    probes.tell_nodes(machine, master)


def _follow_majority(machine: Machine, master: Master) -> bool:
    """Take what a majority of all sentinels names in our epoch for our master, if one does."""
    if master.failover.state is not FailoverState.NONE:
        return False
    backers: dict[Address, list[RunId]] = {}
    for peer in rivals(machine, master):
        backers.setdefault(named_address(machine.state, master, peer), []).append(peer.run_id)
    for told, fellows in backers.items():
        address = names.recognise(machine, master, told)
        if len(fellows) <= master.known_sentinels // 2 or address in (None, master.address):
            continue
        assert address is not None
        switch_master(machine, master, address, master.config_epoch, fellows[0])
        check(machine, master)
        return True
    return False


def _may_stand(machine: Machine, master: Master) -> bool:
    assert master.conflict_since_ms is not None
    named = {named_address(machine.state, master, peer) for peer in rivals(machine, master)}
    if not all(_is_replica(machine, master, address) for address in named):
        return False
    if 1 + len(machine.live_peers(master)) < opinions.needed_votes(master):
        return False
    waited_ms = machine.now_ms - master.conflict_since_ms
    if not _is_fit(machine, master):
        return waited_ms >= 2 * CONFLICT_DEFER_MS
    return waited_ms >= CONFLICT_DEFER_MS or not _is_outdone(machine, master)


def _is_replica(machine: Machine, master: Master, address: Address) -> bool:
    return any(same(machine.state, address, known) for known in master.replicas)


def _is_fit(machine: Machine, master: Master) -> bool:
    return repair.looks_sane(master, machine.now_ms, machine.state.periods)


def _is_outdone(machine: Machine, master: Master) -> bool:
    """Whether another address has more sentinels behind it, or as many and goes first."""
    backers: dict[Address, int] = {master.address: 1}
    for peer in master.peers.values():
        address = named_address(machine.state, master, peer)
        backers[address] = backers.get(address, 0) + 1
    first = min(backers, key=lambda address: (-backers[address], str(address)))
    return first != master.address


def _plan(machine: Machine, master: Master, delay_ms: int) -> None:
    delay_ms += turns.rank(machine, master) * RANK_DELAY_MS
    machine.timers.set(Timer(TimerKind.CONFLICT, master.name), machine.now_ms + delay_ms)


def _end(machine: Machine, master: Master) -> None:
    master.conflict_since_ms = None
    machine.timers.cancel(Timer(TimerKind.CONFLICT, master.name))
