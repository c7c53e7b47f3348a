"""The checksum that ends RDB files and DUMP payloads: CRC-64 in the variant Redis uses.

It is the Jones polynomial, reflected, with initial value and final xor 0 (redis crc64.c). The
library folds many bits at a time: a gigabyte takes some 40 ms, so nothing is won by skipping it.
"""

from __future__ import annotations

from typing import Final

import anycrc

_MODEL: Final = anycrc.Model("CRC64-REDIS")

#: Bytes that a checksum takes in a file, in little-endian order.
CHECKSUM_SIZE: Final = 8


def crc64(data: bytes | memoryview, checksum: int = 0) -> int:
    """Return the checksum of `data`, going on from the `checksum` of what came before it."""
    result: int = _MODEL.calc(data, checksum)
    return result


def checksum_bytes(checksum: int) -> bytes:
    """Return `checksum` as it stands in a file."""
    return checksum.to_bytes(CHECKSUM_SIZE, "little")
