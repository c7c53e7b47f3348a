"""The machine that decides which node is the master and when to say so.

Owns the knowledge of sentinels, their claims and the one connection in use. Knows nothing of
sockets, tasks or commands. `step` takes one event and returns actions to execute in order; between
events, `wake_at_ms` says when `Woken` is due.

Theory of operation
-------------------

    SEEKING     no node is trusted. A round of questions runs, or the next one is due.
    CONNECTING  a node is being connected to, and will be asked for its ROLE.
    FOLLOWING   the node said it is master, and is in use.

    SEEKING ──a claim is chosen──> CONNECTING ──ROLE says master──> FOLLOWING
       ^                               │                                │
       └───── refused, unreachable ────┴── broke, doubted, announced ───┘

A round asks every sentinel at once. It ends when more than half of the sentinels make the same
claim, when all have answered or failed, or after `ask_timeout_ms`, and the claim with the highest
epoch wins; so one sentinel that hangs delays nothing, and one that lives in the past decides
nothing as long as another one answers. Where none has answered by then, the first answer that comes
late begins the next round: sentinels may be slower than `ask_timeout_ms`, all of them and always.

Invariants:

- `highest_epoch` never falls, and no claim of a lower epoch is ever acted on. A client cut off
  with a sentinel of the past and a master of the past does not go back to them.
- Once an epoch is known, a claim of a higher one is acted on the moment it is heard, in any state:
  such a claim is the outcome of a vote.
- At the same epoch, what is in use stays in use: the claims of one epoch differ only while a
  sentinel is between two answers.
- One connection at most is being opened or used. Each attempt has a new generation, and events
  about an older one are ignored.

Sentinels are asked again after each connection to them, at each event that hints at news, and
every `poll_interval_ms` with jitter, because messages get lost. A sentinel without a connection
is connected to only when it is asked, so this machine also paces reconnecting.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Final, assert_never

from vedette.types import Address

from .answers import Claim, Fellow, SentinelAnswer
from .events import (
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

#: Sentinels watched at most, however many are claimed to exist.
MAX_SENTINELS: Final = 32
#: A connection that broke sooner than this after it was verified counts as a failed attempt.
SETTLED_AFTER_MS: Final = 1000


class Leaving(enum.Enum):
    """Why a master that was in use was left."""

    CLOSED = "closed"
    TIMEOUT = "timeout"
    REFUSED = "refused"  # it answered as a replica, or as not ready
    SWITCH_EVENT = "switch_event"
    POLL = "poll"  # a sentinel that was asked named another


class State(enum.Enum):
    """See the module."""

    SEEKING = "seeking"
    CONNECTING = "connecting"
    FOLLOWING = "following"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The machine's times, in milliseconds."""

    #: A round of questions ends after this, whoever has not answered.
    ask_timeout_ms: int = 250
    #: Mean time between two questions to one sentinel when nothing happens.
    poll_interval_ms: int = 2000
    #: Bounds of the pause between two attempts to find and reach a master.
    retry_min_ms: int = 50
    retry_max_ms: int = 500


class Follower:
    """See the module. `random` only spreads times.

    Raises:
        ValueError: `sentinels` is empty.
    """

    def __init__(self, sentinels: Iterable[Address], timing: Timing, random: Random) -> None:
        self._configured = tuple(dict.fromkeys(sentinels))
        if not self._configured:
            raise ValueError("a client needs at least one sentinel to ask")
        self.state = State.SEEKING
        #: Highest configuration epoch ever heard of; -1 before the first.
        self.highest_epoch = -1
        #: The claim acted on last: what is being connected to, in use, or was lost.
        self.master: Claim | None = None
        #: Number of the latest attempt to connect to a master.
        self.generation = 0
        #: How often another node took over after the first one was found.
        self.failover_count = 0
        #: How often a master in use was left, by why.
        self.leavings: Counter[Leaving] = Counter()
        #: Claims of an epoch below the highest, which were not believed.
        self.stale_claim_count = 0
        #: Replicas to read from, by the newest word of a sentinel that is not behind.
        self.replicas: tuple[Address, ...] = ()
        #: When a sentinel last told of the master; None before.
        self.answered_ms: int | None = None
        self._timing = timing
        self._random = random
        #: Watched sentinels, and when each is to be asked next.
        self._poll_at_ms: dict[Address, int] = {}
        #: Ids of the sentinels that told theirs, to know one again under another address.
        self._ids: dict[Address, str] = {}
        self._fellows: dict[Address, tuple[Fellow, ...]] = {}
        #: Sentinels with a question under way; True if it must be asked once more.
        self._asking: dict[Address, bool] = {}
        #: The round: who is still to answer, what was claimed, when it ends (None: no round runs).
        self._awaited: set[Address] = set()
        self._claims: dict[Address, Claim] = {}
        self._round_ends_ms: int | None = None
        #: Whether the last round ended without an answer, though some were still to come.
        self._was_unanswered = False
        #: When the next round begins if nothing happens before.
        self._retry_at_ms: int | None = None
        self._pause_ms = 0
        #: The claim that an announcement made us leave: not gone back to lightly.
        self._left: Claim | None = None
        self._link_failure = ""
        self._sentinel_failure = "no sentinel has answered yet"
        self._verified_at_ms = 0
        self._actions: list[Action] = []

    @property
    def sentinels(self) -> tuple[Address, ...]:
        """The sentinels that are watched."""
        return tuple(self._poll_at_ms)

    @property
    def last_failure(self) -> str:
        """Why there is no master, as last heard."""
        failures = "; ".join(filter(None, [self._link_failure, self._sentinel_failure]))
        return failures or "there was no answer in time"

    @property
    def wake_at_ms(self) -> int:
        """When `Woken` is due at the latest."""
        times = list(self._poll_at_ms.values())
        if self._round_ends_ms is not None:
            times.append(self._round_ends_ms)
        if self._retry_at_ms is not None:
            times.append(self._retry_at_ms)
        return min(times)

    def step(self, event: Event) -> list[Action]:
        """Take one event; return what to do, in this order."""
        assert not self._actions
        match event:
            case Started(now_ms):
                for sentinel in self._configured:
                    self._watch(now_ms, sentinel)
                self._begin_round(now_ms)
            case Woken(now_ms):
                self._on_woken(now_ms)
            case SentinelAnswered(now_ms, sentinel, answer):
                self._on_answer(now_ms, sentinel, answer)
            case SentinelFailed(now_ms, sentinel, reason):
                self._on_sentinel_failed(now_ms, sentinel, reason)
            case SwitchAnnounced(now_ms, sentinel):
                self._on_switch(now_ms, event)
            case Hinted(now_ms, sentinel):
                self._ask_anew(now_ms, sentinel)
            case LinkVerified(now_ms, generation):
                self._on_verified(now_ms, generation)
            case LinkFailed(now_ms, generation, reason, is_timeout):
                why = Leaving.TIMEOUT if is_timeout else Leaving.CLOSED
                self._on_link_failed(now_ms, generation, reason, why)
            case MasterDoubted(now_ms, generation, reason):
                self._on_doubt(now_ms, generation, reason)
            case _:
                assert_never(event)
        actions, self._actions = self._actions, []
        return actions

    # Sentinels

    def _watch(self, now_ms: int, sentinel: Address) -> None:
        self._poll_at_ms[sentinel] = now_ms + self._timing.poll_interval_ms
        self._actions.append(Watch(sentinel))

    def _ask(self, now_ms: int, sentinel: Address) -> None:
        """Ask unless a question is under way, whose answer will do."""
        if sentinel not in self._asking:
            self._asking[sentinel] = False
            self._actions.append(Ask(sentinel))
        spread = self._random.uniform(0.75, 1.25)
        self._poll_at_ms[sentinel] = now_ms + round(self._timing.poll_interval_ms * spread)

    def _ask_anew(self, now_ms: int, sentinel: Address) -> None:
        """Ask, and again if a question is under way that may have been answered before the news."""
        if sentinel in self._asking:
            self._asking[sentinel] = True
        elif sentinel in self._poll_at_ms:
            self._ask(now_ms, sentinel)

    def _on_answer(self, now_ms: int, sentinel: Address, answer: SentinelAnswer) -> None:
        if sentinel not in self._poll_at_ms:
            return  # forgotten while it answered
        is_outdated = self._asking.pop(sentinel, False)
        self._adopt_sentinels(now_ms, sentinel, answer)
        if sentinel not in self._poll_at_ms:
            self._end_round_if_decided(now_ms)
            return  # it turned out to be one that is watched under another address
        claim = answer.claim
        if claim is not None:
            self.answered_ms = now_ms
            self.stale_claim_count += claim.epoch < self.highest_epoch
            if claim.epoch >= self.highest_epoch:
                self.replicas = answer.replicas
        if claim is None:
            self._sentinel_failure = f"sentinel {sentinel} does not know this master's name"
        elif -1 < self.highest_epoch < claim.epoch:
            self._adopt(claim, f"epoch {claim.epoch} has another master")
        elif claim.epoch >= self.highest_epoch and not is_outdated:
            if self._was_unanswered:
                self._begin_round(now_ms)
            self._claims[sentinel] = claim
            self._sentinel_failure = ""
        if is_outdated:
            self._ask(now_ms, sentinel)  # and the round goes on waiting for it
        else:
            self._awaited.discard(sentinel)
        self._end_round_if_decided(now_ms)

    def _on_sentinel_failed(self, now_ms: int, sentinel: Address, reason: str) -> None:
        if sentinel not in self._poll_at_ms:
            return
        self._sentinel_failure = f"sentinel {sentinel}: {reason}"
        if sentinel not in self._asking:
            # A connection that worked broke: messages are being missed, so ask before the poll.
            pause_ms = self._random.randint(self._timing.retry_min_ms, self._timing.retry_max_ms)
            self._poll_at_ms[sentinel] = min(self._poll_at_ms[sentinel], now_ms + pause_ms)
            return
        if self._asking.pop(sentinel):
            self._ask(now_ms, sentinel)
        self._awaited.discard(sentinel)
        self._end_round_if_decided(now_ms)

    def _adopt_sentinels(self, now_ms: int, sentinel: Address, answer: SentinelAnswer) -> None:
        """Watch whom the sentinels know, and forget whom none of them knows any more.

        One sentinel under two addresses (a host name in our configuration) would count twice in a
        majority, so the address that was only heard of goes.
        """
        self._ids[sentinel] = answer.sentinel_id
        self._fellows[sentinel] = answer.fellows
        known = {fellow.address: fellow for fellows in self._fellows.values() for fellow in fellows}
        by_id = {
            identity: address
            for address, identity in self._ids.items()
            if identity and address in self._configured
        }
        for address in [*self._poll_at_ms]:
            is_double = by_id.get(self._ids.get(address, ""), address) != address
            if address not in self._configured and (is_double or address not in known):
                self._forget(address)
        for address, fellow in known.items():
            is_new = address not in self._poll_at_ms and fellow.sentinel_id not in by_id
            if is_new and len(self._poll_at_ms) < MAX_SENTINELS:
                self._watch(now_ms, address)
                self._ask(now_ms, address)

    def _forget(self, sentinel: Address) -> None:
        self._poll_at_ms.pop(sentinel)
        self._ids.pop(sentinel, None)
        self._fellows.pop(sentinel, None)
        self._asking.pop(sentinel, None)
        self._claims.pop(sentinel, None)
        self._awaited.discard(sentinel)
        self._actions.append(Unwatch(sentinel))

    # Rounds

    def _begin_round(self, now_ms: int) -> None:
        assert self.state is State.SEEKING
        self._was_unanswered = False
        self._retry_at_ms = None
        self._claims.clear()
        self._awaited = set(self._poll_at_ms)
        self._round_ends_ms = now_ms + self._timing.ask_timeout_ms
        for sentinel in self._poll_at_ms:
            self._ask(now_ms, sentinel)

    def _end_round_if_decided(self, now_ms: int) -> None:
        if self._round_ends_ms is None:
            return
        counts = Counter(self._claims.values())
        is_agreed = any(
            2 * count > len(self._poll_at_ms) and claim != self._left
            for claim, count in counts.items()
        )
        if not is_agreed and self._awaited and now_ms < self._round_ends_ms:
            return
        self._round_ends_ms = None
        if not counts:
            self._was_unanswered = bool(self._awaited)
            self._retry_later(now_ms)
            return
        # The highest epoch, then what most sentinels say; the address only makes it definite.
        best = max(counts, key=lambda claim: (claim.epoch, counts[claim], claim.address))
        self._adopt(best, "another master was found")

    def _retry_later(self, now_ms: int) -> None:
        """Pause for a random while, longer on average each time (decorrelated jitter)."""
        low_ms = self._timing.retry_min_ms
        high_ms = max(low_ms, min(self._timing.retry_max_ms, 3 * self._pause_ms))
        self._pause_ms = self._random.randint(low_ms, high_ms)
        self._retry_at_ms = now_ms + self._pause_ms

    def _on_woken(self, now_ms: int) -> None:
        self._end_round_if_decided(now_ms)
        if self._retry_at_ms is not None and now_ms >= self._retry_at_ms:
            self._begin_round(now_ms)
        for sentinel, poll_at_ms in self._poll_at_ms.items():
            if now_ms >= poll_at_ms:
                self._ask(now_ms, sentinel)

    # The master

    def _adopt(self, claim: Claim, reason: str) -> None:
        """Act on a claim: go on with the node in use if it is the same, else connect to it."""
        assert claim.epoch >= self.highest_epoch
        self.highest_epoch = claim.epoch
        is_same_node = self.master is not None and self.master.address == claim.address
        if is_same_node and self.state is not State.SEEKING:
            self.master = claim
            if self.state is State.FOLLOWING:
                self._actions.append(Use(self.generation, claim.address, claim.epoch))
            return
        if self.master is not None and not is_same_node:
            self.failover_count += 1
        if self.state is not State.SEEKING:
            self._note_leaving(Leaving.POLL)
            self._actions.append(Close(self.generation, reason))
        self._round_ends_ms = self._retry_at_ms = self._left = None
        self._was_unanswered = False
        self.master = claim
        self.generation += 1
        self.state = State.CONNECTING
        self._actions.append(Connect(self.generation, claim.address))

    def _on_switch(self, now_ms: int, event: SwitchAnnounced) -> None:
        """Leave the old master on the announcement alone; the new one must be claimed.

        The announcement carries no epoch, so it could be of the past; then the question that
        follows finds the present master again.
        """
        self._ask_anew(now_ms, event.sentinel)
        old, new = event.switch.old, event.switch.new
        is_ours = self.master is not None and self.master.address == old != new
        if is_ours and self.state is not State.SEEKING:
            self._left = self.master
            self._note_leaving(Leaving.SWITCH_EVENT)
            self._actions.append(Close(self.generation, f"{new} became master"))
            self._become_seeking(now_ms, f"{old} is no longer master")

    def _on_verified(self, now_ms: int, generation: int) -> None:
        if generation != self.generation or self.state is not State.CONNECTING:
            return
        assert self.master is not None
        self.state = State.FOLLOWING
        self._link_failure = ""
        self._verified_at_ms = now_ms
        self._actions.append(Use(generation, self.master.address, self.master.epoch))

    def _note_leaving(self, why: Leaving) -> None:
        if self.state is State.FOLLOWING:
            self.leavings[why] += 1

    def _on_link_failed(self, now_ms: int, generation: int, reason: str, why: Leaving) -> None:
        if generation != self.generation or self.state is State.SEEKING:
            return
        self._note_leaving(why)
        self._leave(now_ms, reason)

    def _on_doubt(self, now_ms: int, generation: int, reason: str) -> None:
        if generation != self.generation or self.state is not State.FOLLOWING:
            return
        self._note_leaving(Leaving.REFUSED)
        self._actions.append(Retire(generation, reason))
        self._leave(now_ms, reason)

    def _leave(self, now_ms: int, reason: str) -> None:
        """Seek at once after a node that had been in use for a while, else after a pause.

        The pause matters where nodes let themselves be connected to and then fail again and again:
        still loading, out of file descriptors, behind a proxy without its back end.
        """
        used_ms = now_ms - self._verified_at_ms
        if self.state is State.FOLLOWING and used_ms >= SETTLED_AFTER_MS:
            self._pause_ms = 0
            self._become_seeking(now_ms, reason)
        else:
            self.state = State.SEEKING
            self._link_failure = reason
            self._retry_later(now_ms)

    def _become_seeking(self, now_ms: int, reason: str) -> None:
        """Trust no node any more and ask everybody at once."""
        self.state = State.SEEKING
        self._link_failure = reason
        self._begin_round(now_ms)
