"""What a hello changes: fellows, epochs, configurations."""

from __future__ import annotations

from sentinel.core.actions import Send
from sentinel.core.events import HelloReceived, MonitorRequested, RepliesReceived, Started
from sentinel.core.options import MasterOptions
from sentinel.core.timing import RELAY_MS, STRANGERS_HOLD_MS
from tests.unit.sentinel.core.rig import (
    MASTER,
    ME,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    master_info,
    replica_info,
    run_id_of,
)
from vedette.types import Address, RunId

PEER_C = RunId("c" * 40)
ADDRESS_C = Address("10.0.1.3", 26379)

OBSERVERS_EVENTS = f"""\
+new-epoch 1
+vote-for-leader {PEER_A} 1
-role-change slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379 new reported role is master
+config-update-from sentinel {PEER_A} 10.0.1.1 26379 @ mymaster 10.0.0.1 6379
+switch-master mymaster 10.0.0.1 6379 10.0.0.2 6379
+slave slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.2 6379
+slave slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379
+sdown slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.2 6379
"""


def test_observers_transcript() -> None:
    """Vote, then somebody else's success; Redis' events and order."""
    rig = Rig()
    rig.advance(1_000)
    rig.forget()
    rig.ask_vote(PEER_A, 1)
    rig.kill(MASTER)
    rig.info[REPLICA_1] = b"run_id:" + run_id_of(REPLICA_1).encode() + b"\r\nrole:master"
    rig.break_links(REPLICA_1)
    rig.advance(100)
    rig.hello(epoch=1, master=REPLICA_1, config_epoch=1)
    rig.info[REPLICA_2] = replica_info(REPLICA_1, run_id=run_id_of(REPLICA_2))
    rig.advance(2_000)

    assert rig.lines() == OBSERVERS_EVENTS.splitlines()


def test_new_fellow_is_saved_and_greeted() -> None:
    """It learns of us at once, not with the next period."""
    rig = Rig()
    rig.forget()
    rig.hello(PEER_C, address=ADDRESS_C)

    assert rig.lines() == [f"+sentinel sentinel {PEER_C} 10.0.1.3 26379 @ mymaster 10.0.0.1 6379"]
    assert any(line.startswith(b"PUBLISH") for line in rig.commands_to(ADDRESS_C))
    rig.advance(100)
    assert (PEER_C, ADDRESS_C) in rig.disk.masters[0].sentinels


def test_fellows_found_together_are_saved_together() -> None:
    """A thousand masters' fellows would else mean thousands of rewrites of a large file."""
    rig = Rig()
    saves_count = rig.core.state.requested_id
    rig.hello(PEER_C, address=ADDRESS_C)
    rig.hello(RunId("e" * 40), address=Address("10.0.1.5", 26379))
    rig.advance(100)

    assert rig.core.state.requested_id == saves_count + 1
    assert len(rig.disk.masters[0].sentinels) == 4


def test_same_hello_again_changes_nothing() -> None:
    """It comes over three ways every two seconds."""
    rig = Rig()
    rig.hello(PEER_C, address=ADDRESS_C)
    rig.forget()
    rig.hello(PEER_C, address=ADDRESS_C)

    assert rig.notices == []
    assert rig.connects == []


def test_our_own_hello_is_passed_over() -> None:
    """It comes back over the nodes' channels."""
    rig = Rig()
    rig.forget()
    text = f"10.0.1.9,26379,{ME},9,mymaster,10.0.0.2,6379,9"
    rig.step(HelloReceived(rig.now_ms, text.encode()))

    assert rig.notices == []
    assert rig.core.state.current_epoch == 0


def test_fellow_that_moves_is_followed() -> None:
    """The same run id from another address."""
    rig = Rig()
    rig.forget()
    rig.hello(PEER_A, address=ADDRESS_C)

    assert rig.lines() == [
        "+sentinel-address-switch master mymaster 10.0.0.1 6379"
        f" ip 10.0.1.3 port 26379 for {PEER_A}",
    ]
    assert rig.master.peers[PEER_A].address == ADDRESS_C
    assert rig.connects[-1].address == ADDRESS_C
    assert len(rig.master.peers) == 2


def test_new_id_at_a_known_address_evicts_the_old() -> None:
    """A sentinel that lost its state file would inflate the majority for ever."""
    rig = Rig()
    rig.forget()
    rig.hello(PEER_C, address=PEER_ADDRESSES[PEER_A])

    assert rig.events() == ["+sentinel-invalid-addr", "+sentinel"]
    assert set(rig.master.peers) == {PEER_B, PEER_C}
    assert PEER_A not in rig.core.state.peer_links


def test_link_is_shared_by_masters() -> None:
    """One connection to a fellow, however many masters it watches with us."""
    rig = Rig()
    request = rig.new_request()
    rig.step(MonitorRequested(rig.now_ms, request, "other", Address("10.0.9.1", 6379), 2))
    rig.forget()
    address = PEER_ADDRESSES[PEER_A]
    text = f"{address.host},{address.port},{PEER_A},0,other,10.0.9.1,6379,0"
    rig.step(HelloReceived(rig.now_ms, text.encode()))

    other = rig.core.state.masters["other"].peers[PEER_A]
    assert other.peer_link is rig.master.peers[PEER_A].peer_link
    assert other.peer_link.refcount == 2
    assert [entry for entry in rig.connects if entry.address == address] == []


def test_higher_epoch_is_followed() -> None:
    """And announced."""
    rig = Rig()
    rig.forget()
    rig.hello(epoch=4)
    rig.hello(epoch=3)
    assert rig.lines() == ["+new-epoch 4"]
    assert rig.disk.current_epoch == 4


def test_only_a_higher_config_epoch_is_believed() -> None:
    """Not an equal one, not an older one."""
    rig = Rig(durable(config_epoch=5))
    rig.forget()
    rig.hello(epoch=5, master=REPLICA_1, config_epoch=5)
    rig.hello(epoch=5, master=REPLICA_1, config_epoch=4)
    assert rig.master.address == MASTER
    rig.hello(epoch=6, master=REPLICA_1, config_epoch=6)
    assert rig.master.address == REPLICA_1
    assert rig.disk.masters[0].config_epoch == 6


def test_higher_epoch_for_the_same_address_is_kept() -> None:
    """It is the newest configuration though it changes nothing; Redis does not save it."""
    rig = Rig()
    rig.forget()
    rig.hello(epoch=2, config_epoch=2)

    assert rig.events() == ["+new-epoch"]
    assert rig.disk.masters[0].config_epoch == 2


def test_master_may_be_a_stranger() -> None:
    """A node that we have not heard of yet."""
    rig = Rig()
    stranger = Address("10.0.0.77", 6379)
    rig.hello(epoch=1, master=stranger, config_epoch=1)

    assert rig.master.address == stranger
    assert rig.master.node.link.is_up
    assert set(rig.master.replicas) == {MASTER, REPLICA_1, REPLICA_2}


def test_switch_ends_every_opinion_about_the_old_address() -> None:
    """Stale opinions make stock sentinels fail over a second time, right after the first."""
    rig = Rig()
    rig.advance(1_000)
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    rig.kill(MASTER)
    rig.advance(1_010)
    assert all(peer.says_down for peer in rig.master.peers.values())
    assert rig.master.is_o_down
    rig.hello(epoch=3, master=REPLICA_1, config_epoch=3)
    rig.forget()
    rig.info[REPLICA_1] = b"role:master\r\nrun_id:" + run_id_of(REPLICA_1).encode()
    rig.advance(900)

    assert not rig.master.is_s_down
    assert not rig.master.is_o_down
    assert not any(peer.says_down for peer in rig.master.peers.values())
    assert "+sdown" not in rig.events()


def test_answer_about_the_old_address_that_comes_after_the_switch_is_void() -> None:
    """It is no opinion of the new master, nor a vote about it."""
    rig = Rig()
    rig.advance(1_000)
    rig.silent |= set(PEER_ADDRESSES.values())
    rig.kill(MASTER)
    rig.advance(1_010)
    asked = next(
        action
        for action in reversed(rig.actions)
        if isinstance(action, Send) and action.commands[0][1:2] == (b"is-master-down-by-addr",)
    )
    rig.hello(epoch=3, master=REPLICA_1, config_epoch=3)
    rig.step(RepliesReceived(rig.now_ms, asked.link, asked.token, ([1, b"*", 0],)))

    assert not any(peer.says_down for peer in rig.master.peers.values())


def test_observer_runs_the_reconfig_script() -> None:
    """As observer, with both addresses."""
    options = MasterOptions(
        quorum=OPTIONS.quorum, down_after_ms=1_000, client_reconfig_script="/bin/reconfig"
    )
    rig = Rig(durable(options=options))
    rig.hello(epoch=1, master=REPLICA_1, config_epoch=1)

    assert [(script.path, script.arguments) for script in rig.scripts] == [
        (
            "/bin/reconfig",
            ("mymaster", "observer", "start", "10.0.0.1", "6379", "10.0.0.2", "6379"),
        )
    ]


def rig_that_hears_of_a_switch_beside(stranger: Address) -> tuple[Rig, bytes]:
    """A sentinel with a redis-sentinel as fellow, just told of a switch; and the news."""
    rig = Rig(is_started=False)
    rig.strangers.add(stranger)
    rig.step(Started(rig.now_ms))
    rig.advance(1_000)
    rig.forget()
    rig.hello(PEER_B, epoch=1, master=REPLICA_1, config_epoch=1)
    return rig, f"{REPLICA_1.host},{REPLICA_1.port},1".encode()


def test_redis_sentinels_with_a_short_down_after_hear_of_a_switch_later() -> None:
    """Told at once they would hold the new master down before they have reconnected to it."""
    stranger = PEER_ADDRESSES[PEER_A]
    rig, news = rig_that_hears_of_a_switch_beside(stranger)

    def heard(address: Address) -> bool:
        return any(news in line for line in rig.commands_to(address))

    rig.advance(STRANGERS_HOLD_MS - 50)
    assert not any(heard(address) for address in (stranger, REPLICA_1, REPLICA_2))

    rig.advance(100)
    assert heard(stranger)
    assert heard(REPLICA_1)


def test_redis_sentinels_do_not_hear_of_a_switch_through_a_connection_made_anew() -> None:
    """A promotion cuts all who are subscribed at that node; ours stands again within a moment."""
    stranger = PEER_ADDRESSES[PEER_A]
    rig, news = rig_that_hears_of_a_switch_beside(stranger)

    for address in (stranger, REPLICA_1, REPLICA_2):
        rig.break_links(address)
    rig.advance(STRANGERS_HOLD_MS - 50)

    told = [line for address in rig.info for line in rig.commands_to(address) if news in line]
    assert told == []
    assert not any(news in line for line in rig.commands_to(stranger))


def test_news_of_a_fellow_are_repeated_to_the_others_a_moment_later() -> None:
    """It tells them itself, at once: this is for whom it cannot reach."""
    rig = Rig()
    rig.advance(1_000)
    rig.forget()
    rig.hello(PEER_B, epoch=1, master=REPLICA_1, config_epoch=1)
    news = f"{REPLICA_1.host},{REPLICA_1.port},1".encode()
    assert not any(news in line for line in rig.commands_to(PEER_ADDRESSES[PEER_A]))

    rig.advance(RELAY_MS)

    assert any(news in line for line in rig.commands_to(PEER_ADDRESSES[PEER_A]))
    assert not any(news in line for line in rig.commands_to(PEER_ADDRESSES[PEER_B]))


def test_conflict_with_a_stranger_is_reported_and_left_alone() -> None:
    """Two deployments that share a name must not be made one."""
    rig = Rig()
    rig.advance(1_000)
    rig.forget()
    rig.hello(master=Address("10.9.9.9", 6379))
    rig.advance(10_000)

    conflict = f"+config-conflict master mymaster 10.0.0.1 6379 epoch 0 {PEER_A} names"
    assert rig.lines() == [f"{conflict} 10.9.9.9 6379"]
    assert rig.core.state.current_epoch == 0

    rig.hello()

    assert rig.events()[-1] == "-config-conflict"


def test_hello_that_was_held_up_does_not_bring_a_conflict_back() -> None:
    """The hello channel of a slow node repeats what a fellow said before it followed."""
    rig = Rig()
    rig.advance(1_000)
    rig.hello(epoch=1, master=REPLICA_1, config_epoch=1)
    rig.hello(PEER_B, epoch=1, master=REPLICA_2, config_epoch=1)
    assert rig.events()[-1] == "+config-conflict"

    rig.hello(PEER_B, epoch=1, master=MASTER, config_epoch=0)

    assert rig.events()[-1] == "+config-conflict"


def test_votes_in_a_conflict_are_asked_by_the_address_that_the_fellow_holds() -> None:
    """It finds the master by address, and so do redis-sentinels."""
    rig = Rig()
    rig.agree_down()
    rig.advance(1_000)
    rig.forget()
    rig.hello(master=REPLICA_1)
    rig.advance(3_000)

    asked = {
        address: command.split()[2]
        for address in PEER_ADDRESSES.values()
        for command in rig.commands_to(address)
        if b"is-master-down-by-addr" in command and ME.encode() in command
    }
    assert asked == {
        PEER_ADDRESSES[PEER_A]: REPLICA_1.host.encode(),
        PEER_ADDRESSES[PEER_B]: MASTER.host.encode(),
    }
    assert rig.events()[-1] == "-config-conflict"
    assert rig.master.config_epoch == 1
    assert rig.master.address == MASTER


def test_who_was_misled_about_an_epoch_follows_the_majority_in_it() -> None:
    """A wrong address came with the news, and nobody is there: no election could mend that."""
    nowhere = Address("10.9.9.9", 6379)
    rig = Rig()
    rig.kill(nowhere)
    rig.hello(epoch=2, config_epoch=2, master=nowhere)
    assert rig.master.address == nowhere

    rig.hello(PEER_A, epoch=2, config_epoch=2, master=REPLICA_1)
    rig.advance(1_000)
    assert rig.master.address == nowhere  # one of three
    rig.hello(PEER_B, epoch=2, config_epoch=2, master=REPLICA_1)
    rig.advance(1_000)

    assert rig.master.address == REPLICA_1
    assert rig.master.config_epoch == 2
    assert rig.events().count("+switch-master") == 2
    assert "-config-conflict" in rig.events()


def test_majority_is_not_followed_away_from_a_master_that_is_well() -> None:
    """Then an election decides, in a new epoch."""
    rig = Rig(durable(config_epoch=2))
    rig.info[MASTER] = master_info((REPLICA_1, REPLICA_2))
    rig.advance(1_000)
    for peer in PEER_ADDRESSES:
        rig.hello(peer, epoch=2, config_epoch=2, master=REPLICA_1)
    rig.advance(3_000)

    assert rig.master.address == MASTER
    assert "+try-failover" in rig.events()
