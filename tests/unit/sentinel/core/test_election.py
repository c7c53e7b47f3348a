"""Votes: given once, durable before spoken, counted by their own epoch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.events import FailoverRequested, Started
from sentinel.core.history import Defeat
from sentinel.core.model import FailoverState
from tests.unit.sentinel.core.rig import (
    MASTER,
    ME,
    NAME,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    REPLICA_1,
    Command,
    Rig,
    durable,
)
from vedette.types import Address, RunId

ME_SUFFIX = b" " + ME.encode()
A, B = PEER_A.encode(), PEER_B.encode()


def refuse(command: Command) -> list[object]:
    """A fellow that agrees the master is down and voted for the other one."""
    return [1, B if command[5] != b"*" else b"*", int(command[4])]


# -- giving ----------------------------------------------------------------------------------------


def test_first_to_ask_gets_the_vote() -> None:
    """And everybody else in that epoch is told who it was."""
    rig = Rig()

    assert rig.ask_vote(PEER_A, 1) == [0, A, 1]
    assert rig.ask_vote(PEER_B, 1) == [0, A, 1]
    assert rig.ask_vote(PEER_B, 2) == [0, B, 2]
    assert rig.ask_vote(PEER_A, 1) == [0, B, 2]


def test_vote_is_announced_as_redis_does() -> None:
    """The new epoch first, then the vote."""
    rig = Rig()
    rig.forget()
    rig.ask_vote(PEER_A, 5)

    assert rig.lines() == ["+new-epoch 5", f"+vote-for-leader {PEER_A} 5"]


@pytest.mark.parametrize(
    ("candidate", "epoch", "address", "expected"),
    [
        (None, 9, MASTER, [0, b"*", 0]),
        (PEER_A, 0, MASTER, [0, b"*", 3]),
        (PEER_A, 3, MASTER, [0, b"*", 3]),
        (PEER_A, 4, MASTER, [0, b"*", 3]),
        (PEER_A, 5, MASTER, [0, A, 5]),
        (PEER_A, 9, Address("10.9.9.9", 1), [0, b"*", 0]),
    ],
)
def test_a_vote_is_given_only_in_a_later_epoch(
    candidate: RunId | None, epoch: int, address: Address, expected: list[object]
) -> None:
    """Loaded: voted in epoch 3 (for whom is not kept), configuration of epoch 4."""
    state = durable(leader_epoch=3, config_epoch=4)
    rig = Rig(state)

    assert rig.ask_vote(candidate, epoch, address) == expected


def test_question_without_candidate_adopts_no_epoch() -> None:
    """An opinion is no election."""
    rig = Rig()
    rig.ask_vote(None, 9)
    assert rig.core.state.current_epoch == 0


def test_vote_is_saved_before_it_is_spoken() -> None:
    """Else a crash between the two lets the sentinel vote twice."""
    rig = Rig()
    rig.holds_saves = True
    assert rig.ask_vote(PEER_A, 1) == b"unanswered"
    assert "+vote-for-leader" not in rig.events()

    rig.save_held()

    assert list(rig.answers.values()) == [[0, A, 1]]
    assert rig.disk.masters[0].leader_epoch == 1
    assert rig.events()[-1] == "+vote-for-leader"


def test_vote_that_cannot_be_saved_is_not_given() -> None:
    """Redis logs a warning and gives it all the same."""
    rig = Rig()
    rig.is_disk_broken = True
    assert rig.ask_vote(PEER_A, 1) == [0, b"*", 0]
    assert rig.ask_vote(PEER_A, 1) == [0, b"*", 0]
    assert "+vote-for-leader" not in rig.events()


def test_unsaved_vote_is_still_bound() -> None:
    """It might have reached the disk after all: no other candidate gets this epoch."""
    rig = Rig()
    rig.is_disk_broken = True
    rig.ask_vote(PEER_A, 1)
    rig.is_disk_broken = False
    assert rig.ask_vote(PEER_B, 1) == [0, A, 1]


def test_restart_keeps_the_vote_bound() -> None:
    """The epoch is durable though the name is not."""
    rig = Rig()
    rig.ask_vote(PEER_A, 7)
    again = Rig(rig.disk)
    assert again.ask_vote(PEER_B, 7) == [0, b"*", 7]
    assert again.ask_vote(PEER_B, 8) == [0, B, 8]


def test_other_masters_elections_do_not_void_a_vote() -> None:
    """The shared epoch has moved on; this master's vote in an older one is still to give."""
    rig = Rig()
    rig.hello(epoch=50)
    assert rig.ask_vote(PEER_A, 49) == [0, A, 49]


# -- standing --------------------------------------------------------------------------------------


def candidate_rig() -> Rig:
    """The master is dead, both fellows agree; how they vote is up to the test."""
    rig = Rig()
    rig.advance(1_000)
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    rig.forget()
    rig.kill(MASTER)
    return rig


def advance_to(rig: Rig, event: str) -> None:
    """Until an event is announced."""
    for _ in range(15_000):
        if event in rig.events():
            return
        rig.advance(1)
    raise AssertionError(f"no {event} in {rig.lines()}")


def test_candidate_counts_its_own_vote_only_when_saved() -> None:
    """It is a voter like any other."""
    rig = candidate_rig()
    rig.agree_down()
    rig.advance(880)
    rig.holds_saves = True
    advance_to(rig, "+try-failover")
    rig.advance(300)
    assert not [
        line for line in rig.commands_to(PEER_ADDRESSES[PEER_A]) if line.endswith(ME_SUFFIX)
    ]

    rig.save_held()

    assert "+elected-leader" in rig.events()


def unsaved_candidate() -> Rig:
    """It stands in epoch 1, and its vote for itself is on its way to the disk."""
    rig = candidate_rig()
    rig.agree_down()
    rig.advance(880)
    rig.holds_saves = True
    advance_to(rig, "+try-failover")
    return rig


def test_candidate_yields_to_who_was_quicker_to_save() -> None:
    """Its own vote is not spoken yet; of three that stand together one wins, and not none."""
    rig = unsaved_candidate()
    saves = len(rig.held_saves)
    rig.answers.clear()
    assert rig.ask_vote(PEER_A, 1) == b"unanswered"
    assert rig.ask_vote(PEER_B, 1) == b"unanswered"
    assert rig.events()[-1] == "-failover-abort-not-elected"
    assert len(rig.held_saves) == saves  # the epoch is on its way already

    rig.save_held()
    rig.advance(20)

    assert list(rig.answers.values()) == [[1, A, 1], [1, A, 1]]
    assert rig.lines().count(f"+vote-for-leader {PEER_A} 1") == 1
    assert rig.events().count("+vote-for-leader") == 1
    assert not [
        line for line in rig.commands_to(PEER_ADDRESSES[PEER_B]) if line.endswith(ME_SUFFIX)
    ]


def test_vote_that_somebody_waits_for_is_not_given_to_another() -> None:
    """Who asked in an older epoch is going to be told of it."""
    rig = unsaved_candidate()
    rig.answers.clear()
    rig.ask_vote(PEER_A, 0)
    rig.ask_vote(PEER_B, 1)
    rig.save_held()

    assert list(rig.answers.values()) == [[1, ME.encode(), 1], [1, ME.encode(), 1]]


def test_vote_on_disk_is_not_given_to_another() -> None:
    """It was spoken when the others were asked for theirs."""
    rig = unsaved_candidate()
    rig.silent |= set(PEER_ADDRESSES.values())
    rig.save_held()

    assert rig.ask_vote(PEER_A, 1) == [1, ME.encode(), 1]


def test_ordered_failover_keeps_its_epoch() -> None:
    """It needs no votes: to give the epoch to another would make two configurations of it."""
    rig = Rig()
    rig.advance(1_000)
    rig.holds_saves = True
    rig.step(FailoverRequested(rig.now_ms, rig.new_request(), NAME))
    epoch = rig.core.state.current_epoch
    rig.answers.clear()
    rig.ask_vote(PEER_A, epoch)
    rig.save_held()

    assert list(rig.answers.values())[-1] == [0, ME.encode(), epoch]


def test_candidate_whose_disk_fails_withdraws() -> None:
    """And tries again after a pause, in another epoch."""
    rig = candidate_rig()
    rig.agree_down()
    rig.advance(880)
    rig.is_disk_broken = True
    advance_to(rig, "-failover-abort-not-elected")
    assert rig.master.history[-1].defeat is Defeat.UNSAVED
    rig.advance(100)
    assert rig.events().count("+try-failover") == 1
    assert "+vote-for-leader" not in rig.events()
    rig.is_disk_broken = False
    advance_to(rig, "+elected-leader")

    assert rig.master.config_epoch == 2


def test_lost_election_is_repeated_soon() -> None:
    """As soon as the last answer makes it hopeless; Redis waits 10 s and then 6 minutes."""
    rig = candidate_rig()
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    advance_to(rig, "-failover-abort-not-elected")
    lost_ms = rig.now_ms
    assert rig.master.history[-1].defeat is Defeat.SPLIT
    rig.agree_down()
    advance_to(rig, "+elected-leader")

    assert rig.now_ms - lost_ms <= 200
    assert rig.master.config_epoch == 2


def test_loser_waits_for_the_winner_it_learns_of() -> None:
    """To stand against an elected leader would only make two masters."""
    rig = candidate_rig()
    rig.opinion[PEER_ADDRESSES[PEER_A]] = refuse
    rig.opinion[PEER_ADDRESSES[PEER_B]] = refuse
    advance_to(rig, "-failover-abort-not-elected")
    assert rig.master.history[-1].defeat is Defeat.LOST
    rig.advance(1_900)
    assert rig.events().count("+try-failover") == 1
    rig.advance(1_500)
    assert rig.events().count("+try-failover") == 2


def test_majority_is_of_all_known_sentinels() -> None:
    """Two votes of five are none."""
    more = {RunId(digit * 40): Address(f"10.0.1.{digit}", 26379) for digit in "5678"}
    rig = Rig(durable(sentinels=tuple(more.items())))
    rig.advance(500)
    addresses = list(more.values())
    for address in addresses:
        rig.opinion[address] = lambda command: [1, b"*", 0]
    rig.opinion[addresses[0]] = lambda command: [1, command[5], int(command[4])]
    rig.kill(MASTER)
    rig.advance(4_000)

    assert "+try-failover" in rig.events()
    assert "+elected-leader" not in rig.events()


def test_quorum_above_the_majority_is_needed_in_votes_too() -> None:
    """An operator who asks for three of three gets three."""
    rig = Rig(durable(options=replace(OPTIONS, quorum=3)))
    rig.advance(500)
    rig.agree_down(PEER_A)
    rig.opinion[PEER_ADDRESSES[PEER_B]] = lambda command: [1, b"*", 0]
    rig.kill(MASTER)
    rig.advance(3_000)
    assert "+odown" in rig.events()
    assert "+elected-leader" not in rig.events()


def test_election_that_nobody_answers_ends_by_time() -> None:
    """And is told from a split one: the cure is the network's."""
    rig = candidate_rig()
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    advance_to(rig, "+odown")
    rig.silent.update(PEER_ADDRESSES.values())
    advance_to(rig, "-failover-abort-not-elected")

    assert rig.master.history[-1].defeat is Defeat.TIMEOUT


@pytest.mark.parametrize("offset", [-1, 1])
def test_votes_of_another_epoch_do_not_count(offset: int) -> None:
    """Only those that carry the epoch of this very election."""
    rig = candidate_rig()
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, command[5], max(int(command[4]) + offset, 0)]
    rig.advance(3_000)

    assert "+try-failover" in rig.events()
    assert "+elected-leader" not in rig.events()


def test_candidate_steps_down_for_who_is_ahead() -> None:
    """A request in a higher epoch while our own election is open."""
    rig = candidate_rig()
    for peer, address in PEER_ADDRESSES.items():
        rig.silent.add(address) if peer == PEER_A else None
    rig.opinion[PEER_ADDRESSES[PEER_B]] = lambda command: [1, b"*", 0]
    advance_to(rig, "+try-failover")
    epoch = rig.master.failover.epoch

    assert rig.ask_vote(PEER_B, epoch + 1) == [1, B, epoch + 1]
    assert rig.is_in(FailoverState.NONE)
    assert rig.events()[-3:] == ["+new-epoch", "-failover-abort-not-elected", "+vote-for-leader"]


def test_leader_at_work_votes_for_nobody() -> None:
    """Whoever asks now has missed the election; it is over in milliseconds."""
    rig = candidate_rig()
    rig.agree_down()
    rig.silent.add(REPLICA_1)
    rig.silent.add(Address("10.0.0.3", 6379))
    advance_to(rig, "+elected-leader")

    assert rig.ask_vote(PEER_B, 9) == [1, ME.encode(), 1]


def test_voter_waits_for_its_leader_but_not_for_ever() -> None:
    """Two to three seconds, against Redis' two failover timeouts."""
    rig = candidate_rig()
    rig.agree_down()
    rig.advance(500)
    rig.ask_vote(PEER_A, 1)
    rig.advance(1_900)
    assert "+odown" in rig.events()
    assert "+try-failover" not in rig.events()
    rig.advance(1_600)
    assert "+elected-leader" in rig.events()


def test_voter_does_not_wait_for_a_dead_leader() -> None:
    """Its link says so at once."""
    rig = candidate_rig()
    rig.agree_down()
    rig.advance(880)
    rig.ask_vote(PEER_A, 1)
    rig.kill(PEER_ADDRESSES[PEER_A])
    rig.advance(1_000)

    assert "+elected-leader" in rig.events()


def test_sentinel_without_a_majority_in_reach_does_not_stand() -> None:
    """It would win nothing and mint epochs."""
    rig = Rig(durable(options=replace(OPTIONS, quorum=1)))
    rig.advance(500)
    for address in PEER_ADDRESSES.values():
        rig.kill(address)
    rig.kill(MASTER)
    rig.advance(20_000)

    assert "+odown" in rig.events()
    assert rig.core.state.current_epoch == 0


def test_only_sentinel_elects_itself() -> None:
    """With a quorum of one there is nobody to ask."""
    options = replace(OPTIONS, quorum=1)
    rig = Rig(durable(options=options, sentinels=()))
    rig.advance(500)
    rig.kill(MASTER)
    rig.advance(1_100)

    assert "+switch-master" in rig.events()


def test_vote_for_a_failure_that_is_over_delays_nothing() -> None:
    """The master came back; when it dies again the old leader is not waited for."""
    rig = candidate_rig()
    rig.agree_down()
    rig.advance(500)
    rig.ask_vote(PEER_A, 1)
    rig.advance(600)
    rig.revive(MASTER)
    rig.advance(500)
    assert "-odown" in rig.events()
    rig.kill(MASTER)
    rig.advance(1_100)

    assert "+elected-leader" in rig.events()


def test_epoch_is_spoken_only_when_it_is_on_disk() -> None:
    """A hello must not name an epoch that a crash would take back."""
    rig = Rig()
    rig.holds_saves = True
    rig.hello(epoch=8)
    rig.forget()
    rig.advance(3_000)
    assert rig.core.state.current_epoch == 8
    assert {hello_epoch(line) for line in hellos(rig)} == {b"0"}

    rig.save_held()
    rig.forget()
    rig.advance(3_000)

    assert {hello_epoch(line) for line in hellos(rig)} == {b"8"}


def test_failed_save_is_tried_again() -> None:
    """Until then the sentinel neither votes nor speaks of new epochs."""
    rig = Rig()
    rig.is_disk_broken = True
    rig.hello(epoch=8)
    rig.is_disk_broken = False
    assert rig.disk.current_epoch == 0
    rig.advance(1_000)
    assert rig.disk.current_epoch == 8


def hellos(rig: Rig) -> list[bytes]:
    """What was published through the first replica."""
    return [line for line in rig.commands_to(REPLICA_1) if line.startswith(b"PUBLISH")]


def hello_epoch(line: bytes) -> bytes:
    """The current epoch in a hello."""
    return line.split(b",")[3]


def test_nothing_is_spoken_before_the_first_save() -> None:
    """A new id that a crash would take back would haunt the fellows as a dead sentinel."""
    rig = Rig(is_started=False)
    rig.holds_saves = True
    rig.step(Started(rig.now_ms))
    assert rig.connects == []
    assert rig.events() == ["+monitor"]
    rig.save_held()
    assert rig.connects != []
    assert rig.master.name == NAME
