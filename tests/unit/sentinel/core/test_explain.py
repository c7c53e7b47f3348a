"""Explanations say what the deciding functions will do, and what for they wait."""

from __future__ import annotations

from dataclasses import replace

from sentinel.core.explain import Explanation, explain
from tests.unit.sentinel.core.rig import (
    MASTER,
    ME,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    replica_info,
    run_id_of,
)


def explained(rig: Rig) -> Explanation:
    return explain(rig.core.state, rig.master, rig.now_ms)


def quiet_rig() -> Rig:
    rig = Rig()
    rig.info[REPLICA_2] = replica_info(offset=250, run_id=run_id_of(REPLICA_2))
    rig.advance(11_000)
    return rig


def test_healthy_master_has_a_successor_and_no_prospect() -> None:
    """Who would be promoted is known before it is needed, and why the others not."""
    found = explained(quiet_rig())

    assert (found.prospect.status, found.prospect.next_attempt_in_ms) == ("idle", None)
    assert [(each.address, each.rank, each.reason) for each in found.candidates] == [
        (REPLICA_2, 1, ""),
        (REPLICA_1, 2, "150 bytes behind the first"),
    ]
    assert (found.down_count, found.needed_votes, found.check.usable) == (0, 2, 3)


def test_priority_comes_before_the_offset() -> None:
    """The reason given is the one that decided."""
    rig = quiet_rig()
    rig.info[REPLICA_2] = replica_info(offset=250, priority=200, run_id=run_id_of(REPLICA_2))
    rig.advance(11_000)

    assert [(each.address, each.reason) for each in explained(rig).candidates] == [
        (REPLICA_1, ""),
        (REPLICA_2, "priority 200, the first has 100"),
    ]


def test_of_equals_the_silent_one_comes_second() -> None:
    """Its run id would come first."""
    rig = quiet_rig()
    rig.info[REPLICA_1] = replica_info(offset=250, run_id=run_id_of(REPLICA_1))
    rig.advance(11_000)
    rig.silent.add(REPLICA_1)
    rig.advance(900)

    assert [(each.address, each.reason) for each in explained(rig).candidates] == [
        (REPLICA_2, ""),
        (REPLICA_1, "has not answered for a moment"),
    ]


def test_replica_that_may_not_be_promoted_has_rank_0_and_the_reason() -> None:
    """And comes last."""
    rig = quiet_rig()
    rig.kill(REPLICA_2)
    rig.advance(1_100)

    last = explained(rig).candidates[-1]
    assert (last.address, last.rank, last.reason) == (REPLICA_2, 0, "subjectively down")


def test_suspicion_without_a_quorum_is_told_with_the_count() -> None:
    """Whose word is missing shows in the opinions."""
    rig = quiet_rig()
    rig.kill(MASTER)
    rig.advance(1_100)

    found = explained(rig)

    assert found.prospect.status == "waiting"
    assert found.prospect.text.startswith("1 of the 2 sentinels")
    mine, *others = found.opinions
    assert (mine.run_id, mine.says_down) == (ME, True)
    assert {each.run_id: each.says_down for each in others} == {PEER_A: False, PEER_B: False}
    assert all(each.age_ms is not None and each.age_ms <= 200 for each in others)


def test_sentinel_without_a_majority_says_how_many_it_lacks() -> None:
    """The fellows agreed that the master is down, voted for nobody, and are gone themselves."""
    rig = quiet_rig()
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    rig.kill(MASTER)
    rig.advance(1_100)
    for address in PEER_ADDRESSES.values():
        rig.kill(address)

    found = explained(rig)

    assert found.prospect.text == "1 sentinels can be reached and 2 votes are needed to be elected"
    assert [each.state for each in found.opinions] == ["up", "disconnected", "disconnected"]


def test_voter_waits_for_whom_it_voted_and_says_until_when() -> None:
    """The next attempt of its own is not before that."""
    rig = quiet_rig()
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    rig.kill(MASTER)
    rig.advance(880)
    rig.ask_vote(PEER_A, 7)
    rig.advance(120)

    found = explained(rig)

    assert found.prospect.text == f"we voted for {PEER_A} and wait for it"
    assert found.prospect.next_attempt_in_ms is not None
    assert 1_500 < found.prospect.next_attempt_in_ms <= 3_000


def test_candidate_shows_the_votes_it_has() -> None:
    """One fellow has voted for it, the other does not answer any more."""
    rig = Rig(durable(options=replace(OPTIONS, quorum=3)))
    rig.advance(1_000)
    silent, voter = PEER_ADDRESSES[PEER_B], PEER_ADDRESSES[PEER_A]

    def grant_and_silence(command: tuple[bytes, ...]) -> list[object]:
        if command[5] == b"*":
            return [1, b"*", 0]
        rig.silent.add(silent)
        return [1, command[5], int(command[4])]

    rig.opinion[voter] = grant_and_silence
    rig.opinion[silent] = lambda command: [1, b"*", 0]
    rig.kill(MASTER)
    rig.advance(1_100)

    found = explained(rig)

    assert found.prospect.status == "running"
    assert (found.votes, found.needed_votes) == (2, 3)
