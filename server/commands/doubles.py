"""Floating point arguments, as C's `strtod` reads them: scores, weights, distances.

`float` accepts what C does not (underscores, spaces around) and lacks hexadecimal numbers.
Reference: Redis 7.0 `util.c: string2d`, `t_zset.c: zslParseRange`.
"""

from __future__ import annotations

import re
from math import inf, isinf, isnan
from typing import Final

from vedette.errors import CommandError

from .arguments import NOT_A_FLOAT

_HEXADECIMAL: Final = re.compile(rb"[+-]?0[xX]")
_SPACES: Final = b" \t\n\v\f\r"
#: No number of fewer digits is too large.
FINITE_DIGITS: Final = 309
#: Something other than zeros before the exponent.
_SOME_DIGIT: Final = re.compile(rb"[+-]?[0.]*[1-9]")


def parse_double(text: bytes, error: bytes = NOT_A_FLOAT) -> float:
    """Return the number that the whole of `text` spells; infinite only if it says so.

    Raises:
        CommandError: it spells none, or NaN, or one out of range; the text is `error`.
    """
    if text.isdigit() and len(text) < FINITE_DIGITS:  # the usual score: nothing to check
        return float(text)
    try:
        value = float(text)
    except ValueError:
        value = _parse_rare(text, error)
    if isnan(value) or b"_" in text or text[0] in _SPACES or text[-1] in _SPACES:
        raise CommandError(error)
    is_out_of_range = isinf(value) and b"n" not in text.lower()
    if is_out_of_range or (value == 0 and _SOME_DIGIT.match(text) is not None):
        raise CommandError(error)
    return value


def parse_bound(text: bytes, error: bytes) -> float:
    """Return an end of a range of scores, read more leniently: spaces before it, or nothing at all.

    What is too large is infinite, and a byte 0 ends the text.

    Raises:
        CommandError: it is no number, or NaN.
    """
    text = text.partition(b"\0")[0]
    if not text:
        return 0.0
    if b"_" in text or text[-1] in _SPACES:
        raise CommandError(error)
    try:
        value = float(text)
    except ValueError:
        value = _parse_rare(text.lstrip(_SPACES), error)
    if isnan(value):
        raise CommandError(error)
    return value


def _parse_rare(text: bytes, error: bytes) -> float:
    """Return the hexadecimal number in `text`, infinite where that is too large."""
    if _HEXADECIMAL.match(text) is None:
        raise CommandError(error)
    try:
        return float.fromhex(text.decode("latin-1"))
    except OverflowError:
        return -inf if text.startswith(b"-") else inf
    except ValueError:
        raise CommandError(error) from None
