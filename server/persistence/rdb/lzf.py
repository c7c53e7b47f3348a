"""LZF, the compression of long RDB strings.

The `python-lzf` package does it in C but has no wheels, so installing it takes a compiler; it is
an extra (`vedette[lzf]`). Without it files are read by the decoder below, some fifty times slower,
and strings are written uncompressed, which every Redis reads. docs/adr/0009 has the reasons.

Format: a control byte below 32 is followed by that many bytes plus one, as they are. Another is a
back reference: its upper 3 bits are the length minus 2 (7: a byte with more follows), its lower 5
the high bits of the distance minus 1, whose low byte follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

#: `compress(data, max_size) -> bytes | None` (None: it does not fit), or None without the extra.
compress: Callable[[bytes, int], bytes | None] | None

_LITERAL_LIMIT: Final = 32
_LONG_LENGTH: Final = 7


def decompress_plainly(packed: bytes, size: int) -> bytes | None:
    """Return the bytes that `packed` stands for, or None if they are more than `size`.

    Raises:
        ValueError: `packed` is damaged.
    """
    output = bytearray()
    position = 0
    end = len(packed)
    try:
        while position < end:
            control = packed[position]
            position += 1
            if control < _LITERAL_LIMIT:
                after = position + control + 1
                if after > end:
                    raise ValueError("a literal run goes past the end")
                output += packed[position:after]
                position = after
                continue
            length = control >> 5
            if length == _LONG_LENGTH:
                length += packed[position]
                position += 1
            start = len(output) - ((control & 0x1F) << 8) - packed[position] - 1
            position += 1
            if start < 0:
                raise ValueError("a back reference goes before the beginning")
            _copy_back(output, start, length + 2)
            if len(output) > size:
                return None
    except IndexError as error:
        raise ValueError("a back reference is cut off") from error
    return bytes(output) if len(output) <= size else None


def _copy_back(output: bytearray, start: int, length: int) -> None:
    """Append `length` bytes that begin at `start`; they may reach into what they append."""
    available = len(output) - start
    if available >= length:
        output += output[start : start + length]
        return
    pattern = bytes(output[start:])
    output += (pattern * (length // available + 1))[:length]


try:
    import lzf
except ModuleNotFoundError:
    compress = None
    decompress: Callable[[bytes, int], bytes | None] = decompress_plainly
else:
    compress = lzf.compress
    decompress = lzf.decompress
