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
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

PRECISION: Final = 14
REGISTER_COUNT: Final = 1 << PRECISION
#: The largest register: a hash whose remaining bits are all clear.
RANK_MAX: Final = 64 - PRECISION + 1
HEAD_SIZE: Final = 16
DENSE_SIZE: Final = HEAD_SIZE + REGISTER_COUNT * 6 // 8

_MAGIC: Final = b"HYLL"
_DENSE: Final = 0
_SPARSE: Final = 1
_STALE: Final = 0x80
_ALPHA: Final = 0.5 / math.log(2)
_HASH_SEED: Final = 0xADC83B19
_HASH_FACTOR: Final = 0xC6A4A7935BD1E995
_WORD: Final = (1 << 64) - 1

#: Sparse runs: `00nnnnnn` and `01nnnnnn nnnnnnnn` are n + 1 clear registers, `1vvvvvnn` are n + 1
#: registers of v + 1.
_ZERO_RUN_MAX: Final = 64
_LONG_ZERO_RUN_MAX: Final = 16384
_VALUE_RUN_MAX: Final = 4
_SPARSE_VALUE_MAX: Final = 32
#: How many runs after a changed one are looked at for equal neighbours.
_MERGE_SCAN: Final = 5


class CorruptHyperLogLogError(ValueError):
    """The head is right, but the runs make no 16384 registers."""


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
    return _head(_SPARSE) + _zero_run(REGISTER_COUNT)


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


def add(data: bytes, elements: Iterable[bytes], *, sparse_max_bytes: int) -> tuple[bytes, int]:
    """Return `data` with `elements` added, and how many of them changed it.

    A sparse one becomes dense when it would grow beyond `sparse_max_bytes`. The cached count is
    marked stale if anything changed.

    Raises:
        CorruptHyperLogLogError: the runs make no sense.
    """
    changed_count = 0
    for element in elements:
        register, rank = element_register(element)
        changed = raise_register(data, register, rank, sparse_max_bytes=sparse_max_bytes)
        if changed is not None:
            data = changed
            changed_count += 1
    return (with_stale_count(data) if changed_count else data), changed_count


def raise_register(data: bytes, register: int, rank: int, *, sparse_max_bytes: int) -> bytes | None:
    """Return `data` with `register` raised to `rank`, or None if it is as high already."""
    if not is_dense(data):
        runs = data[HEAD_SIZE:]
        found = _find_run(runs, register)
        if found.value >= rank:
            return None
        if rank <= _SPARSE_VALUE_MAX:
            new_runs = _split_run(runs, found, register, rank)
            grows = len(new_runs) > len(runs)
            if not grows or HEAD_SIZE + len(new_runs) <= sparse_max_bytes:
                return data[:HEAD_SIZE] + _merged(new_runs, found.previous)
        data = to_dense(data)
    first_bit = register * 6
    position = HEAD_SIZE + (first_bit >> 3)
    shift = first_bit & 7
    window = int.from_bytes(data[position : position + 2], "little")
    if window >> shift & 0x3F >= rank:
        return None
    window = window & ~(0x3F << shift) | rank << shift
    size = len(data[position : position + 2])
    return data[:position] + window.to_bytes(size, "little") + data[position + size :]


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
        registers = bytearray()
        for start in range(HEAD_SIZE, DENSE_SIZE, 3):
            group = data[start] | data[start + 1] << 8 | data[start + 2] << 16
            registers += bytes((group & 63, group >> 6 & 63, group >> 12 & 63, group >> 18))
        return bytes(registers)
    parts = [bytes((value,)) * length for _, _, length, value in _runs(data[HEAD_SIZE:])]
    registers_bytes = b"".join(parts)
    if len(registers_bytes) != REGISTER_COUNT:
        raise CorruptHyperLogLogError(f"{len(registers_bytes)} registers")
    return registers_bytes


def to_dense(data: bytes) -> bytes:
    """Return `data` with its registers packed; the cached count stays.

    Raises:
        CorruptHyperLogLogError: the runs make no sense.
    """
    if is_dense(data):
        return data
    registers = registers_of(data)
    packed = bytearray()
    for start in range(0, REGISTER_COUNT, 4):
        first, second, third, fourth = registers[start : start + 4]
        group = first | second << 6 | third << 12 | fourth << 18
        packed += group.to_bytes(3, "little")
    return _head(_DENSE, data[8:HEAD_SIZE]) + bytes(packed)


def estimate(registers: bytes) -> int:
    """Return how many different elements gave these registers, by Ertl's estimator."""
    histogram = Counter(registers)
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
    """Return the runs of a sparse one in words: `z:` and `Z:` clear registers, `v:value,length`."""
    words = []
    for start, end, length, value in _runs(data[HEAD_SIZE:]):
        if value:
            words.append(b"v:%d,%d" % (value, length))
        else:
            words.append(b"%b:%d" % (b"z" if end == start + 1 else b"Z", length))
    return b" ".join(words)


# --- sparse runs ---------------------------------------------------------------------------------


class _Found:
    """The run that covers a register: where it and the one before stand, and what it says."""

    __slots__ = ("end", "first", "length", "previous", "start", "value")

    def __init__(
        self, start: int, end: int, first: int, length: int, value: int, previous: int
    ) -> None:
        self.start = start
        self.end = end
        self.first = first
        self.length = length
        self.value = value
        self.previous = previous


def _runs(runs: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Iterate over (position, position after it, length, value) of each run.

    Raises:
        CorruptHyperLogLogError: the last run is cut short.
    """
    position = 0
    while position < len(runs):
        head = runs[position]
        if head & 0x80:
            end, length, value = position + 1, (head & 3) + 1, (head >> 2 & 31) + 1
        elif head & 0x40:
            if position + 1 == len(runs):
                raise CorruptHyperLogLogError("the last run is cut short")
            end = position + 2
            length, value = ((head & 63) << 8 | runs[position + 1]) + 1, 0
        else:
            end, length, value = position + 1, head + 1, 0
        yield position, end, length, value
        position = end


def _find_run(runs: bytes, register: int) -> _Found:
    first = previous = 0
    for start, end, length, value in _runs(runs):
        if register < first + length:
            return _Found(start, end, first, length, value, previous)
        first += length
        previous = start
    raise CorruptHyperLogLogError(f"register {register} is not covered")


def _split_run(runs: bytes, found: _Found, register: int, rank: int) -> bytes:
    """Return `runs` with the found one split where `register` has another value now."""
    before, after = register - found.first, found.first + found.length - 1 - register
    make = _zero_run if not found.value else lambda length: _value_run(found.value, length)
    parts = [make(before) if before else b"", _value_run(rank, 1), make(after) if after else b""]
    return runs[: found.start] + b"".join(parts) + runs[found.end :]


def _zero_run(length: int) -> bytes:
    if length <= _ZERO_RUN_MAX:
        return bytes((length - 1,))
    assert length <= _LONG_ZERO_RUN_MAX
    return bytes((0x40 | (length - 1) >> 8, (length - 1) & 0xFF))


def _value_run(value: int, length: int) -> bytes:
    return bytes((0x80 | (value - 1) << 2 | (length - 1),))


def _merged(runs: bytes, position: int) -> bytes:
    """Return `runs` with equal values that are neighbours joined, near `position`."""
    result = bytearray(runs)
    scans = _MERGE_SCAN
    while position < len(result) and scans:
        scans -= 1
        head = result[position]
        if not head & 0x80:
            position += 2 if head & 0x40 else 1
            continue
        if position + 1 < len(result) and result[position + 1] & 0x80:
            following = result[position + 1]
            length = (head & 3) + (following & 3) + 2
            if head >> 2 == following >> 2 and length <= _VALUE_RUN_MAX:
                result[position : position + 2] = _value_run((head >> 2 & 31) + 1, length)
                continue
        position += 1
    return bytes(result)
