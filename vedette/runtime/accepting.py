"""Accepting connections on listening sockets: whom to turn away, and how a socket is set up.

Knows nothing of sessions: the pump makes them of what is accepted. Follows Redis 7.0
`networking.c: acceptCommonHandler`.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from .tls import accept_tls

#: Connections accepted in a row.
ACCEPT_MAX: Final = 128

#: The system has no more to give just now; another connection's end may change that.
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: The one that was to be accepted is gone, or did not arrive whole.
_GONE: Final = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EINTR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A connection that has been let in. Its taker closes `connection`, which does not block.

    Addresses are `host:port`, those of a Unix socket its path and port 0.
    """

    connection: socket.socket
    address: str
    local_address: str
    is_unix_socket: bool


class Acceptor:
    """The listening sockets of a pump, registered with its `epoll`; they stay their opener's.

    `refusal(host)` may give bytes with which a new connection is turned away; the host of one over
    a Unix socket is empty. `tcp_keepalive_s()` of 0 leaves keep-alive off. `tls_context()` is asked
    for each connection of a listener with TLS.
    """

    def __init__(
        self,
        epoll: select.epoll,
        *,
        refusal: Callable[[str], bytes | None],
        tcp_keepalive_s: Callable[[], int],
        tls_context: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        self._epoll = epoll
        self._refusal = refusal
        self._tcp_keepalive_s = tcp_keepalive_s
        self._tls_context = tls_context
        #: By descriptor, and whether they speak TLS.
        self._listeners: dict[int, tuple[socket.socket, bool]] = {}

    def add(self, listeners: Iterable[socket.socket], *, is_tls: bool = False) -> None:
        """Accept connections on these, too."""
        for listener in listeners:
            listener.setblocking(False)
            self._listeners[listener.fileno()] = (listener, is_tls)
            self._epoll.register(listener.fileno(), select.EPOLLIN)

    def drop(self, listeners: Iterable[socket.socket]) -> None:
        """Close some of the listeners; the connections that came by them go on."""
        for listener in listeners:
            if self._listeners.pop(listener.fileno(), None) is not None:
                self._epoll.unregister(listener.fileno())
            listener.close()

    def stop(self) -> None:
        """Take all listeners out, and leave them open."""
        for descriptor in self._listeners:
            self._epoll.unregister(descriptor)
        self._listeners.clear()

    def accept(self, descriptor: int) -> Iterator[Accepted]:
        """Yield connections that wait at the listener with `descriptor`, if it is one of ours.

        Raises:
            OSError: it cannot be accepted on.
        """
        if descriptor not in self._listeners:
            return
        listener, is_tls = self._listeners[descriptor]
        for _ in range(ACCEPT_MAX):
            try:
                connection, peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    return  # level-triggered: tried again in the next batch, when one may be free
                if error.errno in _GONE:
                    continue
                raise
            accepted = self._welcome(connection, peer, is_tls=is_tls)
            if accepted is not None:
                yield accepted

    def _welcome(
        self, connection: socket.socket, peer: tuple[str, int] | str, *, is_tls: bool
    ) -> Accepted | None:
        """Return the connection set up, or None after having closed it."""
        connection.setblocking(False)
        refusal = self._refusal("" if isinstance(peer, str) else peer[0])
        if refusal is not None:
            if not is_tls:  # else the words would have to wait for a handshake
                with contextlib.suppress(OSError):  # told if its buffer takes it; closed anyway
                    connection.send(refusal)
            connection.close()
            return None
        is_unix_socket = connection.family == socket.AF_UNIX
        if not is_unix_socket:
            self._set_up_tcp(connection)
        local_address = _format_address(connection.getsockname())
        if is_tls:
            assert self._tls_context is not None
            try:
                connection = accept_tls(connection, self._tls_context())
            except OSError:  # gone already
                connection.close()
                return None
        return Accepted(
            connection=connection,
            address=local_address if is_unix_socket else _format_address(peer),
            local_address=local_address,
            is_unix_socket=is_unix_socket,
        )

    def _set_up_tcp(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keepalive_s = self._tcp_keepalive_s()
        if keepalive_s:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s)
            interval_s = max(1, keepalive_s // 3)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_s)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def _format_address(address: tuple[str, int] | str) -> str:
    if isinstance(address, str):
        return f"{address}:0"  # the path of a Unix socket
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
