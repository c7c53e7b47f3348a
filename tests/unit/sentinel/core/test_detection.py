"""When a node is believed down: by us, and by a quorum."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sentinel.core.events import LinkLoss
from sentinel.core.link_state import LinkKind
from tests.unit.sentinel.core.rig import (
    MASTER,
    OPTIONS,
    PEER_A,
    PEER_ADDRESSES,
    PEER_B,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    error,
    master_info,
    replica_info,
)
from vedette.resp.exchange import ReplyError
from vedette.types import Address


def quiet_rig() -> Rig:
    """Fellows that never agree, so that nothing follows from a suspicion."""
    rig = Rig()
    rig.advance(1_000)
    rig.forget()
    return rig


def time_to(rig: Rig, event: str, limit_ms: int = 10_000) -> int:
    """Milliseconds until an event is announced."""
    begun_ms = rig.now_ms
    while event not in rig.events():
        rig.advance(1)
        assert rig.now_ms - begun_ms <= limit_ms, rig.lines()
    return rig.now_ms - begun_ms


def test_killed_master_is_down_exactly_at_down_after() -> None:
    """From its last answer, though no PING can be sent any more."""
    rig = quiet_rig()
    answered_ms = rig.master.node.link.last_valid_pong_ms
    rig.kill(MASTER)
    time_to(rig, "+sdown")

    assert rig.now_ms == answered_ms + 1_000
    assert rig.lines() == ["+sdown master mymaster 10.0.0.1 6379"]


def test_silent_master_is_down_at_down_after_from_its_last_answer() -> None:
    """PINGs go out ten times in down-after, so a pause of nine tenths is always forgiven."""
    rig = quiet_rig()
    rig.silent.add(MASTER)
    answered_ms = rig.master.node.link.last_valid_pong_ms

    assert 900 <= time_to(rig, "+sdown") <= 1_000
    assert rig.now_ms == answered_ms + 1_000


def test_ping_that_we_sent_late_is_not_held_against_the_master() -> None:
    """The clock starts one period before the first unanswered PING at the earliest."""
    rig = quiet_rig()
    rig.master.node.link.last_valid_pong_ms -= 700  # as if we had not come to send one since
    rig.silent.add(MASTER)
    time_to(rig, "+sdown")

    assert rig.now_ms == rig.master.node.link.last_ping_sent_ms + 900


def test_refused_connections_do_not_move_the_deadline() -> None:
    """Attempts to reconnect are probes, not signs of life."""
    rig = quiet_rig()
    rig.silent.add(MASTER)
    rig.advance(500)
    rig.kill(MASTER)

    assert time_to(rig, "+sdown") <= 600


@pytest.mark.parametrize("reply", [b"PONG", error("LOADING Redis is loading"), error("MASTERDOWN")])
def test_acceptable_replies_keep_it_alive(reply: object) -> None:
    """Redis counts these three."""
    rig = quiet_rig()
    rig.pong[MASTER] = reply
    rig.advance(5_000)

    assert rig.lines() == []


@pytest.mark.parametrize("text", ["NOAUTH", "MISCONF", "NOPERM", "ERR max clients"])
def test_other_errors_count_as_silence(text: str) -> None:
    """A master that serves nobody is as good as gone."""
    rig = quiet_rig()
    rig.pong[MASTER] = error(text)

    assert 900 <= time_to(rig, "+sdown") <= 1_100


def test_busy_script_is_killed_once() -> None:
    """Once the node is down, by one SCRIPT KILL."""
    rig = quiet_rig()
    rig.pong[MASTER] = error("BUSY Redis is busy running a script")
    rig.advance(3_000)

    assert rig.commands_to(MASTER).count(b"SCRIPT KILL") == 1
    rig.pong[MASTER] = b"PONG"
    rig.advance(200)
    assert rig.events() == ["+sdown", "-sdown"]


def test_reset_link_alone_proves_nothing() -> None:
    """CLIENT KILL, a proxy: the next PING is answered."""
    rig = quiet_rig()
    for _ in range(20):
        rig.break_links(MASTER, LinkLoss.RESET)
        rig.advance(300)

    assert rig.lines() == []


def test_recovered_node_is_up_with_its_first_reply() -> None:
    """And its INFO is read at once: it may have come back in another role."""
    rig = quiet_rig()
    rig.kill(REPLICA_1)
    rig.advance(3_000)
    assert rig.events() == ["+sdown"]
    rig.forget()
    rig.revive(REPLICA_1)
    rig.advance(300)

    assert rig.lines() == ["-sdown slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379"]
    assert b"INFO" in rig.commands_to(REPLICA_1)


def test_lost_fellow_is_down_by_each_masters_patience() -> None:
    """It only matters for counting."""
    rig = quiet_rig()
    rig.kill(PEER_ADDRESSES[PEER_A])

    assert time_to(rig, "+sdown") == 1_000
    assert rig.lines() == [
        f"+sdown sentinel {PEER_A} 10.0.1.1 26379 @ mymaster 10.0.0.1 6379",
    ]
    rig.revive(PEER_ADDRESSES[PEER_A])
    rig.advance(100)
    assert rig.events() == ["+sdown", "-sdown"]


def test_fellow_of_two_masters_is_lost_and_found_to_each_in_its_time() -> None:
    """They share its connection, and one timer looks after all that it concerns."""
    state = durable()
    (one,) = state.masters
    other = replace(
        one,
        name="other",
        address=Address("10.0.0.9", 6379),
        options=replace(OPTIONS, down_after_ms=3_000),
    )
    rig = Rig(replace(state, masters=(one, replace(other, replicas=()))))
    rig.info[other.address] = master_info(run_id="o" * 40)
    rig.advance(1_000)
    rig.forget()
    rig.kill(PEER_ADDRESSES[PEER_A])
    began_ms = rig.now_ms

    assert time_to(rig, "+sdown") == 1_000
    assert rig.core.state.masters["other"].peers[PEER_A].s_down_since_ms is None
    rig.advance(5_000)
    assert rig.core.state.masters["other"].peers[PEER_A].s_down_since_ms == began_ms + 3_000
    rig.revive(PEER_ADDRESSES[PEER_A])
    rig.advance(1_000)
    assert rig.events() == ["+sdown", "+sdown", "-sdown", "-sdown"]


def test_hello_leaves_with_a_ping() -> None:
    """One packet instead of two, to each of a thousand masters."""
    rig = quiet_rig()
    hellos = []
    for _ in range(20_000):
        rig.forget()
        rig.advance(1)
        sent = {command[0] for address, _, command in rig.sent if address == MASTER}
        if b"PUBLISH" in sent and b"SUBSCRIBE" not in sent:
            hellos.append(b"PING" in sent)

    assert 9 <= len(hellos) <= 11
    assert all(hellos)


def test_master_that_says_replica_for_long_is_down() -> None:
    """Down-after and two INFO periods, as Redis has it."""
    rig = quiet_rig()
    rig.info[MASTER] = replica_info(REPLICA_1, run_id="m" * 40)
    rig.advance(10_000)
    assert rig.events() == ["-role-change"]
    noticed_ms = rig.master.node.role_reported_ms
    time_to(rig, "+sdown", 30_000)

    assert rig.now_ms - noticed_ms == 21_000


def test_rebooted_master_must_finish_loading_in_time() -> None:
    """`master-reboot-down-after-period`, which LOADING would otherwise outlast."""
    rig = Rig(durable(options=replace(OPTIONS, reboot_down_after_ms=2_000)))
    rig.advance(1_000)
    rig.forget()
    rig.pong[MASTER] = error("LOADING")
    rig.info[MASTER] = master_info((REPLICA_1, REPLICA_2), run_id="n" * 40)
    rig.break_links(MASTER)
    rig.advance(1_900)
    assert rig.events() == ["+reboot"]
    rig.advance(200)

    assert rig.events() == ["+reboot", "+sdown"]


def test_half_dead_connection_is_replaced() -> None:
    """A connection old enough whose PING is overdue may be dead without anybody having said so."""
    rig = quiet_rig()
    rig.advance(20_000)
    rig.forget()
    rig.silent.add(REPLICA_2)
    rig.advance(1_300)

    replaced = [entry.address for entry in rig.connects if entry.kind is LinkKind.COMMAND]
    assert replaced == [REPLICA_2]


def test_quorum_makes_it_objective() -> None:
    """Our own opinion and one more, with Redis' payload."""
    rig = quiet_rig()
    rig.opinion[PEER_ADDRESSES[PEER_A]] = lambda command: [1, b"*", 0]
    rig.opinion[PEER_ADDRESSES[PEER_B]] = lambda command: [0, b"*", 0]
    rig.kill(MASTER)
    rig.advance(1_000)

    assert rig.lines()[:2] == [
        "+sdown master mymaster 10.0.0.1 6379",
        "+odown master mymaster 10.0.0.1 6379 #quorum 2/2",
    ]


def test_fellow_that_comes_to_agree_is_heard_soon() -> None:
    """It is asked again ten times a second, not once."""
    rig = quiet_rig()
    rig.kill(MASTER)
    rig.advance(1_430)
    assert rig.events() == ["+sdown"]
    rig.opinion[PEER_ADDRESSES[PEER_B]] = lambda command: [1, b"*", 0]

    assert time_to(rig, "+odown") <= 100


def test_fellow_that_asks_is_asked_back_at_once() -> None:
    """Who asks has just come to suspect the master itself; it may have denied it a moment ago."""
    rig = quiet_rig()
    rig.kill(MASTER)
    time_to(rig, "+sdown")
    rig.opinion[PEER_ADDRESSES[PEER_B]] = lambda command: [1, b"*", 0]
    rig.ask_vote(None, 0, asker=PEER_B)

    assert rig.events()[:2] == ["+sdown", "+odown"]


def test_fellow_that_asks_while_it_owes_an_answer_is_asked_again() -> None:
    """The answer may have been given before it changed its mind."""
    rig = quiet_rig()
    answers = [1, 0]

    def asks_before_it_answers(command: tuple[bytes, ...]) -> list[object]:
        is_down = answers.pop()
        if answers:
            rig.ask_vote(None, 0, asker=PEER_B)
        return [is_down, b"*", 0]

    rig.opinion[PEER_ADDRESSES[PEER_B]] = asks_before_it_answers
    rig.kill(MASTER)
    time_to(rig, "+sdown")

    assert rig.events()[:2] == ["+sdown", "+odown"]


def test_opinion_expires() -> None:
    """What was said five seconds ago and not repeated counts no more."""
    rig = quiet_rig()
    rig.opinion[PEER_ADDRESSES[PEER_A]] = lambda command: [1, b"*", 0]
    rig.kill(MASTER)
    rig.advance(1_000)
    for address in PEER_ADDRESSES.values():
        rig.kill(address)
    rig.advance(6_100)

    assert rig.events().count("-odown") == 1


@pytest.mark.parametrize("reply", [error("ERR"), [1], [b"1", b"*", 0], [1, None, 0], None, b"x"])
def test_misshapen_opinion_counts_for_nothing(reply: object) -> None:
    """Redis checks the three types as well."""
    rig = quiet_rig()
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: reply  # type: ignore[assignment, return-value]
    rig.kill(MASTER)
    rig.advance(2_000)

    assert [event for event in rig.events() if event != "+bad-input"] == ["+sdown"]
    is_error = isinstance(reply, ReplyError)  # which a fellow may well answer
    assert (rig.core.state.refused_counts.get("vote", 0) > 0) is not is_error


def test_recovery_takes_everything_back() -> None:
    """-sdown, -odown, and no failover that has not begun to act."""
    rig = quiet_rig()
    rig.opinion[PEER_ADDRESSES[PEER_A]] = lambda command: [1, b"*", 0]
    rig.kill(MASTER)
    rig.advance(1_010)
    rig.revive(MASTER)
    rig.advance(3_000)

    assert "-sdown" in rig.events()
    assert "-odown" in rig.events()
    assert "+elected-leader" not in rig.events()
    assert not any(peer.says_down for peer in rig.master.peers.values())


def come_back_as_replica(rig: Rig) -> None:
    """The master is killed and, once it is held down, restarted as a replica by its own file."""
    rig.kill(MASTER)
    rig.advance(1_010)
    rig.info[MASTER] = replica_info(REPLICA_1, run_id="n" * 40)
    rig.revive(MASTER)


def test_master_that_comes_back_as_a_replica_is_up_until_its_role_tells_against_it() -> None:
    """Nobody else held it down, so no failover is kept from anything: Redis' time for it."""
    rig = quiet_rig()
    come_back_as_replica(rig)
    rig.advance(3_000)
    assert "-sdown" in rig.events()

    rig.forget()
    rig.advance(OPTIONS.down_after_ms + 2 * rig.core.state.periods.info_period_ms)
    assert "+sdown" in rig.events()


def test_master_that_a_quorum_held_down_stays_down_when_it_comes_back_as_a_replica() -> None:
    """It serves no writes; the failover that is due goes on."""
    rig = quiet_rig()
    rig.opinion[PEER_ADDRESSES[PEER_A]] = lambda command: [1, b"*", 0]
    come_back_as_replica(rig)
    rig.advance(3_000)

    assert "-sdown" not in rig.events()
    assert rig.master.is_o_down
