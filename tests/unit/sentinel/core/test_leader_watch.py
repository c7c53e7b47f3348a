"""A redis-sentinel that we voted for is asked whether it still leads; what its answers mean."""

from __future__ import annotations

import pytest

from sentinel.core.events import Started
from sentinel.core.leader_watch import has_given_up
from sentinel.core.machine import Request, RequestKind
from tests.unit.sentinel.core.rig import MASTER, PEER_A, PEER_ADDRESSES, PEER_B, Rig

QUESTION = b"SENTINEL master mymaster"


def voting_rig(*strangers: str) -> Rig:
    """A sentinel that voted for the first fellow; the master is objectively down."""
    rig = Rig(is_started=False)
    rig.strangers = {PEER_ADDRESSES[PEER_A]} if strangers else set()
    rig.step(Started(rig.now_ms))
    rig.advance(1_000)
    rig.kill(MASTER)
    rig.advance(950)
    assert rig.ask_vote(PEER_A, 1) == [0, PEER_A.encode(), 1]
    rig.agree_down()
    rig.forget()
    rig.advance(150)
    assert rig.master.is_o_down
    return rig


def answer(flags: bytes, config_epoch: bytes = b"0") -> list[object]:
    return [b"name", b"mymaster", b"flags", flags, b"config-epoch", config_epoch]


@pytest.mark.parametrize(
    ("reply", "is_given_up"),
    [
        (answer(b"s_down,o_down,master,failover_in_progress"), False),
        (answer(b"s_down,o_down,master"), True),
        (answer(b"master", config_epoch=b"1"), False),  # it has switched, and will say so
        (answer(b"master", config_epoch=b"x"), False),
        ([b"flags"], False),
        ([b"flags", b"master"], False),
        ([b"flags", 1, b"config-epoch", b"0"], False),
        (b"OK", False),
    ],
)
def test_only_a_leader_that_neither_leads_nor_switched_has_given_up(
    reply: object, is_given_up: bool
) -> None:
    """Its patience of five seconds ends with it; what makes no sense changes nothing."""
    rig = voting_rig("is one of Redis'")
    rig.leads[PEER_ADDRESSES[PEER_A]] = reply
    rig.advance(600)

    assert QUESTION in rig.commands_to(PEER_ADDRESSES[PEER_A])
    assert QUESTION not in rig.commands_to(PEER_ADDRESSES[PEER_B])
    assert ("+try-failover" in rig.events()) is is_given_up


@pytest.mark.parametrize(
    ("state", "is_given_up"), [(b"wait_start", True), (b"wait_promotion", False)]
)
def test_one_that_stands_for_long_is_not_going_to_be_elected(
    state: bytes, is_given_up: bool
) -> None:
    """It asks for votes a second time after one second; one that was elected needs longer."""
    rig = voting_rig("is one of Redis'")
    flags = b"s_down,o_down,master,failover_in_progress"
    rig.leads[PEER_ADDRESSES[PEER_A]] = [*answer(flags), b"failover-state", state]
    rig.advance(1_200)
    assert "+try-failover" not in rig.events()

    rig.advance(800)

    assert ("+try-failover" in rig.events()) is is_given_up


def test_one_of_our_kind_is_not_asked() -> None:
    """It is done, or has given up, within its own shorter patience."""
    rig = voting_rig()
    rig.advance(600)

    assert QUESTION not in rig.commands_to(PEER_ADDRESSES[PEER_A])


def test_answer_about_an_earlier_vote_means_nothing() -> None:
    """Meanwhile the same sentinel may have begun anew, in another epoch."""
    rig = voting_rig("is one of Redis'")
    assert rig.ask_vote(PEER_A, 2) == [1, PEER_A.encode(), 2]
    peer = rig.master.peers[PEER_A]
    earlier, current = (
        Request(RequestKind.LEADER, rig.now_ms, 1, peer=peer, epoch=epoch) for epoch in (1, 2)
    )

    assert not has_given_up(rig.master, peer, earlier, answer(b"master"))
    assert has_given_up(rig.master, peer, current, answer(b"master"))
