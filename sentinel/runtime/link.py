"""One connection to a watched node or a fellow sentinel: bytes on the wire, events for the machine.

Owns the socket, the queue of replies that are due, and the task that waits for bytes. It decides
nothing: when to connect, what to send and when to give up are the machine's actions; every end of a
connection is reported once, with its reason told apart, and nothing is retried here.

Sending does not wait for a task to be scheduled: `send` writes to the socket at once, and only
what the socket does not take is left to the flushing task. While something is left, `send` adds to
it and does not write, so bytes leave in order.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import trio

from sentinel.core.actions import Connect
from sentinel.core.events import Event, LinkDown, LinkLoss, LinkUp, MessageReceived, RepliesReceived
from sentinel.core.model import LinkId
from vedette.errors import ProtocolError
from vedette.resp.exchange import (
    Answer,
    BrokenExchangeError,
    Exchange,
    Push,
    Received,
    TooManyPendingError,
)
from vedette.types import Address

RECEIVE_BYTES: Final = 64 * 1024
#: A peer that does not read is given up when this much waits for it.
OUTBOX_MAX_BYTES: Final = 1024 * 1024
#: A reply may be this large (INFO of a node with many replicas is well below a megabyte).
REPLY_MAX_BYTES: Final = 64 * 1024 * 1024
#: Requests that may wait for their reply on one link.
PENDING_MAX: Final = 10_000

_UNREACHABLE = {
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EHOSTDOWN,
    errno.EADDRNOTAVAIL,
}
_RESET = {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}


@dataclass(slots=True)
class _Batch:
    """The commands of one `Send`, and the replies to them so far."""

    token: int
    size: int
    replies: list[Received] = field(default_factory=list)


class Link:
    """The connection that one `Connect` asked for.

    `report(make_event)` is called with a function from the time to the event; it must not raise.
    """

    def __init__(
        self,
        connect: Connect,
        report: Callable[[Callable[[int], Event]], None],
        *,
        source_host: str | None = None,
    ) -> None:
        self.id: LinkId = connect.link
        self.address: Address = connect.address
        self._connect_timeout_s = connect.connect_timeout_ms / 1000
        self._source_host = source_host
        self._report = report
        self._scope = trio.CancelScope()
        self._socket: socket.socket | None = None
        self._exchange: Exchange[_Batch] = Exchange(max_pending=PENDING_MAX)
        self._outbox = bytearray()
        self._has_outbox = trio.Event()
        self._bytes_since_reply = 0
        self._loss: LinkLoss | None = None

    @property
    def pending_count(self) -> int:
        """Requests whose reply has not come."""
        return self._exchange.pending_count

    async def run(self) -> None:
        """Connect, then receive until the connection ends or `close` is called."""
        with self._scope:
            try:
                await self._serve()
            except OSError as error:
                self._lose(classify(error))
        if self._loss is not None:
            reason = self._loss
            self._report(lambda now_ms: LinkDown(now_ms, self.id, reason))

    def close(self) -> None:
        """End the connection without reporting it: the machine has asked for it."""
        self._loss = None
        self._scope.cancel()

    def send(self, token: int, commands: Sequence[Sequence[bytes]]) -> None:
        """Write `commands` in one piece; their replies are reported together under `token`."""
        if self._socket is None or self._loss is not None:
            return  # ended a moment ago; its LinkDown is on the way
        batch = _Batch(token, len(commands))
        try:
            data = b"".join([self._exchange.request(argv, batch) for argv in commands])
        except TooManyPendingError:
            self._lose(LinkLoss.PROTOCOL)
            return
        if not self._outbox:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                pass  # the socket is full: all of it is left to the flushing task
            except OSError as error:
                self._lose(classify(error))
                return
        if data:
            self._outbox += data
            self._has_outbox.set()
        if len(self._outbox) > OUTBOX_MAX_BYTES:
            self._lose(LinkLoss.TIMEOUT)

    def _lose(self, reason: LinkLoss) -> None:
        """End the connection because of `reason`; the first reason is the one reported."""
        if self._loss is None:
            self._loss = reason
        self._scope.cancel()

    async def _serve(self) -> None:
        with trio.move_on_after(self._connect_timeout_s) as scope:
            self._socket = await open_socket(self.address, self._source_host)
        if scope.cancelled_caught or self._socket is None:
            self._lose(LinkLoss.TIMEOUT)
            return
        with self._socket:
            local_host: str = self._socket.getsockname()[0]
            self._report(lambda now_ms: LinkUp(now_ms, self.id, local_host))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._flush, self._socket, name=f"flush {self.address}")
                await self._receive(self._socket)
                nursery.cancel_scope.cancel()

    async def _receive(self, connection: socket.socket) -> None:
        while self._loss is None:
            await trio.lowlevel.wait_readable(connection)
            try:
                data = connection.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                self._lose(classify(error))
                return
            if not data:
                self._lose(LinkLoss.EOF)
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Report what `data` completes."""
        self._bytes_since_reply += len(data)
        events: Sequence[Answer[_Batch] | Push]
        try:
            events = self._exchange.receive(data)
        except BrokenExchangeError as error:
            events = error.events
            self._lose(LinkLoss.PROTOCOL)
        except ProtocolError:
            events = []
            self._lose(LinkLoss.PROTOCOL)
        if events:
            self._bytes_since_reply = 0
        elif self._bytes_since_reply > REPLY_MAX_BYTES:
            self._lose(LinkLoss.PROTOCOL)
        for event in events:
            if isinstance(event, Push):
                self._report_message(event.items)
            else:
                self._report_answer(event)

    def _report_answer(self, answer: Answer[_Batch]) -> None:
        batch = answer.token
        batch.replies.append(answer.reply)
        if len(batch.replies) == batch.size:
            self._report(
                lambda now_ms: RepliesReceived(now_ms, self.id, batch.token, tuple(batch.replies))
            )

    def _report_message(self, items: list[Received]) -> None:
        if len(items) == 3 and items[0] == b"message" and isinstance(items[2], bytes):
            payload = items[2]
            self._report(lambda now_ms: MessageReceived(now_ms, self.id, payload))

    async def _flush(self, connection: socket.socket) -> None:
        """Send what the socket did not take at once."""
        while True:
            await self._has_outbox.wait()
            while self._outbox:
                await trio.lowlevel.wait_writable(connection)
                try:
                    sent = connection.send(self._outbox)
                except BlockingIOError:
                    continue
                except OSError as error:
                    self._lose(classify(error))
                    return
                del self._outbox[:sent]
            self._has_outbox = trio.Event()


async def open_socket(address: Address, source_host: str | None) -> socket.socket:
    """Return a connected non-blocking socket, which the caller closes.

    Raises:
        OSError: the name does not resolve, or the connection was not accepted.
    """
    found = await trio.socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, _, _, _, target = found[0]
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source_host is not None and (":" in source_host) == (family == socket.AF_INET6):
            connection.bind((source_host, 0))
        try:
            connection.connect(target)
        except BlockingIOError:
            await trio.lowlevel.wait_writable(connection)
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, errno.errorcode.get(code, ""))
    except BaseException:
        connection.close()
        raise
    return connection


def classify(error: OSError) -> LinkLoss:
    """Return what `error` says about the other side."""
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return LinkLoss.REFUSED
    if isinstance(error, socket.gaierror) or error.errno in _UNREACHABLE:
        return LinkLoss.UNREACHABLE
    if error.errno == errno.ETIMEDOUT:
        return LinkLoss.TIMEOUT
    if error.errno in _RESET:
        return LinkLoss.RESET
    return LinkLoss.OTHER
