"""SENTINEL FORGET: who may be forgotten, by whose word, and how it comes back."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sentinel.core.durable import initial_state
from sentinel.core.events import (
    FailoverRequested,
    ForgetRequested,
    ForgetStep,
    ForgetStepRequested,
    ResetRequested,
)
from tests.unit.sentinel.core.rig import (
    MASTER,
    ME,
    NAME,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    error,
    master_info,
)
from vedette.resp.replies import OK, ErrorReply, RawReply, Reply
from vedette.types import Address, RunId

DEAD_1, DEAD_2 = RunId("d" * 40), RunId("e" * 40)
ADDRESSES = {
    **PEER_ADDRESSES,
    DEAD_1: Address("10.0.1.3", 26379),
    DEAD_2: Address("10.0.1.4", 26379),
}


def five_rig(*dead: RunId) -> Rig:
    """Five sentinels know one another; some have been dead for a while."""
    rig = Rig(durable(sentinels=tuple(ADDRESSES.items())), is_started=True)
    for run_id in dead:
        rig.kill(ADDRESSES[run_id])
    rig.advance(1_500)
    rig.forget()
    return rig


def forget(rig: Rig, *targets: RunId) -> Reply:
    request = rig.new_request()
    rig.step(ForgetRequested(rig.now_ms, request, NAME, sentinels=targets))
    return rig.answers.get(request, b"unanswered")


def text(reply: Reply) -> str:
    assert isinstance(reply, ErrorReply)
    return reply.text.decode()


def asked_to(
    rig: Rig,
    step: ForgetStep,
    *targets: RunId,
    known: Iterable[RunId] = (ME, *ADDRESSES),
    asker: RunId = PEER_A,
    epoch: int = 0,
    forgotten: tuple[RunId, ...] = (),
) -> Reply:
    """A fellow takes a step; our answer."""
    request = rig.new_request()
    rig.step(
        ForgetStepRequested(
            rig.now_ms, request, NAME, step, asker, epoch, targets, tuple(known), forgotten
        )
    )
    return rig.answers.get(request, b"unanswered")


# -- who asks --------------------------------------------------------------------------------------


def test_majority_shrinks_when_all_that_stay_agree() -> None:
    """Two of five are gone: three remain, and two votes are enough."""
    rig = five_rig(DEAD_1, DEAD_2)

    assert forget(rig, DEAD_1, DEAD_2) is OK

    assert rig.master.known_sentinels == 3
    assert set(rig.master.peers) == {PEER_A, PEER_B}
    assert rig.events().count("-sentinel") == 2
    assert rig.disk.masters[0].forgotten == (DEAD_1, DEAD_2)
    assert [run_id for run_id, _ in rig.disk.masters[0].sentinels] == [PEER_A, PEER_B]
    for peer in (PEER_A, PEER_B):
        steps = [line.split()[3] for line in rig.commands_to(ADDRESSES[peer]) if b"step" in line]
        assert steps == [b"agree", b"done"]


def test_fellow_that_agrees_with_an_epoch_out_of_reach_is_not_believed() -> None:
    """All would go on from it, and could not count on from there."""
    rig = five_rig(DEAD_1, DEAD_2)
    rig.consent[ADDRESSES[PEER_B]] = 2**62

    assert "out of reach" in text(forget(rig, DEAD_1, DEAD_2))

    assert rig.master.known_sentinels == 5
    assert rig.core.state.current_epoch == 0
    assert rig.core.state.refused_counts == {"epoch": 1}


@pytest.mark.parametrize("step", list(ForgetStep))
def test_step_with_an_epoch_out_of_reach_is_refused(step: ForgetStep) -> None:
    """Whoever says it: nothing of it is adopted."""
    rig = five_rig(DEAD_1, DEAD_2)
    asked_to(rig, ForgetStep.AGREE, DEAD_1, DEAD_2)

    assert text(asked_to(rig, step, DEAD_1, DEAD_2, epoch=2**62)) == "ERR The epoch is out of reach"
    assert rig.core.state.current_epoch == 0
    assert rig.master.forgotten == {}
    assert set(rig.master.leaving) == {DEAD_1, DEAD_2}


def test_nothing_is_asked_before_our_own_consent_is_on_disk() -> None:
    """A restart must not let us count those whom others count out."""
    rig = five_rig(DEAD_1)
    rig.holds_saves = True

    assert forget(rig, DEAD_1) == b"unanswered"
    assert not any(b"step" in line for line in rig.commands_to(ADDRESSES[PEER_A]))

    rig.save_held()
    assert any(b"step" in line for line in rig.commands_to(ADDRESSES[PEER_A]))


def test_minority_forgets_nobody() -> None:
    """Two of five cannot make themselves two of two."""
    rig = five_rig(PEER_B, DEAD_1, DEAD_2)

    assert text(forget(rig, PEER_B, DEAD_1, DEAD_2)).startswith("NOMAJORITY Only 2 of the 5")
    assert text(forget(rig, DEAD_1)).startswith("NOAGREEMENT")
    assert rig.master.known_sentinels == 5


def test_living_sentinel_is_not_forgotten() -> None:
    """It would go on believing that it counts."""
    rig = five_rig()

    assert text(forget(rig, DEAD_1)) == f"ERR Sentinel {DEAD_1} is not down; stop it first"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (error("ERR The views differ: other sentinels are known here"), "says: ERR The views"),
        (error("ERR unknown subcommand"), "says: ERR unknown subcommand"),
        (b"OK", "does not know this command"),
    ],
)
def test_one_refusal_takes_everything_back(answer: object, reason: str) -> None:
    """The majority is what it was, and those who agreed are told."""
    rig = five_rig(DEAD_1)
    rig.consent[ADDRESSES[PEER_B]] = answer

    reply = text(forget(rig, DEAD_1))

    assert reply.startswith(f"NOAGREEMENT Sentinel {PEER_B} ")
    assert reason in reply
    assert DEAD_1 in rig.master.peers
    assert rig.master.leaving == {}
    assert any(b" withdraw " in line for line in rig.commands_to(ADDRESSES[PEER_A]))
    assert not any(b" done " in line for line in rig.commands_to(ADDRESSES[PEER_A]))


def test_silence_is_no_consent() -> None:
    """And the client learns who was silent."""
    rig = five_rig(DEAD_1)
    rig.silent.add(ADDRESSES[PEER_B])
    request = rig.new_request()
    rig.step(ForgetRequested(rig.now_ms, request, NAME, sentinels=(DEAD_1,)))

    rig.advance(3_100)

    assert PEER_B in text(rig.answers[request])
    assert DEAD_1 in rig.master.peers


def test_next_epoch_is_above_all_that_were_voted_in_before() -> None:
    """An old majority's votes and a new majority's are never of one epoch."""
    rig = five_rig(DEAD_1)
    rig.consent[ADDRESSES[PEER_B]] = 17

    forget(rig, DEAD_1)

    assert rig.core.state.current_epoch == 17
    assert rig.disk.current_epoch == 17


def test_restarted_asker_keeps_the_old_majority_and_finishes_with_the_next_order() -> None:
    """What was not concluded counts for the sum; nobody knows who has agreed."""
    rig = five_rig(DEAD_1)
    rig.silent.add(ADDRESSES[PEER_B])
    rig.step(ForgetRequested(rig.now_ms, rig.new_request(), NAME, sentinels=(DEAD_1,)))

    restarted = Rig(rig.disk)
    restarted.kill(ADDRESSES[DEAD_2])
    restarted.advance(1_500)

    assert set(restarted.master.leaving) == {DEAD_1}
    assert restarted.master.known_sentinels == 5
    assert forget(restarted, DEAD_2) is OK
    assert restarted.master.known_sentinels == 3
    assert set(restarted.master.forgotten) == {DEAD_1, DEAD_2}


def test_order_in_a_failover_is_refused() -> None:
    """And a second one beside the first."""
    rig = five_rig(DEAD_1)
    rig.silent.update((REPLICA_1, REPLICA_2))
    rig.step(FailoverRequested(rig.now_ms, rig.new_request(), NAME))

    assert text(forget(rig, DEAD_1)).startswith("INPROG")


# -- who is asked ----------------------------------------------------------------------------------


def test_consent_is_on_disk_before_it_is_given() -> None:
    """Else a restart would forget it, and two majorities could differ."""
    rig = five_rig(DEAD_1)
    rig.holds_saves = True

    assert asked_to(rig, ForgetStep.AGREE, DEAD_1) == b"unanswered"
    rig.save_held()

    (epoch,) = (reply for reply in rig.answers.values() if isinstance(reply, int))
    assert epoch == rig.core.state.current_epoch
    assert rig.disk.masters[0].leaving == ((DEAD_1, ADDRESSES[DEAD_1]),)


def test_leaving_sentinel_counts_for_the_majority_and_gets_no_vote() -> None:
    """Until all have agreed the majority stays as it was."""
    rig = five_rig(DEAD_1)

    asked_to(rig, ForgetStep.AGREE, DEAD_1)

    assert rig.master.known_sentinels == 5
    assert DEAD_1 not in rig.master.peers
    assert rig.ask_vote(DEAD_1, 9) == [0, b"*", 0]
    assert rig.ask_vote(PEER_B, 9) == [0, PEER_B.encode(), 9]


def test_conclusion_shrinks_the_majority_and_lasts() -> None:
    """Its hello does not bring it back, nor does a restart."""
    rig = five_rig(DEAD_1)
    asked_to(rig, ForgetStep.AGREE, DEAD_1)
    assert asked_to(rig, ForgetStep.DONE, DEAD_1, epoch=5) is OK

    rig.hello(DEAD_1, address=ADDRESSES[DEAD_1], epoch=6)

    assert rig.master.known_sentinels == 4
    assert rig.core.state.current_epoch == 6
    assert rig.ask_vote(DEAD_1, 9) == [0, b"*", 0]
    loaded = initial_state(rig.disk).masters[NAME]
    assert (loaded.known_sentinels, set(loaded.forgotten)) == (4, {DEAD_1})


def test_forgotten_sentinels_newer_configuration_is_followed_all_the_same() -> None:
    """It may have led a failover before it was forgotten."""
    rig = five_rig(DEAD_1)
    asked_to(rig, ForgetStep.AGREE, DEAD_1)

    rig.hello(DEAD_1, address=ADDRESSES[DEAD_1], epoch=3, master=REPLICA_1, config_epoch=3)

    assert rig.master.address == REPLICA_1
    assert DEAD_1 not in rig.master.peers


def test_nobody_is_forgotten_without_having_agreed_first() -> None:
    """A conclusion that we know nothing of changes nothing."""
    rig = five_rig(DEAD_1)

    assert asked_to(rig, ForgetStep.DONE, DEAD_1) is OK

    assert rig.master.known_sentinels == 5
    assert DEAD_1 in rig.master.peers


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"known": (ME, PEER_A, DEAD_1)}, "The views differ"),
        ({"known": (ME, *ADDRESSES, RunId("9" * 40))}, "The views differ"),
        ({"asker": RunId("9" * 40)}, "The asker is not known"),
    ],
)
def test_consent_is_refused_for_a_reason(changes: dict[str, object], reason: str) -> None:
    """Who knows others would not be bound by what these agree on."""
    rig = five_rig(DEAD_1)

    reply = asked_to(rig, ForgetStep.AGREE, DEAD_1, **changes)  # type: ignore[arg-type]  # a table

    assert reason in text(reply)
    assert rig.master.leaving == {}


def test_we_do_not_agree_to_our_own_end_nor_to_that_of_the_living() -> None:
    """Each judges by what it sees itself."""
    rig = five_rig(DEAD_1)

    assert "this sentinel" in text(asked_to(rig, ForgetStep.AGREE, ME))
    assert "is not down" in text(asked_to(rig, ForgetStep.AGREE, DEAD_2))


def test_only_the_sole_asker_takes_consent_back() -> None:
    """The other may have concluded; the word of it may be on its way."""
    rig = five_rig(DEAD_1)
    asked_to(rig, ForgetStep.AGREE, DEAD_1, asker=PEER_A)
    asked_to(rig, ForgetStep.AGREE, DEAD_1, asker=PEER_B)

    asked_to(rig, ForgetStep.WITHDRAW, DEAD_1, asker=PEER_A)
    assert DEAD_1 in rig.master.leaving

    rig = five_rig(DEAD_1)
    asked_to(rig, ForgetStep.AGREE, DEAD_1, asker=PEER_A)
    asked_to(rig, ForgetStep.WITHDRAW, DEAD_1, asker=PEER_A)
    assert DEAD_1 in rig.master.peers
    assert rig.events()[-1] == "-sentinel-leaving"


def test_consent_from_before_a_restart_is_not_taken_back() -> None:
    """Who asked for it then is not known any more."""
    rig = five_rig(DEAD_1)
    asked_to(rig, ForgetStep.AGREE, DEAD_1)
    restarted = Rig(rig.disk)
    restarted.advance(1_500)

    asked_to(restarted, ForgetStep.AGREE, DEAD_1)
    asked_to(restarted, ForgetStep.WITHDRAW, DEAD_1)

    assert DEAD_1 in restarted.master.leaving


def test_lost_conclusion_comes_with_the_next_question() -> None:
    """What the asker has forgotten, all had agreed to."""
    rig = five_rig(DEAD_1, DEAD_2)
    asked_to(rig, ForgetStep.AGREE, DEAD_1)

    known = (ME, PEER_A, PEER_B, DEAD_2)
    reply = asked_to(rig, ForgetStep.AGREE, DEAD_2, known=known, forgotten=(DEAD_1,), epoch=4)

    assert reply == 4
    assert rig.master.known_sentinels == 4
    assert list(rig.master.forgotten) == [DEAD_1]
    assert list(rig.master.leaving) == [DEAD_2]


def test_reset_lets_the_forgotten_come_back() -> None:
    """As it lets everybody."""
    rig = five_rig(DEAD_1)
    asked_to(rig, ForgetStep.AGREE, DEAD_1)

    rig.step(ResetRequested(rig.now_ms, rig.new_request(), (NAME,)))
    rig.hello(DEAD_1, address=ADDRESSES[DEAD_1])

    assert list(rig.master.peers) == [DEAD_1]


# -- replicas --------------------------------------------------------------------------------------


def forget_replica(rig: Rig, address: Address) -> Reply:
    request = rig.new_request()
    rig.step(ForgetRequested(rig.now_ms, request, NAME, replicas=(address,)))
    return rig.answers[request]


def test_forgotten_replica_is_gone_from_memory_and_disk() -> None:
    """One event says so; its connections are closed."""
    rig = Rig()
    rig.advance(1_000)
    rig.info[MASTER] = master_info((REPLICA_1,))
    rig.forget()

    reply = forget_replica(rig, REPLICA_2)
    rig.advance(25_000)

    assert isinstance(reply, RawReply)
    assert reply is OK
    assert list(rig.master.replicas) == [REPLICA_1]
    assert rig.disk.masters[0].replicas == (REPLICA_1,)
    assert rig.lines()[0] == "-slave slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.1 6379"
    assert "+slave" not in rig.events()


def test_replica_comes_back_with_an_info_asked_for_afterwards() -> None:
    """An answer that was on its way proves nothing."""
    rig = Rig()
    rig.advance(1_000)
    rig.forget()
    forget_replica(rig, REPLICA_2)
    assert list(rig.master.replicas) == [REPLICA_1]

    rig.advance(10_100)

    assert set(rig.master.replicas) == {REPLICA_1, REPLICA_2}
    assert rig.events().count("+slave") == 1
