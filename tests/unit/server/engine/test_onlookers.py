"""Who would notice that a replica reads its master's stream late."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.engine.applying import apply_stream
from server.engine.onlookers import Onlookers
from tests.support.engine import TestEngine


def subscribe(engine: TestEngine) -> None:
    engine.raw("SUBSCRIBE", "news", session=engine.connect())


def subscribe_by_pattern(engine: TestEngine) -> None:
    engine.raw("PSUBSCRIBE", "n*", session=engine.connect())


def subscribe_to_shard(engine: TestEngine) -> None:
    engine.raw("SSUBSCRIBE", "news", session=engine.connect())


def monitor(engine: TestEngine) -> None:
    engine.raw("MONITOR", session=engine.connect())


def track(engine: TestEngine) -> None:
    session = engine.connect()
    engine.raw("HELLO", "3", session=session)
    engine.raw("CLIENT", "TRACKING", "on", session=session)


def wait_for_entry(engine: TestEngine) -> None:
    engine.raw("XREAD", "BLOCK", "0", "STREAMS", "stream", "$", session=engine.connect())


def replicate(engine: TestEngine) -> None:
    engine.raw("PSYNC", "?", "-1", session=engine.connect())


SUBSCRIPTIONS = [subscribe, subscribe_by_pattern, subscribe_to_shard]
ONLOOKERS = [*SUBSCRIPTIONS, monitor, track, wait_for_entry, replicate]


@pytest.mark.parametrize("begin", ONLOOKERS)
def test_who_is_told_without_asking_is_an_onlooker(begin: Callable[[TestEngine], None]) -> None:
    """However long ago it began to wait."""
    engine = TestEngine()
    onlookers = Onlookers(engine.engine)
    assert not onlookers.are_there()

    begin(engine)
    onlookers.note_applied()

    assert onlookers.are_there()


@pytest.mark.parametrize("key", ["there", "missing"])
def test_who_reads_is_an_onlooker_until_the_next_piece(key: str) -> None:
    """A key that is not there may be the one that is waited for."""
    engine = TestEngine()
    engine.call("SET", "there", "1")
    onlookers = Onlookers(engine.engine)
    engine.call("GET", key)

    assert onlookers.are_there()
    onlookers.note_applied()
    assert not onlookers.are_there()


def test_what_the_stream_itself_looks_up_is_nobodys_reading() -> None:
    """GETSET and its like read on a replica too."""
    engine = TestEngine()
    session = engine.connect()
    session.is_deaf = True
    onlookers = Onlookers(engine.engine)
    apply_stream(engine.engine, session, [[b"GETSET", b"key", b"value"]])
    onlookers.note_applied()

    assert not onlookers.are_there()


def test_sentinels_are_no_onlookers() -> None:
    """They are at every replica, and a stream that is some milliseconds late is nothing to them."""
    engine = TestEngine()
    onlookers = Onlookers(engine.engine)
    engine.raw("SUBSCRIBE", "__sentinel__:hello", session=engine.connect())
    for command in ("PING", "INFO"):
        engine.raw(command)

    assert not onlookers.are_there()
