"""Integers as Redis keeps them: 64 bits, and spelt in one way only (`util.c: string2ll`)."""

from __future__ import annotations

from typing import Final

INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)
_LARGEST_SIZE: Final = 20
_NINE: Final = ord("9")


def is_canonical_integer(text: bytes) -> bool:
    """Return whether `text` spells a 64-bit integer just as Redis would print it."""
    # The sign and the digits come before everything else: a cheap look before a dear one.
    if not 0 < len(text) <= _LARGEST_SIZE or text[0] > _NINE:
        return False
    try:
        value = int(text)
    except ValueError:
        return False
    return b"%d" % value == text and INT64_MIN <= value <= INT64_MAX
