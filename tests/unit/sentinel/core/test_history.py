"""A master's failovers as records: one for an incident, with what was seen of it."""

from __future__ import annotations

from sentinel.core import history
from sentinel.core.events import FailoverRequested
from sentinel.core.history import RECORDS_MAX, Cause, FailoverRecord, Phase, Result
from tests.unit.sentinel.core.rig import (
    MASTER,
    ME,
    NAME,
    PEER_A,
    PEER_ADDRESSES,
    REPLICA_1,
    REPLICA_2,
    Rig,
    replica_info,
    run_id_of,
)


def killed_rig() -> Rig:
    """The master dies, the fellows agree; the second replica is ahead."""
    rig = Rig()
    rig.info[REPLICA_2] = replica_info(offset=200, run_id=run_id_of(REPLICA_2))
    rig.advance(1_000)
    rig.agree_down()
    rig.kill(MASTER)
    return rig


def only(rig: Rig) -> FailoverRecord:
    """The one record there is."""
    assert len(rig.master.history) == 1
    return rig.master.history[0]


def test_led_failover_has_all_its_moments_in_order() -> None:
    """Cause, votes, epoch, addresses and result stand in the record of the leader."""
    rig = killed_rig()
    rig.advance(1_200)
    assert history.current(rig.master) is only(rig)
    rig.info[REPLICA_1] = replica_info(REPLICA_2, run_id=run_id_of(REPLICA_1))
    rig.advance(1_500)

    record = only(rig)
    assert list(record.phases) == list(Phase)
    assert list(record.phases.values()) == sorted(record.phases.values())
    assert 900 <= record.phases[Phase.SDOWN] - record.phases[Phase.SUSPECTED] <= 1_000
    assert (record.cause, record.result) == (Cause.ODOWN, Result.COMPLETED)
    assert (record.leader, record.epoch) == (ME, 1)
    assert (record.votes, record.needed_votes) == (2, 2)
    assert (record.old_address, record.new_address) == (MASTER, REPLICA_2)
    assert record.ended_by == "+failover-end"
    assert history.current(rig.master) is None


def test_repeated_elections_of_one_outage_are_one_record() -> None:
    """A split vote is no failover of its own; the last attempt's epoch counts."""
    rig = killed_rig()
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    rig.advance(4_000)

    record = only(rig)
    assert record.attempts > 1
    assert record.epoch == rig.core.state.current_epoch
    assert not record.has_switched
    rig.agree_down()
    rig.advance(4_000)
    assert only(rig).has_switched
    assert only(rig).result in (Result.RUNNING, Result.COMPLETED)


def test_followers_record_names_the_leader() -> None:
    """Who votes sees the outage and the switch, and who led."""
    rig = killed_rig()
    rig.opinion.clear()
    rig.advance(1_200)

    rig.hello(PEER_A, epoch=1, master=REPLICA_1, config_epoch=1)

    record = only(rig)
    assert (record.leader, record.result) == (PEER_A, Result.FOLLOWED)
    assert list(record.phases) == [Phase.SUSPECTED, Phase.SDOWN, Phase.ANNOUNCED]
    assert (record.cause, record.epoch, record.new_address) == (Cause.ODOWN, 1, REPLICA_1)


def test_switch_of_a_healthy_master_is_of_unknown_cause() -> None:
    """Somebody ordered it elsewhere; a second one does not go on in the first's record."""
    rig = Rig()

    rig.hello(PEER_A, epoch=1, master=REPLICA_1, config_epoch=1)
    rig.hello(PEER_A, epoch=2, master=REPLICA_2, config_epoch=2)

    assert [record.cause for record in rig.master.history] == [Cause.UNKNOWN] * 2
    assert [record.new_address for record in rig.master.history] == [REPLICA_1, REPLICA_2]


def test_order_is_a_record_without_votes() -> None:
    """SENTINEL FAILOVER asks nobody."""
    rig = Rig()

    rig.step(FailoverRequested(rig.now_ms, rig.new_request(), NAME))

    record = only(rig)
    assert (record.cause, record.votes, record.needed_votes) == (Cause.ORDERED, 0, 0)
    assert record.has_switched


def test_passed_over_replica_shows_in_the_record() -> None:
    """Two selections, and the address of who became master in the end."""
    rig = killed_rig()
    rig.exec_result[REPLICA_2] = None

    rig.advance(2_500)

    record = only(rig)
    assert (record.selections, record.new_address) == (2, REPLICA_1)


def test_history_is_bounded() -> None:
    """The oldest goes first."""
    rig = Rig()

    for epoch in range(1, RECORDS_MAX + 3):
        address = (REPLICA_1, REPLICA_2)[epoch % 2]
        rig.hello(PEER_A, epoch=epoch, master=address, config_epoch=epoch)

    assert len(rig.master.history) == RECORDS_MAX
    assert rig.master.history[0].epoch == 3
