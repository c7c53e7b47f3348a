"""Mistakes planted on purpose, to show that the simulation would find them.

The one place of the tests that patches what it tests: `planted` replaces functions of the core's
modules (or of the modelled disk) while a plan runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import Any
from unittest import mock

from sentinel.core import election, opinions, probes, stall
from sentinel.core.durable import DurableState
from sentinel.core.events import VoteRequested
from sentinel.core.machine import Machine
from sentinel.core.model import Master, Node
from tests.sim.disk import Disk


class Bug(Enum):
    """What can be planted."""

    #: Votes are spoken while their save is still under way.
    VOTES_BEFORE_PERSIST = "votes-before-persist"
    #: A majority of the sentinels that live is enough.
    MAJORITY_OF_THE_LIVING = "majority-of-the-living"
    #: A vote of any epoch counts for the election at hand.
    TALLIES_ACROSS_EPOCHS = "tallies-across-epochs"
    #: The replica is chosen by the offsets of before the failure.
    PROMOTES_BY_STALE_OFFSETS = "promotes-by-stale-offsets"
    #: Silence counts though this process itself was stopped.
    ACTS_IN_A_STALL = "acts-in-a-stall"
    #: A failed save is reported as done.
    IGNORES_SAVE_ERRORS = "ignores-save-errors"
    #: A restart finds the file as it was before the last votes.
    FORGETS_VOTES = "forgets-votes"
    #: A line of the ledger counts as durable before it is synced, and so may never get there.
    SPEAKS_BEFORE_SYNC = "speaks-before-sync"
    #: A start reads the file alone, though the ledger is ahead of it.
    PASSES_OVER_LEDGER = "passes-over-ledger"


@contextmanager
def planted(bug: Bug | None) -> Iterator[None]:
    """Have `bug` in the code for as long as the context lasts."""
    if bug is None:
        yield
        return
    target, name, replacement = _PATCHES[bug]()
    with mock.patch.object(target, name, replacement):
        yield


_Patch = tuple[Any, str, Callable[..., Any]]


def _vote_before_persist() -> _Patch:
    def await_save(
        machine: Machine, save_id: int, then: Callable[[bool], None], master: Master | None = None
    ) -> None:
        machine.mark_dirty(master)
        machine.state.saved_id = max(machine.state.saved_id, save_id)
        then(True)

    original = election.on_vote_requested

    def on_vote_requested(machine: Machine, event: VoteRequested) -> None:
        with mock.patch.object(Machine, "await_save", await_save):
            original(machine, event)

    return election, "on_vote_requested", on_vote_requested


def _majority_of_the_living() -> _Patch:
    def needed_votes(master: Master) -> int:
        living = 1 + sum(peer.link.is_up and not peer.is_s_down for peer in master.peers.values())
        return max(living // 2 + 1, min(master.options.quorum, living))

    return opinions, "needed_votes", needed_votes


def _tally_across_epochs() -> _Patch:
    def votes_for_us(machine: Machine, master: Master) -> int:
        my_id = machine.state.my_id
        votes = [master.vote.leader, *(peer.voted_leader for peer in master.peers.values())]
        return votes.count(my_id)

    return election, "votes_for_us", votes_for_us


def _stale_offsets() -> _Patch:
    original = probes.info_now

    def info_now(machine: Machine, node: Node) -> None:
        master = machine.master_of(node)
        if master.is_s_down and node is not master.node and node.info_refresh_ms is not None:
            probes.schedule_info(machine, node)
        else:
            original(machine, node)

    return probes, "info_now", info_now


def _act_in_a_stall() -> _Patch:
    return stall, "notice_stall", lambda machine, due_ms: None


def _ignore_save_errors() -> _Patch:
    def end(disk: Disk) -> bool:
        original(disk)
        return True

    original = Disk.end
    return Disk, "end", end


def _forget_votes() -> _Patch:
    def load(disk: Disk) -> DurableState:
        state = original(disk)
        masters = tuple(replace(master, leader_epoch=0) for master in state.masters)
        return replace(state, masters=masters)

    original = Disk.load
    return Disk, "load", load


def _speak_before_sync() -> _Patch:
    def end(disk: Disk) -> bool:
        if not disk.is_broken and disk.drop_line():
            return True
        return original(disk)

    original = Disk.end
    return Disk, "end", end


def _pass_over_ledger() -> _Patch:
    def load(disk: Disk) -> DurableState:
        file = disk.file
        original(disk)
        disk.put(file)
        return file

    original = Disk.load
    return Disk, "load", load


_PATCHES: dict[Bug, Callable[[], _Patch]] = {
    Bug.VOTES_BEFORE_PERSIST: _vote_before_persist,
    Bug.MAJORITY_OF_THE_LIVING: _majority_of_the_living,
    Bug.TALLIES_ACROSS_EPOCHS: _tally_across_epochs,
    Bug.PROMOTES_BY_STALE_OFFSETS: _stale_offsets,
    Bug.ACTS_IN_A_STALL: _act_in_a_stall,
    Bug.IGNORES_SAVE_ERRORS: _ignore_save_errors,
    Bug.FORGETS_VOTES: _forget_votes,
    Bug.SPEAKS_BEFORE_SYNC: _speak_before_sync,
    Bug.PASSES_OVER_LEDGER: _pass_over_ledger,
}
