"""Runs commands at whichever node is master until each has its reply or its error.

Owns the deadline of each call and the notes on what went wrong on the way. Which node is master is
`core.follower`'s to say, what may be repeated is `core.kinds`' and `core.verdicts`'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio

from vedette.resp.exchange import Received
from vedette.runtime.connection import ConnectionLost

from ..core.follower import Follower
from ..core.units import Argv, Batch, Taken, Unit
from ..errors import ClientClosed, MasterUnavailable, WriteUncertain
from ..statistics import RetryReason, Tally
from .link import MasterLink
from .tracker import MasterTracker


class CommandRunner:
    """Runs the commands of all tasks of one client; a call may take `timeout_s`."""

    def __init__(self, follower: Follower, tally: Tally, timeout_s: float) -> None:
        self._follower = follower
        self._tally = tally
        self._timeout_s = timeout_s
        #: When the first of the commands was begun that found no master, or lost the one they had,
        #: and which connection that was; None while all is well.
        self._trouble: tuple[float, int] | None = None

    async def run(self, tracker: MasterTracker, units: Sequence[Unit]) -> list[Received]:
        """Run units until each has its reply or its error, and return these in order."""
        batch = Batch(units)
        #: Writes that were sent without a reply and are being repeated.
        doubts: dict[int, Exception] = {}
        started = trio.current_time()
        deadline = started + self._timeout_s
        if not units:
            await trio.lowlevel.checkpoint()
        while batch.remaining:
            try:
                link = await self._link(tracker, started, deadline)
            except ClientClosed as error:
                for index in batch.remaining:
                    batch.results[index] = doubts.get(index, error)
                break
            if link is None or trio.current_time() >= deadline:
                self._give_up(batch, doubts, trio.current_time() - started)
                break
            replies, lost = await _send(link, batch.argvs(), deadline)
            taken = batch.take(replies, was_sent=lost is None or lost.was_sent)
            self._note(tracker, units, taken, lost, started)
            if taken.refusal is not None:
                tracker.doubt(link, taken.refusal)
            elif lost is not None:
                tracker.drop(link)
            elapsed_s = trio.current_time() - started
            for index in taken.pending:
                doubts[index] = _uncertain(units[index], link, lost, elapsed_s)
            for index in taken.uncertain:
                batch.results[index] = _uncertain(units[index], link, lost, elapsed_s)
        for result in batch.results:
            self._tally.note_error(result)
        return batch.results

    async def _link(
        self, tracker: MasterTracker, started: float, deadline: float
    ) -> MasterLink | None:
        """Return the link to the master, or None if there is none before the deadline.

        Raises:
            ClientClosed: there will be none any more.
        """
        if tracker.link is not None:
            return tracker.link
        self._note_trouble(started, tracker.verified_count)
        with trio.move_on_at(deadline):
            return await tracker.wait_link()
        return None

    def _give_up(self, batch: Batch, doubts: Mapping[int, Exception], elapsed_s: float) -> None:
        """Let everything that is left end in an error: the deadline has passed."""
        reason = self._follower.last_failure
        for index in batch.remaining:
            unavailable = MasterUnavailable(batch.units[index].name, reason, elapsed_s)
            batch.results[index] = doubts.get(index, unavailable)

    def _note(
        self,
        tracker: MasterTracker,
        units: Sequence[Unit],
        taken: Taken,
        lost: ConnectionLost | None,
        started: float,
    ) -> None:
        """Count what an attempt came to."""
        if not taken.unsettled and not taken.uncertain:
            if self._trouble is not None:
                self._end_trouble(tracker.verified_count)
            return
        self._note_trouble(started, tracker.verified_count)
        if taken.refusal is not None:
            reason = RetryReason.REFUSED
        elif lost is not None and not lost.was_sent:
            reason = RetryReason.NOT_SENT
        else:
            reason = RetryReason.NO_REPLY
        for index in taken.unsettled:
            self._tally.retries[reason, units[index].may_repeat] += 1

    def _note_trouble(self, started_s: float, count: int) -> None:
        """A command begun at `started_s` has no master, after `count` connections to masters."""
        if self._trouble is None:
            self._trouble = started_s, count
        else:
            since_s, first = self._trouble
            self._trouble = min(since_s, started_s), first

    def _end_trouble(self, count: int) -> None:
        """Commands are answered again: over another connection, or it was nothing."""
        assert self._trouble is not None
        since_s, first = self._trouble
        self._trouble = None
        if count > first > 0:
            self._tally.outages.observe(trio.current_time() - since_s)


def _uncertain(
    unit: Unit, link: MasterLink, lost: ConnectionLost | None, elapsed_s: float
) -> WriteUncertain:
    reason = "no reply before the deadline" if lost is None else lost.reason
    error = WriteUncertain(unit.name, link.address, link.epoch, reason, elapsed_s)
    error.__cause__ = lost
    return error


async def _send(
    link: MasterLink, argvs: Sequence[Argv], deadline: float
) -> tuple[Sequence[Received], ConnectionLost | None]:
    """Return the replies; if they are too few, also why, unless it was the deadline."""
    assert link.connection is not None
    replies: Sequence[Received] = ()
    try:
        with trio.CancelScope(deadline=deadline):
            replies = await link.connection.perform(argvs)
    except ConnectionLost as lost:
        return lost.replies, lost
    return replies, None
