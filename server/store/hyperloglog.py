"""HyperLogLogs: how many different elements were seen, in at most 12 KB of a string.

A HyperLogLog is a string of Redis' own form, so that it can be read with GET, copied, dumped and
replicated like any: a head of 16 bytes (`HYLL`, the encoding, three unused, the cached count of 8
bytes whose highest bit says that it is stale) and 16384 registers of six bits, packed (dense) or as
runs (sparse). Functions take and return such strings.

Reference: Redis 7.0 `hyperloglog.c`; the estimate is O. Ertl's, "New cardinality estimation
algorithms for HyperLogLog sketches", arXiv:1702.01284.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Final

from . import hyperloglog_registers as packed
from . import hyperloglog_runs as runs
from .hyperloglog_registers import REGISTER_COUNT
from .hyperloglog_runs import CorruptHyperLogLogError

__all__ = [
    "DENSE_SIZE",
    "HEAD_SIZE",
    "PRECISION",
    "RANK_MAX",
    "REGISTER_COUNT",
    "CorruptHyperLogLogError",
    "add",
    "cached_count",
    "count",
    "describe_runs",
    "element_register",
    "empty",
    "is_dense",
    "is_hyperloglog",
    "merge",
    "murmur_hash",
    "registers_of",
    "to_dense",
    "with_cached_count",
    "with_stale_count",
]

PRECISION: Final = 14
#: The largest register: a hash whose remaining bits are all clear.
RANK_MAX: Final = 64 - PRECISION + 1
HEAD_SIZE: Final = 16
DENSE_SIZE: Final = HEAD_SIZE + packed.PACKED_SIZE

_MAGIC: Final = b"HYLL"
_DENSE: Final = 0
_SPARSE: Final = 1
_STALE: Final = 0x80
_ALPHA: Final = 0.5 / math.log(2)
#: Sparse ones of so many bytes together are counted and merged register by register.
_SMALL_BYTES: Final = 512
_HASH_SEED: Final = 0xADC83B19
_HASH_FACTOR: Final = 0xC6A4A7935BD1E995
_WORD: Final = (1 << 64) - 1

assert 1 << PRECISION == REGISTER_COUNT


def is_hyperloglog(data: bytes) -> bool:
    """Return whether the head, and for the dense encoding the size, are those of a HyperLogLog."""
    if len(data) < HEAD_SIZE or not data.startswith(_MAGIC) or data[4] > _SPARSE:
        return False
    return data[4] != _DENSE or len(data) == DENSE_SIZE


def is_dense(data: bytes) -> bool:
    """Return whether the registers are packed, not in runs."""
    return data[4] == _DENSE


def empty() -> bytes:
    """Return a HyperLogLog that has seen nothing, its count of 0 cached."""
    return _head(_SPARSE) + runs.of_length(REGISTER_COUNT)


def _head(encoding: int, cached: bytes = bytes(8)) -> bytes:
    return _MAGIC + bytes((encoding, 0, 0, 0)) + cached


def element_register(element: bytes) -> tuple[int, int]:
    """Return the register that `element` belongs to, and the least value that it gives it."""
    hashed = murmur_hash(element)
    rest = hashed >> PRECISION | 1 << 64 - PRECISION
    return hashed & REGISTER_COUNT - 1, (rest & -rest).bit_length()


def murmur_hash(data: bytes, seed: int = _HASH_SEED) -> int:
    """Return the 64-bit MurmurHash2 of `data`, as A. Appleby's MurmurHash64A computes it."""
    size = len(data)
    hashed = seed ^ size * _HASH_FACTOR & _WORD
    end = size & ~7
    for start in range(0, end, 8):
        word = int.from_bytes(data[start : start + 8], "little") * _HASH_FACTOR & _WORD
        word = (word ^ word >> 47) * _HASH_FACTOR & _WORD
        hashed = (hashed ^ word) * _HASH_FACTOR & _WORD
    if end < size:
        hashed = (hashed ^ int.from_bytes(data[end:], "little")) * _HASH_FACTOR & _WORD
    hashed = (hashed ^ hashed >> 47) * _HASH_FACTOR & _WORD
    return hashed ^ hashed >> 47


def add(data: bytes, elements: Sequence[bytes], *, sparse_max_bytes: int) -> tuple[bytes, int]:
    """Return `data` with `elements` added, and how many of them changed it.

    A sparse one becomes dense when it would grow beyond `sparse_max_bytes`. The cached count is
    marked stale if anything changed.

    Raises:
        CorruptHyperLogLogError: the runs make no sense.
    """
    if len(elements) == 1:
        return _add_one(data, elements[0], sparse_max_bytes)
    raises = map(element_register, elements)
    changed_count = 0
    if not is_dense(data):
        run_list = runs.RunList(data[HEAD_SIZE:])
        size_max = sparse_max_bytes - HEAD_SIZE
        for register, rank in raises:
            is_changed = run_list.raise_register(register, rank, size_max=size_max)
            if is_changed is None:
                changed_count += 1
                dense = bytearray(to_dense(data[:HEAD_SIZE] + run_list.to_bytes()))
                _raise_dense(dense, register, rank)
                break
            changed_count += is_changed
        else:
            if changed_count:
                data = with_stale_count(data[:HEAD_SIZE] + run_list.to_bytes())
            return data, changed_count
    else:
        dense = bytearray(data)
    for register, rank in raises:
        changed_count += _raise_dense(dense, register, rank)
    if changed_count:
        dense[15] |= _STALE
    return bytes(dense), changed_count


def _add_one(data: bytes, element: bytes, sparse_max_bytes: int) -> tuple[bytes, int]:
    """Do as `add` with one element, which often changes nothing: then nothing is copied either."""
    register, rank = element_register(element)
    if is_dense(data):
        _, shift, window = _window(data, register)
        if window >> shift & 0x3F >= rank:
            return data, 0
    else:
        before = data[HEAD_SIZE:]
        size_max = sparse_max_bytes - HEAD_SIZE
        after = runs.raise_register(before, register, rank, size_max=size_max)
        if after is before:
            return data, 0
        if after is not None:
            return with_stale_count(data[:HEAD_SIZE] + after), 1
    dense = bytearray(with_stale_count(to_dense(data)))
    _raise_dense(dense, register, rank)
    return bytes(dense), 1


def _raise_dense(dense: bytearray, register: int, rank: int) -> bool:
    """Raise `register` to `rank`; return whether it was lower."""
    position, shift, window = _window(dense, register)
    if window >> shift & 0x3F >= rank:
        return False
    window = window & ~(0x3F << shift) | rank << shift
    dense[position] = window & 0xFF
    if shift > 2:
        dense[position + 1] = window >> 8
    return True


def _window(dense: bytes | bytearray, register: int) -> tuple[int, int, int]:
    """Return where the bytes of a packed register begin, its first bit in them, and the bytes."""
    first_bit = register * 6
    position = HEAD_SIZE + (first_bit >> 3)
    # The last register ends with the last byte, and needs none behind it.
    return position, first_bit & 7, int.from_bytes(dense[position : position + 2], "little")


def merge(data: bytes, sources: Sequence[bytes], *, sparse_max_bytes: int) -> bytes:
    """Return `data` with all that `sources` have seen; its cached count is stale.

    It becomes dense if one of `sources` is, or as by `add`.

    Raises:
        CorruptHyperLogLogError: the runs of one make no sense.
    """
    everyone = (data, *sources)
    if not any(map(is_dense, everyone)):
        run_list = runs.RunList(data[HEAD_SIZE:])
        size_max = sparse_max_bytes - HEAD_SIZE
        for register, value in _raised_values(data, everyone):
            if run_list.raise_register(register, value, size_max=size_max) is None:
                break
        else:
            return with_stale_count(data[:HEAD_SIZE] + run_list.to_bytes())
    return with_stale_count(_head(_DENSE, data[8:HEAD_SIZE]) + packed.pack(_union(everyone)))


def _raised_values(data: bytes, everyone: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return the registers that are higher in one of `everyone` than in `data`, and how high."""
    if _are_small(everyone):
        own = runs.values_of(data[HEAD_SIZE:])
        highest = _highest_values(everyone)
        return [
            (each, highest[each]) for each in sorted(highest) if highest[each] > own.get(each, 0)
        ]
    union = _union(everyone)
    return [(each, union[each]) for each in packed.different(registers_of(data), union)]


def with_stale_count(data: bytes) -> bytes:
    """Return `data` with its cached count marked as stale."""
    return data[:15] + bytes((data[15] | _STALE,)) + data[HEAD_SIZE:]


def cached_count(data: bytes) -> int | None:
    """Return the count that is kept in the head, or None if it is stale."""
    return None if data[15] & _STALE else int.from_bytes(data[8:HEAD_SIZE], "little")


def with_cached_count(data: bytes, count: int) -> bytes:
    """Return `data` with `count` kept in its head."""
    return data[:8] + count.to_bytes(8, "little") + data[HEAD_SIZE:]


def registers_of(data: bytes) -> bytes:
    """Return the registers, a byte each.

    Raises:
        CorruptHyperLogLogError: the runs make no sense.
    """
    if is_dense(data):
        return packed.unpack(data[HEAD_SIZE:])
    return runs.registers_of(data[HEAD_SIZE:])


def _union(sources: Iterable[bytes]) -> bytes:
    """Return the registers of what has seen all that any of `sources` has seen."""
    return reduce(packed.largest, map(registers_of, sources), bytes(REGISTER_COUNT))


def _are_small(sources: Sequence[bytes]) -> bool:
    """Return whether it is quicker to look at the registers that are set than at all."""
    return sum(map(len, sources)) <= _SMALL_BYTES and not any(map(is_dense, sources))


def _highest_values(sources: Iterable[bytes]) -> dict[int, int]:
    """Return the registers that are set in any of `sources`, which are sparse, and how high."""
    highest: dict[int, int] = {}
    for data in sources:
        for register, value in runs.values_of(data[HEAD_SIZE:]).items():
            if value > highest.get(register, 0):
                highest[register] = value
    return highest


def to_dense(data: bytes) -> bytes:
    """Return `data` with its registers packed; the cached count stays.

    Raises:
        CorruptHyperLogLogError: the runs make no sense.
    """
    if is_dense(data):
        return data
    return _head(_DENSE, data[8:HEAD_SIZE]) + packed.pack(registers_of(data))


def count(sources: Sequence[bytes]) -> int:
    """Return how many different elements `sources` have seen together, as far as can be told.

    Raises:
        CorruptHyperLogLogError: the runs of one make no sense.
    """
    if not _are_small(sources):
        return _estimate(packed.histogram(_union(sources)))
    values = _highest_values(sources).values()
    histogram = [REGISTER_COUNT - len(values), *[0] * RANK_MAX]
    for value in values:
        histogram[value] += 1
    return _estimate(histogram)


def _estimate(histogram: Sequence[int]) -> int:
    """Return Ertl's estimate from how many registers there are of each value."""
    size = float(REGISTER_COUNT)
    total = size * _tau((size - histogram[RANK_MAX]) / size)
    for rank in range(RANK_MAX - 1, 0, -1):
        total = (total + histogram[rank]) * 0.5
    total += size * _sigma(histogram[0] / size)
    return int(_ALPHA * size * size / total + 0.5) if total != math.inf else 0


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z, previous = 1.0, x, -1.0
    while previous != z:
        x *= x
        previous = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, previous = 1.0, 1.0 - x, -1.0
    while previous != z:
        x = math.sqrt(x)
        previous = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
    return z / 3.0


def describe_runs(data: bytes) -> bytes:
    """Return the runs of a sparse one in words, as `hyperloglog_runs.describe` does."""
    return runs.describe(data[HEAD_SIZE:])
