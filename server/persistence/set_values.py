"""Sets in RDB: read in each encoding that Redis ever wrote, written as plain members.

Redis chooses between intset, listpack and hash table by its own limits when it loads the plain
form; a Redis 7.0 would not load a listpack.
"""

from __future__ import annotations

from typing import Final

from ..store.sets import Set
from .rdb.decode import VALUE_DECODERS
from .rdb.encode import VALUE_ENCODERS
from .rdb.errors import CorruptRdbError, EmptyValueError
from .rdb.lengths import RdbData, encode_length, read_length
from .rdb.packed import read_intset, read_listpack
from .rdb.strings import encode_string, read_string, read_strings

_SET: Final = 2
_SET_INTSET: Final = 11
_SET_LISTPACK: Final = 20


def _read_set(data: RdbData, position: int) -> tuple[Set, int]:
    count, start = read_length(data, position)
    texts, end = read_strings(data, start, count)
    return _set_of(texts, position, end), end


def _read_set_intset(data: RdbData, position: int) -> tuple[Set, int]:
    packed, end = read_string(data, position)
    return _set_of([b"%d" % number for number in read_intset(packed)], position, end), end


def _read_set_listpack(data: RdbData, position: int) -> tuple[Set, int]:
    packed, end = read_string(data, position)
    return _set_of(read_listpack(packed), position, end), end


def _set_of(texts: list[bytes], position: int, end: int) -> Set:
    members = set(texts)
    if not texts:
        raise EmptyValueError(position, end)
    if len(members) != len(texts):
        raise CorruptRdbError(position, "a member of a set comes twice")
    return Set(members)


def _encode_set(value: Set, *, compress: bool) -> list[bytes]:
    parts = [encode_length(len(value))]
    for member in value.listed():
        parts += encode_string(member, compress=compress)
    return parts


VALUE_DECODERS[_SET] = _read_set
VALUE_DECODERS[_SET_INTSET] = _read_set_intset
VALUE_DECODERS[_SET_LISTPACK] = _read_set_listpack
VALUE_ENCODERS[Set] = (_SET, _encode_set)
