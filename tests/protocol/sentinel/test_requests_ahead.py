"""Requests of fellow sentinels that are put to the machine before their turn: votes, and news."""

from __future__ import annotations

import pytest

from sentinel.core.events import HelloReceived, VoteRequested
from tests.support.desk import MY_ID, PEER_ID, Desk
from vedette.types import Address


def test_vote_request_waits_for_the_machines_answer(desk: Desk) -> None:
    """A vote may be spoken only once it is on disk; later commands of the client wait behind it."""
    desk.session.name = b"sentinel-aaaaaaaa-cmd"
    before = desk.send(f"SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 3 {PEER_ID}")
    behind = desk.send("SENTINEL MYID")
    event = desk.event
    assert isinstance(event, VoteRequested)

    desk.engine.answer(event.request, [1, PEER_ID.encode(), 3])
    desk.engine.end_batch()

    assert before + behind == b""
    assert (event.address, event.epoch, event.candidate, event.asker) == (
        Address("10.0.0.1", 6379),
        3,
        PEER_ID,
        b"sentinel-aaaaaaaa-cmd",
    )
    assert desk.take() == b"*3\r\n:1\r\n$40\r\n" + PEER_ID.encode() + (
        b"\r\n:3\r\n$40\r\n" + MY_ID.encode() + b"\r\n"
    )


def ask_votes(desk: Desk, *words: str) -> list[VoteRequested]:
    """Send requests for votes in one piece; what the machine was given."""
    lines = [word if " " in word else f"{ASK} {word} {PEER_ID}" for word in words]
    desk.engine.receive(desk.session, "".join(f"{line}\r\n" for line in lines).encode())
    return [event for event in desk.machine.events if isinstance(event, VoteRequested)]


ASK = "SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379"


def test_requests_for_votes_do_not_wait_for_each_others_saves(desk: Desk) -> None:
    """A fellow that stands for fifty masters asks over one connection: one save serves them all."""
    first, second, third = ask_votes(desk, "3", "4", "PUBLISH x y", "5")
    assert [event.epoch for event in (first, second, third)] == [3, 4, 5]
    assert len({first.request, second.request, third.request}) == 3

    desk.engine.answer(third.request, [0, b"*", 5])
    desk.engine.answer(second.request, [0, b"*", 4])
    desk.engine.end_batch()
    assert desk.take() == b""  # in the order of the requests
    desk.engine.answer(first.request, [0, b"*", 3])
    desk.engine.end_batch()

    no_vote = "*3\r\n:0\r\n$1\r\n*\r\n:{}\r\n"
    refused = "-ERR Only HELLO messages are accepted by Sentinel instances.\r\n"
    expected = no_vote.format(3) + no_vote.format(4) + refused + no_vote.format(5)
    assert desk.take() == expected.encode()
    assert len(ask_votes(desk, "6")) == 4


def test_requests_that_come_later_are_put_to_the_machine_as_well(desk: Desk) -> None:
    """As long as the one before them waits."""
    ask_votes(desk, "3")
    *_, later = ask_votes(desk, "4")

    assert later.epoch == 4


@pytest.mark.parametrize("between", ["AUTH x y", "SENTINEL MYID x", f"{ASK} x {PEER_ID}"])
def test_vote_behind_another_command_has_to_wait(desk: Desk, between: str) -> None:
    """It may change who asks, or end the connection; what is wrong is refused in its turn."""
    assert len(ask_votes(desk, "3", between, "4")) == 1


def test_votes_asked_for_by_who_has_gone_leave_nothing_behind(desk: Desk) -> None:
    """Neither answers nor requests."""
    first, second = ask_votes(desk, "3", "4")
    desk.engine.answer(second.request, [0, b"*", 4])
    desk.engine.disconnect(desk.session)
    desk.engine.answer(first.request, [0, b"*", 3])
    desk.engine.end_batch()

    assert desk.take() == b""
    assert not desk.engine._answers
    assert not desk.engine.ahead._put


NEWS = f"10.0.0.3,26379,{PEER_ID},4,mymaster,10.0.0.2,6379,4"


def hellos(desk: Desk) -> list[bytes]:
    """The hello messages that the machine was given."""
    return [event.payload for event in desk.machine.events if isinstance(event, HelloReceived)]


def test_news_do_not_wait_for_the_save_of_a_vote_before_them(desk: Desk) -> None:
    """The machine has them at once, and only once; the reply comes in its turn."""
    first, second = ask_votes(desk, "3", f"PUBLISH __sentinel__:hello {NEWS}", "4")
    assert hellos(desk) == [NEWS.encode()]

    desk.engine.answer(first.request, [0, b"*", 3])
    desk.engine.answer(second.request, [0, b"*", 4])
    desk.engine.end_batch()

    no_vote = "*3\r\n:0\r\n$1\r\n*\r\n:{}\r\n"
    assert desk.take() == f"{no_vote.format(3)}:1\r\n{no_vote.format(4)}".encode()
    assert hellos(desk) == [NEWS.encode()]
    assert not desk.engine.ahead._put


def test_news_of_who_may_not_publish_are_refused_in_their_turn(desk: Desk) -> None:
    """A wait is no way around the access control list."""
    assert desk.send("ACL SETUSER default -publish") == b"+OK\r\n"
    (vote,) = ask_votes(desk, "3", f"PUBLISH __sentinel__:hello {NEWS}")
    assert not hellos(desk)

    desk.engine.answer(vote.request, [0, b"*", 3])
    desk.engine.end_batch()

    assert b"-NOPERM" in desk.take()
    assert not hellos(desk)


def test_star_asks_for_no_vote(desk: Desk) -> None:
    """`*` is the question alone."""
    desk.send("SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 3 *")

    assert isinstance(desk.event, VoteRequested)
    assert desk.event.candidate is None
