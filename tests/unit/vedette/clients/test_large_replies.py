"""Requests behind large replies wait until the client has taken those: order, accounting, rest."""

from __future__ import annotations

import pytest

from tests.support.kernel import KernelEngine
from vedette.clients import Session
from vedette.clients.engine import LARGE_OUTPUT_BYTES

VALUE = b"v" * (LARGE_OUTPUT_BYTES * 2 // 5)
ENCODED = b"$%d\r\n%b\r\n" % (len(VALUE), VALUE)


@pytest.fixture
def engine() -> KernelEngine:
    """Return an engine that holds a value of which the third in a row is one too many."""
    engine = KernelEngine()
    engine.stored[b"big"] = VALUE
    return engine


def go_on(engine: KernelEngine, session: Session) -> bytes:
    """Do what the pump does when the client has taken all; return what it is owed then."""
    engine.go_on(session)
    engine.end_batch()
    return engine.sent_to(session)


def test_requests_behind_large_replies_are_put_off(engine: KernelEngine) -> None:
    """16 KB of requests for a value of 1 MB would make 600 MB of replies at once."""
    client = engine.client()

    first = engine.send(client, *[("FETCH", "big")] * 4, ("PING",))

    assert first == ENCODED * 3
    assert client.is_put_off
    assert engine.commands_processed == 3

    assert go_on(engine, client) == ENCODED + b"+PONG\r\n"
    assert not client.is_put_off
    assert engine.commands_processed == 5


def test_large_arrays_put_requests_off_like_large_strings(engine: KernelEngine) -> None:
    """The size of a reply counts, not its type."""
    client = engine.client()
    engine.stored[b"list"] = [VALUE] * 3  # type: ignore[assignment]  # any reply would do

    engine.send(client, ("FETCH", "list"), ("PING",))

    assert client.is_put_off
    assert go_on(engine, client) == b"+PONG\r\n"


def test_what_arrives_meanwhile_keeps_its_place(engine: KernelEngine) -> None:
    """Nothing overtakes what was put off."""
    client = engine.client()
    engine.send(client, *[("FETCH", "big")] * 3, ("ECHO", "1"))

    assert engine.send(client, ("ECHO", "2")) == b""
    assert go_on(engine, client) == b"$1\r\n1\r\n$1\r\n2\r\n"


def test_one_large_reply_alone_puts_nothing_off(engine: KernelEngine) -> None:
    """There is nothing behind it."""
    client = engine.client()
    engine.stored[b"huge"] = b"v" * (2 * LARGE_OUTPUT_BYTES)

    engine.send(client, ("FETCH", "huge"))

    assert not client.is_put_off
    assert engine.send(client, ("PING",)) == b"+PONG\r\n"


def test_a_client_that_leaves_takes_what_was_put_off_with_it(engine: KernelEngine) -> None:
    """Going on with it later must do nothing."""
    client = engine.client()
    engine.send(client, *[("FETCH", "big")] * 3, ("STORE", "k", "v"))

    engine.disconnect(client)

    assert go_on(engine, client) == b""
    assert b"k" not in engine.stored
