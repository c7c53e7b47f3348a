"""Connections to the master that one task has to itself: for what waits or has a state.

They end with the master they lead to: as soon as the client leaves that one, so do they, and what
was under way on them ends in an error that says what became of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

import trio

from vedette.resp.exchange import Argument, Received, ReplyError, encode_argument
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connecting import ConnectFailed
from vedette.runtime.connection import Connection, ConnectionLost

from ..commands import CommandMethods
from ..core.blocking import Wait
from ..core.units import Argv
from ..core.verdicts import tells_of_no_master
from ..errors import MasterUnavailable, WriteUncertain
from ..statistics import Tally
from .link import MasterLink
from .nodes import NodeOptions, objection_to, open_node
from .tracker import MasterTracker

#: Between two attempts at a node that cannot be connected to, though it is in use.
_PAUSE_S: Final = 0.05
#: How long a master that was left may take to answer what still waits there.
_CALL_BACK_S: Final = 1.0


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
    started = trio.current_time()
    reason = ""
    async with AsyncExitStack() as stack:
        found: tuple[MasterLink, Connection] | None = None
        while found is None:
            link: MasterLink | None = None
            with trio.move_on_at(deadline):
                link = await tracker.wait_link()
            if link is None or trio.current_time() >= deadline:
                elapsed_s = trio.current_time() - started
                reason = reason or tracker.follower.last_failure
                unavailable = MasterUnavailable(purpose, reason, elapsed_s)
                tally.note_error(unavailable)
                raise unavailable
            # Bounded by the time for connecting; no scope may end while what it opened lives on.
            outcome = await _connect(stack, tracker, link, options)
            if isinstance(outcome, Connection):
                found = link, outcome
            else:
                reason = outcome
                await trio.sleep(_PAUSE_S)
        with tally.own_connection():
            yield found


async def run_blocking(
    tracker: MasterTracker,
    options: NodeOptions,
    tally: Tally,
    argv: Argv,
    wait: Wait,
    *,
    may_repeat: bool,
    patience_s: float,
) -> Received:
    """Run a command that waits for data, on a connection of its own; None when its time is over.

    It goes on at the next master, for the time that is left, if it certainly was not executed: not
    sent, refused by a node that is no master, sent away by one that became a replica, or called
    back by us when the master was left. So it does where `may_repeat`. `patience_s` is how long
    each search for a master may take.

    Raises:
        ReplyError, WriteUncertain, MasterUnavailable, ClientClosed: as `FailoverClient.execute`.
    """
    name = argv[0].decode("utf-8", "replace").upper()
    started = trio.current_time()
    ends = None if wait.time_s is None else started + wait.time_s
    attempt: Argv = argv
    while True:
        deadline = trio.current_time() + patience_s
        async with (
            open_own(tracker, options, tally, deadline, name) as (link, connection),
            open_background_nursery() as nursery,
        ):
            try:
                client_id = await _client_id(connection, options.connect_timeout_s)
                nursery.start_soon(_call_back_when_left, link, connection, client_id, options)
                reply = await _reply_to(connection, attempt, ends, options.reply_timeout_s)
            except ConnectionLost as lost:
                if lost.was_sent and not may_repeat:
                    elapsed_s = trio.current_time() - started
                    error = WriteUncertain(name, link.address, link.epoch, lost.reason, elapsed_s)
                    tally.note_error(error)
                    raise error from lost
            else:
                if reply is not None and not isinstance(reply, ReplyError):
                    return reply
                if reply is None:
                    if not link.left.is_set():
                        return None
                elif tells_of_no_master(reply) or _was_sent_away(reply):
                    tracker.doubt(link, reply.text)
                else:
                    raise reply
        if ends is not None:
            left_s = ends - trio.current_time()
            if left_s <= 0:
                return None
            attempt = wait.with_time(left_s)


async def _reply_to(
    connection: Connection, argv: Argv, ends: float | None, patience_s: float
) -> Received:
    """Return the reply, an error as a value.

    Raises:
        ConnectionLost: none came, also not `patience_s` after the command's time was over.
    """
    if ends is None:
        [reply] = await connection.perform([argv])
        return reply
    with trio.move_on_at(ends + patience_s):
        [reply] = await connection.perform([argv])
        return reply
    raise ConnectionLost(
        connection.address, "no reply when its time was over", was_sent=True, is_timeout=True
    )


def _was_sent_away(error: ReplyError) -> bool:
    """Whether a node that becomes a replica let go who waited, and no CLIENT UNBLOCK did."""
    return error.code == "UNBLOCKED" and "instance state changed" in error.text


async def _client_id(connection: Connection, timeout_s: float) -> int | None:
    """Return the connection's number at the server, None if there is no telling.

    Raises:
        ConnectionLost: the server is silent; nothing else was sent.
    """
    with trio.move_on_after(timeout_s):
        try:
            client_id: int = await connection.execute("CLIENT", "ID")
        except (ReplyError, ConnectionLost):  # what comes next is told of the loss
            return None
        return client_id
    reason = "did not tell the connection's number in time"
    raise ConnectionLost(connection.address, reason, was_sent=False, is_timeout=True)


async def _call_back_when_left(
    link: MasterLink, connection: Connection, client_id: int | None, options: NodeOptions
) -> None:
    """When this master is left, have what waits there answered with nothing, then close.

    To close alone would leave open whether something was popped for us.
    """
    await link.left.wait()
    if client_id is not None:
        with (
            trio.move_on_after(_CALL_BACK_S),
            suppress(ReplyError, ConnectFailed, ConnectionLost),  # gone, or we may not
        ):
            async with open_node(link.address, options) as other:
                await other.execute("CLIENT", "UNBLOCK", client_id)
                await trio.sleep_forever()  # the answer ends this task
    connection.close(f"{link.address} is not in use any more")


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
