"""Sending keys to other servers for MIGRATE: sockets that block, in a thread or in everybody's way.

A connection is kept for ten seconds after its use, as Redis keeps it: moving many keys one by one
would otherwise cost a connection each. Follows Redis 7.0 `cluster.c: migrateGetSocket,
migrateCommand`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from vedette.resp.encode import encode_command

from ..engine.migration import MigrationOutcome, MigrationRequest

#: How many connections are kept, and for how long after their last use.
_KEPT_COUNT: Final = 64
_KEPT_S: Final = 10.0
_LONGEST_LINE_BYTES: Final = 64 * 1024

_CANNOT_CONNECT: Final = b"IOERR error or timeout connecting to the client"
_CANNOT_WRITE: Final = b"IOERR error or timeout writing to target instance"
_CANNOT_READ: Final = b"IOERR error or timeout reading to target instance"


@dataclass(slots=True)
class _Target:
    """A connection; `selected` is the database it is in, None where that is not known."""

    connection: socket.socket
    selected: int | None = None
    last_use_s: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def read_line(self) -> bytes:
        """Return the next line without its end. Raises OSError when there is none."""
        while b"\r\n" not in self.received:
            data = self.connection.recv(16 * 1024)
            if not data or len(self.received) > _LONGEST_LINE_BYTES:
                raise ConnectionResetError("the target closed the connection or makes no sense")
            self.received += data
        line, _, rest = bytes(self.received).partition(b"\r\n")
        self.received[:] = rest
        return line


class _WriteError(Exception):
    """The request could not be sent, by its cause."""


class Migrations:
    """Implements `server.engine.migration.MigrationPort`.

    `start(task)` runs an async function beside everything else; `settle(act)` has `act` done in the
    main task and its effects sent. One request at a time: whoever asks sees to that.
    """

    def __init__(
        self,
        start: Callable[[Callable[[], Awaitable[None]]], None],
        settle: Callable[[Callable[[], None]], None],
    ) -> None:
        self._start = start
        self._settle = settle
        self._targets: dict[tuple[str, int], _Target] = {}
        #: A connection is in use, maybe by a thread.
        self._is_busy = False

    @property
    def socket_count(self) -> int:
        """See `MigrationPort`."""
        return len(self._targets)

    def begin(self, request: MigrationRequest, on_end: Callable[[MigrationOutcome], None]) -> None:
        """See `MigrationPort`."""

        async def run() -> None:
            # Not abandoned on cancellation: what was sent has to be deleted here. It is bounded.
            outcome = await trio.to_thread.run_sync(self.transfer, request)
            self._settle(lambda: on_end(outcome))

        self._start(run)

    def transfer(self, request: MigrationRequest) -> MigrationOutcome:
        """See `MigrationPort`.

        Tried again once where a connection that was kept turns out to be dead.
        """
        for is_last in (False, True):
            accepted: list[bytes] = []
            try:
                target = self._target(request)
            except OSError as failure:
                # Redis does not learn of a refused connection before it writes.
                is_unknown = isinstance(failure, TimeoutError | socket.gaierror)
                return MigrationOutcome((), _CANNOT_CONNECT if is_unknown else _CANNOT_WRITE)
            try:
                self._is_busy = True
                error = _exchange(target, request, accepted)
            except (OSError, _WriteError) as failure:
                self._close(request)
                is_too_slow = isinstance(failure.__cause__ or failure, TimeoutError)
                if not (accepted or is_last or is_too_slow):
                    continue
                error = _CANNOT_WRITE if isinstance(failure, _WriteError) else _CANNOT_READ
            finally:
                self._is_busy = False
            return MigrationOutcome(tuple(accepted), error)
        raise AssertionError("the second attempt returns")

    def close_idle(self) -> None:
        """Close the connections that nobody has used of late."""
        if self._is_busy:
            return
        now_s = time.monotonic()
        for place, target in list(self._targets.items()):
            if now_s - target.last_use_s > _KEPT_S:
                del self._targets[place]
                target.connection.close()

    def close(self) -> None:
        """Close all connections."""
        for target in self._targets.values():
            target.connection.close()
        self._targets.clear()

    def _target(self, request: MigrationRequest) -> _Target:
        place = (request.host, request.port)
        target = self._targets.get(place)
        if target is None:
            if len(self._targets) >= _KEPT_COUNT:
                oldest = min(self._targets, key=lambda each: self._targets[each].last_use_s)
                self._targets.pop(oldest).connection.close()
            connection = socket.create_connection(place, timeout=request.timeout_s)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            target = self._targets[place] = _Target(connection)
        target.last_use_s = time.monotonic()
        target.connection.settimeout(request.timeout_s)
        return target

    def _close(self, request: MigrationRequest) -> None:
        target = self._targets.pop((request.host, request.port), None)
        if target is not None:
            target.connection.close()


def _exchange(target: _Target, request: MigrationRequest, accepted: list[bytes]) -> bytes | None:
    """Send the keys, add those that were taken to `accepted`, and return the target's error if any.

    Raises:
        OSError: the connection is broken or too slow.
        _WriteError: it is so while the request is sent.
    """
    preface = []
    if request.credentials:
        preface.append([b"AUTH", *request.credentials])
    if target.selected != request.database_index:
        preface.append([b"SELECT", b"%d" % request.database_index])
    option = [b"REPLACE"] if request.replaces else []
    restores = [
        [b"RESTORE", each.key, b"%d" % each.ttl_ms, each.payload, *option] for each in request.keys
    ]
    try:
        target.connection.sendall(b"".join(map(encode_command, [*preface, *restores])))
    except OSError as failure:
        raise _WriteError from failure
    refusals = [line for line in [target.read_line() for _ in preface] if line.startswith(b"-")]
    first_error = refusals[0] if refusals else None
    for each in request.keys:
        line = target.read_line()
        if line.startswith(b"-"):
            first_error = first_error or line
        elif not refusals:
            accepted.append(each.key)
    if first_error is None:
        target.selected = request.database_index
        return None
    target.selected = None
    return b"ERR Target instance replied with error: %b" % first_error[1:]
