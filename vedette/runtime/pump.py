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

import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import trio

from ..clients.engine import Engine
from ..clients.output_limits import is_over_limit, is_reply_too_large
from ..clients.session import Session
from .accepting import Accepted, Acceptor

#: While a client owes us the reading of so much, its requests are left in the kernel.
PAUSE_READING_BYTES: Final = 4 * 1024 * 1024
#: What one send of a backlog offers at most.
SEND_BYTES: Final = 256 * 1024
#: Ready sockets served before replies are sent.
BATCH_MAX_EVENTS: Final = 512
#: How long batch may follow batch before other tasks have their turn. To go through trio between
#: any two costs as much as five commands.
TURN_S: Final = 0.003

#: So much is sent whatever the limit: each client of Redis has a buffer for it that does not count.
SMALL_OUTPUT_BYTES: Final = 16 * 1024

MAXCLIENTS_REFUSAL: Final = b"-ERR max number of clients reached\r\n"

#: What is found where no connection is.
_NO_CONNECTION: Final[tuple[None, None]] = (None, None)

_READ = select.EPOLLIN
_WRITE = select.EPOLLOUT


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Pump:
    """Serves the clients of `engine`, whom `acceptor` lets in.

    `before_send()` runs once a batch, after its commands and before their replies leave; it is to
    make durable what must be. `persist()` does that alone, for `serve_besides`.
    `refusal(host)` may give bytes with which a new connection is turned away (protected mode); the
    host of one over a Unix socket is empty. `tls_context()` is asked for each connection of a
    listener with TLS.
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
        tls_context: Callable[[], ssl.SSLContext] | None = None,
        clock_ms: Callable[[], int] = _wall_clock_ms,
    ) -> None:
        self.engine = engine
        self._max_clients = max_clients
        self._refusal = refusal
        self._before_send = before_send
        self._persist = persist
        self._clock_ms = clock_ms
        self._epoll = select.epoll()
        #: The listeners, which may come and go.
        self.acceptor = Acceptor(
            self._epoll,
            refusal=self._refuse,
            tcp_keepalive_s=tcp_keepalive_s,
            tls_context=tls_context,
        )
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
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; then send what sockets take at once, and close them all."""
        self.acceptor.add(listeners)
        self.acceptor.add(tls_listeners, is_tls=True)
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
            self.acceptor.stop()
            self._epoll.close()

    def serve_ready(self) -> bool:
        """Serve one batch of what is ready; return False if that was nothing."""
        events = self._epoll.poll(0, BATCH_MAX_EVENTS)
        if not events:
            return False
        engine = self.engine
        clock = engine.clock
        began_s = clock()
        engine.begin_batch(self._clock_ms())
        connections = self._connections
        arrivals: list[tuple[Session, bytes]] = []
        for descriptor, mask in events:
            if mask != _READ or descriptor not in connections:
                self._serve_rare(descriptor, mask)
                continue
            session, connection = connections[descriptor]
            try:
                data = connection.recv(session.receive_bytes)
            except OSError as error:
                self._on_receive_error(session, error)
                continue
            if data:
                arrivals.append((session, data))
            else:
                self.close(session)
        engine.reads_processed += len(arrivals)
        self._pending = iter(arrivals)
        engine.receive_all(self._pending)
        self.settle()
        engine.cycles += 1
        engine.cycles_s += clock() - began_s
        return True

    def _serve_rare(self, descriptor: int, mask: int) -> None:
        """Serve a listener, or a connection of which there is more to say than that it has data."""
        if descriptor not in self._connections:
            for accepted in self.acceptor.accept(descriptor):
                self._open(accepted)
            return
        session, connection = self._connections[descriptor]
        if mask & _WRITE:
            self._send_backlog(descriptor, session)
        if not mask & ~_WRITE or session.is_closed:
            return
        try:
            data = connection.recv(session.receive_bytes)
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

    def expire_waits(self) -> None:
        """End the waits of clients whose time is over; no batch begins where none has a limit."""
        if self.engine.next_deadline_ms() is not None:
            self.engine.begin_batch(self._clock_ms())
            self.engine.expire_waits()
            self.settle()

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
                if len(data) > SMALL_OUTPUT_BYTES and is_reply_too_large(
                    session, engine.settings.output_limits, len(data)
                ):
                    self.close(session)
                    continue
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

    def close_overdue(self, timeout_s: int) -> None:
        """Close clients that owe us the reading of too much for too long, and those that are idle.

        The former are looked at as well when something is added; this is for those that nothing is
        sent to any more, or whose limits have changed. Idle are those that have sent nothing for
        `timeout_s` (0: nobody is), unless they may: subscribers, who waits, monitors, masters and
        replicas. What they have sent is heard first: it may be the machine that has stood still.
        Follows Redis 7.0 `server.c: clientsCron`.
        """
        self.engine.begin_batch(self._clock_ms())
        for descriptor in list(self._congested):
            session, _ = self._connections[descriptor]
            if self._is_over_limit(session):
                self.close(session)
        if not timeout_s:
            return
        for _ in range(0, len(self._connections) + 1, BATCH_MAX_EVENTS):
            if not self.serve_ready():
                break
        heard_before_ms = self.engine.context.now_ms - timeout_s * 1000
        for session in self.engine.clients:
            if session.last_interaction_ms < heard_before_ms and not session.may_be_idle:
                self.close(session)

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

    # --- new connections -------------------------------------------------------------------------

    def _refuse(self, host: str) -> bytes | None:
        """Return with what to turn a new connection from `host` away, after counting it; or None.

        Asked while one batch of connections is let in, so that each counts for the next.
        """
        refusal = self._refusal(host)
        if refusal is None and len(self.engine.clients) >= self._max_clients():
            refusal = MAXCLIENTS_REFUSAL
        if refusal is not None:
            self.engine.clients.rejected_count += 1
        return refusal

    def _open(self, accepted: Accepted) -> None:
        descriptor = accepted.connection.fileno()
        session = self.engine.open_client(
            address=accepted.address,
            local_address=accepted.local_address,
            now_ms=self.engine.context.now_ms,
            file_descriptor=descriptor,
        )
        session.is_unix_socket = accepted.is_unix_socket
        self._connections[descriptor] = (session, accepted.connection)
        self._epoll.register(descriptor, _READ)

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

    def _is_over_limit(self, session: Session) -> bool:
        engine = self.engine
        return is_over_limit(session, engine.settings.output_limits, engine.context.now_ms)

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
