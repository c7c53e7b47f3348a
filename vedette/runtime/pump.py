"""The I/O pump: one trio task that serves every plain connection of a server or sentinel.

Theory of operation. A trio task per connection spends more on switching tasks than the command
costs (docs/adr/0003). So the pump registers all sockets with an epoll of its own and awaits only
that epoll's descriptor. When it is readable the pump serves what is ready in batches: receive from
each socket without blocking, let the engine run what was received, and once the whole batch has
run, settle: `before_send` (persist, propagate), then send, then retry the waits that were woken.
It yields to trio when nothing is ready any more, and every few milliseconds.

Only the pump's task touches sockets. Other tasks that make the engine produce output (a timer, the
link to a master) call `settle()` afterwards.

A client that does not read is bounded, and costs others nothing: what its socket did not take waits
in the session's backlog and is offered again only when the socket is writable. Once the backlog
passes `PAUSE_READING_BYTES` no more of its requests are read, and the output limits of its class
close it (Redis' `client-output-buffer-limit`). Requests behind large replies are put off by the
engine until those are taken, and go on in a later batch, so that others have their turn.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import trio

from ..clients.engine import Engine
from ..clients.session import Session
from .tls import accept_tls

#: What one receive takes at most; Redis reads as much at a time.
RECEIVE_BYTES: Final = 16 * 1024
#: While a client owes us the reading of so much, its requests are left in the kernel.
PAUSE_READING_BYTES: Final = 4 * 1024 * 1024
#: What one send of a backlog offers at most.
SEND_BYTES: Final = 256 * 1024
#: Ready sockets served before replies are sent.
BATCH_MAX_EVENTS: Final = 512
#: How long batch may follow batch before other tasks have their turn. To go through trio between
#: any two costs as much as five commands.
TURN_S: Final = 0.003
#: Connections accepted in a row.
ACCEPT_MAX: Final = 128

MAXCLIENTS_REFUSAL: Final = b"-ERR max number of clients reached\r\n"

#: What is found where no connection is.
_NO_CONNECTION: Final[tuple[None, None]] = (None, None)

_READ = select.EPOLLIN
_WRITE = select.EPOLLOUT


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Pump:
    """Serves the clients of `engine` on `listeners`.

    `before_send()` runs once a batch, after its commands and before their replies leave; it is to
    make durable what must be. `persist()` does that alone, for `serve_besides`.
    `refusal(host)` may give bytes with which a new connection is turned away (protected mode); the
    host of one over a Unix socket is empty.
    The pump owns accepted sockets and closes them; the listeners stay their opener's.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_clients: Callable[[], int] = lambda: 10_000,
        refusal: Callable[[str], bytes | None] = lambda host: None,
        before_send: Callable[[], None] = lambda: None,
        persist: Callable[[], None] = lambda: None,
        tcp_keepalive_s: Callable[[], int] = lambda: 300,
        clock_ms: Callable[[], int] = _wall_clock_ms,
    ) -> None:
        self.engine = engine
        self._max_clients = max_clients
        self._refusal = refusal
        self._before_send = before_send
        self._persist = persist
        self._tcp_keepalive_s = tcp_keepalive_s
        self._clock_ms = clock_ms
        self._epoll = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        #: Which of the listeners speak TLS, and by what context.
        self._tls_contexts: dict[int, Callable[[], ssl.SSLContext]] = {}
        self._tls_context: Callable[[], ssl.SSLContext] | None = None
        #: The accepted connections by their descriptors.
        self._connections: dict[int, tuple[Session, socket.socket]] = {}
        #: What has been received in this batch, and not been run yet.
        self._pending: Iterator[tuple[Session, bytes]] = iter(())
        #: Descriptors of the sessions that have a backlog, with the events we wait for.
        self._congested: dict[int, int] = {}

    async def serve(
        self,
        listeners: Sequence[socket.socket],
        tls_listeners: Sequence[socket.socket] = (),
        tls_context: Callable[[], ssl.SSLContext] | None = None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; then send what sockets take at once, and close them all.

        `tls_context()` is asked for each connection of `tls_listeners`.
        """
        self._tls_context = tls_context
        self.add_listeners(listeners)
        self.add_tls_listeners(tls_listeners)
        task_status.started()
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                ends_s = time.monotonic() + TURN_S
                while self.serve_ready() and time.monotonic() < ends_s:
                    pass
        finally:
            self.settle()
            for session in self.engine.clients:
                self.close(session)
            for descriptor in self._listeners:
                self._epoll.unregister(descriptor)
            self._epoll.close()

    def add_listeners(self, listeners: Iterable[socket.socket]) -> None:
        """Accept connections on these, too."""
        for listener in listeners:
            listener.setblocking(False)
            self._listeners[listener.fileno()] = listener
            self._epoll.register(listener.fileno(), _READ)

    def add_tls_listeners(self, listeners: Iterable[socket.socket]) -> None:
        """Accept connections over TLS on these, too."""
        for listener in listeners:
            assert self._tls_context is not None
            self._tls_contexts[listener.fileno()] = self._tls_context
            self.add_listeners([listener])

    def drop_listeners(self, listeners: Iterable[socket.socket]) -> None:
        """Close some of the listeners; the connections that came by them go on."""
        for listener in listeners:
            descriptor = listener.fileno()
            self._tls_contexts.pop(descriptor, None)
            if self._listeners.pop(descriptor, None) is not None:
                self._epoll.unregister(descriptor)
            listener.close()

    def stop_accepting(self) -> None:
        """Take the listeners out; the connections there are go on."""
        for descriptor in self._listeners:
            self._epoll.unregister(descriptor)
        self._listeners.clear()

    def serve_ready(self) -> bool:
        """Serve one batch of what is ready; return False if that was nothing."""
        events = self._epoll.poll(0, BATCH_MAX_EVENTS)
        if not events:
            return False
        self.engine.begin_batch(self._clock_ms())
        connections = self._connections
        arrivals: list[tuple[Session, bytes]] = []
        for descriptor, mask in events:
            if mask != _READ or descriptor not in connections:
                self._serve_rare(descriptor, mask)
                continue
            session, connection = connections[descriptor]
            try:
                data = connection.recv(RECEIVE_BYTES)
            except OSError as error:
                self._on_receive_error(session, error)
                continue
            if data:
                arrivals.append((session, data))
            else:
                self.close(session)
        self.engine.reads_processed += len(arrivals)
        self._pending = iter(arrivals)
        self.engine.receive_all(self._pending)
        self.settle()
        return True

    def _serve_rare(self, descriptor: int, mask: int) -> None:
        """Serve a listener, or a connection of which there is more to say than that it has data."""
        if descriptor not in self._connections:
            if descriptor in self._listeners:
                self._accept(self._listeners[descriptor])
            return
        session, connection = self._connections[descriptor]
        if mask & _WRITE:
            self._send_backlog(descriptor, session)
        if not mask & ~_WRITE or session.is_closed:
            return
        try:
            data = connection.recv(RECEIVE_BYTES)
        except OSError as error:
            self._on_receive_error(session, error)
            return
        if data:
            self.engine.receive(session, data)
        else:
            self.close(session)

    def settle(self) -> None:
        """End the batch: persist and propagate, then send what is owed, then close what is to be.

        To be called by every task, other than the pump's, that made the engine produce output.
        """
        self.engine.end_batch()
        self._before_send()
        self._send_unsent()

    def serve_besides(self, busy: Session) -> None:
        """Serve one batch of what is ready while a request of `busy` still runs, then return.

        To be called by that request itself. No wait is retried and nothing else that is under way
        goes on; the engine answers most requests that it is busy.
        """
        self.engine.begin_batch(self._clock_ms())
        # What was received in one batch with the request, and is behind it, comes first.
        self.engine.receive_all(list(self._pending))
        for descriptor, mask in self._epoll.poll(0, BATCH_MAX_EVENTS):
            if descriptor != busy.file_descriptor:
                self._serve_rare(descriptor, mask)
        self._persist()  # replies to what came before in the batch are among those sent
        self._send_unsent()

    def _send_unsent(self) -> None:
        """Send what sessions are owed, and close those that are to be closed."""
        engine = self.engine
        connections = self._connections
        congested = self._congested
        for session in engine.clients.take_unsent():
            outbox = session.outbox
            descriptor = session.file_descriptor
            owner, connection = connections.get(descriptor, _NO_CONNECTION)
            if outbox and owner is session:  # else its new owner sends
                data = outbox[0] if len(outbox) == 1 else b"".join(outbox)
                outbox.clear()
                if descriptor in congested:
                    self._keep(session, data)
                else:
                    try:
                        sent = connection.send(data)  # type: ignore[union-attr]  # a session's
                    except BlockingIOError:
                        sent = 0
                    except OSError:  # the peer is gone
                        self.close(session)
                        continue
                    engine.output_bytes += sent
                    engine.writes_processed += 1
                    if sent < len(data):
                        self._keep(session, memoryview(data)[sent:])
            if session.is_close_requested:
                if session.has_output and descriptor in congested:
                    self._await_events(session)
                else:
                    self.close(session)
            elif session.waiting_requests and session.is_put_off and self._serves(session):
                self._await_events(session)  # goes on in a later batch, after others had their turn

    def detach(self, session: Session) -> socket.socket | None:
        """Hand the socket of `session` over to the caller, who serves and closes it from now on.

        The session stays registered until `engine.disconnect`. None: it is gone already.
        """
        connection = self._take_out(session)
        if connection is None:
            return None
        session.outbox[:0] = map(bytes, session.backlog)
        session.backlog.clear()
        session.unsent_bytes = 0
        return connection

    def close(self, session: Session) -> None:
        """Close the connection of `session` now."""
        connection = self._take_out(session)
        if connection is not None:
            connection.close()
        session.drop_output()
        self.engine.disconnect(session)

    def _serves(self, session: Session) -> bool:
        """Return whether `session` is there, and not another's to serve."""
        return self._connections.get(session.file_descriptor, _NO_CONNECTION)[0] is session

    def _take_out(self, session: Session) -> socket.socket | None:
        """Serve `session` no more, and return its socket if it was ours to serve."""
        if not self._serves(session):
            return None
        descriptor = session.file_descriptor
        self._epoll.unregister(descriptor)
        self._congested.pop(descriptor, None)
        return self._connections.pop(descriptor)[1]

    # --- accepting -------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_MAX):
            try:
                connection, peer = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    return  # level-triggered: tried again in the next batch, when one may be free
                if error.errno in (errno.ECONNABORTED, errno.EPROTO, errno.EINTR):
                    continue
                raise
            self._welcome(connection, peer, self._tls_contexts.get(listener.fileno()))

    def _welcome(
        self,
        connection: socket.socket,
        peer: tuple[str, int] | str,
        tls_context: Callable[[], ssl.SSLContext] | None,
    ) -> None:
        refusal = self._refusal("" if isinstance(peer, str) else peer[0])
        if refusal is None and len(self.engine.clients) >= self._max_clients():
            refusal = MAXCLIENTS_REFUSAL
        connection.setblocking(False)
        if refusal is not None:
            self.engine.clients.rejected_count += 1
            if tls_context is None:  # else the words would have to wait for a handshake
                with contextlib.suppress(OSError):  # told if its buffer takes it; closed anyway
                    connection.send(refusal)
            connection.close()
            return
        is_unix_socket = connection.family == socket.AF_UNIX
        if not is_unix_socket:
            self._set_up_tcp(connection)
        local_address = _format_peer(connection.getsockname())
        if tls_context is not None:
            try:
                connection = accept_tls(connection, tls_context())
            except OSError:  # gone already
                connection.close()
                return
        descriptor = connection.fileno()
        session = self.engine.open_client(
            address=local_address if is_unix_socket else _format_peer(peer),
            local_address=local_address,
            now_ms=self.engine.context.now_ms,
            file_descriptor=descriptor,
        )
        session.is_unix_socket = is_unix_socket
        session.parser.max_bulk_bytes = self.engine.settings.max_bulk_bytes
        self._connections[descriptor] = (session, connection)
        self._epoll.register(descriptor, _READ)

    def _set_up_tcp(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keepalive_s = self._tcp_keepalive_s()
        if keepalive_s:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive_s)
            interval_s = max(1, keepalive_s // 3)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_s)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)

    # --- receiving and sending -------------------------------------------------------------------

    def _on_receive_error(self, session: Session, error: OSError) -> None:
        """Close a connection that was reset or timed out: nobody is left to tell."""
        if not isinstance(error, BlockingIOError):
            self.close(session)

    def _keep(self, session: Session, data: bytes | memoryview) -> None:
        """Keep what the socket of `session` does not take now until it is writable."""
        session.backlog.append(data)
        session.unsent_bytes += len(data)
        if self._is_over_limit(session):
            self.close(session)
        else:
            self._await_events(session)

    def _send_backlog(self, descriptor: int, session: Session) -> None:
        """Offer a part of the backlog to a socket that takes more; with none left, go on."""
        backlog = session.backlog
        chunks: list[bytes | memoryview] = []
        size = 0
        while backlog and size < SEND_BYTES:
            chunks.append(backlog.popleft())
            size += len(chunks[-1])
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        try:
            sent = self._connections[descriptor][1].send(data)
        except BlockingIOError:
            sent = 0
        except OSError:  # the peer is gone
            self.close(session)
            return
        self.engine.output_bytes += sent
        self.engine.writes_processed += 1
        session.unsent_bytes -= sent
        if sent < size:
            backlog.appendleft(memoryview(data)[sent:])
        if backlog:
            self._await_events(session)
            return
        del self._congested[descriptor]
        session.soft_limit_since_ms = None
        self._epoll.modify(descriptor, _READ)
        self.engine.go_on(session)
        self.engine.clients.note_unsent(session)

    def _await_events(self, session: Session) -> None:
        """Have a session that has a backlog or put requests off served when its socket is writable.

        Its requests are read as well, unless it owes too much or is to be closed.
        """
        is_heard = not (
            session.unsent_bytes >= PAUSE_READING_BYTES
            or session.is_put_off
            or session.is_close_requested
        )
        events = _WRITE | _READ if is_heard else _WRITE
        descriptor = session.file_descriptor
        if self._congested.get(descriptor) != events:
            self._congested[descriptor] = events
            self._epoll.modify(descriptor, events)

    def _is_over_limit(self, session: Session) -> bool:
        limits = (self.engine.settings.output_limits or {}).get(session.kind.value)
        if limits is None:
            return False
        hard_bytes, soft_bytes, soft_s = limits
        if hard_bytes and session.unsent_bytes > hard_bytes:
            return True
        if not soft_bytes or session.unsent_bytes <= soft_bytes:
            session.soft_limit_since_ms = None
            return False
        now_ms = self.engine.context.now_ms
        if session.soft_limit_since_ms is None:
            session.soft_limit_since_ms = now_ms
        return now_ms - session.soft_limit_since_ms > soft_s * 1000


def _format_peer(address: tuple[str, int] | str) -> str:
    if isinstance(address, str):
        return f"{address}:0"  # the path of a Unix socket
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def open_listeners(hosts: Sequence[str], port: int, backlog: int) -> list[socket.socket]:
    """Return listening sockets for `port` on each of `hosts`.

    `*` is every IPv4 address, `::*` every IPv6 one; a host with a leading `-` may be missing from
    this machine (Redis' `bind` rules). The caller closes them.

    Raises:
        OSError: a required address cannot be bound; those opened before it are closed.
    """
    listeners: list[socket.socket] = []
    try:
        for name in hosts:
            host = name.removeprefix("-")
            host = {"*": "0.0.0.0", "::*": "::"}.get(host, host)
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((host, port))
                listener.listen(backlog)
            except OSError as error:
                listener.close()
                is_missing = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
                if name.startswith("-") and is_missing:
                    continue
                raise
            listeners.append(listener)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def open_unix_listener(path: str, *, mode: int, backlog: int) -> socket.socket:
    """Return a Unix socket that listens at `path`, in place of whatever is there.

    `mode` is its permissions, 0: as the process makes files. The caller closes it.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        if mode:
            os.chmod(path, mode)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener
