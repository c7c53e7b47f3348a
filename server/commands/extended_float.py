"""The arithmetic of INCRBYFLOAT: x87 extended precision, as C's `long double` on x86-64.

Redis adds in that format and prints with 17 decimals, so a server that computes in doubles gives
other digits (0.1 + 0.2 is one case). Numbers are exact fractions here, rounded to 64 bits of
mantissa after each step. Follows `util.c: string2ld, ld2string` (LD_STR_HUMAN).
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, TypeAlias

#: A finite number, or the sign of an infinity.
Extended: TypeAlias = Fraction | Literal["inf", "-inf"]

ZERO: Final = Fraction(0)
_MANTISSA_BITS: Final = 64
_LARGEST: Final = Fraction((2**64 - 1) * 2 ** (16383 - 63))
#: Below half the smallest subnormal everything is zero.
_SMALLEST_EXPONENT: Final = -16445
_DECIMALS: Final = 17
#: Redis copies the text into a buffer of this size.
_LONGEST_TEXT: Final = 5 * 1024 - 1

_DECIMAL: Final = re.compile(rb"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")
_HEXADECIMAL: Final = re.compile(
    rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?"
)
_INFINITY: Final = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE)


def parse(text: bytes) -> Extended | None:
    """Return the number that the whole of `text` spells, None if it is none or out of range."""
    if not text or len(text) > _LONGEST_TEXT:
        return None
    infinity = _INFINITY.fullmatch(text)
    if infinity is not None:
        return "-inf" if infinity[1] == b"-" else "inf"
    match = _DECIMAL.fullmatch(text)
    base, exponent_base = 10, 10
    if match is None:
        match = _HEXADECIMAL.fullmatch(text)
        base, exponent_base = 16, 2
    if match is None:
        return None
    whole, decimals = match[2], match[3] or b""
    digits = whole + decimals
    if not digits:
        return None
    # Through Decimal, because int() takes no more than 4300 decimal digits.
    number = int(Decimal(digits.decode())) if base == 10 else int(digits, 16)
    magnitude = _scaled(number, base, len(decimals), exponent_base, match[4] or b"0")
    if magnitude is None:
        return None
    rounded = _round(magnitude)
    if abs(rounded) > _LARGEST or (rounded == 0 and magnitude != 0):
        return None
    return -rounded if match[1] == b"-" else rounded


def _scaled(
    number: int, base: int, decimal_count: int, exponent_base: int, exponent_text: bytes
) -> Fraction | None:
    """Return `number` with its point and exponent in place; None if far beyond the range."""
    if number == 0:
        return ZERO
    if len(exponent_text) > 8 or abs(int(exponent_text)) > 40_000:
        return None
    exponent = int(exponent_text)
    return Fraction(number, base**decimal_count) * Fraction(exponent_base) ** exponent


def add(left: Extended, right: Extended) -> Fraction | None:
    """Return the rounded sum, None when it would be infinite or no number."""
    if isinstance(left, str) or isinstance(right, str):
        return None
    total = _round(left + right)
    return total if abs(total) <= _LARGEST else None


def _round(value: Fraction) -> Fraction:
    """Round to 64 significant bits, ties to even, and fewer where numbers are subnormal."""
    if value == 0:
        return ZERO
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if Fraction(2) ** exponent > magnitude:
        exponent -= 1
    lowest_bit = max(exponent - _MANTISSA_BITS + 1, _SMALLEST_EXPONENT)
    unit = Fraction(2) ** lowest_bit
    rounded = round(magnitude / unit) * unit  # Fraction rounds ties to even
    return rounded if value > 0 else -rounded


def render(value: Fraction) -> bytes:
    """Return `value` with up to 17 decimals, without trailing zeros and without an exponent."""
    scaled = round(abs(value) * 10**_DECIMALS)
    whole, decimals = divmod(scaled, 10**_DECIMALS)
    text = str(Decimal(whole))  # str() of an int stops at 4300 digits
    if decimals:
        text += f".{decimals:0{_DECIMALS}d}".rstrip("0")
    sign = "-" if value < 0 and scaled else ""
    return (sign + text).encode()
