"""A tiny blocking RESP2 client for tests, which shares no code with what it tests.

hiredis parses the replies; the requests are written here byte by byte. Use `socket` directly to
send what no proper client would.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Any

import hiredis

__all__ = ["BlockingClient", "ReplyError"]

ReplyError = hiredis.ReplyError

Argument = bytes | str | int | float


class BlockingClient:
    """One connection to 127.0.0.1; a context manager that closes it."""

    def __init__(self, port: int, timeout_s: float = 20.0, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, *args: Argument) -> None:
        """Write one command as a multibulk request, without waiting for its reply."""
        self.socket.sendall(encode(args))

    # Any: a reply is whatever the command answers; the test says what it expects.
    def receive(self) -> Any:
        """Wait for the next reply (or pub/sub message) and return it.

        Error replies inside arrays are returned as `ReplyError` values, a reply that is itself an
        error is raised.

        Raises:
            ReplyError: the reply was an error.
            TimeoutError: nothing came within the socket's timeout.
            ConnectionError: the other side closed.
        """
        while True:
            reply = self._reader.gets()
            if reply is not False:
                break
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self._reader.feed(data)
        if isinstance(reply, ReplyError):
            raise reply
        return reply

    # Any: as for `receive`.
    def call(self, *args: Argument) -> Any:
        """Send one command and return its reply; raises as `receive` does."""
        self.send(*args)
        return self.receive()


def encode(args: tuple[Argument, ...]) -> bytes:
    """Return the multibulk request for `args`; numbers and text become their UTF-8 spelling."""
    parts = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in args]
    head = b"*%d\r\n" % len(parts)
    return head + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
