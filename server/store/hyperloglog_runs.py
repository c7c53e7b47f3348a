"""The registers of a HyperLogLog as runs of equal ones, while most are clear (sparse).

`00nnnnnn` and `01nnnnnn nnnnnnnn` are n + 1 clear registers, `1vvvvvnn` are n + 1 registers of
v + 1. Neighbours are joined as Redis joins them, so that both make the same bytes of the same
elements. Functions take and return the runs without the head.

There may be thousands. For one change they are gone through a part at a time (`_PARTS`); for many,
`RunList` takes them apart once.

Reference: Redis 7.0 `hyperloglog.c: hllSparseSet`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from itertools import accumulate
from typing import Final, NamedTuple

from .hyperloglog_registers import REGISTER_COUNT

VALUE_MAX: Final = 32

_ZERO_RUN_MAX: Final = 64
_LONG_ZERO_RUN_MAX: Final = 16384
_VALUE_RUN_MAX: Final = 4
#: How many runs after a changed one are looked at for equal neighbours.
_MERGE_SCAN: Final = 5

_RUN: Final = re.compile(rb"[\x40-\x7f].|.", re.DOTALL)
#: A long run of clear registers, or some runs of one byte.
_PARTS: Final = re.compile(rb"[\x40-\x7f].|[\x00-\x3f\x80-\xff]{1,128}", re.DOTALL)


class CorruptHyperLogLogError(ValueError):
    """The head is right, but the runs make no 16384 registers."""


def _length(head: int) -> int:
    return (head & 3) + 1 if head & 0x80 else head + 1


def _value(head: int) -> int:
    return (head >> 2 & 31) + 1 if head & 0x80 else 0


def _long_length(part: bytes) -> int:
    return ((part[0] & 63) << 8 | part[1]) + 1


# By the byte of a run.
_LENGTHS: Final = bytes(_length(head) & 0xFF for head in range(256))
_VALUES: Final = bytes(_value(head) for head in range(256))
_REGISTERS: Final = tuple(bytes((_value(head),)) * _length(head) for head in range(256))


def of_length(length: int) -> bytes:
    """Return a run of so many clear registers."""
    if length <= _ZERO_RUN_MAX:
        return bytes((length - 1,))
    assert length <= _LONG_ZERO_RUN_MAX
    return bytes((0x40 | (length - 1) >> 8, (length - 1) & 0xFF))


def _of_value(value: int, length: int) -> bytes:
    return bytes((0x80 | (value - 1) << 2 | (length - 1),))


def registers_of(runs: bytes) -> bytes:
    """Return the registers, a byte each.

    Raises:
        CorruptHyperLogLogError: they are not 16384.
    """
    registers = bytearray()
    end = 0
    for match in _PARTS.finditer(runs):
        part, end = match[0], match.end()
        if 0x40 <= part[0] < 0x80:
            registers += bytes(_long_length(part))
        else:
            registers += b"".join(map(_REGISTERS.__getitem__, part))
        if len(registers) > REGISTER_COUNT:
            break
    if len(registers) != REGISTER_COUNT or end != len(runs):
        raise CorruptHyperLogLogError(f"{len(registers)} registers")
    return bytes(registers)


def values_of(runs: bytes) -> dict[int, int]:
    """Return the registers that are not clear, in their order, with their values.

    Raises:
        CorruptHyperLogLogError: there are not 16384 registers.
    """
    values: dict[int, int] = {}
    first = end = 0
    for match in _PARTS.finditer(runs):
        part, end = match[0], match.end()
        if 0x40 <= part[0] < 0x80:
            first += _long_length(part)
            continue
        for head in part:
            following = first + _LENGTHS[head]
            if head & 0x80:
                value = _VALUES[head]
                for register in range(first, following):
                    values[register] = value
            first = following
    if first != REGISTER_COUNT or end != len(runs):
        raise CorruptHyperLogLogError(f"{first} registers")
    return values


def raise_register(runs: bytes, register: int, rank: int, *, size_max: int) -> bytes | None:
    """Return `runs` with `register` raised to `rank`: `runs` itself if it is as high already.

    None: there is no such run, or they would grow beyond `size_max` bytes.

    Raises:
        CorruptHyperLogLogError: no run covers `register`.
    """
    if rank > VALUE_MAX:
        return None
    found = _find(runs, register)
    if found.value >= rank:
        return runs
    changed = _split(runs, found, register, rank)
    if len(changed) > len(runs) and len(changed) > size_max:
        return None
    return _merged(changed, found.previous)


class RunList:
    """Runs, each by itself, so that the one of a register is found at once."""

    def __init__(self, runs: bytes) -> None:
        self._runs: list[bytes] = _RUN.findall(runs)
        self._size = len(runs)
        #: The first register of each run, and where the last one ends.
        self._firsts = [0, *accumulate(map(_run_length, self._runs))]

    def to_bytes(self) -> bytes:
        """Return the runs in a row."""
        return b"".join(self._runs)

    def raise_register(self, register: int, rank: int, *, size_max: int) -> bool | None:
        """Do as the function of that name, and return whether the register was lower.

        Raises:
            CorruptHyperLogLogError: no run covers `register`.
        """
        if rank > VALUE_MAX:
            return None
        firsts = self._firsts
        if register >= firsts[-1]:
            raise CorruptHyperLogLogError(f"register {register} is not covered")
        index = bisect_right(firsts, register) - 1
        run, first = self._runs[index], firsts[index]
        value = _value(run[0])
        if value >= rank:
            return False
        found = _Found(0, len(run), first, firsts[index + 1] - first, value, 0)
        changed = _split(run, found, register, rank)
        growth = len(changed) - len(run)
        if growth > 0 and self._size + growth > size_max:
            return None
        # All that may be joined: from the run before on, as many as are looked at.
        begin, end = max(index - 1, 0), min(index + 1 + _MERGE_SCAN, len(self._runs))
        window = b"".join((*self._runs[begin:index], changed, *self._runs[index + 1 : end]))
        merged = _merged(window, 0)
        self._size += growth + len(merged) - len(window)
        parts = _RUN.findall(merged)
        self._runs[begin:end] = parts
        firsts[begin:end] = accumulate(map(_run_length, parts[:-1]), initial=firsts[begin])
        return True


def _run_length(run: bytes) -> int:
    if len(run) == 2:
        return _long_length(run)
    # One that is cut short covers nothing.
    return 0 if 0x40 <= run[0] < 0x80 else _LENGTHS[run[0]]


def describe(runs: bytes) -> bytes:
    """Return the runs in words: `z:` and `Z:` clear registers, `v:value,length`."""
    words = []
    for match in _PARTS.finditer(runs):
        part = match[0]
        if 0x40 <= part[0] < 0x80:
            words.append(b"Z:%d" % _long_length(part))
            continue
        for head in part:
            if head & 0x80:
                words.append(b"v:%d,%d" % (_value(head), _length(head)))
            else:
                words.append(b"z:%d" % _length(head))
    return b" ".join(words)


class _Found(NamedTuple):
    """The run that covers a register: where it and the one before stand, and what it says."""

    start: int
    end: int
    first: int
    length: int
    value: int
    previous: int


def _find(runs: bytes, register: int) -> _Found:
    first = previous = 0
    for match in _PARTS.finditer(runs):
        part, (start, end) = match[0], match.span()
        if 0x40 <= part[0] < 0x80:
            length = _long_length(part)
            if register < first + length:
                return _Found(start, end, first, length, 0, previous)
            first += length
            previous = start
            continue
        lengths = part.translate(_LENGTHS)
        total = sum(lengths)
        if register >= first + total:
            first += total
            previous = end - 1
            continue
        index = bisect_right(list(accumulate(lengths)), register - first)
        head = part[index]
        if index:
            previous = start + index - 1
        first += sum(lengths[:index])
        position = start + index
        return _Found(position, position + 1, first, _length(head), _value(head), previous)
    raise CorruptHyperLogLogError(f"register {register} is not covered")


def _split(runs: bytes, found: _Found, register: int, rank: int) -> bytes:
    """Return `runs` with the found one split where `register` has another value now."""
    before, after = register - found.first, found.first + found.length - 1 - register
    value = found.value
    parts = [
        (_of_value(value, before) if value else of_length(before)) if before else b"",
        _of_value(rank, 1),
        (_of_value(value, after) if value else of_length(after)) if after else b"",
    ]
    return runs[: found.start] + b"".join(parts) + runs[found.end :]


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
                result[position : position + 2] = _of_value(_value(head), length)
                continue
        position += 1
    return bytes(result)
