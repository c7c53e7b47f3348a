"""A small HTTP server on trio, for monitoring: it answers GET and HEAD and bounds everything else.

Owns the connections. One task each: read a head, answer, and again while the client keeps the
connection. A client that sends too much, too slowly or nothing is closed; a handler that raises
costs a 500 and a line in the log, never the program. What is answered is the handler's business.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final, TypeAlias

import structlog
import trio

from ..http import (
    HEAD_MAX_BYTES,
    METHODS,
    BadRequest,
    Request,
    Response,
    parse_request,
    render_response,
    text_response,
)

log = structlog.get_logger()

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]

#: Connections at once; one more is told so and closed.
CONNECTIONS_MAX: Final = 64
#: How long a connection may be silent between requests; scrapers keep theirs for a minute or so.
IDLE_TIMEOUT_S: Final = 120.0
#: How long a head may take from its first byte, and an answer until the client has taken it.
HEAD_TIMEOUT_S: Final = 5.0
SEND_TIMEOUT_S: Final = 10.0

_RECEIVE_BYTES: Final = 4096
_HEAD_END: Final = b"\r\n\r\n"
#: How long a connection is listened to after its last answer, so that closing it does not reset it
#: before the client has read that answer.
_LINGER_S: Final = 1.0


async def serve_http(
    listeners: Sequence[socket.socket],
    handler: Handler,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer requests on `listeners` with what `handler` returns, until cancelled.

    The listeners listen already; they are closed at the end. `handler` is only handed GET and HEAD
    requests, whose answers may be alike: the body of a HEAD's is dropped.
    """
    server = HttpServer(handler)
    trio_listeners = [
        trio.SocketListener(trio.socket.from_stdlib_socket(listener)) for listener in listeners
    ]
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, server.serve, trio_listeners)
        task_status.started()


class HttpServer:
    """Serves connections one by one; `serve_http` opens them."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._connections = 0

    async def serve(self, stream: trio.abc.HalfCloseableStream) -> None:
        """Serve one connection; whatever happens to it stays its own affair."""
        self._connections += 1
        try:
            if self._connections > CONNECTIONS_MAX:
                busy = text_response(HTTPStatus.SERVICE_UNAVAILABLE, "too many connections")
                await _send(stream, busy, keeps_alive=False)
            else:
                await self._converse(stream)
        except (trio.BrokenResourceError, trio.TooSlowError):
            pass  # the client is gone or stuck, and nobody else waits for it
        finally:
            self._connections -= 1
            await trio.aclose_forcefully(stream)

    async def _converse(self, stream: trio.abc.HalfCloseableStream) -> None:
        buffer = bytearray()
        while True:
            try:
                head = await _receive_head(stream, buffer)
                if head is None:
                    return
                request = parse_request(head)
            except BadRequest as error:
                refusal = text_response(error.status, str(error))
                await _send(stream, refusal, keeps_alive=False)
                await _linger(stream)
                return
            response = await self._answer(request)
            is_head = request.method == "HEAD"
            await _send(stream, response, is_head=is_head, keeps_alive=request.keeps_alive)
            if not request.keeps_alive:
                return

    async def _answer(self, request: Request) -> Response:
        if request.method not in METHODS:
            allowed = ", ".join(METHODS)
            return text_response(
                HTTPStatus.METHOD_NOT_ALLOWED, f"only {allowed} are served", Allow=allowed
            )
        try:
            return await self._handler(request)
        except Exception as error:  # monitoring must never stop what it monitors
            log.error("http.handler_failed", path=request.path, exc_info=error)
            return text_response(
                HTTPStatus.INTERNAL_SERVER_ERROR, "the answer could not be made; see the log"
            )


async def _receive_head(stream: trio.abc.HalfCloseableStream, buffer: bytearray) -> bytes | None:
    """Return the next head, leaving what follows it in `buffer`; None: there is no more.

    Raises:
        BadRequest: it is longer than allowed, or took too long.
    """
    deadline = trio.current_time() + (HEAD_TIMEOUT_S if buffer else IDLE_TIMEOUT_S)
    while (end := buffer.find(_HEAD_END)) < 0:
        if len(buffer) > HEAD_MAX_BYTES:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too long")
        data = b""
        with trio.move_on_at(deadline) as scope:
            data = bytes(await stream.receive_some(_RECEIVE_BYTES))
        if scope.cancelled_caught:
            if not buffer:
                return None
            raise BadRequest(HTTPStatus.REQUEST_TIMEOUT, "the head took too long")
        if not data:
            return None
        if not buffer:
            deadline = trio.current_time() + HEAD_TIMEOUT_S
        buffer += data
    head = bytes(buffer[:end])
    del buffer[: end + len(_HEAD_END)]
    if end > HEAD_MAX_BYTES:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the head is too long")
    return head


async def _send(
    stream: trio.abc.HalfCloseableStream,
    response: Response,
    *,
    keeps_alive: bool,
    is_head: bool = False,
) -> None:
    """Send an answer.

    Raises:
        trio.TooSlowError: the client does not take it.
        trio.BrokenResourceError: it is gone.
    """
    data = render_response(response, is_head=is_head, keeps_alive=keeps_alive)
    with trio.fail_after(SEND_TIMEOUT_S):
        await stream.send_all(data)


async def _linger(stream: trio.abc.HalfCloseableStream) -> None:
    """Say that no more will be sent, and drop what the client is still sending, for a moment."""
    with trio.move_on_after(_LINGER_S):
        await stream.send_eof()
        while await stream.receive_some(_RECEIVE_BYTES):
            pass
