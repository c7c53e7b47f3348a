"""One connection to a watched node or a fellow sentinel: bytes on the wire, events for the machine.

Owns the socket and the queue of replies that are due. It decides nothing: when to connect, what to
send and when to give up are the machine's actions; every end of a connection is reported once,
with its reason told apart, and nothing is retried here.

Only connecting takes a task. A connection that stands is served by the poller, one task for all
links (`poller.py`): a sentinel of a thousand masters has some thousands of them. What one step of
the machine sends leaves in one piece, at its end; what the socket does not take waits until it is
writable, with all that is sent meanwhile behind it.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import trio

from sentinel.core.actions import Connect
from sentinel.core.events import Event, LinkDown, LinkLoss, LinkUp, MessageReceived, RepliesReceived
from sentinel.core.link_state import LinkId
from sentinel.sources import Sources
from vedette.errors import ProtocolError
from vedette.resp.exchange import (
    Answer,
    BrokenExchangeError,
    Exchange,
    Push,
    Received,
    TooManyPendingError,
)
from vedette.runtime.tls import open_tls
from vedette.types import Address, is_ip

from .poller import Poller
from .resolver import Resolver

#: Returns the IPs of a host name, none if they cannot be found in time.
Resolve: TypeAlias = Callable[[str], Awaitable[tuple[str, ...]]]

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

    `report(make_event)` is called with a function from the time to the event. It must neither raise
    nor call the link back before it has returned: a `send` may be what it is called from.
    """

    def __init__(
        self,
        connect: Connect,
        report: Callable[[Callable[[int], Event]], None],
        poller: Poller,
        *,
        sources: Sources | None = None,
        tls_context: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self.id: LinkId = connect.link
        self.kind = connect.kind
        self.address: Address = connect.address
        self._connect_timeout_s = connect.connect_timeout_ms / 1000
        self._sources = sources or Sources()
        self._tls_context = tls_context
        self._resolve = resolve or Resolver().resolve
        self._report = report
        self._poller = poller
        #: Around the connecting, if that has a task of its own.
        self._scope: trio.CancelScope | None = None
        self._is_ended = False
        #: Connecting, and watched by the poller.
        self._begun: socket.socket | None = None
        self._socket: socket.socket | None = None
        self._exchange: Exchange[_Batch] = Exchange(max_pending=PENDING_MAX)
        #: What is queued, and whether the poller waits for the socket to take more.
        self._outbox = bytearray()
        self._is_congested = False
        self._bytes_since_reply = 0

    @property
    def pending_count(self) -> int:
        """Requests whose reply has not come."""
        return self._exchange.pending_count

    @property
    def connect_timeout_s(self) -> float:
        """How long the attempt to connect may take."""
        return self._connect_timeout_s

    @property
    def is_connecting(self) -> bool:
        """Whether the poller watches an attempt of ours to connect."""
        return self._begun is not None

    def begin(self) -> bool:
        """Begin to connect; False if that takes a task, in which to run `open`.

        The poller sees how the attempt ends, unless `give_up` comes before. While a master is dead
        that is 20 times a second, and a task for each would cost more than the rest.
        """
        host, port = self.address
        if self._tls_context is not None or not is_ip(host):
            return False
        try:
            self._begun = begin_connection(Address(host, port), self._sources)
        except OSError as error:
            self._lose(classify(error))
            return True
        self._poller.add(self._begun, self._on_connected, is_writing=True)
        return True

    def give_up(self) -> None:
        """The time that `begin` had is over: end the attempt, if it still runs."""
        if self.is_connecting:
            self._lose(LinkLoss.TIMEOUT)

    def _on_connected(self, mask: int) -> None:
        connection, self._begun = self._begun, None
        assert connection is not None
        self._poller.remove(connection)
        try:
            check_connected(connection)
        except OSError as error:
            connection.close()
            self._lose(classify(error))
            return
        self._stand(connection)

    async def open(self) -> None:
        """Connect, and have the poller serve the connection from then on; or report the failure."""
        if self._is_ended:
            return
        connection: socket.socket | None = None
        self._scope = trio.CancelScope()
        with self._scope:
            try:
                with trio.move_on_after(self._connect_timeout_s):
                    connection = await self._connect()
            except OSError as error:
                self._lose(classify(error))
                return
        if self._is_ended:  # closed meanwhile
            if connection is not None:
                connection.close()
            return
        if connection is None:
            self._lose(LinkLoss.TIMEOUT)
            return
        self._stand(connection)

    def _stand(self, connection: socket.socket) -> None:
        self._socket = connection
        self._poller.add(connection, self.on_ready)
        local_host: str = connection.getsockname()[0]
        self._report(lambda now_ms: LinkUp(now_ms, self.id, local_host))

    async def _connect(self) -> socket.socket:
        """Connect to the address, looking it up first if it is a name.

        Raises:
            OSError: the name does not resolve, or the connection was not made.
        """
        host, port = self.address
        if not is_ip(host):
            found = await self._resolve(host)
            if not found:
                raise OSError(errno.EHOSTUNREACH, f"{host} does not resolve")
            host = found[0]
        return await open_socket(Address(host, port), self._sources, self._tls_context)

    def close(self) -> None:
        """End the connection without reporting it: the machine has asked for it."""
        self._is_ended = True
        if self._scope is not None:
            self._scope.cancel()
        if self._begun is not None:
            self._poller.remove(self._begun)
            self._begun.close()
            self._begun = None
        if self._socket is not None:
            self._poller.remove(self._socket)
            self._socket.close()
            self._socket = None

    def send(self, token: int, commands: Sequence[Sequence[bytes]]) -> None:
        """Queue `commands` for the next `flush`; their replies are reported under `token`."""
        if self._socket is None:
            return  # ended a moment ago; its LinkDown is on the way
        batch = _Batch(token, len(commands))
        try:
            for argv in commands:
                self._outbox += self._exchange.request(argv, batch)
        except TooManyPendingError:
            self._lose(LinkLoss.PROTOCOL)

    def flush(self) -> None:
        """Offer what is queued to the socket; what it does not take leaves when it is writable."""
        connection = self._socket
        if connection is None or not self._outbox:
            return
        if not self._is_congested:
            try:
                sent = connection.send(self._outbox)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                self._lose(classify(error))
                return
            del self._outbox[:sent]
            if self._outbox:
                self._is_congested = True
                self._poller.modify(connection, is_writing=True)
        if len(self._outbox) > OUTBOX_MAX_BYTES:
            self._lose(LinkLoss.TIMEOUT)

    def on_ready(self, mask: int) -> None:
        """Do what the socket is ready for, as the poller found it."""
        if mask & select.EPOLLOUT and self._socket is not None:
            self._poller.modify(self._socket, is_writing=False)
            self._is_congested = False
            self.flush()
        if mask & ~select.EPOLLOUT:
            self._receive()

    def _lose(self, reason: LinkLoss) -> None:
        """End the connection and report why; the first reason counts."""
        if not self._is_ended:
            self.close()
            self._report(lambda now_ms: LinkDown(now_ms, self.id, reason))

    def _receive(self) -> None:
        if self._socket is None:
            return  # lost while flushing
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(classify(error))
            return
        if data:
            self._take(data)
        else:
            self._lose(LinkLoss.EOF)

    def _take(self, data: bytes) -> None:
        """Report what `data` completes; after bytes that make no sense, the end of the link."""
        self._bytes_since_reply += len(data)
        events: Sequence[Answer[_Batch] | Push] = []
        is_broken = False
        try:
            events = self._exchange.receive(data)
        except BrokenExchangeError as error:
            events = error.events
            is_broken = True
        except ProtocolError:
            is_broken = True
        if events:
            self._bytes_since_reply = 0
        for event in events:
            if self._is_ended:
                return  # what was reported made the machine close it
            if isinstance(event, Push):
                self._report_message(event.items)
            else:
                self._report_answer(event)
        if is_broken or self._bytes_since_reply > REPLY_MAX_BYTES:
            self._lose(LinkLoss.PROTOCOL)

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


async def open_socket(
    address: Address, sources: Sources, tls_context: ssl.SSLContext | None = None
) -> socket.socket:
    """Return a non-blocking socket connected to an IP and port, which the caller closes.

    With a context it speaks TLS, its handshake made.

    Raises:
        OSError: the connection was not made, or the ordered source is not this machine's.
    """
    connection = begin_connection(address, sources)
    try:
        await trio.lowlevel.wait_writable(connection)
        check_connected(connection)
    except BaseException:
        connection.close()
        raise
    return connection if tls_context is None else await open_tls(connection, tls_context)


def begin_connection(address: Address, sources: Sources) -> socket.socket:
    """Return a non-blocking socket that connects to an IP and port; it is writable at the end.

    Raises:
        OSError: it was refused at once, or the ordered source is not this machine's.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _bind_source(connection, sources.choose(address.host), is_order=bool(sources.ordered))
        code = connection.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            raise _error(code)
    except BaseException:
        connection.close()
        raise
    return connection


def check_connected(connection: socket.socket) -> None:
    """Return if a connection that was begun, and has become writable, stands.

    Raises:
        OSError: it was not made.
    """
    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise _error(code)


def _error(code: int) -> OSError:
    return OSError(code, errno.errorcode.get(code, ""))


def _bind_source(connection: socket.socket, source: str | None, *, is_order: bool) -> None:
    """Bind to the source; one that merely follows from `bind` may be missing on this machine."""
    if source is None:
        return
    try:
        connection.bind((source, 0))
    except OSError as error:
        if is_order or error.errno != errno.EADDRNOTAVAIL:
            raise


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
