"""HTTP heads taken apart and answers put together; what is malformed is refused, never guessed."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from vedette.http import (
    BadRequest,
    Request,
    Response,
    parse_request,
    render_response,
    text_response,
)


def test_a_request_is_taken_apart() -> None:
    """Names of headers do not depend on case; repeated ones are one list."""
    head = (
        b"GET /scrape?target=redis%3A%2F%2Fh%3A1&empty= HTTP/1.1\r\n"
        b"Host: x:1\r\nACCEPT: text/plain \r\naccept: */*"
    )

    assert parse_request(head) == Request(
        "GET",
        "/scrape",
        {"target": "redis://h:1", "empty": ""},
        {"host": "x:1", "accept": "text/plain, */*"},
        True,
    )


@pytest.mark.parametrize(
    ("version", "connection", "keeps_alive"),
    [
        ("1.1", None, True),
        ("1.1", "close", False),
        ("1.1", "Upgrade, Close", False),
        ("1.0", None, False),
        ("1.0", "Keep-Alive", True),
    ],
)
def test_connections_are_kept_as_the_version_says(
    version: str, connection: str | None, keeps_alive: bool
) -> None:
    """HTTP/1.1 keeps them unless told otherwise, HTTP/1.0 the reverse."""
    header = f"\r\nConnection: {connection}" if connection else ""

    assert parse_request(f"GET / HTTP/{version}{header}".encode()).keeps_alive is keeps_alive


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", HTTPStatus.BAD_REQUEST),
        (b"GET /", HTTPStatus.BAD_REQUEST),
        (b"GET  / HTTP/1.1", HTTPStatus.BAD_REQUEST),
        (b"G(T / HTTP/1.1", HTTPStatus.BAD_REQUEST),
        (b"GET metrics HTTP/1.1", HTTPStatus.BAD_REQUEST),
        (b"GET http://[ HTTP/1.1", HTTPStatus.BAD_REQUEST),
        (b"GET /\xff HTTP/1.1", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nno colon", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nA : b", HTTPStatus.BAD_REQUEST),
        (b"GET / HTTP/1.1\r\nAccept: a\nSet-Cookie: b", HTTPStatus.BAD_REQUEST),
        (b"*1\r\n$4\r\nPING", HTTPStatus.BAD_REQUEST),
        (b"PRI * HTTP/2.0", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED),
        (b"POST / HTTP/1.1\r\nContent-Length: 5", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ],
)
def test_what_is_malformed_or_has_a_body_is_refused(head: bytes, status: HTTPStatus) -> None:
    """Where the next request begins must never be in doubt."""
    with pytest.raises(BadRequest) as caught:
        parse_request(head)

    assert caught.value.status is status


def test_an_answer_says_how_long_it_is() -> None:
    """So the client finds its end without the connection being closed."""
    response = Response(HTTPStatus.OK, b"abc", "text/x", {"Vary": "Accept"})

    assert render_response(response, is_head=False, keeps_alive=True) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Length: 3\r\n"
        b"Connection: keep-alive\r\nVary: Accept\r\n\r\nabc"
    )


def test_an_answer_to_head_has_no_body() -> None:
    """Its length is still the one that GET would have."""
    answer = text_response(HTTPStatus.NOT_FOUND, "no")

    assert render_response(answer, is_head=True, keeps_alive=False) == (
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 3\r\nConnection: close\r\n\r\n"
    )
