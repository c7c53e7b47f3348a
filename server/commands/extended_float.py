"""The arithmetic of INCRBYFLOAT: x87 extended precision, as C's `long double` on x86-64.

Redis adds in that format and prints with 17 decimals, so a server that computes in doubles gives
other digits (0.1 + 0.2 is one case). Numbers are exact here, a mantissa and an exponent of two in
integers, and rounded to 64 bits of mantissa after each step. Follows `util.c: string2ld, ld2string`
(LD_STR_HUMAN).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, Literal, NamedTuple, TypeAlias


class Number(NamedTuple):
    """`mantissa * 2**exponent`."""

    mantissa: int
    exponent: int


#: A finite number, or the sign of an infinity.
Extended: TypeAlias = Number | Literal["inf", "-inf"]

ZERO: Final = Number(0, 0)
_MANTISSA_BITS: Final = 64
#: No finite number has its highest bit beyond this one.
_MOST_BITS: Final = 16384
#: Below half the smallest subnormal everything is zero.
_SMALLEST_EXPONENT: Final = -16445
_DECIMALS: Final = 17
_SCALE: Final = 10**_DECIMALS
#: Redis copies the text into a buffer of this size.
_LONGEST_TEXT: Final = 5 * 1024 - 1
#: int() and str() refuse more than 4300 decimal digits.
_MOST_DIGITS: Final = 4300
_MOST_DIGITS_BITS: Final = 14_000

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
    base = 10
    if match is None:
        match = _HEXADECIMAL.fullmatch(text)
        base = 16
    if match is None:
        return None
    whole, decimals = match[2], match[3] or b""
    digits = whole + decimals
    if not digits:
        return None
    number = _decimal_integer(digits) if base == 10 else int(digits, 16)
    if number == 0:
        return ZERO
    exponent_text = match[4] or b"0"
    if len(exponent_text) > 8 or abs(exponent := int(exponent_text)) > 40_000:
        return None
    if base == 16:
        rounded = _round(number, exponent - 4 * len(decimals))
    else:
        rounded = _times_power_of_ten(number, exponent - len(decimals))
    if rounded.mantissa == 0 or _is_too_large(rounded):
        return None
    return Number(-rounded.mantissa, rounded.exponent) if match[1] == b"-" else rounded


def _decimal_integer(digits: bytes) -> int:
    return int(digits) if len(digits) < _MOST_DIGITS else int(Decimal(digits.decode()))


def _times_power_of_ten(number: int, power: int) -> Number:
    """Return `number * 10**power`, rounded; `number` is positive."""
    if power >= 0:
        return _round(number * 10**power, 0)
    divisor = 10**-power
    # Two bits more than are kept, and one that tells whether anything lies beyond them.
    shift = max(0, _MANTISSA_BITS + 2 + divisor.bit_length() - number.bit_length())
    quotient, remainder = divmod(number << shift, divisor)
    return _round(quotient << 1 | (remainder != 0), -shift - 1)


def add(left: Extended, right: Extended) -> Number | None:
    """Return the rounded sum, None when it would be infinite or no number."""
    if isinstance(left, str) or isinstance(right, str):
        return None
    exponent = min(left.exponent, right.exponent)
    total = _round(
        (left.mantissa << left.exponent - exponent) + (right.mantissa << right.exponent - exponent),
        exponent,
    )
    return None if _is_too_large(total) else total


def _is_too_large(number: Number) -> bool:
    return number.mantissa.bit_length() + number.exponent > _MOST_BITS


def _round(mantissa: int, exponent: int) -> Number:
    """Round to 64 significant bits, ties to even, and fewer where numbers are subnormal."""
    excess = max(mantissa.bit_length() - _MANTISSA_BITS, _SMALLEST_EXPONENT - exponent)
    if excess <= 0:
        return Number(mantissa, exponent)
    rounded = _shifted_right(abs(mantissa), excess)
    return Number(rounded if mantissa > 0 else -rounded, exponent + excess)


def _shifted_right(number: int, bits: int) -> int:
    """Return `number / 2**bits`, rounded to the nearest, ties to even; neither is negative."""
    result = number >> bits
    rest = number - (result << bits)
    half = 1 << bits - 1
    return result + (rest > half or (rest == half and result & 1))


def ceil_product(value: Number, factor: int) -> int:
    """Return `value * factor`, rounded up to an integer."""
    product, exponent = value.mantissa * factor, value.exponent
    return product << exponent if exponent >= 0 else -(-product >> -exponent)


def render(value: Number) -> bytes:
    """Return `value` with up to 17 decimals, without trailing zeros and without an exponent."""
    mantissa, exponent = value
    scaled = abs(mantissa) * _SCALE
    scaled = scaled << exponent if exponent >= 0 else _shifted_right(scaled, -exponent)
    whole, decimals = divmod(scaled, _SCALE)
    text = str(whole if whole.bit_length() < _MOST_DIGITS_BITS else Decimal(whole))
    if decimals:
        text += f".{decimals:0{_DECIMALS}d}".rstrip("0")
    sign = "-" if mantissa < 0 and scaled else ""
    return (sign + text).encode()
