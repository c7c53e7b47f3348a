"""Collections look at what is new only, and at everything when nobody would notice."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from server.runtime.collector import Collector


class Node:
    """Something that may be part of a cycle."""

    other: Node


def cycle() -> weakref.ref[Node]:
    """Make two objects that keep one another alive, and return a reference that does not."""
    first, second = Node(), Node()
    first.other, second.other = second, first
    return weakref.ref(first)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def collector(pauses: list[float]) -> Iterator[Collector]:
    thresholds = gc.get_threshold()
    collector = Collector(pauses.append)
    yield collector
    collector.close()
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_survives_a_collection_is_set_aside(collector: Collector, pauses: list[float]) -> None:
    """So the next one does not look at it again, however much there is."""
    collector.tune()
    kept = [Node() for _ in range(30_000)]

    assert len(pauses) >= 2
    assert gc.get_freeze_count() > 20_000
    assert sum(gc.get_count()) < 12_000
    assert collector.pauses().count == len(pauses)
    assert 0 < collector.pauses().longest_s <= collector.pauses().total_s
    del kept


def test_garbage_that_is_new_is_found(collector: Collector) -> None:
    """Cycles of a request do not last."""
    collector.tune()
    garbage = cycle()

    kept = [Node() for _ in range(11_000)]

    assert garbage() is None
    del kept


def test_a_collection_of_everything_finds_what_was_set_aside(collector: Collector) -> None:
    """A cycle that became garbage only after it had been set aside."""
    collector.tune()
    first, second = Node(), Node()
    first.other, second.other = second, first
    garbage = weakref.ref(first)
    gc.freeze()
    del first, second
    gc.collect()
    assert garbage() is not None

    collector.collect_all()

    assert garbage() is None


def test_an_idle_server_collects_everything_now_and_then(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a busy one, and not more often than once a minute."""
    now_s = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now_s)
    calls: list[float] = []
    monkeypatch.setattr(Collector, "collect_all", lambda self: calls.append(now_s))
    collector._full_at_s = now_s
    commands = 0

    for _ in range(70):
        now_s += 1
        commands += 1000
        collector.on_tick(commands)
    assert not calls
    for _ in range(3):
        now_s += 1
        collector.on_tick(commands)
    assert calls


def test_a_collector_that_is_closed_is_others(collector: Collector, pauses: list[float]) -> None:
    """Of a process that runs several servers, one after another, none leaves its watch behind."""
    collector.tune()
    collector.close()
    before = len(pauses)

    gc.collect()

    assert len(pauses) == before
