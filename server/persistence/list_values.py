"""Lists in RDB: read in each encoding that Redis has had for them, written as quicklists (`rdb.c`).

Written as Redis 7 writes them: listpacks of up to 8 KB, in which integers are integers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from ..listpack import listpack_of, text_entry
from ..store.lists import List
from .rdb.decode import VALUE_DECODERS
from .rdb.encode import VALUE_ENCODERS
from .rdb.errors import CorruptRdbError, EmptyValueError
from .rdb.lengths import RdbData, encode_length, read_length
from .rdb.packed import read_listpack, read_ziplist
from .rdb.strings import encode_string, read_string

_LIST: Final = 1
_LIST_ZIPLIST: Final = 10
_LIST_QUICKLIST: Final = 14
_LIST_QUICKLIST_2: Final = 18

#: Kinds of a quicklist's nodes: an element by itself, or a listpack.
_PLAIN: Final = 1
_PACKED: Final = 2
_PACKED_NODE: Final = encode_length(_PACKED)

#: The size of a listpack that holds nothing.
_EMPTY_LISTPACK_BYTES: Final = 7
#: How large Redis lets a listpack become by default, and what it reckons with for an element
#: beyond its bytes (`quicklist.c: _quicklistNodeAllowInsert`).
_NODE_BYTES: Final = 8192
_OVERHEAD_BYTES: Final = 8


def _read_list(data: RdbData, position: int) -> tuple[List, int]:
    count, position = read_length(data, position)
    items: deque[bytes] = deque()
    for _ in range(count):
        item, position = read_string(data, position)
        items.append(item)
    return _list_of(items, position), position


def _read_ziplist(data: RdbData, position: int) -> tuple[List, int]:
    packed, position = read_string(data, position)
    return _list_of(deque(read_ziplist(packed)), position), position


def _read_quicklist(data: RdbData, position: int) -> tuple[List, int]:
    count, position = read_length(data, position)
    items: deque[bytes] = deque()
    for _ in range(count):
        packed, position = read_string(data, position)
        items += read_ziplist(packed)
    return _list_of(items, position), position


def _read_quicklist_2(data: RdbData, position: int) -> tuple[List, int]:
    count, position = read_length(data, position)
    items: deque[bytes] = deque()
    for _ in range(count):
        kind, position = read_length(data, position)
        content, position = read_string(data, position)
        if kind == _PLAIN and content:  # an empty element is always packed
            items.append(content)
        elif kind == _PACKED:
            items += read_listpack(content)
        else:
            raise CorruptRdbError(position, f"a node of a quicklist of kind {kind} makes no sense")
    return _list_of(items, position), position


def _list_of(items: deque[bytes], end: int) -> List:
    if not items:
        raise EmptyValueError(end, end)
    return List(items)


def _encode_list(value: List, *, compress: bool) -> list[bytes]:
    parts: list[bytes] = []
    count = 0
    for listpack in _listpacks(value.items):
        parts.append(_PACKED_NODE)
        parts += encode_string(listpack, compress=compress)
        count += 1
    return [encode_length(count), *parts]


def _listpacks(items: deque[bytes]) -> Iterator[bytes]:
    """Iterate over the listpacks that a list becomes, filled from the front."""
    entries: list[bytes] = []
    size = _EMPTY_LISTPACK_BYTES
    for item in items:
        if entries and size + len(item) + _OVERHEAD_BYTES > _NODE_BYTES:
            yield listpack_of(entries)
            entries = []
            size = _EMPTY_LISTPACK_BYTES
        entry = text_entry(item)
        entries.append(entry)
        size += len(entry)
    yield listpack_of(entries)


VALUE_DECODERS[_LIST] = _read_list
VALUE_DECODERS[_LIST_ZIPLIST] = _read_ziplist
VALUE_DECODERS[_LIST_QUICKLIST] = _read_quicklist
VALUE_DECODERS[_LIST_QUICKLIST_2] = _read_quicklist_2
VALUE_ENCODERS[List] = (_LIST_QUICKLIST_2, _encode_list)
