"""Which replica is promoted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sentinel.core.dataset import Dataset
from sentinel.core.link_state import LinkStatus
from sentinel.core.model import Master, Node, Role, new_node
from sentinel.core.options import MasterOptions
from sentinel.core.selection import Unfit, candidates, unfit
from vedette.types import Address

NOW_MS = 1_000_000
DOWN_AFTER_MS = 1_000


def a_master() -> Master:
    """Down since two seconds, without replicas."""
    options = MasterOptions(quorum=2, down_after_ms=DOWN_AFTER_MS)
    master = Master(name="m", options=options, node=new_node("m", Address("10.0.0.1", 6379)))
    master.node.s_down_since_ms = NOW_MS - 2_000
    master.node.link.last_valid_pong_ms = NOW_MS - 3_000
    return master


def add_replica(master: Master, last: int) -> Node:
    """A replica in the best of health."""
    node = new_node("m", Address(f"10.0.0.{last}", 6379))
    node.link.status = LinkStatus.UP
    node.link.last_valid_pong_ms = NOW_MS - 100
    node.info_refresh_ms = NOW_MS - 100
    node.role_reported = Role.REPLICA
    node.run_id = str(last) * 40
    master.replicas[node.address] = node
    return node


def disconnect(node: Node) -> None:
    node.link.status = LinkStatus.DOWN


def silence(node: Node) -> None:
    node.link.last_valid_pong_ms = NOW_MS - 5_001


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda node: None, None),
        (lambda node: setattr(node, "s_down_since_ms", NOW_MS), Unfit.DOWN),
        (disconnect, Unfit.DISCONNECTED),
        (silence, Unfit.SILENT),
        (lambda node: setattr(node, "priority", 0), Unfit.NEVER),
        (lambda node: setattr(node, "info_refresh_ms", None), Unfit.INFO_STALE),
        (lambda node: setattr(node, "info_refresh_ms", NOW_MS - 5_001), Unfit.INFO_STALE),
        (lambda node: setattr(node, "master_link_down_ms", 12_000), None),
        (lambda node: setattr(node, "master_link_down_ms", 12_001), Unfit.LINK_DOWN_TOO_LONG),
    ],
)
def test_replica_must_be_fit(spoil: Callable[[Node], None], reason: Unfit | None) -> None:
    """Each of Redis' filters, at its limit."""
    master = a_master()
    node = add_replica(master, 2)
    spoil(node)

    assert unfit(master, node, NOW_MS) is reason
    assert candidates(master, NOW_MS) == ([node] if reason is None else [])


def test_info_may_be_older_while_the_master_lives() -> None:
    """An ordered failover does not happen under urgent INFO."""
    master = a_master()
    node = add_replica(master, 2)
    node.info_refresh_ms = NOW_MS - 29_000
    assert unfit(master, node, NOW_MS) is Unfit.INFO_STALE
    master.node.s_down_since_ms = None
    assert unfit(master, node, NOW_MS) is None


def test_refused_replica_is_passed_over_for_a_while() -> None:
    """A replica without the permission would refuse again."""
    master = a_master()
    node = add_replica(master, 2)
    master.failover.refused[node.address] = NOW_MS + 1
    assert unfit(master, node, NOW_MS) is Unfit.REFUSED
    assert unfit(master, node, NOW_MS + 1) is None


def test_sentinel_that_never_saw_the_master_judges_by_the_freshest_replica() -> None:
    """After a restart of all sentinels a dead master must still be replaced."""
    master = a_master()
    master.node.link.last_valid_pong_ms = 0
    fresh, old = add_replica(master, 2), add_replica(master, 3)
    fresh.master_link_down_ms = 100_000
    old.master_link_down_ms = 110_001

    assert candidates(master, NOW_MS) == [fresh]


def turned(node: Node) -> None:
    """Somebody promoted it while the master was down."""
    node.role_reported = Role.MASTER
    node.turned_master_ms = NOW_MS - 500


def stray(node: Node) -> None:
    """It came up as a master of its own."""
    node.role_reported = Role.MASTER


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [2, 3, 4]),
        ({3: lambda node: setattr(node, "priority", 1)}, [3, 2, 4]),
        ({4: lambda node: setattr(node, "repl_offset", 9)}, [4, 2, 3]),
        ({2: lambda node: setattr(node, "run_id", "")}, [3, 4, 2]),
        (
            {
                2: lambda node: setattr(node, "repl_offset", 9),
                4: lambda node: setattr(node, "priority", 99),
            },
            [4, 2, 3],
        ),
        ({4: turned}, [4, 2, 3]),
        ({2: stray}, [3, 4, 2]),
    ],
)
def test_best_replica_comes_first(
    changes: dict[int, Callable[[Node], None]], expected: list[int]
) -> None:
    """Priority, then offset, then run id; one already promoted before all, a stray last."""
    master = a_master()
    for last in (2, 3, 4):
        node = add_replica(master, last)
        if last in changes:
            changes[last](node)

    ranked = [int(node.address.host[-1]) for node in candidates(master, NOW_MS)]

    assert ranked == expected


OURS, EARLIER, THEIRS = "a" * 40, "b" * 40, "f" * 40


def learn_lineage(master: Master) -> None:
    """The master had one history before the present one."""
    master.lineage.learn(Dataset(replid=OURS, replid2=EARLIER))


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        (Dataset(replid=OURS), None),
        (Dataset(replid=EARLIER), None),
        (Dataset(replid=THEIRS, replid2=OURS), None),
        (Dataset(), None),
        (Dataset(replid=OURS, is_syncing=True), Unfit.SYNCING),
        (Dataset(replid=OURS, is_loading=True), Unfit.LOADING),
        (Dataset(replid=THEIRS, key_count=0, is_never_linked=True), Unfit.UNSYNCED),
        (Dataset(replid=THEIRS, key_count=9), None),
    ],
)
def test_replica_must_have_the_masters_data(dataset: Dataset, reason: Unfit | None) -> None:
    """By replication ids; Redis promotes whoever answers at the address.

    The last: it follows our master and had its link up, so its master began a new history that we
    have not read of yet.
    """
    master = a_master()
    learn_lineage(master)
    node = add_replica(master, 2)
    node.master_address = master.address
    node.dataset = dataset

    assert unfit(master, node, NOW_MS) is reason


def test_replica_of_a_stranger_is_unfit() -> None:
    """Its link was up, but to whom?"""
    master = a_master()
    learn_lineage(master)
    node = add_replica(master, 2)
    node.master_address = Address("10.9.9.9", 6379)
    node.dataset = Dataset(replid=THEIRS, key_count=9)
    assert unfit(master, node, NOW_MS) is Unfit.UNSYNCED

    node.is_foreign = True

    assert unfit(master, node, NOW_MS) is Unfit.FOREIGN


def test_without_a_known_lineage_nobody_is_refused() -> None:
    """A sentinel that started after the master's death goes by offsets, as Redis does."""
    master = a_master()
    node = add_replica(master, 2)
    node.dataset = Dataset(replid=THEIRS)

    assert unfit(master, node, NOW_MS) is None


def test_present_history_comes_before_priority_and_offset() -> None:
    """An offset in an older history measures writes that the present one never had."""
    master = a_master()
    learn_lineage(master)
    old, present = add_replica(master, 2), add_replica(master, 3)
    old.priority, old.repl_offset, old.dataset = 1, 9_000, Dataset(replid=EARLIER)
    present.repl_offset, present.dataset = 8_000, Dataset(replid=OURS)

    assert candidates(master, NOW_MS) == [present, old]


def test_without_known_lineage_who_follows_another_master_comes_last() -> None:
    """Another deployment's replica at a reused address, as a sentinel finds it after a restart."""
    master = a_master()
    stranger, ours = add_replica(master, 2), add_replica(master, 3)
    stranger.master_address = Address("10.9.9.9", 6379)
    stranger.repl_offset = 10_000
    ours.master_address = master.address
    assert not master.lineage.current

    assert candidates(master, NOW_MS) == [ours, stranger]


def test_without_known_lineage_the_same_history_makes_up_for_whom_a_replica_follows() -> None:
    """It has more of what the other has some of; its master's address may be a resolver's fault."""
    master = a_master()
    astray, ours = add_replica(master, 2), add_replica(master, 3)
    for node in (astray, ours):
        node.dataset = Dataset(replid=OURS)
    astray.master_address = Address("10.9.9.9", 6379)
    astray.repl_offset = 10_000
    ours.master_address = master.address

    assert candidates(master, NOW_MS) == [astray, ours]
