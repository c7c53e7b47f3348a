"""The numbers of `math.random`: those of POSIX' `drand48` family, which Redis has in all places.

So a script that seeds the generator draws the same numbers here as there (`rand.c: redisLrand48`,
`script_lua.c: redis_math_random`).
"""

from __future__ import annotations

from typing import Final

_FACTOR: Final = 0x5DEECE66D
_SUMMAND: Final = 0xB
_STATE_MASK: Final = (1 << 48) - 1
#: The state before anybody seeds it, and what follows a seed in its lowest bits.
_FIRST_STATE: Final = 0x1234ABCD330E
_LOWEST_BITS: Final = 0x330E
#: A draw has the 31 highest bits of the state; this very number of them counts as 0.
_DRAW_SHIFT: Final = 17
_DRAW_LIMIT: Final = (1 << 31) - 1


class RandomNumbers:
    """A generator whose state goes on from script to script."""

    def __init__(self) -> None:
        self._state = _FIRST_STATE

    def seed(self, number: int) -> None:
        """Begin with `number`, of which the lowest 32 bits count."""
        self._state = (number & 0xFFFFFFFF) << 16 | _LOWEST_BITS

    def draw(self) -> float:
        """Return the next number, from 0 to below 1."""
        self._state = (self._state * _FACTOR + _SUMMAND) & _STATE_MASK
        return (self._state >> _DRAW_SHIFT) % _DRAW_LIMIT / _DRAW_LIMIT
