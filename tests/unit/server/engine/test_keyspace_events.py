"""The letters of notify-keyspace-events."""

from __future__ import annotations

import pytest

from server.engine.keyspace_events import (
    KeyspaceEvents,
    format_keyspace_events,
    parse_keyspace_events,
)


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
