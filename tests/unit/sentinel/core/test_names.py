"""Host names: an instance given by name stays that instance, wherever the name leads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.durable import DurableState
from sentinel.core.events import MonitorRequested, NameResolved, RequestId, Started
from sentinel.core.hosts import find_master, shown
from sentinel.core.link_state import LinkKind
from sentinel.core.options import GlobalOptions
from tests.unit.sentinel.core.rig import (
    MASTER,
    MY_ADDRESS,
    NAME,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    master_info,
    replica_info,
)
from vedette.types import Address

DB = Address("db-1.example", MASTER.port)
OTHER_IP = "10.7.7.7"


def named(*, announces: bool = False, **changes: object) -> DurableState:
    """What a sentinel has on disk whose master was given by name."""
    state = durable(address=DB, **changes)
    options = GlobalOptions(
        announce_port=MY_ADDRESS.port, resolve_hostnames=True, announce_hostnames=announces
    )
    return replace(state, options=options)


def started(state: DurableState, **host_names: tuple[str, ...]) -> Rig:
    """Return a sentinel that has found its way; the names' dots are underscores."""
    rig = Rig(state, is_started=False)
    rig.host_names = {"db-1.example": (MASTER.host,)}
    rig.host_names |= {name.replace("_", "."): ips for name, ips in host_names.items()}
    begin(rig)
    rig.advance(500)
    return rig


def command_connects(rig: Rig) -> list[Address]:
    """Return whereto command links were opened; hello channels that are silent are renewed."""
    return [each.address for each in rig.connects if each.kind is LinkKind.COMMAND]


def begin(rig: Rig) -> None:
    """Start a sentinel whose surroundings are now as they shall be."""
    rig.step(Started(rig.now_ms))


def test_address_is_told_by_ip_unless_names_are_announced() -> None:
    """Clients that cannot resolve the name must not be given it."""
    by_ip, by_name = started(named()), started(named(announces=True))

    assert shown(by_ip.core.state, by_ip.master.address) == MASTER
    assert shown(by_name.core.state, by_name.master.address) == DB
    assert by_ip.master.address == by_name.master.address == DB
    assert by_ip.disk.masters[0].address == DB, "the file keeps the name"


@pytest.mark.parametrize("announces", [False, True])
def test_master_spoken_of_by_ip_is_the_one_known_by_name(*, announces: bool) -> None:
    """Replicas and redis-sentinels without names say the IP; nothing is to be repaired."""
    rig = started(named(announces=announces))
    rig.advance(30_000)

    assert set(rig.master.replicas) == {REPLICA_1, REPLICA_2}
    assert "+fix-slave-config" not in rig.events()
    assert find_master(rig.core.state, MASTER) is rig.master
    assert find_master(rig.core.state, DB) is rig.master
    rig.hello(epoch=1, master=MASTER, config_epoch=1)
    assert "+switch-master" not in rig.events()
    assert rig.master.config_epoch == 1


def test_vote_is_asked_of_others_by_the_address_that_is_announced() -> None:
    """They find the master by that address alone."""
    for announces, said in ((False, MASTER.host), (True, DB.host)):
        rig = started(named(announces=announces))
        rig.silent = {MASTER}
        rig.advance(2_000)

        asked = rig.commands_to(PEER_ADDRESSES[PEER_A])
        assert any(f"is-master-down-by-addr {said} 6379".encode() in line for line in asked)


def test_node_that_moved_is_followed_by_its_name() -> None:
    """A pod that comes back has its name and another IP."""
    rig = started(named())
    rig.info[Address(OTHER_IP, MASTER.port)] = master_info((REPLICA_1, REPLICA_2))
    rig.forget()
    rig.host_names["db-1.example"] = (OTHER_IP,)
    rig.advance(6_000)

    reconnected = {connect.address for connect in rig.connects}
    assert Address(OTHER_IP, MASTER.port) in reconnected
    assert MASTER not in reconnected
    assert f"+address-change master {NAME} {OTHER_IP} 6379 ip {OTHER_IP} was {MASTER.host}" in (
        rig.lines()
    )
    assert rig.master.address == DB
    assert rig.master.node.is_connected


def test_lost_connection_has_the_name_looked_up_at_once() -> None:
    """Not seconds later: the node may be elsewhere already."""
    rig = started(named())
    rig.advance(2_000)
    rig.host_names["db-1.example"] = (OTHER_IP,)
    rig.refused = {MASTER}
    rig.forget()
    rig.break_links(MASTER)
    rig.advance(60)

    assert Address(OTHER_IP, MASTER.port) in [connect.address for connect in rig.connects]


def test_failing_resolver_takes_nothing_away() -> None:
    """What was known once is known until something better is."""
    rig = started(named())
    rig.host_names.clear()
    rig.forget()
    rig.advance(60_000)

    assert command_connects(rig) == []
    assert shown(rig.core.state, rig.master.address) == MASTER
    assert "+sdown" not in rig.events()


def test_known_ip_is_kept_while_it_is_among_those_found() -> None:
    """Round-robin DNS must not make a master wander."""
    rig = started(named())
    rig.forget()
    for ips in ((OTHER_IP, MASTER.host), (MASTER.host, OTHER_IP)):
        rig.host_names["db-1.example"] = ips
        rig.advance(6_000)

    assert command_connects(rig) == []


def test_master_whose_name_does_not_resolve_yet_is_found_later() -> None:
    """Sentinels and name servers start in any order."""
    rig = Rig(named(replicas=()), is_started=False)
    rig.refused = {DB}
    begin(rig)
    rig.advance(1_500)
    before = rig.master.node.is_connected, rig.connects[-1].address
    rig.host_names["db-1.example"] = (MASTER.host,)
    rig.advance(7_000)

    assert before == (False, DB)
    assert rig.master.node.is_connected
    assert set(rig.master.replicas) == {REPLICA_1, REPLICA_2}


def test_replica_announced_by_name_is_one_replica() -> None:
    """By name from the master, by IP in the file of an older sentinel."""
    rig = Rig(named(replicas=(REPLICA_1,)), is_started=False)
    rig.host_names = {"db-1.example": (MASTER.host,), "r1.example": (REPLICA_1.host,)}
    rig.info[MASTER] = master_info((Address("r1.example", 6379), REPLICA_2))
    begin(rig)
    rig.advance(12_000)

    assert set(rig.master.replicas) == {REPLICA_1, REPLICA_2}


def test_ip_is_dropped_for_the_name_that_turns_out_to_lead_there() -> None:
    """Both in the file: the name could not be placed when it was read."""
    r1 = Address("r1.example", 6379)
    rig = started(named(replicas=(r1, REPLICA_1, REPLICA_2)), r1_example=(REPLICA_1.host,))

    assert set(rig.master.replicas) == {r1, REPLICA_2}
    assert set(rig.disk.masters[0].replicas) == {r1, REPLICA_2}
    assert rig.events().count("-slave") == 1


def test_replica_that_was_heard_by_its_ip_is_not_held_down_by_its_name() -> None:
    """The record that stays could not be reached, the one that goes was answered all the time."""
    r1 = Address("r1.example", 6379)
    rig = Rig(named(replicas=(r1, REPLICA_1, REPLICA_2)), is_started=False)
    rig.host_names = {"db-1.example": (MASTER.host,)}
    rig.refused = {r1}
    begin(rig)
    rig.advance(OPTIONS.down_after_ms - 10)

    rig.step(NameResolved(rig.now_ms, r1.host, (REPLICA_1.host,)))
    rig.advance(OPTIONS.down_after_ms * 2)

    assert set(rig.master.replicas) == {r1, REPLICA_2}
    assert rig.master.replicas[r1].is_connected
    assert "+sdown" not in rig.events()


def test_strange_name_is_taken_in_once_it_leads_somewhere() -> None:
    """Else one process might be known twice, and be told to follow itself."""
    rig = started(named(replicas=()))
    rig.info[MASTER] = master_info((Address("new.example", 6379),))
    rig.advance(12_000)
    before = set(rig.master.replicas) - {REPLICA_1, REPLICA_2}
    rig.host_names["new.example"] = ("10.0.0.77",)
    rig.info[Address("10.0.0.77", 6379)] = replica_info(run_id="n" * 40)
    rig.advance(12_000)

    assert before == set()
    assert Address("new.example", 6379) in rig.master.replicas


def test_names_are_passed_over_where_they_are_not_allowed() -> None:
    """As by redis-sentinel: a replica's announced name is of no use then."""
    rig = Rig()
    rig.host_names["r9.example"] = ("10.0.0.9",)
    rig.info[MASTER] = master_info((REPLICA_1, REPLICA_2, Address("r9.example", 6379)))
    rig.advance(12_000)
    rig.hello(epoch=3, master=Address("r9.example", 6379), config_epoch=3)

    assert set(rig.master.replicas) == {REPLICA_1, REPLICA_2}
    assert rig.master.address == MASTER
    assert not rig.core.state.host_names


@pytest.mark.parametrize(("announces", "said"), [(False, "10.0.0.2"), (True, "r1.example")])
def test_failover_to_a_replica_known_by_name(*, announces: bool, said: str) -> None:
    """Others are told what is announced; the file keeps the name."""
    r1 = Address("r1.example", 6379)
    rig = started(
        named(announces=announces, replicas=(r1, REPLICA_2)), r1_example=(REPLICA_1.host,)
    )
    rig.info[REPLICA_2] = replica_info(priority=0, run_id="2" * 40)
    rig.advance(12_000)
    rig.hello(epoch=4, master=REPLICA_1, config_epoch=4)

    assert rig.master.address == r1
    assert rig.disk.masters[0].address == r1
    old = DB.host if announces else MASTER.host
    assert f"+switch-master {NAME} {old} 6379 {said} 6379" in rig.lines()
    assert DB in rig.master.replicas


def test_monitored_name_is_told_by_its_ip_from_the_start() -> None:
    """The command has looked it up before the machine hears of it."""
    rig = started(named())
    rig.step(NameResolved(rig.now_ms, "new.example", ("10.0.0.50",)))
    address = Address("new.example", 7000)
    rig.step(MonitorRequested(rig.now_ms, RequestId(99), "new", address, 2))

    assert "+monitor master new 10.0.0.50 7000 quorum 2" in rig.lines()


def test_two_names_of_one_place_do_not_make_a_node_follow_itself() -> None:
    """One of them is out of date: a reused IP, or a slow name server."""
    r1 = Address("r1.example", 6379)
    rig = started(named(replicas=(r1, REPLICA_2)), r1_example=(MASTER.host,))
    rig.advance(60_000)

    orders = [line for line in rig.commands_to(MASTER) if line.startswith(b"SLAVEOF")]
    assert orders == []
    assert set(rig.master.replicas) >= {r1}
