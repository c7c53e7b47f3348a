"""The letters of notify-keyspace-events, and when events are published."""

from __future__ import annotations

import pytest

from server.store.keyspace_events import (
    KeyspaceEvents,
    format_keyspace_events,
    parse_keyspace_events,
)
from tests.support.engine import TestEngine


@pytest.mark.parametrize(
    ("given", "shown"),
    [("", ""), ("KEA", "AKE"), ("Kg$lshzxetd", "AK"), ("Elg", "glE"), ("AKEmn", "AKEmn")],
)
def test_letters_are_given_back_in_redis_order(given: str, shown: str) -> None:
    """CONFIG GET answers this after CONFIG SET of that, letter for letter."""
    assert format_keyspace_events(parse_keyspace_events(given)) == shown


def test_misses_and_new_keys_are_not_among_all() -> None:
    """Redis added them after `A` had its meaning."""
    assert not parse_keyspace_events("A") & (KeyspaceEvents.KEY_MISS | KeyspaceEvents.NEW)


def test_unknown_letter_is_refused() -> None:
    """A typing error must not silently select nothing."""
    with pytest.raises(ValueError, match="'q'"):
        parse_keyspace_events("Kq")


def test_keys_found_expired_in_the_background_are_announced() -> None:
    """Caches are refilled on this event, and nobody need touch the key for it."""
    engine = TestEngine("notify-keyspace-events Ex")
    listener = engine.connect()
    engine.call("PSUBSCRIBE", "__key*", session=listener)
    engine.call("SET", "k", "v", "PX", 10)

    engine.advance(20)
    engine.engine.on_tick(engine.now_ms)

    assert engine.call("PING") == b"PONG"
    assert b"__keyevent@0__:expired\r\n$1\r\nk\r\n" in engine.send(b"", listener)


def test_events_end_when_they_are_switched_off() -> None:
    """Also those of new keys, for which the databases change their class."""
    engine = TestEngine("notify-keyspace-events KEAn")
    listener = engine.connect()
    engine.call("PSUBSCRIBE", "__key*", session=listener)
    engine.call("SET", "first", "v")
    assert b"new" in engine.send(b"", listener)

    engine.call("CONFIG", "SET", "notify-keyspace-events", "")
    engine.call("SET", "second", "v")

    assert engine.send(b"", listener) == b""


def test_config_shows_the_letters_in_redis_order_and_refuses_others() -> None:
    """Clients compare what they set with what they get."""
    engine = TestEngine()
    engine.call("CONFIG", "SET", "notify-keyspace-events", "lEg")

    assert engine.call("CONFIG", "GET", "notify-keyspace-events")[1] == b"glE"
    assert "Invalid event class character" in engine.error(
        "CONFIG", "SET", "notify-keyspace-events", "q"
    )
