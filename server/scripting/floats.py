"""Floating-point numbers as bytes, for the libraries `struct` and `cmsgpack` of scripts."""

from __future__ import annotations

import math
import struct
from typing import Any, Final

_FLOAT_OPCODE: Final = b"\xca"
_DOUBLE_OPCODE: Final = b"\xcb"


def pack(form: bytes, number: float) -> bytes:
    """Return `number` as the format `form` of Python's `struct` says; what a float cannot hold is
    infinite there, as in C.
    """
    try:
        return struct.pack(form, number)
    except OverflowError:
        return struct.pack(form, math.copysign(math.inf, number))


# Any: `struct` may give anything.
def unpack(form: bytes, data: bytes) -> Any:
    """Return the number that `data` holds, which is of the size that `form` says."""
    return struct.unpack(form, data)[0]


def pack_message(number: float) -> bytes:
    """Return `number` in MessagePack: as a float if that loses nothing, else as a double."""
    single = pack(b">f", number)
    if unpack(b">f", single) == number:
        return _FLOAT_OPCODE + single
    return _DOUBLE_OPCODE + struct.pack(">d", number)
