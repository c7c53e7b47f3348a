"""The leader's way from election to +switch-master, as a transcript; and what may go wrong."""

from __future__ import annotations

import pytest

from sentinel.core import orders
from sentinel.core.actions import Publish, Send
from sentinel.core.events import FailoverRequested, FailureSimulated
from sentinel.core.machine import SlaveOf
from sentinel.core.model import FailoverState, SimulatedFailure
from tests.unit.sentinel.core.rig import (
    MASTER,
    NAME,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    error,
    replica_info,
    run_id_of,
)

LEADERS_EVENTS = """\
+sdown master mymaster 10.0.0.1 6379
+odown master mymaster 10.0.0.1 6379 #quorum 2/2
+new-epoch 1
+try-failover master mymaster 10.0.0.1 6379
+vote-for-leader 0000000000000000000000000000000000000000 1
+elected-leader master mymaster 10.0.0.1 6379
+failover-state-select-slave master mymaster 10.0.0.1 6379
+selected-slave slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.1 6379
+failover-state-send-slaveof-noone slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.1 6379
+failover-state-wait-promotion slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.1 6379
-role-change slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.1 6379 new reported role is master
+promoted-slave slave 10.0.0.3:6379 10.0.0.3 6379 @ mymaster 10.0.0.1 6379
+failover-state-reconf-slaves master mymaster 10.0.0.1 6379
+switch-master mymaster 10.0.0.1 6379 10.0.0.3 6379
+slave slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.3 6379
+slave slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.3 6379
+slave-reconf-sent slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.3 6379
+slave-reconf-inprog slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.3 6379
+slave-reconf-done slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.3 6379
+failover-end master mymaster 10.0.0.3 6379
+sdown slave 10.0.0.1:6379 10.0.0.1 6379 @ mymaster 10.0.0.3 6379
"""

PROMOTION = [
    b"MULTI",
    b"SLAVEOF NO ONE",
    b"CONFIG REWRITE",
    b"CLIENT KILL TYPE normal",
    b"CLIENT KILL TYPE pubsub",
    b"EXEC",
    b"INFO",
]


def leader_rig(**changes: object) -> Rig:
    """The second replica is ahead; the master dies after a second; the fellows go along."""
    rig = Rig(durable(**changes))
    rig.info[REPLICA_2] = replica_info(offset=200, run_id=run_id_of(REPLICA_2))
    rig.advance(1_000)
    rig.forget()
    rig.agree_down()
    return rig


def test_leaders_transcript() -> None:
    """Redis' events, texts and order; the switch is announced before the reconfiguration."""
    rig = leader_rig()
    rig.kill(MASTER)
    rig.advance(1_100)
    rig.info[REPLICA_1] = replica_info(REPLICA_2, run_id=run_id_of(REPLICA_1))
    rig.advance(1_500)

    assert rig.lines() == LEADERS_EVENTS.splitlines()


def test_promotion_is_one_pipeline_with_its_proof_behind_it() -> None:
    """INFO rides along: the new role is known one round trip later."""
    rig = leader_rig()
    rig.kill(MASTER)
    rig.advance(1_100)
    sent = rig.commands_to(REPLICA_2)
    start = sent.index(b"MULTI")

    assert sent[start : start + 7] == PROMOTION


def proven_rig() -> Rig:
    """A leader that has seen the proof, whose save of it is under way."""
    rig = leader_rig()
    rig.holds_saves = True
    rig.kill(MASTER)
    rig.advance(1_100)
    rig.save_held()
    assert rig.events()[-1] == "+promoted-slave"
    return rig


@pytest.mark.parametrize("is_saved", [True, False])
def test_promotion_is_announced_once_its_save_has_ended(is_saved: bool) -> None:
    """Before, nobody hears of it; a disk that fails does not keep the new master from anybody."""
    rig = proven_rig()
    (record,) = rig.held_saves[-1].state.masters

    assert (record.address, record.config_epoch) == (REPLICA_2, 1)
    assert set(record.replicas) == {REPLICA_1, MASTER}
    assert rig.master.address == MASTER
    assert not any(b"10.0.0.3,6379,1" in line for line in rig.commands_to(PEER_ADDRESSES[PEER_A]))

    rig.save_held(is_saved=is_saved)

    assert "+switch-master" in rig.events()
    assert rig.master.address == REPLICA_2
    assert rig.commands_to(PEER_ADDRESSES[PEER_A])[-1].endswith(b",mymaster,10.0.0.3,6379,1")


def test_proven_replica_is_not_passed_over_while_its_save_takes_long() -> None:
    """Neither for its silence, nor for the failover's time, nor after a stall of our own."""
    rig = proven_rig()
    rig.kill(REPLICA_2)
    rig.advance(12_000)
    rig.stall(3_000)

    assert not any(event.startswith(("-selected", "-failover")) for event in rig.events())
    rig.save_held()
    assert "+switch-master" in rig.events()


def test_newer_configuration_ends_a_promotion_that_is_proven_and_not_announced() -> None:
    """Also one that says the old master stays: ours could not be announced any more."""
    for master in (REPLICA_1, MASTER):
        rig = proven_rig()
        rig.hello(epoch=5, config_epoch=5, master=master)
        rig.save_held()

        assert rig.master.address == master
        assert rig.master.config_epoch == 5
        assert f"+switch-master {NAME} 10.0.0.1 6379 10.0.0.3 6379" not in rig.lines()


def test_everything_moves_in_the_step_after_the_proof_is_saved() -> None:
    """Address, epoch, disk and hello; no view of the old state is left."""
    rig = leader_rig()
    rig.kill(MASTER)
    rig.advance(1_100)
    rig.advance(10)

    assert rig.master.address == REPLICA_2
    assert rig.master.config_epoch == 1
    assert rig.disk.masters[0].address == REPLICA_2
    assert rig.disk.masters[0].config_epoch == 1
    assert set(rig.master.replicas) == {REPLICA_1, MASTER}
    assert not rig.master.is_s_down
    assert not any(peer.says_down for peer in rig.master.peers.values())
    for address in PEER_ADDRESSES.values():
        hellos = [line for line in rig.commands_to(address) if line.startswith(b"PUBLISH")]
        assert hellos[-1].endswith(b",1,mymaster,10.0.0.3,6379,1")


def test_fellows_are_told_of_the_new_master_before_all_else() -> None:
    """Ahead of events, of the nodes, and of what waits in the queues of a busy sentinel."""
    rig = leader_rig()
    rig.kill(MASTER)
    rig.advance(1_100)
    first = next(
        place
        for place, action in enumerate(rig.actions)
        if isinstance(action, Publish) and action.event == b"+switch-master"
    )
    before, after = rig.actions[:first][-2:], rig.actions[first:]

    for action in before:
        assert isinstance(action, Send)
        assert action.is_urgent
        assert action.commands[0][2].endswith(b",1,mymaster,10.0.0.3,6379,1")
    assert {action.link for action in before if isinstance(action, Send)} == {
        peer.link.id for peer in rig.master.peers.values()
    }
    assert not any(isinstance(action, Send) and action.is_urgent for action in after)


@pytest.mark.parametrize(
    ("failure", "event", "is_promoted"),
    [
        (SimulatedFailure.CRASH_AFTER_ELECTION, "+elected-leader", False),
        (SimulatedFailure.CRASH_AFTER_PROMOTION, "+promoted-slave", True),
    ],
)
def test_simulated_failure_ends_the_leader_right_there(
    failure: SimulatedFailure, event: str, is_promoted: bool
) -> None:
    """Nothing of what would follow is said or sent, so that the others have to find out."""
    rig = leader_rig()
    rig.step(FailureSimulated(rig.now_ms, failure))
    rig.kill(MASTER)
    rig.advance(1_100)

    assert rig.has_crashed
    assert rig.events()[-1] == event
    assert (b"SLAVEOF NO ONE" in rig.commands_to(REPLICA_2)) is is_promoted
    assert rig.disk.masters[0].address == MASTER


def test_simulated_failure_can_be_called_off() -> None:
    """Every order replaces the one before."""
    rig = leader_rig()
    rig.step(FailureSimulated(rig.now_ms, SimulatedFailure.CRASH_AFTER_ELECTION))
    rig.step(FailureSimulated(rig.now_ms, SimulatedFailure.NONE))
    rig.kill(MASTER)
    rig.advance(1_100)

    assert not rig.has_crashed
    assert "+switch-master" in rig.events()


def test_failover_takes_no_time_of_its_own() -> None:
    """On a bench without delays the new master is announced in the moment of +sdown, give or take
    the rank among candidates."""
    rig = leader_rig()
    rig.kill(MASTER)
    rig.advance(1_000)
    rig.advance(60)

    assert "+switch-master" in rig.events()


@pytest.mark.parametrize(
    "result",
    [
        error("EXECABORT Transaction discarded because of previous errors."),
        error("NOPERM this user has no permissions"),
        [error("ERR unknown command"), b"OK", 0, 0],
        None,
    ],
)
def test_replica_that_refuses_is_passed_over_at_once(result: object) -> None:
    """Redis does not read the replies and waits for the failover timeout."""
    rig = leader_rig()
    rig.exec_result[REPLICA_2] = result
    rig.kill(MASTER)
    rig.advance(1_100)

    assert rig.master.address == REPLICA_1
    assert rig.events().count("+selected-slave") == 2
    assert rig.events().count("+elected-leader") == 1


def test_rewrite_that_fails_is_no_refusal() -> None:
    """A node without a configuration file is a master like any other."""
    rig = leader_rig()
    rig.kill(MASTER)
    rig.advance(1_100)
    order = SlaveOf(None, tuple(tuple(line.split()) for line in PROMOTION))
    replies = (b"OK", *[b"QUEUED"] * 4, [b"OK", error("ERR no config file"), 0, 0], b"")

    assert orders.refusal(order, replies) is None
    assert not orders.was_reduced(rig.core._machine, rig.master.node, order, replies)


@pytest.mark.parametrize("forbidden", ["CONFIG REWRITE", "CLIENT KILL"])
def test_node_that_forbids_what_stands_around_slaveof_is_told_without(forbidden: str) -> None:
    """Redis' transaction would be thrown away as a whole, by every node, and nobody promoted."""
    rig = leader_rig()
    for address in (MASTER, REPLICA_1, REPLICA_2):
        rig.forbidden[address] = {forbidden.encode()}
    rig.kill(MASTER)
    rig.advance(1_100)

    assert rig.master.address == REPLICA_2
    assert rig.events().count("+selected-slave") == 1
    reduced = [line for line in rig.lines() if line.startswith("+order-reduced")]
    word = forbidden.split()[0]
    assert reduced[0].endswith(f" #{forbidden}: NOPERM no permissions to run {word}")
    said = [line for line in PROMOTION if not line.startswith(word.encode())]
    sent = rig.commands_to(REPLICA_2)
    second = len(sent) - 1 - sent[::-1].index(b"MULTI")
    assert sent[second : second + len(said)] == said
    # The other replica too, and each is told of once.
    assert rig.commands_to(REPLICA_1).count(b"EXEC") == 2
    assert len(reduced) == 2


def test_forbidden_slaveof_is_a_refusal_whatever_else_is_forbidden() -> None:
    """There is nothing to leave out of it."""
    rig = leader_rig()
    rig.forbidden[REPLICA_2] = {b"SLAVEOF NO", b"CONFIG REWRITE"}
    rig.kill(MASTER)
    rig.advance(1_100)

    assert rig.master.address == REPLICA_1
    events = rig.events()
    assert "+order-reduced" not in events[: events.index("+promoted-slave")]


def test_node_without_transactions_is_promoted() -> None:
    """Where MULTI is forbidden each command has been done for itself."""
    rig = leader_rig()
    rig.forbidden[REPLICA_2] = {b"MULTI"}
    rig.kill(MASTER)
    rig.advance(1_100)

    assert rig.master.address == REPLICA_2


def test_connection_on_which_exec_is_forbidden_is_made_anew() -> None:
    """Whatever was sent over it from then on would be queued for ever."""
    rig = leader_rig()
    rig.exec_result[REPLICA_2] = error("NOPERM no permissions to run exec")
    rig.info[REPLICA_2] = b"QUEUED"
    link = rig.master.replicas[REPLICA_2].link.id
    rig.master.replicas[REPLICA_2].priority = 1
    order_failover(rig)

    assert rig.master.replicas[REPLICA_2].link.id != link


def test_replica_that_dies_under_promotion_is_passed_over() -> None:
    """After its link has been gone for a quarter of a second, to the millisecond."""
    rig = leader_rig()
    rig.exec_result[REPLICA_2] = [b"OK", b"OK", 0, 0]
    rig.kill(MASTER)
    rig.advance(1_000)
    rig.advance(60)
    assert rig.is_in(FailoverState.WAIT_PROMOTION)
    rig.kill(REPLICA_2)
    rig.advance(249)
    assert rig.is_in(FailoverState.WAIT_PROMOTION)
    rig.advance(1)

    assert rig.master.address == REPLICA_1


@pytest.mark.parametrize(("lead_bytes", "patience_ms"), [(0, 250), (1, 1_000)])
def test_chosen_replica_that_answers_nothing_has_long_only_if_it_holds_more(
    lead_bytes: int, patience_ms: int
) -> None:
    """Of those that hold the same another does as well; one that is ahead is worth a second.

    The one set aside owes an INFO, which is not waited for once more.
    """
    rig = leader_rig(options=type(OPTIONS)(quorum=2, down_after_ms=2_000))
    rig.info[REPLICA_2] = replica_info(
        offset=100 + lead_bytes, priority=1, run_id=run_id_of(REPLICA_2)
    )
    rig.advance(11_000)
    begun_ms = rig.now_ms
    rig.kill(MASTER)
    rig.advance(1_700)
    rig.silent.add(REPLICA_2)
    while not rig.is_in(FailoverState.WAIT_PROMOTION):
        rig.advance(1)
        assert rig.now_ms < begun_ms + 5_000
    rig.advance(patience_ms - 1)
    assert rig.master.failover.promoted == REPLICA_2
    rig.advance(1)

    assert rig.master.address == REPLICA_1


def test_replica_that_fell_silent_with_the_master_is_not_chosen_among_equals() -> None:
    """One machine had both of them: its replica is not down yet, but nothing is lost without it."""
    rig = leader_rig()
    rig.info[REPLICA_1] = replica_info(offset=200, run_id=run_id_of(REPLICA_1))
    rig.advance(11_000)
    rig.silent |= {MASTER, REPLICA_1}
    rig.advance(1_150)

    assert not any(" 10.0.0.2:6379 " in line for line in rig.lines() if "+selected" in line)
    assert rig.master.address == REPLICA_2
    assert rig.master.history[-1].chosen_by == "silence"


def test_replica_that_never_becomes_master_is_passed_over() -> None:
    """It says OK and stays what it was."""
    rig = leader_rig()
    rig.exec_result[REPLICA_2] = [b"OK", b"OK", 0, 0]
    rig.kill(MASTER)
    rig.advance(7_000)

    assert rig.master.address == REPLICA_1
    assert rig.commands_to(REPLICA_2).count(b"SLAVEOF NO ONE") > 1


def test_failover_without_a_replica_ends_and_is_taken_up_when_there_is_one() -> None:
    """One attempt is made to show it; the next waits for a replica, not for minutes."""
    rig = leader_rig()
    rig.kill(REPLICA_1)
    rig.kill(REPLICA_2)
    rig.kill(MASTER)
    rig.advance(30_000)
    assert rig.events().count("-failover-abort-no-good-slave") == 1
    rig.revive(REPLICA_1)
    rig.advance(2_500)

    assert rig.master.address == REPLICA_1


def test_master_that_comes_back_in_time_keeps_its_role() -> None:
    """An election that is still open is given up."""
    rig = leader_rig()
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: [1, b"*", 0]
    rig.kill(MASTER)
    rig.advance(1_000)
    rig.silent |= set(PEER_ADDRESSES.values())
    while not rig.is_in(FailoverState.WAIT_START):
        rig.advance(1)
    rig.revive(MASTER)
    rig.advance(300)

    assert rig.events()[-1] == "-failover-abort-not-elected"
    assert rig.is_in(FailoverState.NONE)


def test_newer_configuration_ends_our_own_failover() -> None:
    """Somebody else has won in a higher epoch."""
    rig = leader_rig()
    rig.exec_result[REPLICA_2] = [b"OK", b"OK", 0, 0]
    rig.kill(MASTER)
    rig.advance(1_060)
    assert rig.is_in(FailoverState.WAIT_PROMOTION)

    rig.hello(epoch=5, master=REPLICA_1, config_epoch=5)

    assert rig.master.address == REPLICA_1
    assert rig.is_in(FailoverState.NONE)


def order_failover(rig: Rig) -> object:
    """SENTINEL FAILOVER; the client's answer."""
    request = rig.new_request()
    rig.step(FailoverRequested(rig.now_ms, request, NAME))
    return rig.answers.get(request)


def test_ordered_failover_asks_nobody_and_demotes_the_old_master_first() -> None:
    """No votes, no ODOWN; two masters for one round trip."""
    rig = leader_rig()
    rig.opinion.clear()
    order_failover(rig)
    rig.advance(100)

    assert rig.master.address == REPLICA_2
    assert b"SLAVEOF 10.0.0.3 6379" in rig.commands_to(MASTER)
    assert rig.events()[:4] == [
        "+new-epoch",
        "+try-failover",
        "+vote-for-leader",
        "+elected-leader",
    ]
    assert "+convert-to-slave" in rig.events()
    assert rig.disk.masters[0].leader_epoch == 1


def test_scripts_are_run_for_warnings_and_at_the_switch() -> None:
    """With Redis' arguments."""
    options = type(OPTIONS)(
        quorum=2,
        down_after_ms=1_000,
        notification_script="/bin/notify",
        client_reconfig_script="/bin/reconfig",
    )
    rig = leader_rig(options=options)
    rig.kill(MASTER)
    rig.advance(1_100)
    runs = [(script.path, *script.arguments) for script in rig.scripts]

    assert ("/bin/notify", "+sdown", "master mymaster 10.0.0.1 6379") in runs
    assert (
        "/bin/reconfig",
        "mymaster",
        "leader",
        "start",
        "10.0.0.1",
        "6379",
        "10.0.0.3",
        "6379",
    ) in runs
    assert not any("+selected-slave" in run and run[0] == "/bin/reconfig" for run in runs)
    assert any("+promoted-slave" in run for run in runs)
    assert not any("+slave" in run for run in runs), "a notice is no warning"
