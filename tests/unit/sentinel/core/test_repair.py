"""Strays are demoted and stragglers moved: soon when that is safe, late when it is not sure."""

from __future__ import annotations

import pytest

from sentinel.core import repair
from sentinel.core.machine import Request, RequestKind
from tests.unit.sentinel.core.rig import (
    MASTER,
    ME,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    REPLICA_1,
    REPLICA_2,
    Rig,
    master_info,
    replica_info,
    run_id_of,
)
from vedette.resp.exchange import Received
from vedette.types import Address

CONVERT = "+convert-to-slave slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379"


def after_failover() -> Rig:
    """The first replica was promoted in epoch 1 by the first fellow; the old master is dead."""
    rig = Rig()
    rig.advance(1_000)
    rig.ask_vote(PEER_A, 1)
    rig.kill(MASTER)
    rig.info[REPLICA_1] = master_info((REPLICA_2,), run_id=run_id_of(REPLICA_1))
    rig.info[REPLICA_2] = replica_info(REPLICA_1, run_id=run_id_of(REPLICA_2))
    rig.hello(epoch=1, master=REPLICA_1, config_epoch=1)
    for address in PEER_ADDRESSES.values():
        rig.named[address] = REPLICA_1
    rig.advance(3_000)
    rig.forget()
    return rig


def test_returning_master_is_demoted_at_first_sight() -> None:
    """A majority names our address and has voted in no newer epoch: that is proof enough."""
    rig = after_failover()
    rig.info[MASTER] = master_info(run_id="x" * 40)
    rig.revive(MASTER)
    rig.advance(300)

    assert CONVERT in rig.lines()
    assert b"SLAVEOF 10.0.0.2 6379" in rig.commands_to(MASTER)


def test_return_of_the_old_master_is_announced_once_its_link_is_up() -> None:
    """Until then its data are not those of the new one; once, for it is an end."""
    rig = after_failover()
    rig.info[MASTER] = replica_info(REPLICA_1, run_id="x" * 40, is_up=False)
    rig.revive(MASTER)
    rig.advance(12_000)
    assert "+rejoined" not in rig.events()
    for is_link_up in (True, False, True):
        rig.info[MASTER] = replica_info(REPLICA_1, run_id="x" * 40, is_up=is_link_up)
        rig.advance(12_000)

    line = "+rejoined slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379"
    assert [each for each in rig.lines() if each.startswith("+rejoined")] == [line]


@pytest.mark.parametrize(
    ("old_replid", "old_offset", "discarded"),
    [("a", 150, 51), ("a", 99, 0), ("c", 150, None)],
)
def test_what_the_old_master_had_for_itself_is_noted_when_it_is_back(
    old_replid: str, old_offset: int, discarded: int | None
) -> None:
    """By its own offset, and where the new master's history left its own: bytes 1 to 99."""
    rig = after_failover()
    told = f"master_replid:{'b' * 40}\r\nmaster_replid2:{'a' * 40}\r\nsecond_repl_offset:100"
    rig.info[REPLICA_1] += f"\r\n{told}".encode()
    rig.advance(12_000)
    fields = f"\r\nmaster_replid:{old_replid * 40}\r\nmaster_repl_offset:{old_offset}"
    rig.info[MASTER] = master_info(run_id="x" * 40) + fields.encode()
    rig.revive(MASTER)
    rig.advance(300)

    assert rig.master.history[-1].discarded_bytes == discarded


@pytest.mark.parametrize("doubt", ["address", "vote", "silence"])
def test_without_a_majoritys_word_it_takes_redis_eight_seconds(doubt: str) -> None:
    """Our configuration might be the stale one."""
    rig = after_failover()
    for address in PEER_ADDRESSES.values():
        if doubt == "address":
            rig.named[address] = MASTER
        elif doubt == "vote":
            rig.opinion[address] = lambda command: [0, b"*", 2]
        else:
            rig.silent.add(address)
    rig.info[MASTER] = master_info(run_id="x" * 40)
    rig.revive(MASTER)
    rig.advance(8_000)
    assert CONVERT not in rig.lines()
    rig.advance(1_500)
    assert CONVERT in rig.lines()


@pytest.mark.parametrize("late_ms", [0, 1])
def test_answer_to_a_question_from_before_the_return_proves_nothing(late_ms: int) -> None:
    """What was true then may not be so now: it may have been made master meanwhile."""
    rig = after_failover()
    rig.silent |= set(PEER_ADDRESSES.values())
    rig.info[MASTER] = master_info(run_id="x" * 40)
    rig.revive(MASTER)
    rig.advance(300)
    node, peer = rig.master.replicas[MASTER], rig.master.peers[PEER_A]
    sent_ms = node.role_reported_ms - late_ms
    request = Request(RequestKind.CONFIRM, sent_ms, 2, node, peer)
    replies: tuple[Received, ...] = ([b"10.0.0.2", b"6379"], [0, b"*", 1])

    repair.on_confirmation(rig.core._machine, rig.master, request, peer, replies)

    assert (CONVERT in rig.lines() or node.confirmed_by == {PEER_A}) == (late_ms == 0)


def test_election_of_our_own_that_somebodys_success_overtook_is_no_doubt() -> None:
    """We stood while a redis-sentinel, elected before, took its second to announce a new master."""
    rig = after_failover()
    rig.master.vote.leader, rig.master.vote.leader_epoch = ME, 2
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [0, ME.encode(), 2]
    rig.info[MASTER] = master_info(run_id="x" * 40)
    rig.revive(MASTER)
    rig.advance(300)

    assert CONVERT in rig.lines()


def test_own_vote_in_a_newer_epoch_is_a_doubt_too() -> None:
    """We may have elected somebody whose success we did not hear of."""
    rig = after_failover()
    rig.ask_vote(PEER_B, 2, REPLICA_1)
    rig.info[MASTER] = master_info(run_id="x" * 40)
    rig.revive(MASTER)
    rig.advance(3_000)
    assert CONVERT not in rig.lines()


def test_replica_that_somebody_promoted_is_left_alone_for_a_while() -> None:
    """The news of a failover that somebody ordered may be on its way."""
    rig = after_failover()
    rig.info[REPLICA_2] = master_info(run_id=run_id_of(REPLICA_2))
    while "-role-change" not in rig.events():
        rig.advance(10)
    rig.advance(7_900)
    assert "+convert-to-slave" not in rig.events()
    rig.advance(1_500)
    assert "+convert-to-slave" in rig.events()


def test_nothing_is_repaired_towards_a_master_that_is_not_sane() -> None:
    """To point a node at a dead master would stop it for nothing."""
    rig = after_failover()
    rig.info[MASTER] = master_info(run_id="x" * 40)
    rig.kill(REPLICA_1)
    rig.revive(MASTER)
    rig.advance(900)
    assert "+convert-to-slave" not in rig.events()


def test_straggler_of_a_failover_is_moved_after_seconds() -> None:
    """Its leader may be dead; Redis waits for the failover timeout."""
    rig = after_failover()
    rig.info[REPLICA_2] = replica_info(MASTER, is_up=False, run_id=run_id_of(REPLICA_2))
    rig.break_links(REPLICA_2)
    rig.advance(9_000)

    assert "+fix-slave-config" in rig.events()
    assert b"SLAVEOF 10.0.0.2 6379" in rig.commands_to(REPLICA_2)


def test_straggler_waits_while_another_synchronises() -> None:
    """A leader with parallel-syncs 1 is at work: it holds this one back on purpose."""
    rig = after_failover()
    rig.info[REPLICA_2] = replica_info(MASTER, is_up=False, run_id=run_id_of(REPLICA_2))
    rig.info[MASTER] = replica_info(REPLICA_1, is_up=False, run_id="x" * 40)
    rig.revive(MASTER)
    rig.break_links(REPLICA_2)
    rig.advance(9_000)
    assert "+fix-slave-config" not in rig.events()
    rig.advance(3_000)
    assert "+fix-slave-config" in rig.events()


def test_replica_of_a_stranger_waits_for_the_failover_timeout() -> None:
    """An operator sent it there."""
    rig = after_failover()
    stranger = Address("10.5.5.5", 6379)
    rig.info[REPLICA_2] = replica_info(stranger, run_id=run_id_of(REPLICA_2))
    rig.break_links(REPLICA_2)
    rig.advance(9_500)
    assert "+fix-slave-config" not in rig.events()
    rig.advance(2_500)
    assert "+fix-slave-config" in rig.events()
