"""What is saved is what is loaded; and the views say what Redis' maps say."""

from __future__ import annotations

import random
from dataclasses import replace

from sentinel.core import views
from sentinel.core.durable import DurableMaster, DurableState, durable_state, initial_state
from sentinel.core.hosts import find_master
from sentinel.core.link_state import LinkStatus
from sentinel.core.model import FailoverState, ReconfState, Role, new_node
from sentinel.core.options import GlobalOptions
from tests.unit.sentinel.core.rig import (
    MASTER,
    ME,
    NAME,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
)
from vedette.types import Address


def test_saved_state_is_loaded_unchanged() -> None:
    """Nothing durable is lost on the way through the machine."""
    state = replace(durable(config_epoch=3, leader_epoch=4), current_epoch=9)
    assert durable_state(initial_state(state)) == state


def test_epochs_found_anywhere_in_the_file_raise_the_current_one() -> None:
    """A hand-edited file must not make epochs go back."""
    loaded = initial_state(durable(config_epoch=3, leader_epoch=7))
    assert loaded.current_epoch == 7
    assert loaded.saved_epoch == 7


def test_nonsense_in_the_file_is_dropped() -> None:
    """A replica at the master's own address, ourselves as a fellow."""
    state = durable(
        replicas=(MASTER, REPLICA_1, REPLICA_1),
        sentinels=((ME, REPLICA_2), *PEER_ADDRESSES.items()),
    )
    master = initial_state(state).masters[NAME]
    assert list(master.replicas) == [REPLICA_1]
    assert ME not in master.peers


def test_flags_come_in_redis_order() -> None:
    """Clients look for them by name, people by eye."""
    rig = Rig()
    master = rig.master
    assert views.master_flags(master) == ("master",)
    assert views.master_status(master) == "ok"
    master.node.s_down_since_ms = master.o_down_since_ms = 1
    master.node.link.status = LinkStatus.DOWN
    master.failover.state = FailoverState.WAIT_START
    master.failover.is_forced = True
    assert views.master_flags(master) == (
        "s_down",
        "o_down",
        "master",
        "disconnected",
        "failover_in_progress",
        "force_failover",
    )
    assert views.master_status(master) == "odown"
    replica = master.replicas[REPLICA_1]
    replica.reconf = ReconfState.SENT
    master.failover.promoted = REPLICA_1
    assert views.replica_flags(master, replica) == ("slave", "promoted", "reconf_sent")
    peer = master.peers[PEER_A]
    peer.says_down = True
    assert views.peer_flags(peer) == ("sentinel", "master_down")


def test_quorum_check_counts_who_lives() -> None:
    """Ourselves included."""
    master = Rig(durable(options=replace(OPTIONS, quorum=3))).master
    assert views.quorum_check(master) == views.QuorumCheck(3, 3, 3)
    for peer in master.peers.values():
        peer.s_down_since_ms = 1
    check = views.quorum_check(master)
    assert (check.usable, check.has_quorum, check.has_majority) == (1, False, False)


def test_role_is_shown_before_it_was_read() -> None:
    """What the node is taken for."""
    rig = Rig(is_started=False)
    assert views.role_reported(rig.master, rig.master.node) is Role.MASTER
    assert views.role_reported(rig.master, rig.master.replicas[REPLICA_1]) is Role.REPLICA


def test_tilt_is_shown_in_seconds() -> None:
    """-1 outside of it."""
    state = Rig().core.state
    assert views.tilt_since_seconds(state, 5_000) == -1
    state.tilt_since_ms = 1_000
    assert views.tilt_since_seconds(state, 5_999) == 4


def test_master_is_found_where_it_is_now_and_not_where_it_was_found_before() -> None:
    """Masters move, change places and are removed; the short way must never lead astray."""
    addresses = [Address("10.0.0.1", port) for port in range(1, 41)]
    chance = random.Random(0)
    masters = tuple(
        DurableMaster(name=f"m{port}", address=Address("10.0.0.1", port), options=OPTIONS)
        for port in range(1, 5)
    )
    state = initial_state(
        DurableState(my_id=ME, current_epoch=0, options=GlobalOptions(), masters=masters)
    )

    for _ in range(500):
        if chance.random() < 0.02 and len(state.masters) > 1:
            del state.masters[chance.choice(list(state.masters))]
        for master, address in zip(
            state.masters.values(), chance.sample(addresses, len(state.masters)), strict=True
        ):
            if chance.random() < 0.5:
                master.node = new_node(master.name, address)
        at = {master.address: master for master in reversed(state.masters.values())}
        for address in addresses:
            found = find_master(state, address)
            assert (found is None) == (address not in at)
            assert found is None or found.address == address
        assert len(state.found_masters) <= 2 * 4 + 1
