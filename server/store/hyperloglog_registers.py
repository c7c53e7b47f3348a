"""The 16384 registers of a HyperLogLog, a byte each: packing, joining and counting them.

All of them at once, by operations on whole strings and on integers of 16 KB, as there are too many
for a loop. Packed registers are six bits each, the first in the lowest bits.

Reference: Redis 7.0 `hyperloglog.c: HLL_DENSE_GET_REGISTER, hllMerge, hllDenseRegHisto`.
"""

from __future__ import annotations

import re
from typing import Final

REGISTER_COUNT: Final = 1 << 14
PACKED_SIZE: Final = REGISTER_COUNT * 6 // 8
#: Registers are less than this.
REGISTER_LIMIT: Final = 64

# Of three packed bytes, what each holds of four registers.
_LOW_6: Final = bytes(byte & 0x3F for byte in range(256))
_HIGH_2: Final = bytes(byte >> 6 for byte in range(256))
_LOW_4_UP_2: Final = bytes((byte & 0x0F) << 2 for byte in range(256))
_HIGH_4: Final = bytes(byte >> 4 for byte in range(256))
_LOW_2_UP_4: Final = bytes((byte & 0x03) << 4 for byte in range(256))
_HIGH_6: Final = bytes(byte >> 2 for byte in range(256))
# Of four registers, what each gives to three packed bytes.
_LOW_2_UP_6: Final = bytes((byte & 0x03) << 6 for byte in range(256))
_MIDDLE_4: Final = bytes(byte >> 2 & 0x0F for byte in range(256))
_LOW_4_UP_4: Final = bytes((byte & 0x0F) << 4 for byte in range(256))
_MIDDLE_2: Final = bytes(byte >> 4 & 0x03 for byte in range(256))
_LOW_6_UP_2: Final = bytes((byte & 0x3F) << 2 for byte in range(256))

_NOT_CLEAR: Final = re.compile(rb"[^\0]", re.DOTALL).finditer

_HIGHEST_BITS: Final = int.from_bytes(b"\x80" * REGISTER_COUNT, "little")


def unpack(packed: bytes) -> bytes:
    """Return the registers of `packed`."""
    first, second, third = packed[0::3], packed[1::3], packed[2::3]
    registers = bytearray(REGISTER_COUNT)
    registers[0::4] = first.translate(_LOW_6)
    registers[1::4] = _either(first.translate(_HIGH_2), second.translate(_LOW_4_UP_2))
    registers[2::4] = _either(second.translate(_HIGH_4), third.translate(_LOW_2_UP_4))
    registers[3::4] = third.translate(_HIGH_6)
    return bytes(registers)


def pack(registers: bytes) -> bytes:
    """Return `registers` in six bits each."""
    first, second, third, fourth = (registers[start::4] for start in range(4))
    packed = bytearray(PACKED_SIZE)
    packed[0::3] = _either(first.translate(_LOW_6), second.translate(_LOW_2_UP_6))
    packed[1::3] = _either(second.translate(_MIDDLE_4), third.translate(_LOW_4_UP_4))
    packed[2::3] = _either(third.translate(_MIDDLE_2), fourth.translate(_LOW_6_UP_2))
    return bytes(packed)


def _either(left: bytes, right: bytes) -> bytes:
    bits = int.from_bytes(left, "little") | int.from_bytes(right, "little")
    return bits.to_bytes(len(left), "little")


def largest(left: bytes, right: bytes) -> bytes:
    """Return of each register the larger value."""
    one, other = int.from_bytes(left, "little"), int.from_bytes(right, "little")
    if not one or one == other:
        return right
    # The highest bit of each byte is free, so that no difference borrows from the next byte, and
    # it stays where the difference is not negative.
    at_least = (one | _HIGHEST_BITS) - other & _HIGHEST_BITS
    mask = at_least - (at_least >> 7)
    return (other ^ (one ^ other) & mask).to_bytes(REGISTER_COUNT, "little")


def histogram(registers: bytes) -> list[int]:
    """Return how many registers there are of each value below `REGISTER_LIMIT`."""
    # Most are clear in a small one, and counted at once; the others value by value.
    others = registers.translate(None, b"\0")
    remaining = len(others)
    counts = [REGISTER_COUNT - remaining, *[0] * (REGISTER_LIMIT - 1)]
    for value in range(1, REGISTER_LIMIT):
        if not remaining:
            break
        counts[value] = others.count(value)
        remaining -= counts[value]
    return counts


def different(left: bytes, right: bytes) -> list[int]:
    """Return the indexes of the registers that are not the same in both."""
    bits = int.from_bytes(left, "little") ^ int.from_bytes(right, "little")
    return [match.start() for match in _NOT_CLEAR(bits.to_bytes(REGISTER_COUNT, "little"))]
