"""Sorted sets in RDB: read in each encoding that Redis has had for them (`rdb.c`).

Written as Redis 7 writes them: a packed one as a listpack of members and scores in turn, a large
one as members with binary scores, from the highest down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isnan
from struct import Struct
from typing import Final

from vedette.resp.encode import format_double

from ..listpack import listpack_of, text_entry
from ..store.encoding_limits import EncodingLimits
from ..store.score_order import Pair
from ..store.sorted_sets import SortedSet
from .rdb.decode import VALUE_DECODERS, ValueDecoder
from .rdb.encode import VALUE_ENCODERS
from .rdb.errors import CorruptRdbError, EmptyValueError, TruncatedRdbError
from .rdb.lengths import RdbData, encode_length, read_length
from .rdb.packed import read_listpack, read_ziplist
from .rdb.strings import encode_string, read_string

_ZSET: Final = 3
_ZSET_2: Final = 5
_ZSET_ZIPLIST: Final = 12
_ZSET_LISTPACK: Final = 17

_DOUBLE: Final = Struct("<d")
#: Whole scores up to here are integers in a listpack (`util.c: double2ll`).
_INTEGER_LIMIT: Final = 2.0**62
#: Sizes of a score's text that stand for what has no digits.
_SPECIAL_SCORES: Final = {254: inf, 255: -inf}


def _read_text_score(data: RdbData, position: int) -> tuple[float, int]:
    size = data[position]
    position += 1
    if size in _SPECIAL_SCORES:
        return _SPECIAL_SCORES[size], position
    end = position + size
    if end > len(data):
        raise TruncatedRdbError(position, "a score runs past the end")
    return _parse_score(data[position:end], position), end


def _read_binary_score(data: RdbData, position: int) -> tuple[float, int]:
    score: float = _DOUBLE.unpack_from(data, position)[0]
    return score, position + _DOUBLE.size


def _parse_score(text: bytes, position: int) -> float:
    try:
        return float(text)
    except ValueError as exc:
        raise CorruptRdbError(position, f"{text!r} is no score") from exc


def _pairs_reader(read_score: Callable[[RdbData, int], tuple[float, int]]) -> ValueDecoder:
    """Return the decoder of members and scores, the latter as `read_score` has them."""

    def read(data: RdbData, position: int) -> tuple[SortedSet, int]:
        count, position = read_length(data, position)
        pairs: list[Pair] = []
        for _ in range(count):
            member, position = read_string(data, position)
            score, position = read_score(data, position)
            pairs.append((score, member))
        return _zset_of(pairs, position), position

    return read


def _packed_reader(read_packed: Callable[[bytes], list[bytes]]) -> ValueDecoder:
    """Return the decoder of one string in which members and scores follow each other."""

    def read(data: RdbData, position: int) -> tuple[SortedSet, int]:
        packed, position = read_string(data, position)
        elements = read_packed(packed)
        if len(elements) % 2:
            raise CorruptRdbError(position, "the last member of a sorted set has no score")
        scores = (_parse_score(text, position) for text in elements[1::2])
        pairs = list(zip(scores, elements[::2], strict=True))
        return _zset_of(pairs, position), position

    return read


def _zset_of(pairs: list[Pair], end: int) -> SortedSet:
    if not pairs:
        raise EmptyValueError(end, end)
    zset = SortedSet.within(EncodingLimits(), pairs)
    if len(zset) != len(pairs):
        raise CorruptRdbError(end, "a member of a sorted set comes twice")
    if any(isnan(score) for score, _ in pairs):
        raise CorruptRdbError(end, "a score is not a number")
    return zset


def _type_of(zset: SortedSet) -> int:
    return _ZSET_LISTPACK if zset.is_packed else _ZSET_2


def _encode(zset: SortedSet, *, compress: bool) -> Sequence[bytes]:
    pairs = zset.slice(0, len(zset))
    if zset.is_packed:
        texts = [text for score, member in pairs for text in (member, _listpack_score(score))]
        packed = listpack_of([text_entry(text) for text in texts])
        return encode_string(packed, compress=compress)
    parts = [encode_length(len(pairs))]
    for score, member in reversed(pairs):
        parts += encode_string(member, compress=compress)
        parts.append(_DOUBLE.pack(score))
    return parts


def _listpack_score(score: float) -> bytes:
    """Return the text of a score, in full where it surely is an integer."""
    if -_INTEGER_LIMIT <= score <= _INTEGER_LIMIT and score == int(score):
        return b"%d" % int(score)
    return format_double(score)


VALUE_DECODERS[_ZSET] = _pairs_reader(_read_text_score)
VALUE_DECODERS[_ZSET_2] = _pairs_reader(_read_binary_score)
VALUE_DECODERS[_ZSET_ZIPLIST] = _packed_reader(read_ziplist)
VALUE_DECODERS[_ZSET_LISTPACK] = _packed_reader(read_listpack)
VALUE_ENCODERS[SortedSet] = (_type_of, _encode)
