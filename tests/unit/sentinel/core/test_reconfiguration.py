"""The other replicas follow the new master, a few at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.model import FailoverState, ReconfState
from tests.unit.sentinel.core.rig import (
    MASTER,
    OPTIONS,
    REPLICA_1,
    Rig,
    durable,
    master_info,
    replica_info,
    run_id_of,
)
from vedette.types import Address

FOLLOWERS = [Address(f"10.0.0.{last}", 6379) for last in (3, 4, 5, 6)]


def promoted(parallel_syncs: int, failover_timeout_ms: int = 60_000) -> Rig:
    """A failover to the first replica has just been announced; four others are to follow."""
    options = replace(
        OPTIONS, parallel_syncs=parallel_syncs, failover_timeout_ms=failover_timeout_ms
    )
    rig = Rig(durable(options=options, replicas=(REPLICA_1, *FOLLOWERS)), is_started=True)
    rig.info[MASTER] = master_info((REPLICA_1, *FOLLOWERS))
    rig.info[REPLICA_1] = replica_info(offset=999, run_id=run_id_of(REPLICA_1))
    for address in FOLLOWERS:
        rig.info[address] = replica_info(run_id=run_id_of(address))
        rig.break_links(address)
    rig.break_links(REPLICA_1)
    rig.advance(1_000)
    rig.agree_down()
    rig.forget()
    rig.kill(MASTER)
    rig.advance(1_100)
    assert rig.master.address == REPLICA_1
    return rig


def under_way(rig: Rig) -> list[Address]:
    """Replicas that were told and have not arrived."""
    busy = (ReconfState.SENT, ReconfState.IN_PROGRESS)
    return [node.address for node in rig.master.replicas.values() if node.reconf in busy]


def arrive(rig: Rig, address: Address) -> None:
    """A replica's link to the new master comes up."""
    rig.info[address] = replica_info(REPLICA_1, run_id=run_id_of(address))
    rig.advance(250)


@pytest.mark.parametrize("parallel_syncs", [1, 2, 4])
def test_no_more_than_parallel_syncs_are_under_way(parallel_syncs: int) -> None:
    """The rest goes on serving what it has."""
    rig = promoted(parallel_syncs)
    for arrived in range(4):
        expected = min(parallel_syncs, 4 - arrived)
        assert len(under_way(rig)) == expected
        arrive(rig, under_way(rig)[0])

    assert rig.events().count("+slave-reconf-done") == 4
    assert rig.events()[-2:] == ["+slave-reconf-done", "+failover-end"] or "+sdown" in rig.events()
    # As with Redis, whose new master's replicas are new records: no flag of a failover stays.
    assert {node.reconf for node in rig.master.replicas.values()} == {ReconfState.NONE}
    assert rig.is_in(FailoverState.NONE)


def test_replica_that_does_not_answer_is_passed_over() -> None:
    """After ten seconds, as Redis does."""
    rig = promoted(1)
    stuck = under_way(rig)[0]
    node = rig.master.replicas[stuck]
    node.reconf = ReconfState.SENT
    rig.info[stuck] = replica_info(MASTER, is_up=False, run_id=run_id_of(stuck))
    rig.advance(10_500)

    assert "-slave-reconf-sent-timeout" in rig.events()
    assert under_way(rig) != [stuck]


def test_dead_replica_holds_nothing_up() -> None:
    """It is repaired when it comes back."""
    rig = promoted(4)
    for address in FOLLOWERS[1:]:
        arrive(rig, address)
    rig.kill(FOLLOWERS[0])
    rig.advance(1_300)

    assert "+failover-end" in rig.events()


def test_timeout_ends_it_with_a_last_order_to_all() -> None:
    """Best effort; the new master has long been serving."""
    rig = promoted(1, failover_timeout_ms=5_000)
    rig.advance(6_000)

    assert "+failover-end-for-timeout" in rig.events()
    assert rig.events().count("+slave-reconf-sent-be") == 3
    assert rig.is_in(FailoverState.NONE)


def test_new_master_that_dies_is_replaced_without_waiting() -> None:
    """What is left of the first failover must not block the second."""
    rig = promoted(1)
    for address in FOLLOWERS[:1]:
        arrive(rig, address)
    rig.kill(REPLICA_1)
    rig.advance(1_200)

    assert rig.events().count("+switch-master") == 2
    assert rig.master.config_epoch == 2
