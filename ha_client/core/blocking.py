"""Commands that wait on the server for data: how long, what they take, and with less time.

The positions of the times are those of Redis 7.2's documentation. WAIT and WAITAOF are not among
them: they ask about what their own connection wrote, so they make no sense on another.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

#: Index of the argument that is the time in seconds; -1 is the last one.
_SECONDS_AT: Final = {
    b"blpop": -1,
    b"brpop": -1,
    b"brpoplpush": -1,
    b"blmove": -1,
    b"bzpopmin": -1,
    b"bzpopmax": -1,
    b"blmpop": 1,
    b"bzmpop": 1,
}
_POPS: Final = frozenset([b"blpop", b"brpop", b"blmpop", b"bzpopmin", b"bzpopmax", b"bzmpop"])
_STREAM_READS: Final = frozenset([b"xread", b"xreadgroup"])


class Takes(enum.Enum):
    """Where that is which a command took, should its reply be lost."""

    NOTHING = "nothing"  # XREAD only looks
    #: Nowhere: it is lost whether the caller asks again or not.
    POPS = "pops"
    #: In another list, or pending with a consumer: the caller can look for it.
    MOVES = "moves"


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a command waits on the server; `with_time` gives it with another time."""

    #: None: for ever.
    time_s: float | None
    takes: Takes
    with_time: Callable[[float], list[bytes]]


def wait_of(argv: Sequence[bytes]) -> Wait | None:
    """Return how long a command may wait for data, or None if it does not wait.

    A time that cannot be read is taken for none at all: the server is to refuse it.
    """
    name = argv[0].lower() if argv else b""
    if name in _STREAM_READS:
        index, unit_s = _block_index(argv), 0.001
        if index is None:
            return None
    elif name in _SECONDS_AT and len(argv) > 2:
        index, unit_s = _SECONDS_AT[name] % len(argv), 1.0
    else:
        return None

    def with_time(time_s: float) -> list[bytes]:
        # 0 would be for ever.
        text = str(max(1, round(time_s * 1000))) if unit_s < 1 else f"{max(time_s, 0.001):.3f}"
        return [*argv[:index], text.encode(), *argv[index + 1 :]]

    try:
        time_s = float(argv[index]) * unit_s
    except ValueError:
        time_s = 0.0
    return Wait(time_s if time_s > 0 else None, _taken_by(name), with_time)


def _taken_by(name: bytes) -> Takes:
    if name == b"xread":
        return Takes.NOTHING
    return Takes.POPS if name in _POPS else Takes.MOVES


def _block_index(argv: Sequence[bytes]) -> int | None:
    """Return where BLOCK's time is among the options, which end where the stream names begin."""
    for index, argument in enumerate(argv[1:-1], start=1):
        word = argument.lower()
        if word == b"streams":
            return None
        if word == b"block":
            return index + 1
    return None
