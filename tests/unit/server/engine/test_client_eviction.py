"""maxmemory-clients: the largest clients are closed, until the rest takes no more than allowed."""

from __future__ import annotations

import pytest

from tests.support.engine import TestEngine
from vedette.clients import Session
from vedette.clients.footprint import footprint_of

MEGABYTE = 1 << 20


def client_with(engine: TestEngine, size: int) -> Session:
    """Connect one more client, which has sent so many bytes of a request."""
    session = engine.connect()
    engine.send(b"*1\r\n$100000000\r\n" + bytes(size), session)
    assert footprint_of(session).total_bytes >= size
    return session


def test_the_largest_are_closed_until_the_limit_is_kept() -> None:
    """At once when CONFIG SET lowers it; INFO counts them."""
    engine = TestEngine()
    small, large, medium = (client_with(engine, size * MEGABYTE) for size in (1, 4, 2))

    engine.call("CONFIG", "SET", "maxmemory-clients", "4mb")

    assert large.is_close_requested
    assert not medium.is_close_requested
    assert not small.is_close_requested
    assert "evicted_clients:1" in engine.call("INFO", "stats").decode()


def test_a_client_that_grows_is_closed_after_the_batch() -> None:
    """Before it takes even more."""
    engine = TestEngine("maxmemory-clients 2mb")
    session = client_with(engine, MEGABYTE)
    engine.engine.client_eviction.after_batch()
    assert not session.is_close_requested

    engine.send(bytes(2 * MEGABYTE), session)
    engine.engine.client_eviction._looked_at_s = 0.0
    engine.engine.client_eviction.after_batch()

    assert session.is_close_requested


def test_who_is_not_to_be_evicted_is_spared() -> None:
    """CLIENT NO-EVICT, though what it takes counts; a master and replicas do not even count."""
    engine = TestEngine()
    spared, other = client_with(engine, 3 * MEGABYTE), client_with(engine, MEGABYTE)
    spared.is_no_evict = True
    master = client_with(engine, 9 * MEGABYTE)
    master.is_deaf = True

    engine.call("CONFIG", "SET", "maxmemory-clients", "3mb")

    assert (spared.is_close_requested, master.is_close_requested) == (False, False)
    assert other.is_close_requested


def test_whoever_is_over_its_own_limit_takes_nobody_along() -> None:
    """It is closed for that, and what it took is free then."""
    engine = TestEngine("client-output-buffer-limit normal 1mb 0 0")
    other, greedy = client_with(engine, 2 * MEGABYTE), engine.connect()
    greedy.outbox.append(bytes(3 * MEGABYTE))

    engine.call("CONFIG", "SET", "maxmemory-clients", "3mb")

    assert not other.is_close_requested


def test_the_limit_may_be_a_percentage_of_maxmemory() -> None:
    """And follows it."""
    engine = TestEngine("maxmemory 100mb\nmaxmemory-clients 5%")
    assert engine.engine.client_eviction.limit_bytes == 5 * MEGABYTE

    engine.call("CONFIG", "SET", "maxmemory", "200mb")

    assert engine.engine.client_eviction.limit_bytes == 10 * MEGABYTE


@pytest.mark.parametrize("command", ["WATCH", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"])
def test_interests_count(command: str) -> None:
    """Ten thousand watched keys or channels are a megabyte too."""
    engine = TestEngine()
    session = engine.connect()
    before = footprint_of(session).total_bytes

    engine.call(command, *(f"name:{number}" for number in range(1000)), session=session)

    assert footprint_of(session).total_bytes - before > 100_000
