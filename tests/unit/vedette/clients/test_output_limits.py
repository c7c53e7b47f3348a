"""When a client that does not read is given up."""

from __future__ import annotations

import pytest

from vedette.clients import ClientKind, Session
from vedette.clients.output_limits import is_over_limit, limits_by_kind
from vedette.conf import BufferLimit
from vedette.conf.kinds import ClientClass

START_MS = 1_700_000_000_000
LIMITS = {ClientKind.NORMAL: BufferLimit(1000, 100, 2)}


def owing(size_bytes: int) -> Session:
    """Return a client that has not read so much."""
    session = Session(1)
    session.unsent_bytes = size_bytes
    return session


@pytest.mark.parametrize(("size_bytes", "is_over"), [(0, False), (999, False), (1000, True)])
def test_the_hard_limit_counts_at_once(size_bytes: int, is_over: bool) -> None:
    """As soon as it is reached, as in Redis."""
    assert is_over_limit(owing(size_bytes), LIMITS, START_MS) is is_over


def test_the_soft_limit_counts_after_its_seconds() -> None:
    """Not in the last of them."""
    session = owing(100)

    assert not is_over_limit(session, LIMITS, START_MS)
    assert not is_over_limit(session, LIMITS, START_MS + 2000)
    assert is_over_limit(session, LIMITS, START_MS + 2001)


def test_the_seconds_begin_again_once_it_has_read() -> None:
    """They are seconds in a row."""
    session = owing(100)
    assert not is_over_limit(session, LIMITS, START_MS)
    session.unsent_bytes = 99
    assert not is_over_limit(session, LIMITS, START_MS + 2000)
    session.unsent_bytes = 100

    assert not is_over_limit(session, LIMITS, START_MS + 2001)
    assert not is_over_limit(session, LIMITS, START_MS + 4001)
    assert is_over_limit(session, LIMITS, START_MS + 4002)


@pytest.mark.parametrize("limits", [{}, {ClientKind.NORMAL: BufferLimit(0, 0, 0)}])
def test_no_limit_is_none(limits: dict[ClientKind, BufferLimit]) -> None:
    """Zero switches a limit off."""
    assert not is_over_limit(owing(2**40), limits, START_MS)


def test_each_kind_has_its_own() -> None:
    """A subscriber is not held to what other clients may have."""
    session = owing(1000)
    session.channels[b"c"] = None

    assert not is_over_limit(session, LIMITS, START_MS)


def test_limits_are_found_by_the_kind_of_client() -> None:
    """The directive's `slave` is a replica; a master has none."""
    limits = limits_by_kind(
        {each: BufferLimit(number, 0, 0) for number, each in enumerate(ClientClass)}
    )

    assert {kind: limit.hard_size_bytes for kind, limit in limits.items()} == {
        ClientKind.NORMAL: 0,
        ClientKind.REPLICA: 1,
        ClientKind.PUBSUB: 2,
    }
