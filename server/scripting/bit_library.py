"""The library `bit` of scripts: operations on 32 bits, with signed results (LuaBitOp 1.0.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from struct import pack
from typing import Any, Final

from .errors import NotANumberError

_MASK: Final = 0xFFFFFFFF
#: Below it `_TO_LOWEST_BITS` shifts out no bit.
_EXACT: Final = 2**51
#: Added to a number it makes of its whole part the lowest bits of a double: the library's own way,
#: which decides what becomes of numbers too large for it.
_TO_LOWEST_BITS: Final = 2.0**52 + 2.0**51

# Any below: what Lua gives.


def _bits(arguments: tuple[Any, ...], index: int) -> int:
    """Return an argument as 32 bits without sign; a fraction is rounded to the nearest.

    Raises:
        NotANumberError: it is none.
    """
    value: Any = arguments[index] if index < len(arguments) else None
    if type(value) is int and -_EXACT < value < _EXACT:
        return value & _MASK
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise NotANumberError(index + 1) from None
    if type(value) is bool:
        raise NotANumberError(index + 1)
    return int.from_bytes(pack("<d", number + _TO_LOWEST_BITS)[:4], "little")


def _signed(bits: int) -> int:
    bits &= _MASK
    return bits - (1 << 32) if bits >> 31 else bits


def _folded(combine: Callable[[int, int], int]) -> Callable[..., int]:
    def fold(*arguments: Any) -> int:
        count = max(1, len(arguments))
        return _signed(reduce(combine, [_bits(arguments, i) for i in range(count)]))

    return fold


def _shifted(shift: Callable[[int, int], int]) -> Callable[..., int]:
    def apply(*arguments: Any) -> int:
        return _signed(shift(_bits(arguments, 0), _bits(arguments, 1) & 31))

    return apply


def _bswap(*arguments: Any) -> int:
    return _signed(int.from_bytes(_bits(arguments, 0).to_bytes(4, "big"), "little"))


def _tohex(*arguments: Any) -> bytes:
    bits = _bits(arguments, 0)
    size = _signed(_bits(arguments, 1)) if len(arguments) > 1 else 8
    digits = b"%08X" % bits if size < 0 else b"%08x" % bits
    size = min(8, abs(size))
    return digits[8 - size :]


FUNCTIONS: Final[dict[bytes, Callable[..., Any]]] = {
    b"tobit": lambda *arguments: _signed(_bits(arguments, 0)),
    b"bnot": lambda *arguments: _signed(~_bits(arguments, 0)),
    b"band": _folded(lambda a, b: a & b),
    b"bor": _folded(lambda a, b: a | b),
    b"bxor": _folded(lambda a, b: a ^ b),
    b"lshift": _shifted(lambda a, n: a << n),
    b"rshift": _shifted(lambda a, n: a >> n),
    b"arshift": _shifted(lambda a, n: _signed(a) >> n),
    b"rol": _shifted(lambda a, n: a << n | a >> (32 - n)),
    b"ror": _shifted(lambda a, n: a >> n | a << (32 - n)),
    b"bswap": _bswap,
    b"tohex": _tohex,
}
