"""Connections to the master that one task has to itself, for what has a state there.

They end with the master they lead to: as soon as the client leaves that one, so do they, and what
was under way on them ends in an error that says what became of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

import trio

from vedette.resp.exchange import Argument, Received, ReplyError, encode_argument
from vedette.runtime.connecting import ConnectFailed
from vedette.runtime.connection import Connection, ConnectionLost

from ..commands import CommandMethods
from ..errors import MasterUnavailable, WriteUncertain
from ..statistics import Tally
from .link import MasterLink
from .nodes import NodeOptions, objection_to, open_node
from .tracker import MasterTracker

#: Between two attempts at a node that cannot be connected to, though it is in use.
_PAUSE_S: Final = 0.05

Result = TypeVar("Result")


class OwnConnection(CommandMethods[Coroutine[Any, Any, Received]]):
    """One connection to the master, for one task: WATCH, WAIT, MULTI, SELECT and all that blocks.

    Nothing is sent again: what the connection was told before would be missing on another.
    """

    def __init__(self, link: MasterLink, connection: Connection, tally: Tally) -> None:
        self._link = link
        self._connection = connection
        self._tally = tally

    async def execute(self, *arguments: Argument) -> Received:
        """Run one command and return its reply; it may take as long as it likes.

        Raises:
            ReplyError: the reply is an error.
            WriteUncertain: it was sent, and the connection ended without a reply.
            MasterUnavailable: the connection had ended before; it was not sent.
        """
        [reply] = await self.execute_many([arguments])
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    async def execute_many(self, commands: Sequence[Sequence[Argument]]) -> list[Received]:
        """Run commands in one go and return their replies, error replies among them as values.

        Raises:
            As `execute`, for all of them: a reply that came before the end is lost.
        """
        argvs = [[encode_argument(argument) for argument in command] for command in commands]
        if not argvs:
            await trio.lowlevel.checkpoint()
            return []
        started = trio.current_time()
        try:
            return await self._connection.perform(argvs)
        except ConnectionLost as lost:
            name = argvs[len(lost.replies)][0].decode("utf-8", "replace").upper()
            elapsed_s = trio.current_time() - started
            error: Exception = MasterUnavailable(name, lost.reason, elapsed_s)
            if lost.was_sent:
                link = self._link
                error = WriteUncertain(name, link.address, link.epoch, lost.reason, elapsed_s)
            self._tally.note_error(error)
            raise error from lost

    def _issue(self, *arguments: Argument) -> Coroutine[Any, Any, Received]:
        return self.execute(*arguments)


@asynccontextmanager
async def open_own(
    tracker: MasterTracker, options: NodeOptions, tally: Tally, deadline: float, purpose: str
) -> AsyncIterator[tuple[MasterLink, Connection]]:
    """Give a verified connection to the master; it outlives its being left.

    Raises:
        MasterUnavailable: there was none before the deadline; it names `purpose`.
        ClientClosed: there will be none any more.
    """
    async with AsyncExitStack() as stack:

        async def attempt(link: MasterLink) -> Connection | str:
            return await _connect(stack, tracker, link, options)

        found = await search(tracker, tally, deadline, purpose, attempt)
        with tally.own_connection():
            yield found


async def search(
    tracker: MasterTracker,
    tally: Tally,
    deadline: float,
    purpose: str,
    attempt: Callable[[MasterLink], Awaitable[Result | str]],
) -> tuple[MasterLink, Result]:
    """Make attempts at the masters in use until one gives a result and not, as text, a reason.

    An attempt bounds its time itself: no scope may end while what it opened lives on.

    Raises:
        MasterUnavailable: none did before the deadline; it names `purpose`.
        ClientClosed: there will be no master any more.
    """
    started = trio.current_time()
    reason = ""
    while True:
        link: MasterLink | None = None
        with trio.move_on_at(deadline):
            link = await tracker.wait_link()
        if link is None or trio.current_time() >= deadline:
            elapsed_s = trio.current_time() - started
            reason = reason or tracker.follower.last_failure
            unavailable = MasterUnavailable(purpose, reason, elapsed_s)
            tally.note_error(unavailable)
            raise unavailable
        outcome = await attempt(link)
        if not isinstance(outcome, str):
            return link, outcome
        reason = outcome
        await trio.sleep(_PAUSE_S)


async def _connect(
    stack: AsyncExitStack, tracker: MasterTracker, link: MasterLink, options: NodeOptions
) -> Connection | str:
    """Return a connection that lives as long as `stack`, or why there is none."""
    async with AsyncExitStack() as attempt:
        try:
            connection = await attempt.enter_async_context(
                open_node(link.address, options, watches_silence=False)
            )
        except ConnectFailed as error:
            return str(error)
        objection = await objection_to(connection, options)
        if objection is None:
            stack.push_async_exit(attempt.pop_all())
            return connection
    tracker.doubt(link, objection)
    return objection
