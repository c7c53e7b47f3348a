"""Hashes in RDB: read in each encoding that Redis ever wrote, written as plain fields and values.

Redis chooses between listpack and hash table by its own limits when it loads the plain form.
"""

from __future__ import annotations

from typing import Final

from ..store.hashes import Hash
from .rdb.decode import VALUE_DECODERS
from .rdb.encode import VALUE_ENCODERS
from .rdb.errors import CorruptRdbError, EmptyValueError
from .rdb.lengths import RdbData, encode_length, read_length
from .rdb.packed import read_listpack, read_ziplist, read_zipmap
from .rdb.strings import encode_string, read_string, read_strings

_HASH: Final = 4
_HASH_ZIPMAP: Final = 9
_HASH_ZIPLIST: Final = 13
_HASH_LISTPACK: Final = 16


def _read_hash(data: RdbData, position: int) -> tuple[Hash, int]:
    count, start = read_length(data, position)
    texts, end = read_strings(data, start, 2 * count)
    return _hash_of(texts, position, end), end


def _read_hash_zipmap(data: RdbData, position: int) -> tuple[Hash, int]:
    packed, end = read_string(data, position)
    return _hash_of(read_zipmap(packed), position, end), end


def _read_hash_ziplist(data: RdbData, position: int) -> tuple[Hash, int]:
    packed, end = read_string(data, position)
    return _hash_of(read_ziplist(packed), position, end), end


def _read_hash_listpack(data: RdbData, position: int) -> tuple[Hash, int]:
    packed, end = read_string(data, position)
    return _hash_of(read_listpack(packed), position, end), end


def _hash_of(texts: list[bytes], position: int, end: int) -> Hash:
    """Return the hash of fields and values in turn."""
    fields = dict(zip(texts[::2], texts[1::2], strict=False))
    if not texts:
        raise EmptyValueError(position, end)
    if 2 * len(fields) != len(texts):
        raise CorruptRdbError(position, "a field of a hash comes twice or has no value")
    return Hash(fields)


def _encode_hash(value: Hash, *, compress: bool) -> list[bytes]:
    parts = [encode_length(len(value))]
    for field, text in value.fields.items():
        parts += encode_string(field, compress=compress)
        parts += encode_string(text, compress=compress)
    return parts


VALUE_DECODERS[_HASH] = _read_hash
VALUE_DECODERS[_HASH_ZIPMAP] = _read_hash_zipmap
VALUE_DECODERS[_HASH_ZIPLIST] = _read_hash_ziplist
VALUE_DECODERS[_HASH_LISTPACK] = _read_hash_listpack
VALUE_ENCODERS[Hash] = (_HASH, _encode_hash)
