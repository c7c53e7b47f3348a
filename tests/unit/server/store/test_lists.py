"""A list against a plain Python list, and what it costs as it grows."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.store import lists
from server.store.lists import List

items = st.lists(st.sampled_from([b"a", b"b", b"c"]), max_size=12)
places = st.integers(-15, 15)


def list_of(elements: list[bytes]) -> List:
    """Return a list with those elements."""
    return List(deque(elements))


@given(items, places, places)
def test_ranges_are_those_of_a_python_list(elements: list[bytes], first: int, last: int) -> None:
    """Both ends count, and negative indexes count from the end."""
    size = len(elements)
    expected = [
        element
        for index, element in enumerate(elements)
        if (first + size if first < 0 else first) <= index <= (last + size if last < 0 else last)
    ]
    value = list_of(elements)

    assert list(value.slice(*value.range_of(first, last))) == expected
    assert value.trim(*value.range_of(first, last)) == size - len(expected)
    assert list(value.elements()) == expected


@pytest.mark.parametrize("walk", [0, 1, 3, 512])
def test_each_way_to_cut_out_a_range_gives_the_same(
    walk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Near either end it walks, else it rotates and must rotate back."""
    monkeypatch.setattr(lists, "_WALK_COUNT", walk)
    elements = [b"%d" % number for number in range(8)]
    value = list_of(elements)

    for start in range(9):
        for stop in range(start, 9):
            assert list(value.slice(start, stop)) == elements[start:stop]
    assert list(value.elements()) == elements


@given(items, st.sampled_from([b"a", b"z"]), st.integers(-4, 4))
def test_removal_takes_those_nearest_to_the_end_it_begins_at(
    elements: list[bytes], element: bytes, count: int
) -> None:
    """LREM's three ways: the first, the last, all."""
    found = [index for index, each in enumerate(elements) if each == element]
    doomed = found[:count] if count > 0 else found[count:]
    value = list_of(elements)

    assert value.remove(element, count) == len(doomed)
    assert list(value.elements()) == [
        each for index, each in enumerate(elements) if index not in doomed
    ]


@given(
    items,
    st.integers(-5, 5).filter(bool),
    st.none() | st.integers(1, 4),
    st.none() | st.integers(1, 13),
)
def test_positions_are_counted_from_the_front_whichever_way_is_searched(
    elements: list[bytes], rank: int, count: int | None, most: int | None
) -> None:
    """LPOS with RANK, COUNT and MAXLEN together."""
    indexes = list(range(len(elements)))
    searched = (indexes if rank > 0 else indexes[::-1])[:most]
    matches = [index for index in searched if elements[index] == b"a"][abs(rank) - 1 :]

    found = list_of(elements).positions(b"a", rank=rank, count=count, most=most)
    assert list(found) == matches[:count]


@given(items, st.integers(0, 15))
def test_pops_come_from_the_end_they_name(elements: list[bytes], count: int) -> None:
    """From the right the last element comes first."""
    left, right = list_of(elements), list_of(elements)

    assert list(left.pop_left(count)) == elements[:count]
    assert list(left.elements()) == elements[count:]
    assert list(right.pop_right(count)) == elements[::-1][:count]
    assert list(right.elements()) == elements[: max(len(elements) - count, 0)]


def test_a_copy_shares_nothing() -> None:
    """COPY must not tie two keys together."""
    value = list_of([b"a"])
    copied = value.copy()
    copied.items.append(b"b")

    assert len(value) == 1
