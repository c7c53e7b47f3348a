"""The library `bit` of scripts: operations on 32 bits, with signed results (LuaBitOp 1.0.2)."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, Final

from .interpreter import ScriptError

_MASK: Final = 0xFFFFFFFF

# Any below: what Lua gives.


def _bits(arguments: tuple[Any, ...], index: int, name: str) -> int:
    """Return an argument as 32 bits without sign; a fraction is rounded to the nearest.

    Raises:
        ScriptError: it is no number.
    """
    value: Any = arguments[index] if index < len(arguments) else None
    try:
        return round(float(value) if isinstance(value, bytes) else value + 0) & _MASK
    except (TypeError, ValueError, OverflowError):
        raise ScriptError(
            b"ERR bad argument #%d to '%b' (number expected)" % (index + 1, name.encode())
        ) from None


def _signed(bits: int) -> int:
    bits &= _MASK
    return bits - (1 << 32) if bits >> 31 else bits


def _folded(name: str, combine: Callable[[int, int], int]) -> Callable[..., int]:
    def fold(*arguments: Any) -> int:
        count = max(1, len(arguments))
        return _signed(reduce(combine, [_bits(arguments, i, name) for i in range(count)]))

    return fold


def _shifted(name: str, shift: Callable[[int, int], int]) -> Callable[..., int]:
    def apply(*arguments: Any) -> int:
        return _signed(shift(_bits(arguments, 0, name), _bits(arguments, 1, name) & 31))

    return apply


def _bswap(*arguments: Any) -> int:
    return _signed(int.from_bytes(_bits(arguments, 0, "bswap").to_bytes(4, "big"), "little"))


def _tohex(*arguments: Any) -> bytes:
    bits = _bits(arguments, 0, "tohex")
    size = _signed(_bits(arguments, 1, "tohex")) if len(arguments) > 1 else 8
    digits = b"%08X" % bits if size < 0 else b"%08x" % bits
    size = min(8, abs(size))
    return digits[8 - size :]


FUNCTIONS: Final[dict[bytes, Callable[..., Any]]] = {
    b"tobit": lambda *arguments: _signed(_bits(arguments, 0, "tobit")),
    b"bnot": lambda *arguments: _signed(~_bits(arguments, 0, "bnot")),
    b"band": _folded("band", lambda a, b: a & b),
    b"bor": _folded("bor", lambda a, b: a | b),
    b"bxor": _folded("bxor", lambda a, b: a ^ b),
    b"lshift": _shifted("lshift", lambda a, n: a << n),
    b"rshift": _shifted("rshift", lambda a, n: a >> n),
    b"arshift": _shifted("arshift", lambda a, n: _signed(a) >> n),
    b"rol": _shifted("rol", lambda a, n: a << n | a >> (32 - n)),
    b"ror": _shifted("ror", lambda a, n: a >> n | a << (32 - n)),
    b"bswap": _bswap,
    b"tohex": _tohex,
}
