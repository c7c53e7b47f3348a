"""The machine that follows the master: tables and short stories, no tasks and no time but ours."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from ha_client.core.answers import Claim, Fellow, SentinelAnswer, Switch
from ha_client.core.events import (
    Action,
    Ask,
    Close,
    Connect,
    Event,
    Hinted,
    LinkFailed,
    LinkVerified,
    MasterDoubted,
    Retire,
    SentinelAnswered,
    SentinelFailed,
    Started,
    SwitchAnnounced,
    Unwatch,
    Use,
    Watch,
    Woken,
)
from ha_client.core.follower import MAX_SENTINELS, Follower, State, Timing
from vedette.types import Address

S1, S2, S3 = (Address("10.0.0.1", 26379 + index) for index in range(3))
A, B, C = (Address("10.0.0.2", 6379 + index) for index in range(3))


class Story:
    """A follower, its clock, and what it last asked for."""

    def __init__(self, sentinels: Sequence[Address] = (S1, S2, S3), seed: int = 1) -> None:
        self.follower = Follower(sentinels, Timing(), Random(seed))
        self.now_ms = 1_000_000
        self.actions: list[Action] = []
        #: Sentinels with a question under way.
        self.asked: set[Address] = set()

    def tell(self, event: Event) -> list[Action]:
        if isinstance(event, SentinelAnswered | SentinelFailed):
            self.asked.discard(event.sentinel)
        self.actions = self.follower.step(event)
        for sentinel in asks(self.actions):
            assert sentinel not in self.asked, "asked twice at once"
            self.asked.add(sentinel)
        return self.actions

    def start(self) -> Story:
        self.tell(Started(self.now_ms))
        return self

    def pass_ms(self, duration_ms: int) -> list[Action]:
        self.now_ms += duration_ms
        return self.tell(Woken(self.now_ms))

    def answer(
        self, sentinel: Address, master: Address | None, epoch: int = 0, *, fellows: str = ""
    ) -> list[Action]:
        """`fellows` names the sentinels it knows: `"S2 S3"`."""
        claim = None if master is None else Claim(master, epoch)
        known = tuple(Fellow(globals()[name], name) for name in fellows.split())
        return self.tell(SentinelAnswered(self.now_ms, sentinel, SentinelAnswer(claim, "", known)))

    def fail(self, sentinel: Address) -> list[Action]:
        return self.tell(SentinelFailed(self.now_ms, sentinel, "refused"))

    def announce(self, sentinel: Address, old: Address, new: Address) -> list[Action]:
        return self.tell(SwitchAnnounced(self.now_ms, sentinel, Switch("mymaster", old, new)))

    def verify(self) -> list[Action]:
        return self.tell(LinkVerified(self.now_ms, self.follower.generation))

    def lose(self) -> list[Action]:
        return self.tell(LinkFailed(self.now_ms, self.follower.generation, "it broke"))


def following(master: Address = A, epoch: int = 1) -> Story:
    """A story in which all sentinels are idle and `master` has been in use for a while."""
    story = Story().start()
    for sentinel in (S1, S2, S3):
        story.answer(sentinel, master, epoch)
    story.verify()
    assert story.follower.state is State.FOLLOWING
    story.now_ms += 1500
    return story


def asks(actions: list[Action]) -> list[Address]:
    return [action.sentinel for action in actions if isinstance(action, Ask)]


def connects(actions: list[Action]) -> list[Address]:
    return [action.address for action in actions if isinstance(action, Connect)]


def test_start_asks_all_sentinels_at_once() -> None:
    """One after the other is what makes other clients wait for dead ones."""
    story = Story().start()

    assert story.actions == [Watch(S1), Watch(S2), Watch(S3), Ask(S1), Ask(S2), Ask(S3)]


def test_client_without_sentinels_is_refused() -> None:
    """It would wait for ever."""
    with pytest.raises(ValueError, match="at least one sentinel"):
        Story(sentinels=())


#: Claims in the order of arrival as (sentinel, master, epoch), or (sentinel, None) for a failure;
#: then how many of them are needed, and where it connects to.
FIRST_ROUNDS: list[tuple[str, list[tuple[Address, Address | None, int]], int, Address]] = [
    ("a majority agrees", [(S1, A, 1), (S2, A, 1), (S3, A, 1)], 2, A),
    ("a failure and an answer are not yet all", [(S1, None, 0), (S2, A, 1), (S3, A, 1)], 3, A),
    ("the only answer, after all others failed", [(S1, None, 0), (S2, None, 0), (S3, A, 1)], 3, A),
    ("the higher epoch against the earlier answer", [(S1, A, 1), (S2, B, 2), (S3, C, 0)], 3, B),
    ("the majority within an epoch", [(S1, A, 1), (S2, B, 1), (S3, A, 1)], 3, A),
    ("the higher epoch against a majority", [(S1, A, 1), (S2, B, 2), (S3, A, 1)], 3, B),
    ("two of the past are a majority for now", [(S1, A, 1), (S2, A, 1), (S3, B, 2)], 2, A),
]


@pytest.mark.parametrize(("name", "claims", "needed", "expected"), FIRST_ROUNDS)
def test_first_round_believes_the_highest_epoch_as_soon_as_it_may(
    name: str, claims: list[tuple[Address, Address | None, int]], needed: int, expected: Address
) -> None:
    """Who is believed when nothing is known yet, and how soon."""
    story = Story().start()
    for index, (sentinel, master, epoch) in enumerate(claims):
        actions = story.fail(sentinel) if master is None else story.answer(sentinel, master, epoch)
        is_decided = bool(connects(actions))
        assert is_decided == (index + 1 == needed), f"{name}: after answer {index + 1}"
        if is_decided:
            assert connects(actions) == [expected]
            return


def test_sentinels_that_are_always_late_are_heard() -> None:
    """At 300 ms each way none ever answers within a round of 250."""
    story = Story().start()
    story.pass_ms(250)
    story.pass_ms(30)
    assert story.follower.state is State.SEEKING

    story.answer(S1, A, 1)
    assert story.asked == {S1, S2, S3}, "the first late answer begins a round"
    assert connects(story.answer(S2, A, 1)) == [A]


def test_late_answer_does_not_cut_a_pause_short_that_a_node_is_given() -> None:
    """A node that cannot be connected to would else be tried without a pause."""
    story = Story().start()
    story.answer(S1, A, 1)
    story.answer(S2, A, 1)
    story.lose()
    assert story.follower.state is State.SEEKING

    assert story.answer(S3, A, 1) == []


def test_round_ends_though_a_sentinel_hangs() -> None:
    """Of two sentinels one hangs: no majority, so the bound decides."""
    story = Story(sentinels=(S1, S2)).start()
    story.answer(S1, A, 1)
    assert story.pass_ms(249) == []
    assert story.follower.wake_at_ms == story.now_ms + 1

    assert connects(story.pass_ms(1)) == [A]


def test_higher_epoch_arriving_late_wins_at_once() -> None:
    """Two sentinels of the past decided the round; the third knows better."""
    story = Story().start()
    story.answer(S1, A, 1)
    story.answer(S2, A, 1)

    assert story.answer(S3, B, 2) == [
        Close(1, "epoch 2 has another master"),
        Connect(2, B),
    ]


def test_master_is_used_once_it_said_so() -> None:
    """No command may go to a node that has not told its role."""
    story = Story().start()
    story.answer(S1, A, 1)
    assert story.answer(S2, A, 1) == [Connect(1, A)]

    assert story.verify() == [Use(1, A, 1)]
    assert story.follower.state is State.FOLLOWING


def test_claim_of_a_lower_epoch_is_never_followed() -> None:
    """Cut off with a sentinel of the past, the client waits instead of going back."""
    story = following(B, epoch=5)
    assert connects(story.lose()) == []
    story.fail(S1)
    story.fail(S2)

    assert connects(story.answer(S3, A, 4)) == []
    for _ in range(50):
        story.pass_ms(500)
        for sentinel in sorted(story.asked):
            actions = story.answer(sentinel, A, 4) if sentinel == S3 else story.fail(sentinel)
            assert connects(actions) == []
    assert story.follower.highest_epoch == 5


def test_other_address_of_the_same_epoch_does_not_move_what_is_in_use() -> None:
    """A sentinel between two answers names the new address with the old epoch."""
    story = following(A, epoch=1)

    assert story.answer(S1, B, 1) == []


def test_new_epoch_of_the_same_node_keeps_the_connection() -> None:
    """A failover there and back within one poll must not drop what works."""
    story = following(A, epoch=1)

    assert story.answer(S1, A, 3) == [Use(1, A, 3)]


def test_announcement_closes_the_old_master_at_once_and_asks_everybody() -> None:
    """Each moment longer is a write that will be lost."""
    story = following(A, epoch=1)

    assert story.announce(S2, A, B) == [
        Ask(S2),
        Close(1, f"{B} became master"),
        Ask(S1),
        Ask(S3),
    ]
    assert story.answer(S2, B, 2) == [Connect(2, B)]


def test_sentinels_that_have_not_heard_do_not_send_it_back() -> None:
    """Right after a switch two of three still claim the old master, which may still say it is."""
    story = following(A, epoch=1)
    story.announce(S2, A, B)
    assert story.answer(S1, A, 1) == []
    assert story.answer(S3, A, 1) == []

    assert story.answer(S2, B, 2) == [Connect(2, B)]


def test_announcement_of_the_past_leads_back_to_the_present() -> None:
    """A sentinel that was cut off relives an old switch; the others' word stands."""
    story = following(A, epoch=5)
    assert Close(1, f"{B} became master") in story.announce(S1, A, B)
    story.answer(S1, B, 3)
    story.answer(S2, A, 5)

    assert story.answer(S3, A, 5) == [Connect(2, A)]


def test_announcement_about_other_nodes_only_asks() -> None:
    """The client is ahead already, or the sentinel far behind."""
    story = following(C, epoch=3)

    assert story.announce(S1, A, B) == [Ask(S1)]
    assert story.follower.state is State.FOLLOWING


def test_hint_during_a_question_has_it_asked_again() -> None:
    """The answer under way may have been given before the news."""
    story = following(A, epoch=1)
    assert story.tell(Hinted(story.now_ms, S1)) == [Ask(S1)]
    assert story.tell(Hinted(story.now_ms, S1)) == []

    assert story.answer(S1, A, 1) == [Ask(S1)]
    assert story.answer(S1, B, 2) == [Close(1, "epoch 2 has another master"), Connect(2, B)]


def test_outdated_answer_does_not_count_in_a_round() -> None:
    """Else the old claim of the announcing sentinel could end the round."""
    story = following(A, epoch=1)
    story.tell(Hinted(story.now_ms, S1))
    story.announce(S1, A, B)
    story.fail(S2)
    story.fail(S3)

    assert story.answer(S1, A, 1) == [Ask(S1)]
    assert connects(story.pass_ms(250)) == []
    assert story.answer(S1, B, 2) == [Connect(2, B)]


def test_lost_connection_is_made_anew_after_asking() -> None:
    """A connection may break for other reasons than a failover."""
    story = following(A, epoch=1)
    assert story.lose() == [Ask(S1), Ask(S2), Ask(S3)]
    story.answer(S1, A, 1)

    assert story.answer(S2, A, 1) == [Connect(2, A)]
    assert story.follower.failover_count == 0


def test_doubted_master_is_retired_and_everybody_asked() -> None:
    """What is in flight on it is still answered, so it is not closed at once."""
    story = following(A, epoch=1)

    assert story.tell(MasterDoubted(story.now_ms, 1, "READONLY")) == [
        Retire(1, "READONLY"),
        Ask(S1),
        Ask(S2),
        Ask(S3),
    ]
    story.answer(S1, B, 2)
    assert story.follower.master == Claim(B, 2)
    assert story.follower.failover_count == 1


def test_replica_named_as_master_is_tried_again_with_pauses() -> None:
    """The sentinels may take a while to see what happened; asking must not become a flood."""
    story = following(A, epoch=1)
    story.lose()
    attempts = 0
    for _ in range(10_000 // 10):
        for sentinel in sorted(story.asked):
            story.answer(sentinel, A, 1)
        if story.follower.state is State.CONNECTING:
            attempts += 1
            story.tell(LinkFailed(story.now_ms, story.follower.generation, "role is slave"))
        story.pass_ms(10)

    assert 20 <= attempts <= 60  # in 10 s, with pauses of up to 500 ms


def test_connection_that_breaks_at_once_again_and_again_is_paced() -> None:
    """A node that is loading says it is master and refuses every command."""
    story = following(A, epoch=1)
    verified = 0
    for _ in range(10_000 // 10):
        for sentinel in sorted(story.asked):
            story.answer(sentinel, A, 1)
        if story.follower.state is State.CONNECTING:
            story.verify()
            verified += 1
        if story.follower.state is State.FOLLOWING:
            story.tell(MasterDoubted(story.now_ms, story.follower.generation, "LOADING"))
        story.pass_ms(10)

    assert 20 <= verified <= 60


def test_events_of_older_connections_are_ignored() -> None:
    """The task of a closed connection may report when the next one is in use."""
    story = following(A, epoch=1)
    story.answer(S1, B, 2)
    assert story.follower.generation == 2

    assert story.tell(LinkFailed(story.now_ms, 1, "closed")) == []
    assert story.tell(LinkVerified(story.now_ms, 1)) == []
    assert story.tell(MasterDoubted(story.now_ms, 1, "READONLY")) == []
    assert story.verify() == [Use(2, B, 2)]


def test_each_sentinel_is_polled_at_its_own_jittered_time() -> None:
    """A lost message costs one poll at most, and a thousand clients do not ask in step."""
    story = following(A, epoch=1)
    times: dict[Address, int] = {}
    for _ in range(300):
        for sentinel in asks(story.pass_ms(10)):
            times.setdefault(sentinel, story.now_ms)
            story.answer(sentinel, A, 1)

    assert set(times) == {S1, S2, S3}
    assert len(set(times.values())) > 1


def test_poll_finds_a_master_that_nobody_announced() -> None:
    """All messages were lost."""
    story = following(A, epoch=1)
    story.pass_ms(3000)

    assert set(asks(story.actions)) == {S1, S2, S3}
    assert connects(story.answer(S2, B, 2)) == [B]


def test_broken_sentinel_connection_is_made_anew_before_the_poll() -> None:
    """While it is broken its messages are missed."""
    story = following(A, epoch=1)
    story.now_ms -= 1000  # well before the polls
    story.fail(S1)

    assert story.follower.wake_at_ms <= story.now_ms + 500
    assert asks(story.pass_ms(500))[:1] == [S1]


def test_sentinels_without_an_answer_are_asked_again() -> None:
    """The client may start before the sentinels do."""
    story = Story().start()
    for sentinel in (S1, S2, S3):
        story.fail(sentinel)
    assert "refused" in story.follower.last_failure

    assert asks(story.pass_ms(500)) == [S1, S2, S3]
    story.answer(S1, A, 1)
    assert connects(story.answer(S2, A, 1)) == [A]


def test_unknown_name_is_said() -> None:
    """A misspelt name must not look like a network fault."""
    story = Story(sentinels=(S1,)).start()
    story.answer(S1, None)

    assert "does not know this master's name" in story.follower.last_failure


def test_sentinels_tell_of_each_other() -> None:
    """One configured sentinel is enough to begin with."""
    story = Story(sentinels=(S1,)).start()

    actions = story.answer(S1, A, 1, fellows="S2 S3")
    assert actions[:4] == [Watch(S2), Ask(S2), Watch(S3), Ask(S3)]
    assert story.follower.sentinels == (S1, S2, S3)


def test_sentinel_that_nobody_knows_any_more_is_forgotten() -> None:
    """Unless it is configured: then it may be back any time."""
    story = Story(sentinels=(S1,)).start()
    story.answer(S1, A, 1, fellows="S2 S3")

    assert Unwatch(S3) in story.answer(S1, A, 1, fellows="S2")
    assert story.follower.sentinels == (S1, S2)
    assert story.answer(S3, B, 9) == []


def test_sentinel_under_two_addresses_is_watched_once() -> None:
    """Configured by host name, it is heard of by its IP; twice it would count in majorities."""
    named = Address("sentinel-1.example", 26379)
    story = Story(sentinels=(named, S2)).start()
    fellow = (Fellow(S1, "id-of-1"),)
    story.tell(SentinelAnswered(story.now_ms, S2, SentinelAnswer(Claim(A, 1), "id-of-2", fellow)))
    assert S1 in story.follower.sentinels  # not known yet to be the same

    actions = story.tell(
        SentinelAnswered(
            story.now_ms,
            named,
            SentinelAnswer(Claim(A, 1), "id-of-1", (Fellow(S2, "id-of-2"),)),
        )
    )
    actions += story.tell(
        SentinelAnswered(story.now_ms, S1, SentinelAnswer(Claim(A, 1), "id-of-1", ()))
    )

    assert Unwatch(S1) in actions
    assert story.follower.sentinels == (named, S2)


def test_number_of_sentinels_is_bounded() -> None:
    """A confused sentinel must not make the client open any number of connections."""
    fellows = tuple(Fellow(Address("10.1.0.1", port), str(port)) for port in range(1, 200))
    story = Story(sentinels=(S1,)).start()
    story.tell(SentinelAnswered(story.now_ms, S1, SentinelAnswer(None, "", fellows)))

    assert len(story.follower.sentinels) == MAX_SENTINELS


@pytest.mark.parametrize("seed", range(20))
def test_random_events_keep_the_invariants(seed: int) -> None:
    """Epochs never fall, and at most one connection is opened or used at a time."""
    random = Random(seed)
    story = Story(seed=seed).start()
    follower = story.follower
    open_generation: int | None = None
    for _ in range(2000):
        story.now_ms += random.choice([0, 1, 20, 400])
        sentinel = random.choice((S1, S2, S3))
        nodes = random.sample((A, B, C), 2)
        epoch_before = follower.highest_epoch
        choice = random.randrange(7)
        generation = follower.generation - random.choice([0, 0, 1])
        if choice <= 1 and sentinel in story.asked:
            story.answer(sentinel, nodes[0], max(0, epoch_before + random.choice([-1, 0, 0, 1])))
        elif choice == 2 and sentinel in story.asked:
            story.fail(sentinel)
        elif choice == 3:
            story.announce(sentinel, *nodes)
        elif choice == 4:
            story.tell(LinkVerified(story.now_ms, generation))
        elif choice == 5 and random.random() < 0.5:
            if generation == open_generation:
                open_generation = None
            story.tell(LinkFailed(story.now_ms, generation, "it broke"))
        elif choice == 5:
            story.tell(MasterDoubted(story.now_ms, generation, "READONLY"))
        else:
            story.pass_ms(0)
        for action in story.actions:
            match action:
                case Connect(generation):
                    assert open_generation is None
                    open_generation = generation
                case Close(generation) | Retire(generation):
                    assert generation == open_generation
                    open_generation = None
                case Use(generation, _, epoch):
                    assert (generation, epoch) == (open_generation, follower.highest_epoch)
        assert follower.highest_epoch >= epoch_before
        assert follower.wake_at_ms <= story.now_ms + 2500


def test_replicas_are_those_of_the_newest_configuration() -> None:
    """A sentinel of the past lists nodes that follow another master, or none."""
    story = following(A, epoch=5)

    def answer(sentinel: Address, epoch: int, *replicas: Address) -> None:
        story.follower.step(
            SentinelAnswered(
                story.now_ms, sentinel, SentinelAnswer(Claim(A, epoch), "", (), replicas)
            )
        )

    answer(S1, 5, B)
    answer(S2, 4, Address("10.9.9.9", 1))

    assert story.follower.replicas == (B,)
