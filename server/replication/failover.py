"""FAILOVER: a master changes roles with a replica, and loses nothing.

Theory of operation.

    NONE ──> WAITING ──> IN_PROGRESS ──> NONE
               └──────────────┴──(aborted)──> NONE

- WAITING: clients' writes wait, so the stream stands still but for one GETACK, which has the
  replicas acknowledge at once. When the target (or, without one, any replica) has acknowledged all
  of it, or the time is up and the failover is forced, the master hands over.
- IN_PROGRESS: the former master follows its target and asks it with `PSYNC <id> <offset> FAILOVER`
  to be master. Whatever grants the synchronisation ends the failover; a refusal makes the former
  master the master again.
- What waited is run when the failover is over: by a replica, which refuses writes, or by the
  master that stayed.

Only the methods `begin`, `hand_over` and `end` change the state. What they decide is carried out by
`commands.failover`. Follows Redis 7.0 `replication.c: failoverCommand, updateFailoverStatus`, and
goes beyond it in two things: Redis waits for the replicas' own acknowledgements, once a second,
and it knows no time limit once the failover is in progress.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from vedette.errors import CommandError
from vedette.types import Address

from .feed import Feed, FeedState

FAILING_OVER: Final = CommandError(b"NOMASTERLINK Can't SYNC while failing over")


class FailoverState(Enum):
    """Where the failover is; the values are INFO's `master_failover_state`."""

    NONE = "no-failover"
    WAITING = "waiting-for-sync"
    IN_PROGRESS = "failover-in-progress"


@dataclass(frozen=True, slots=True)
class HandOver:
    """The master is to follow `target` now; `is_late`: though it has not all of the stream."""

    target: Address
    is_late: bool


@dataclass(frozen=True, slots=True)
class Abort:
    """The failover is to be given up, for `reason`."""

    reason: str


@dataclass(slots=True)
class PlannedFailover:
    """The failover of one server, if there is one."""

    state: FailoverState = FailoverState.NONE
    #: None: whoever has it all first.
    target: Address | None = None
    #: Wall clock; None: no limit.
    deadline_ms: int | None = None
    is_forced: bool = False
    #: Set once the target was sent the request: from then on it may be a master.
    is_target_asked: bool = False
    #: The stream's end before and after the GETACK that was sent; None before it was.
    _asked_offsets: tuple[int, int] | None = None

    # --- transitions ---------------------------------------------------------------------------

    def begin(
        self, target: Address | None, deadline_ms: int | None, *, is_forced: bool = False
    ) -> None:
        """Begin to wait for `target`."""
        assert self.state is FailoverState.NONE
        assert not is_forced or (target is not None and deadline_ms is not None)
        self.state = FailoverState.WAITING
        self.target = target
        self.deadline_ms = deadline_ms
        self.is_forced = is_forced
        self.is_target_asked = False
        self._asked_offsets = None

    def hand_over(self, target: Address) -> None:
        """Note that the server now follows `target` to make it the master."""
        assert self.state is FailoverState.WAITING
        self.state = FailoverState.IN_PROGRESS
        self.target = target

    def end(self) -> None:
        """Note that the failover is over, whichever way."""
        assert self.state is not FailoverState.NONE
        self.state = FailoverState.NONE
        self.target = None
        self.deadline_ms = None

    # --- the stream ----------------------------------------------------------------------------

    @property
    def may_ask(self) -> bool:
        """Whether a request for acknowledgements may still go into the stream."""
        return self.state is FailoverState.WAITING and self._asked_offsets is None

    def on_asked(self, offset_before: int, offset_after: int) -> None:
        """Note that the request for acknowledgements went into the stream."""
        assert self.may_ask
        self._asked_offsets = (offset_before, offset_after)

    def _has_all(self, feed: Feed, offset: int) -> bool:
        """Say whether a replica has everything up to `offset`, the stream's end.

        It answers the request with the offset before it, and has then read the request as well.
        """
        if feed.state is not FeedState.ONLINE:
            return False
        if self._asked_offsets is not None and offset == self._asked_offsets[1]:
            offset = self._asked_offsets[0]
        return feed.acknowledged_offset >= offset

    # --- decisions -----------------------------------------------------------------------------

    def decide(self, feeds: Iterable[Feed], offset: int, now_ms: int) -> HandOver | Abort | None:
        """Return what is to be done now, if anything. `offset` is the stream's end."""
        is_late = self.deadline_ms is not None and now_ms >= self.deadline_ms
        if self.state is FailoverState.IN_PROGRESS:
            if is_late and not self.is_target_asked and not self.is_forced:
                # Nobody but us knows of it, so nothing can have come of it.
                return Abort("the target could not be reached before the timeout")
            return None
        if self.state is FailoverState.NONE:
            return None
        if is_late:
            if self.is_forced and self.target is not None:
                return HandOver(self.target, is_late=True)
            return Abort("Replica never caught up before timeout")
        for feed in feeds:
            address = address_of(feed)
            if self.target is not None and not is_same(address, self.target):
                continue
            if self._has_all(feed, offset):
                return HandOver(address, is_late=False)
        return None


def address_of(feed: Feed) -> Address:
    """Return where a replica listens, as far as its master knows."""
    return Address(feed.host, feed.options.listening_port)


def is_same(one: Address, other: Address) -> bool:
    """Compare as Redis does: no names are resolved."""
    return one.port == other.port and one.host.lower() == other.host.lower()
