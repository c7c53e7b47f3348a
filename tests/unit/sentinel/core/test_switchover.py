"""A coordinated failover as one sentinel sees it: what is said to whom, and what is made of it."""

from __future__ import annotations

import pytest

from sentinel.core import orders
from sentinel.core.admin import MASTER_IS_DOWN, NO_FAILOVER_COMMAND
from sentinel.core.events import FailoverRequested
from sentinel.core.machine import SlaveOf
from sentinel.core.model import FailoverState
from tests.unit.sentinel.core.rig import (
    MASTER,
    NAME,
    PEER_A,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    error,
    master_info,
    replica_info,
    run_id_of,
)
from vedette.resp.replies import Reply


def info(text: bytes, state: str) -> bytes:
    return text + f"\r\nmaster_failover_state:{state}\r\n".encode()


def rig_with(state: str | None = "no-failover") -> Rig:
    """A quiet sentinel whose master says this of FAILOVER, and whose second replica is ahead."""
    rig = Rig(durable())
    text = master_info([REPLICA_1, REPLICA_2])
    rig.info[MASTER] = text if state is None else info(text, state)
    rig.info[REPLICA_2] = replica_info(offset=200, run_id=run_id_of(REPLICA_2))
    rig.advance(11_000)
    rig.agree_down()  # who votes says so, too: it counts for nothing while we see the master
    rig.forget()
    return rig


def order(rig: Rig) -> Reply:
    """SENTINEL FAILOVER ... COORDINATED; return the answer."""
    request = rig.new_request()
    rig.step(FailoverRequested(rig.now_ms, request, NAME, is_coordinated=True))
    return rig.answers[request]


def test_a_master_that_does_not_know_failover_is_no_good_primary() -> None:
    rig = rig_with(None)

    assert order(rig) == NO_FAILOVER_COMMAND
    assert rig.events() == []


def test_a_master_that_is_down_cannot_hand_over() -> None:
    rig = rig_with()
    rig.kill(MASTER)

    assert order(rig) == MASTER_IS_DOWN


def test_the_master_is_told_after_the_election_and_before_anything_is_said_to_a_replica() -> None:
    """In the words in which it lists its replica, with INFO behind it."""
    rig = rig_with()
    order(rig)
    sent = rig.commands_to(MASTER)
    start = sent.index(b"FAILOVER TO 10.0.0.3 6379 TIMEOUT 5000")

    assert sent[start + 1] == b"INFO"
    assert rig.events().index("+elected-leader") < rig.events().index("+selected-slave")
    assert not any(b"SLAVEOF" in line for line in rig.commands_to(REPLICA_2))


@pytest.mark.parametrize("is_leader", [True, False])
def test_no_hello_goes_through_a_master_that_may_pause(is_leader: bool) -> None:
    """It would wait with the writers, and the PINGs behind it; who votes knows as well."""
    rig = rig_with()
    rig.info[MASTER] = info(master_info([REPLICA_1, REPLICA_2]), "waiting-for-sync")
    if is_leader:
        order(rig)
    else:
        rig.ask_vote(PEER_A, 1)
    rig.forget()
    rig.advance(5_000)

    assert not any(line.startswith(b"PUBLISH") for line in rig.commands_to(MASTER))
    assert any(line.startswith(b"PUBLISH") for line in rig.commands_to(REPLICA_1))


def test_a_master_that_stays_ends_it() -> None:
    rig = rig_with()
    order(rig)
    rig.advance(100)

    assert "-failover-abort-master-timeout" in rig.events()
    assert rig.is_in(FailoverState.NONE)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ([error("ERR No failover in progress."), b"OK", b"OK", 1, 1], None),
        ([b"OK", error("ERR no"), b"OK", 1, 1], "ERR no"),
        ([error("ERR no"), b"OK", 1, 1], "ERR no"),
        ([b"OK", b"OK", 1, 1], None),
    ],
)
def test_of_the_transaction_only_slaveof_decides(outcome: list[object], reason: str | None) -> None:
    """FAILOVER ABORT before it fails where the failover has just ended by itself."""
    lines: tuple[bytes, ...] = (b"MULTI", b"FAILOVER ABORT", b"SLAVEOF NO ONE", b"CONFIG REWRITE")
    lines += (b"CLIENT KILL TYPE normal", b"CLIENT KILL TYPE pubsub", b"EXEC", b"INFO")
    if len(outcome) < 5:
        lines = (lines[0], *lines[2:])
    order = SlaveOf(None, tuple(tuple(line.split()) for line in lines))
    queued = [b"OK", *[b"QUEUED"] * len(outcome)]

    assert orders.refusal(order, (*queued, outcome, b"")) == reason
