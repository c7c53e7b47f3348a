"""The little of HTTP/1.1 that an endpoint for monitoring needs: requests without bodies, answers.

Pure: bytes in, records out, and back. A request is a head (request line and headers, ended by an
empty line) of limited size; one that announces a body is refused, which keeps the connection's
framing beyond doubt. Follows RFC 9112; targets are paths with a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from .errors import VedetteError

#: The longest head that is read.
HEAD_MAX_BYTES: Final = 8 * 1024
TEXT: Final = "text/plain; charset=utf-8"
METHODS: Final = ("GET", "HEAD")

_TOKEN: Final = frozenset(
    "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)


class BadRequest(VedetteError):
    """A request that gets no further than its head; answered with `status`, then closed."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request. Names of headers are in lower case; of repeated ones, values are joined."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Whether the client wants to use the connection again.
    keeps_alive: bool = True


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; `body` is complete."""

    status: HTTPStatus = HTTPStatus.OK
    body: bytes = b""
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


def text_response(status: HTTPStatus, text: str, **headers: str) -> Response:
    """Return an answer of one line of text."""
    return Response(status, f"{text}\n".encode(), headers=headers)


def parse_request(head: bytes) -> Request:
    """Return the request of a head without the empty line that ends it.

    Raises:
        BadRequest: it is malformed, has a body, or speaks another version of HTTP.
    """
    try:
        first, *lines = head.decode("ascii").split("\r\n")
    except UnicodeDecodeError as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the head is not ASCII") from error
    words = first.split(" ")
    if len(words) != 3 or not words[0] or not _TOKEN.issuperset(words[0]):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "malformed request line")
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "HTTP/1.1 is spoken here")
    headers = _parse_headers(lines)
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "requests have no body here")
    path, query = _parse_target(target)
    options = {word.strip().lower() for word in headers.get("connection", "").split(",")}
    keeps_alive = "close" not in options if version == "HTTP/1.1" else "keep-alive" in options
    return Request(method, path, query, headers, keeps_alive)


def _parse_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        # A line that begins with a space continues the one before: obsolete, and refused by this.
        is_token = bool(name) and _TOKEN.issuperset(name)
        if not colon or not is_token or not value.replace("\t", " ").isprintable():
            raise BadRequest(HTTPStatus.BAD_REQUEST, "malformed header")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _parse_target(target: str) -> tuple[str, dict[str, str]]:
    try:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError as error:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "malformed target") from error
    if not parts.path.startswith("/"):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "malformed target")
    return unquote(parts.path), query


def render_response(response: Response, *, is_head: bool, keeps_alive: bool) -> bytes:
    """Return the bytes of an answer; to HEAD it has the headers of a body and no body."""
    status = response.status
    headers = {
        "Content-Type": response.content_type,
        "Content-Length": str(len(response.body)),
        "Connection": "keep-alive" if keeps_alive else "close",
        **response.headers,
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head if is_head else head + response.body
