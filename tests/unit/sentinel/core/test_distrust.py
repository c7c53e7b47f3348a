"""What makes no sense, or lies, is refused whole: counted, announced, and never adopted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.core.durable import DurableState, durable_state
from sentinel.core.events import HelloReceived, LinkLoss
from tests.unit.sentinel.core.rig import (
    MASTER,
    PEER_A,
    PEER_ADDRESSES,
    REPLICA_1,
    REPLICA_2,
    Rig,
)
from vedette.resp.exchange import ReplyError
from vedette.types import RunId

#: Whatever a node may answer.
REPLIES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=60)
    | st.text(max_size=40).map(ReplyError),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=12,
)
ABSURD = 2**62


def known(rig: Rig) -> DurableState:
    """What the machine would save now."""
    return durable_state(rig.core.state)


def refused(rig: Rig, kind: str) -> int:
    """How often something of a kind was refused."""
    return rig.core.state.refused_counts.get(kind, 0)


def test_hello_with_an_absurd_epoch_is_refused_whole() -> None:
    """Who adopted it could not count on from there."""
    rig = Rig()
    before = known(rig)

    rig.hello(epoch=ABSURD)
    rig.hello(epoch=1, config_epoch=ABSURD, master=REPLICA_1)

    assert known(rig) == before
    assert refused(rig, "epoch") == 2
    assert rig.lines().count(f"+bad-input epoch from a client: epoch {ABSURD} is out of reach") == 1


def test_vote_in_an_absurd_epoch_is_not_given() -> None:
    """And the epoch is not spoken of either."""
    rig = Rig()
    before = known(rig)

    assert rig.ask_vote(PEER_A, ABSURD) == [0, b"*", 0]
    assert rig.ask_vote(PEER_A, -5) == [0, b"*", 0]

    assert known(rig) == before
    assert refused(rig, "epoch") == 2


@pytest.mark.parametrize("candidate", ["", "x\r\ny", "a b", "é" * 40, "a" * 1000])
def test_candidate_without_a_run_id_gets_no_vote(candidate: str) -> None:
    """Its name would be published and logged."""
    rig = Rig()

    assert rig.ask_vote(RunId(candidate), 1) == [0, b"*", 0]
    assert refused(rig, "vote") == 1
    assert rig.master.vote.leader_epoch == 0


def test_hello_of_before_its_senders_last_is_no_news() -> None:
    """A sentinel's epoch never falls: such a message was held up, or is not that sentinel's."""
    rig = Rig()
    rig.hello(epoch=7)
    before = known(rig)

    rig.hello(epoch=5, config_epoch=5, master=REPLICA_1)

    assert known(rig) == before
    assert rig.master.address == MASTER
    assert refused(rig, "stale") == 1
    assert "+bad-input" not in rig.events()


def test_answer_to_another_command_is_no_sign_of_life() -> None:
    """A node that mixes up its replies is as good as down."""
    rig = Rig()
    rig.pong[MASTER] = b"role:master\r\n"
    rig.advance(40_000)

    assert rig.master.is_s_down
    assert refused(rig, "ping") > 0


@pytest.mark.parametrize("answer", [b"PONG", b"", 7, [b"role:master"], None])
def test_info_that_names_no_role_changes_nothing(answer: Any) -> None:
    """Above all it does not make old news look fresh."""
    rig = Rig()
    node = rig.master.replicas[REPLICA_2]
    refreshed_ms = node.info_refresh_ms
    rig.info[REPLICA_2] = answer
    rig.advance(25_000)

    assert node.info_refresh_ms == refreshed_ms
    assert refused(rig, "info") >= 2


def test_link_that_speaks_no_resp_is_counted() -> None:
    """The connection is made anew, as after any loss."""
    rig = Rig()
    rig.break_links(REPLICA_1, LinkLoss.PROTOCOL)

    assert refused(rig, "protocol") >= 1
    assert any(line.startswith("+bad-input protocol from 10.") for line in rig.lines())
    rig.advance(100)
    assert rig.master.replicas[REPLICA_1].link.is_up


def test_each_kind_is_announced_once_a_minute() -> None:
    """A flood of nonsense is counted, and does not drown what matters."""
    rig = Rig()
    for _ in range(500):
        rig.step(HelloReceived(rig.now_ms, b"nonsense"))
    assert rig.events().count("+bad-input") == 1
    rig.advance(60_000)
    rig.step(HelloReceived(rig.now_ms, b"nonsense"))

    assert rig.events().count("+bad-input") == 2
    assert refused(rig, "hello") == 501


# -- garbage ---------------------------------------------------------------------------------------


@st.composite
def hellos(draw: st.DrawFn) -> bytes:
    """A hello message in which some fields were replaced, added or taken away."""
    fields = [b"10.0.1.1", b"26379", b"f" * 40, b"1", b"mymaster", b"10.0.0.2", b"6379", b"1"]
    odd = st.binary(max_size=20) | st.sampled_from(
        [b"", b"-1", b"0", b"65536", b"99999999999999999999", b"1x", b"::1", b"\xff", b"a b", b"\n"]
    )
    for index in draw(st.lists(st.integers(0, 7), max_size=4)):
        fields[index] = draw(odd)
    if draw(st.booleans()):
        fields += draw(st.lists(odd, max_size=2))
    return b",".join(fields)


@given(st.binary(max_size=200) | hellos())
def test_garbage_on_the_hello_channel_leaves_a_sound_state(payload: bytes) -> None:
    """Whatever was adopted can be written to a line of the file, and epochs are within reach."""
    rig = Rig()
    before = known(rig)

    rig.step(HelloReceived(rig.now_ms, payload))

    after = known(rig)
    if refused(rig, "hello") or refused(rig, "epoch"):
        assert after == before
    assert after.current_epoch <= 2**33
    (master,) = after.masters
    for host, port in (master.address, *master.replicas, *(at for _, at in master.sentinels)):
        assert host
        assert not set(host) & set(" \t\r\n\0")
        assert 0 < port < 65_536


@given(REPLIES, st.sampled_from([MASTER, REPLICA_1]))
@settings(max_examples=60)
def test_garbage_for_info_and_ping_is_survived(reply: Any, address: Any) -> None:
    """It counts as silence, and epochs and addresses stay."""
    rig = Rig()
    rig.info[address] = reply
    rig.pong[address] = reply
    rig.advance(12_000)

    assert rig.master.address == MASTER
    assert known(rig).current_epoch == 0


@given(REPLIES)
@settings(max_examples=60)
def test_garbage_for_votes_elects_nobody(reply: Any) -> None:
    """Only a vote for us, in our epoch, by a reply of the right shape, counts."""
    rig = Rig()
    for address in PEER_ADDRESSES.values():
        rig.opinion[address] = lambda command: reply
    rig.kill(MASTER)
    rig.advance(40_000)

    assert "+elected-leader" not in rig.events()
    assert rig.core.state.current_epoch < 1_000
