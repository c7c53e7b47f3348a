"""A connection to a server or sentinel that many tasks may use at once.

Owns the stream, the task that reads it, the task that writes it and the one that watches for
silence. All tasks' commands share the stream: what they ask for in one turn of the scheduler leaves
in one send, and replies find their way back through `vedette.resp.exchange`. Knows nothing of
connecting (`connecting.py`), retries or what commands mean: a connection breaks once and stays
broken.

How a request ends:

- answered: its task gets the replies;
- cancelled before it was written: withdrawn, the server never sees it;
- cancelled after: its replies are received and dropped, so that no one else gets them;
- the connection breaks: `ConnectionLost`, with `was_sent` false if nothing of it was written, and
  with those of its replies that did come.
"""

from __future__ import annotations

import os
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final, TypedDict, Unpack

import outcome
import trio

from ..errors import ProtocolError, VedetteError
from ..resp.exchange import (
    Answer,
    Argument,
    BrokenExchangeError,
    Exchange,
    Push,
    Received,
    ReplyError,
    encode_argument,
    ensure_matchable,
)
from ..types import Address
from .background import open_background_nursery

_RECEIVE_SIZE_BYTES: Final = 64 * 1024
#: What is sent between two looks at whether the peer takes it. More than a usual batch.
_SEND_SIZE_BYTES: Final = 128 * 1024


class ConnectionLost(VedetteError):
    """The connection broke or was closed before the reply came.

    If `was_sent` is false the server has not seen the command. Else it may have executed it or not.
    `replies` are those which came to the first commands of an `execute_many`. `is_timeout`: the
    other side owed replies and was silent for too long.
    """

    def __init__(
        self,
        address: Address,
        reason: str,
        *,
        was_sent: bool,
        replies: Sequence[Received] = (),
        is_timeout: bool = False,
    ) -> None:
        super().__init__(f"connection to {address} lost: {reason}")
        self.address = address
        self.reason = reason
        self.was_sent = was_sent
        self.replies = tuple(replies)
        self.is_timeout = is_timeout


class ServeOptions(TypedDict, total=False):
    """How a connection is run; all may be left out."""

    #: Break the connection if replies are due and nothing at all comes for so long. Default: wait
    #: for ever, which blocking commands need.
    reply_timeout_s: float | None
    #: After so much idleness ask for a sign of life. Needs `reply_timeout_s`; default: never.
    ping_interval_s: float | None
    #: Commands that may be on their way at once (65536); more wait for their turn.
    max_pending: int
    #: Messages that may wait for `receive_push` (4096); one more breaks the connection.
    push_capacity: int


class _Request:
    """Commands that one task waits for together."""

    __slots__ = ("argvs", "is_sent", "is_withdrawn", "replies", "task")

    def __init__(self, argvs: Sequence[Sequence[bytes]], task: trio.lowlevel.Task | None) -> None:
        self.argvs = argvs
        #: Who waits; None when nobody does any more.
        self.task = task
        self.replies: list[Received] = []
        self.is_sent = False
        self.is_withdrawn = False


class Connection:
    """See the module. Made by `open_connection` or `serve_connection`; usable from any task.

    Attributes:
        address: where it leads.
        error: None while it works, then why it broke.
    """

    def __init__(self, stream: trio.abc.Stream, address: Address, options: ServeOptions) -> None:
        self.address = address
        self.error: ConnectionLost | None = None
        self._stream = stream
        self._reply_timeout_s = options.get("reply_timeout_s")
        self._ping_interval_s = options.get("ping_interval_s")
        self._max_pending = options.get("max_pending", 65536)
        self._exchange: Exchange[_Request] = Exchange(max_pending=self._max_pending)
        #: Requests not written yet. Only `_write` takes from it.
        self._outbox: deque[_Request] = deque()
        self._has_output = trio.Event()
        #: Commands in the outbox or waiting for a reply; at most `max_pending`.
        self._load = 0
        self._room = trio.lowlevel.ParkingLot()
        self._push_sender, self._push_receiver = trio.open_memory_channel[list[Received]](
            options.get("push_capacity", 4096)
        )
        self._scope = trio.CancelScope()
        self._closed = trio.Event()
        #: When the server last gave a sign of life, or was first asked for one.
        self._silent_since = trio.current_time()

    @property
    def pending_count(self) -> int:
        """Commands that wait to be sent or for their reply."""
        return self._load

    @property
    def protocol(self) -> int:
        """2 or 3, as agreed by HELLO."""
        return self._exchange.protocol

    async def execute(self, *arguments: Argument) -> Received:
        """Run one command and return its reply.

        Raises:
            ReplyError: the reply is an error.
            ConnectionLost: no reply will come.
            ValueError: the command is none that replies can be matched after, such as MONITOR.
        """
        replies = await self.perform([[encode_argument(argument) for argument in arguments]])
        if isinstance(replies[0], ReplyError):
            raise replies[0]
        return replies[0]

    async def execute_many(self, commands: Sequence[Sequence[Argument]]) -> list[Received]:
        """Run commands in one go and return their replies, errors among them as values.

        They are sent together and stay in order, but other tasks' commands may run in between.

        Raises:
            ConnectionLost: not all replies will come; those that did are in its `replies`.
            ValueError: more commands than `max_pending`, or as for `execute`.
        """
        if not commands:
            await trio.lowlevel.checkpoint()
            return []
        argvs = [[encode_argument(argument) for argument in command] for command in commands]
        return await self.perform(argvs)

    async def perform(self, argvs: Sequence[Sequence[bytes]]) -> list[Received]:
        """Do as `execute_many` with at least one command, whose arguments are bytes already."""
        for argv in argvs:
            ensure_matchable(argv)
        if len(argvs) > self._max_pending:
            raise ValueError(f"{len(argvs)} commands at once, at most {self._max_pending} can be")
        while self._load + len(argvs) > self._max_pending and self.error is None:
            await self._room.park()
        if self.error is not None:
            await trio.lowlevel.checkpoint()
            raise self._lost(was_sent=False)
        request = _Request(argvs, trio.lowlevel.current_task())
        self._enqueue(request)

        def withdraw(_: Callable[[], None]) -> trio.lowlevel.Abort:
            request.task = None
            if not request.is_sent:
                request.is_withdrawn = True
                self._load -= len(argvs)
                self._room.unpark_all()
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(withdraw)
        return request.replies

    async def receive_push(self) -> list[Received]:
        """Return the next message: `[b"message", channel, payload]`, `[b"pmessage", ...]`, others.

        Raises:
            ConnectionLost: no more will come. Some may have been missed.
        """
        try:
            return await self._push_receiver.receive()
        except trio.EndOfChannel:
            raise self._lost(was_sent=True) from None

    async def wait_closed(self) -> ConnectionLost:
        """Wait until the connection is broken or closed, and return why."""
        await self._closed.wait()
        assert self.error is not None
        return self.error

    def close(self, reason: str = "closed by this side") -> None:
        """Break the connection at once: whatever waits for a reply gets `ConnectionLost`."""
        self._break(reason, None)

    def _enqueue(self, request: _Request) -> None:
        self._outbox.append(request)
        self._load += len(request.argvs)
        self._has_output.set()

    async def _run(self) -> None:
        """Serve the connection until it breaks; never raises but `Cancelled`."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._guard, self._read, name=f"read {self.address}")
                    nursery.start_soon(self._guard, self._write, name=f"write {self.address}")
                    if self._reply_timeout_s is not None:
                        nursery.start_soon(
                            self._watch_silence, self._reply_timeout_s, name=f"watch {self.address}"
                        )
        finally:
            self._break("closed by this side", None)
            await trio.aclose_forcefully(self._stream)

    async def _guard(self, work: Callable[[], Awaitable[None]]) -> None:
        """Translate what ends a stream, once, into a broken connection."""
        try:
            await work()
        except trio.BrokenResourceError as error:
            self._break(reason_of(error), error)
        except ProtocolError as error:
            self._break(f"protocol error: {error}", error)

    async def _read(self) -> None:
        exchange = self._exchange
        while True:
            data = await self._stream.receive_some(_RECEIVE_SIZE_BYTES)
            if not data:
                self._break("the other side closed it", None)
                return
            self._silent_since = trio.current_time()
            try:
                events = exchange.receive(bytes(data))
            except BrokenExchangeError as error:
                self._deliver(error.events)
                raise
            self._deliver(events)

    def _deliver(self, events: Sequence[Answer[_Request] | Push]) -> None:
        for event in events:
            if isinstance(event, Push):
                try:
                    self._push_sender.send_nowait(event.items)
                except trio.WouldBlock:
                    # To drop one silently would leave the receiver with a state that is not so.
                    self._break("messages came faster than they were taken", None)
                    return  # nobody waits for what else came
                continue
            request = event.token
            request.replies.append(event.reply)
            self._load -= 1
            if len(request.replies) == len(request.argvs) and request.task is not None:
                trio.lowlevel.reschedule(request.task)
                request.task = None
        if self._room:
            self._room.unpark_all()

    async def _write(self) -> None:
        while True:
            await self._has_output.wait()
            self._has_output = trio.Event()
            if not self._exchange.pending_count:
                self._silent_since = trio.current_time()
            chunks = []
            for request in self._outbox:
                if not request.is_withdrawn:
                    request.is_sent = True
                    chunks += [self._exchange.request(argv, request) for argv in request.argvs]
            self._outbox.clear()
            await self._send(b"".join(chunks))

    async def _send(self, data: bytes) -> None:
        """Send; who goes on taking much of it is not silent, though it cannot answer yet."""
        if len(data) <= _SEND_SIZE_BYTES:
            await self._stream.send_all(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), _SEND_SIZE_BYTES):
            await self._stream.send_all(view[start : start + _SEND_SIZE_BYTES])
            self._silent_since = trio.current_time()

    async def _watch_silence(self, reply_timeout_s: float) -> None:
        """Break the connection when replies are due and nothing at all comes."""
        tick_s = reply_timeout_s / 4
        while True:
            await trio.sleep(tick_s)
            silent_s = trio.current_time() - self._silent_since
            if self._exchange.pending_count:
                if silent_s >= reply_timeout_s:
                    self._break(f"no reply for {silent_s:.1f} s", None, is_timeout=True)
                    return
            elif (
                self._ping_interval_s is not None
                and silent_s >= self._ping_interval_s
                and not self._outbox
            ):
                self._enqueue(_Request([[b"PING"]], None))

    def _break(self, reason: str, cause: BaseException | None, *, is_timeout: bool = False) -> None:
        """Become broken, once: tell everybody who waits, and stop the tasks."""
        if self.error is not None:
            return
        self.error = ConnectionLost(self.address, reason, was_sent=True, is_timeout=is_timeout)
        self.error.__cause__ = cause
        waiting = [*dict.fromkeys(self._exchange.take_pending()), *self._outbox]
        self._outbox.clear()
        for request in waiting:
            if request.task is not None:
                lost = self._lost(was_sent=request.is_sent, replies=request.replies)
                trio.lowlevel.reschedule(request.task, outcome.Error(lost))
                request.task = None
        self._room.unpark_all()
        self._push_sender.close()
        self._closed.set()
        self._scope.cancel()

    def _lost(self, *, was_sent: bool, replies: Sequence[Received] = ()) -> ConnectionLost:
        """Return a fresh error for one waiting task: tracebacks are not to be shared."""
        assert self.error is not None
        lost = ConnectionLost(
            self.address,
            self.error.reason,
            was_sent=was_sent,
            replies=replies,
            is_timeout=self.error.is_timeout,
        )
        lost.__cause__ = self.error.__cause__
        return lost


@asynccontextmanager
async def serve_connection(
    stream: trio.abc.Stream, address: Address, **options: Unpack[ServeOptions]
) -> AsyncIterator[Connection]:
    """Run a `Connection` over a stream that is open, and close both when the block ends."""
    connection = Connection(stream, address, options)
    async with open_background_nursery() as nursery:
        nursery.start_soon(connection._run, name=f"connection {address}")
        try:
            yield connection
        finally:
            connection.close()


def reason_of(error: BaseException) -> str:
    """Return in words what is behind `error`: the operating system's, where it has any."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):  # its numbers are not the operating system's
            return getattr(cause, "verify_message", None) or cause.reason or str(cause)
        if isinstance(cause, OSError) and cause.errno:
            # Look-up failures have negative numbers and words of their own.
            return os.strerror(cause.errno) if cause.errno > 0 else str(cause.strerror)
        if isinstance(cause, BaseExceptionGroup):
            return "; ".join(reason_of(inner) for inner in cause.exceptions)
        cause = cause.__cause__
    return str(error) or type(error).__name__
