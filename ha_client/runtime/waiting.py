"""Commands that wait for data: each has a connection while it waits, which the next one takes over.

Owns these connections, one task for each, and lets them go when the master is left: whoever waits
there is called back, so that it is known whether something was popped.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import trio

from vedette.resp.exchange import Received, ReplyError
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connecting import ConnectFailed
from vedette.runtime.connection import Connection, ConnectionLost

from ..core.blocking import Takes, Wait
from ..core.units import Argv
from ..core.verdicts import tells_of_no_master
from ..errors import ClientClosed, MasterUnavailable, WriteUncertain
from ..statistics import RetryReason, Tally
from .link import MasterLink
from .nodes import NodeOptions, objection_to, open_node
from .own import search
from .tracker import MasterTracker

#: How long a master that was left may take to answer what still waits there.
_CALL_BACK_S: Final = 1.0
#: Connections kept though nothing waits on them.
_IDLE_MAX: Final = 16
#: For how long, about: less than servers and what is in between leave an idle connection open.
_IDLE_S: Final = 10.0


class _Lease:
    """A connection for one command at a time."""

    def __init__(self, link: MasterLink, connection: Connection, client_id: int | None) -> None:
        self.link = link
        self.connection = connection
        #: The connection's number at the server, for CLIENT UNBLOCK.
        self.client_id = client_id
        #: Whether the reply to what was sent has come, so that it can be used again.
        self.is_clean = True
        #: Since when nobody uses it.
        self.idle_since_s = 0.0


@dataclass(frozen=True, slots=True)
class _Again:
    """An attempt that brought no answer."""

    reason: RetryReason
    lost: ConnectionLost | None = None


class WaitingPool:
    """See the module. `nursery` has the tasks that hold the connections."""

    def __init__(
        self, tracker: MasterTracker, options: NodeOptions, tally: Tally, nursery: trio.Nursery
    ) -> None:
        self._tracker = tracker
        self._options = options
        self._tally = tally
        self._nursery = nursery
        #: Not used at present; the one used last comes last.
        self._idle: list[_Lease] = []
        self._busy: set[_Lease] = set()

    async def run(
        self, argv: Argv, wait: Wait, *, repeat: bool | None, patience_s: float
    ) -> Received:
        """Run a command that waits for data; None when its time is over.

        It goes on at the next master, for the time that is left, if it certainly was not executed:
        not sent, refused by a node that is no master, sent away by one that became a replica, or
        called back by us when the master was left. Where that is not certain it goes on if
        `repeat`, by default unless it moves what it takes. `patience_s` is how long each search for
        a master may take.

        Raises:
            ReplyError, WriteUncertain, MasterUnavailable, ClientClosed: as
                `FailoverClient.execute`.
        """
        name = argv[0].decode("utf-8", "replace").upper()
        is_harmless = bool(repeat) or wait.takes is Takes.NOTHING
        goes_on = repeat if repeat is not None else wait.takes is not Takes.MOVES
        started = trio.current_time()
        ends = None if wait.time_s is None else started + wait.time_s
        attempt: Argv = argv
        doubt: WriteUncertain | None = None
        while True:
            try:
                async with self._lease(trio.current_time() + patience_s, name) as lease:
                    outcome = await self._attempt(lease, attempt, ends)
            except (MasterUnavailable, ClientClosed):
                if doubt is None:
                    raise
                break
            if not isinstance(outcome, _Again):
                return outcome
            lost = outcome.lost
            if lost is not None and lost.was_sent and wait.takes is not Takes.NOTHING:
                link, elapsed_s = lease.link, trio.current_time() - started
                doubt = WriteUncertain(name, link.address, link.epoch, lost.reason, elapsed_s)
                doubt.__cause__ = lost
                if not goes_on:
                    break
            self._tally.retries[outcome.reason, is_harmless] += 1
            if ends is not None:
                left_s = ends - trio.current_time()
                if left_s <= 0:
                    return None
                attempt = wait.with_time(left_s)
        self._tally.note_error(doubt)
        raise doubt

    async def _attempt(self, lease: _Lease, argv: Argv, ends: float | None) -> Received | _Again:
        """Return the reply, or why to ask again.

        Raises:
            ReplyError: the reply is an error, and not that of a node that is no master.
        """
        try:
            reply = await _reply_to(lease, argv, ends, self._options.reply_timeout_s)
        except ConnectionLost as lost:
            return _Again(RetryReason.NO_REPLY if lost.was_sent else RetryReason.NOT_SENT, lost)
        if isinstance(reply, ReplyError):
            if not (tells_of_no_master(reply) or _was_sent_away(reply)):
                raise reply
            self._tracker.doubt(lease.link, reply.text)
            return _Again(RetryReason.REFUSED)
        was_called_back = reply is None and lease.link.left.is_set()
        return _Again(RetryReason.REFUSED) if was_called_back else reply

    @asynccontextmanager
    async def _lease(self, deadline: float, purpose: str) -> AsyncIterator[_Lease]:
        """Give a connection to the master in use, made for the block or kept from an earlier one.

        Raises:
            MasterUnavailable, ClientClosed: as `search`.
        """
        lease = self._take_idle() or await self._make(deadline, purpose)
        self._busy.add(lease)
        try:
            yield lease
        finally:
            self._busy.remove(lease)
            is_usable = lease.is_clean and self._tracker.link is lease.link
            if is_usable and len(self._idle) < _IDLE_MAX:
                lease.idle_since_s = trio.current_time()
                self._idle.append(lease)
            else:
                lease.connection.close("not needed any more")

    def _take_idle(self) -> _Lease | None:
        while self._idle:
            lease = self._idle.pop()
            if lease.link is self._tracker.link and lease.connection.error is None:
                return lease
            lease.connection.close("its master is not in use any more")
        return None

    async def _make(self, deadline: float, purpose: str) -> _Lease:
        async def attempt(link: MasterLink) -> _Lease | str:
            # Any in trio's own signature: what `started` is told.
            outcome: _Lease | str = await self._nursery.start(self._hold, link)
            return outcome

        _, lease = await search(self._tracker, self._tally, deadline, purpose, attempt)
        return lease

    async def drain(self) -> None:
        """Wait until whoever waited at the master that was left has been called back."""
        with trio.move_on_after(_CALL_BACK_S):
            for lease in [*self._busy]:
                await lease.connection.wait_closed()

    async def _hold(self, link: MasterLink, *, task_status: trio.TaskStatus[_Lease | str]) -> None:
        """Keep a connection until it ends, or is not used for long; or start with a reason."""
        try:
            async with open_node(link.address, self._options, watches_silence=False) as connection:
                objection = await objection_to(connection, self._options)
                if objection is not None:
                    self._tracker.doubt(link, objection)
                    task_status.started(objection)
                    return
                client_id = await _client_id(connection, self._options.connect_timeout_s)
                lease = _Lease(link, connection, client_id)
                task_status.started(lease)
                with self._tally.own_connection():
                    async with open_background_nursery() as nursery:
                        nursery.start_soon(self._call_back_when_left, lease)
                        await self._end_of(lease)
        except (ConnectFailed, ConnectionLost) as error:
            task_status.started(str(error))

    async def _end_of(self, lease: _Lease) -> None:
        """Wait until a connection is closed, or was not used for some time."""
        while lease.connection.error is None:
            with trio.move_on_after(_IDLE_S):
                await lease.connection.wait_closed()
            if lease in self._idle and trio.current_time() >= lease.idle_since_s + _IDLE_S:
                self._idle.remove(lease)
                return

    async def _call_back_when_left(self, lease: _Lease) -> None:
        """When this master is left, have what waits there answered with nothing, then close.

        To close alone would leave open whether something was popped for us.
        """
        link, client_id = lease.link, lease.client_id
        await link.left.wait()
        if client_id is not None and not lease.is_clean:
            with (
                trio.move_on_after(_CALL_BACK_S),
                suppress(ReplyError, ConnectFailed, ConnectionLost),  # gone, or we may not
            ):
                async with open_node(link.address, self._options) as other:
                    await other.execute("CLIENT", "UNBLOCK", client_id)
                    await trio.sleep_forever()  # the answer has the connection closed
        lease.connection.close(f"{link.address} is not in use any more")


async def _reply_to(lease: _Lease, argv: Argv, ends: float | None, patience_s: float) -> Received:
    """Return the reply, an error as a value.

    Raises:
        ConnectionLost: none came, also not `patience_s` after the command's time was over.
    """
    lease.is_clean = False
    with trio.CancelScope(deadline=math.inf if ends is None else ends + patience_s):
        [reply] = await lease.connection.perform([argv])
        lease.is_clean = True
        return reply
    raise ConnectionLost(
        lease.connection.address, "no reply when its time was over", was_sent=True, is_timeout=True
    )


def _was_sent_away(error: ReplyError) -> bool:
    """Whether a node that becomes a replica let go who waited, and no CLIENT UNBLOCK did."""
    return error.code == "UNBLOCKED" and "instance state changed" in error.text


async def _client_id(connection: Connection, timeout_s: float) -> int | None:
    """Return the connection's number at the server, None if there is no telling.

    Raises:
        ConnectionLost: the server is silent, or gone; nothing else was sent.
    """
    with trio.move_on_after(timeout_s):
        try:
            client_id: int = await connection.execute("CLIENT", "ID")
        except ReplyError:
            return None
        return client_id
    raise ConnectionLost(connection.address, "does not tell CLIENT ID in time", was_sent=False)
