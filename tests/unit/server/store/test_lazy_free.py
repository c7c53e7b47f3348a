"""Large values are freed bit by bit, out of everybody's reach."""

from __future__ import annotations

import itertools
from collections import deque

import pytest

from server.store.encoding_limits import EncodingLimits
from server.store.hashes import Hash
from server.store.lazy_free import THRESHOLD, LazyFree
from server.store.lists import List
from server.store.sets import Set
from server.store.sorted_sets import SortedSet
from server.store.values import Collection, Value

LIMITS = EncodingLimits()


def members(count: int) -> list[bytes]:
    return [b"member:%d" % number for number in range(count)]


def values(count: int) -> list[Collection]:
    """Return one collection of each type with so many elements."""
    return [
        Hash(dict.fromkeys(members(count), b"text")),
        Set(set(members(count))),
        List(deque(members(count))),
        SortedSet.within(LIMITS, [(float(i), member) for i, member in enumerate(members(count))]),
    ]


def never() -> bool:
    return False


@pytest.mark.parametrize("value", values(5000), ids=lambda value: value.type_name.decode())
def test_a_large_value_is_emptied_in_pieces(value: Collection) -> None:
    """One slice takes a part of it, and the next ones the rest."""
    lazy_free = LazyFree()
    containers = value.containers()
    if isinstance(value, Hash | Set):
        value.scan(0, 1)  # makes the list beside it, which is freed too
        assert len(value.containers()) > len(containers)
    lazy_free.add(value)

    assert (lazy_free.pending_count, lazy_free.freed_count) == (1, 0)
    assert lazy_free.run(lambda: True)
    assert any(map(len, containers))
    assert not lazy_free.run(never)
    assert not any(map(len, containers))
    assert (lazy_free.pending_count, lazy_free.freed_count) == (0, 1)


def test_a_small_value_is_none_of_its_business() -> None:
    """As in Redis, up to 64 elements are freed at once and counted nowhere."""
    lazy_free = LazyFree(lambda: pytest.fail("there is no work"))

    small: list[Value] = [*values(THRESHOLD), b"x" * 1_000_000]
    for value in small:
        lazy_free.add(value)

    assert (lazy_free.pending_count, lazy_free.freed_count) == (0, 0)


def test_a_dataset_is_freed_with_the_large_values_in_it() -> None:
    """FLUSHALL ASYNC: a key counts as one object, whatever it holds."""
    woken: list[bool] = []
    lazy_free = LazyFree(lambda: woken.append(True))
    dataset: dict[bytes, Value] = dict.fromkeys(members(3000), b"text")
    for number, value in enumerate(collections := values(1000)):
        dataset[b"large:%d" % number] = value
    inside = [container for value in collections for container in value.containers()]
    lazy_free.add_dataset(dataset)
    looks = itertools.count(1)

    while lazy_free.run(lambda: next(looks) % 3 == 0):
        pass

    assert woken == [True]
    assert not dataset
    assert not any(map(len, inside))
    assert (lazy_free.pending_count, lazy_free.freed_count) == (0, 3004)


def test_an_empty_dataset_is_no_work() -> None:
    """Most databases are empty."""
    LazyFree(lambda: pytest.fail("there is no work")).add_dataset({})
