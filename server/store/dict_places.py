"""The places of a dictionary's keys: what SCAN, RANDOMKEY and eviction stand on.

A dictionary of CPython keeps its entries in an array, in the order in which the keys came. New keys
go to the end; a deletion leaves a hole; when the array is full or is copied, what is left closes
up. So a key that stays only ever moves towards the beginning, and a scan that goes from the end to
the beginning does not miss it, whatever comes and goes meanwhile: SCAN's guarantee, without
anything kept for a scan or at a write. A place is a number, and means that many entries or holes
from the beginning; a cursor is the number of places that are left.

`PyDict_Next` of the C API gives the first entry at or after a place in constant time. Its
documentation does not promise that any number may be asked for, so that is tried out when this
module is imported; were it not so, entries would be counted from the beginning: as right, and slow.
See docs/adr/0022.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, TypeAlias

Dictionary: TypeAlias = "dict[bytes, Any]"  # Any: whatever the keys lead to is not looked at

_ENTRY_BYTES: Final = 24
#: Up to so many keys, all of them are listed to choose from.
_FEW: Final = 8
#: How many holes a draw may hit before it takes the next entry, whatever that does to its fairness.
_DRAWS: Final = 64
#: Steps of a scan look at so many times the places that they were asked for keys.
_WINDOW_LIMIT: Final = 10
#: A dictionary is worth copying when this share of its places is holes.
_SPARSE_SHARE: Final = 8
_SPARSE_FROM: Final = 1024
#: A copy that is to save memory has to have room for so many keys more, as a share: else another
#: would be needed soon.
_ROOM_SHARE: Final = 8
#: Of how many keys copies are made to save memory: more would take some tenths of a second.
_LEAST_COPIED: Final = 64
_MOST_COPIED: Final = 131_072
#: What a dictionary takes for each of its slots, at least; their number is a power of two.
_SLOT_BYTES: Final = 16

#: Takes a `py_object`, two pointers and None. Its `argtypes` are not declared, for looking at each
#: argument by them takes longer than the call.
_next_entry: Any = ctypes.pythonapi.PyDict_Next
_next_entry.restype = ctypes.c_int

#: What the calls work on; made once, as that takes longer than a call.
_position = ctypes.c_ssize_t()
_key: Any = ctypes.py_object()
_at_position, _at_key = ctypes.byref(_position), ctypes.byref(_key)


def _keys_by_place(mapping: Dictionary, start: int, end: int) -> list[bytes]:
    entries: Any = ctypes.py_object(mapping)
    _position.value = start
    found = []
    while _next_entry(entries, _at_position, _at_key, None) and _position.value <= end:
        found.append(_key.value)
    return found


def _keys_by_count(mapping: Dictionary, start: int, end: int) -> list[bytes]:
    return list(islice(mapping, start, end))


def _at_by_place(mapping: Dictionary, place: int) -> tuple[bytes, int] | None:
    _position.value = place
    if not _next_entry(ctypes.py_object(mapping), _at_position, _at_key, None):
        return None
    return _key.value, _position.value - 1


def _at_by_count(mapping: Dictionary, place: int) -> tuple[bytes, int] | None:
    for key in islice(mapping, place, None):
        return key, place
    return None


def _are_places_known() -> bool:
    """Return whether this interpreter takes any place, which a dictionary with holes shows."""
    tried = {b"%d" % number: number for number in range(16)}
    for number in (0, 5, 6, 15):
        del tried[b"%d" % number]
    expected = [1, 1, 2, 3, 4, 7, 7, 7, 8, 9, 10, 11, 12, 13, 14, None]
    found = [_at_by_place(tried, place) for place in range(16)]
    return [entry and tried[entry[0]] for entry in found] == expected and all(
        entry is None or entry[1] == tried[entry[0]] for entry in found
    )


_PLACES_ARE_KNOWN: Final = _are_places_known()
#: Return the first key at or after a place, and its place; None: there is none.
entry_at: Final[Callable[[Dictionary, int], tuple[bytes, int] | None]] = (
    _at_by_place if _PLACES_ARE_KNOWN else _at_by_count
)
#: Return the keys from one place to before another.
keys_between: Final[Callable[[Dictionary, int, int], list[bytes]]] = (
    _keys_by_place if _PLACES_ARE_KNOWN else _keys_by_count
)


def _place_bound(mapping: Mapping[bytes, object]) -> int:
    """Return a number of places that the dictionary has room for at most."""
    return sys.getsizeof(mapping) // _ENTRY_BYTES


def place_count(mapping: Dictionary) -> int:
    """Return the number of places up to the last key."""
    low, high = len(mapping), _place_bound(mapping) + 1
    if entry_at(mapping, low) is None:
        return low  # there are no holes, as mostly
    while low < high:  # there is an entry at or after every place below `low`
        middle = (low + high) // 2
        if entry_at(mapping, middle) is None:
            high = middle
        else:
            low = middle + 1
    return low


def scan(mapping: Dictionary, cursor: int, count: int) -> tuple[int, list[bytes]]:
    """Return the next cursor (0: the end) and about `count` keys; cursor 0 begins.

    In a dictionary full of holes there may be fewer, or none, and the scan goes on.
    """
    size = len(mapping)
    if cursor == 0 and size <= count:
        return 0, list(mapping)
    end = cursor
    if cursor == 0 or cursor > _place_bound(mapping):
        end = place_count(mapping)
        if end == size:  # without holes, as mostly, the last keys are those of the last places
            return max(0, end - count), list(islice(reversed(mapping), count))
    found: list[bytes] = []
    for _ in range(_WINDOW_LIMIT):
        start = max(0, end - count)
        found += keys_between(mapping, start, end)
        end = start
        if end == 0 or len(found) * 2 >= count:
            break
    return end, found


def random_key(mapping: Dictionary, random: Callable[[], float]) -> bytes:
    """Return a key drawn at random by `random()`, which gives 0 to below 1; there must be one."""
    if len(mapping) <= _FEW:
        return list(mapping)[int(random() * len(mapping))]
    bound = _place_bound(mapping)
    for _ in range(_DRAWS):
        place = int(random() * bound)
        entry = entry_at(mapping, place)
        if entry is not None and entry[1] == place:
            return entry[0]
    entry = entry_at(mapping, int(random() * bound)) or entry_at(mapping, 0)
    assert entry is not None
    return entry[0]


def is_sparse(mapping: Mapping[bytes, object]) -> bool:
    """Return whether a dictionary has so many holes that a copy would be much smaller."""
    bound = _place_bound(mapping)
    return bound > _SPARSE_FROM and len(mapping) * _SPARSE_SHARE < bound


def may_be_halved(mapping: Mapping[bytes, object]) -> bool:
    """Return whether a copy would take half the room or less, and be of use for a while.

    A dictionary that is full grows to three times the slots that its keys need, so one whose keys
    come and go is mostly half as large as it could be. Follows CPython `dictobject.c: dict_merge`.
    """
    count = len(mapping)
    if not _LEAST_COPIED <= count <= _MOST_COPIED:
        return False
    slots = 1 << (sys.getsizeof(mapping) // _SLOT_BYTES).bit_length() - 1
    copied_slots = 1 << ((count * 3 + 1) // 2 - 1).bit_length()
    room = copied_slots * 2 // 3 - count
    return 2 * copied_slots <= slots and room * _ROOM_SHARE >= count
