"""What a command may return.

`bytes` is a bulk string, `int` an integer, `None` a null, `list` or `tuple` an array. The wrappers
below are the rest; `encode.py` knows how each is spelt in RESP2 and in RESP3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, slots=True)
class SimpleString:
    """A status such as `+OK`; no line breaks."""

    text: bytes


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error; `text` begins with its code and has no leading `-`."""

    text: bytes


@dataclass(frozen=True, slots=True)
class MapReply:
    """Key and value pairs: a map in RESP3, a flat array in RESP2."""

    pairs: Sequence[tuple[Reply, Reply]]

    @staticmethod
    def of(items: Iterable[tuple[Reply, Reply]]) -> MapReply:
        """Build from any iterable of pairs."""
        return MapReply(list(items))


@dataclass(frozen=True, slots=True)
class SetReply:
    """Distinct members: a set in RESP3, an array in RESP2."""

    members: Sequence[Reply]


@dataclass(frozen=True, slots=True)
class PushReply:
    """An out-of-band message: a push in RESP3, an array in RESP2."""

    items: Sequence[Reply]


@dataclass(frozen=True, slots=True)
class DoubleReply:
    """A floating point number: a double in RESP3, a bulk string in RESP2."""

    value: float


@dataclass(frozen=True, slots=True)
class BoolReply:
    """A boolean in RESP3, the integer 1 or 0 in RESP2."""

    value: bool


@dataclass(frozen=True, slots=True)
class VerbatimReply:
    """Text with a three-letter format: a verbatim string in RESP3, a bulk string in RESP2."""

    text: bytes
    format: bytes = b"txt"


@dataclass(frozen=True, slots=True)
class RawReply:
    """Bytes that already are a reply, the same in both protocols (b"" sends nothing)."""

    data: bytes


@dataclass(frozen=True, slots=True)
class NullArray:
    """The null array: `*-1` in RESP2, `_` in RESP3."""


@dataclass(frozen=True, slots=True)
class ReplySequence:
    """Several replies in a row to one request, as SUBSCRIBE gives one for each channel."""

    replies: Sequence[Reply]


Reply: TypeAlias = (
    bytes
    | int
    | list["Reply"]
    | tuple["Reply", ...]
    | SimpleString
    | ErrorReply
    | MapReply
    | SetReply
    | PushReply
    | DoubleReply
    | BoolReply
    | VerbatimReply
    | RawReply
    | NullArray
    | ReplySequence
    | None
)

OK: Final = RawReply(b"+OK\r\n")
PONG: Final = RawReply(b"+PONG\r\n")
QUEUED: Final = RawReply(b"+QUEUED\r\n")
NO_REPLY: Final = RawReply(b"")
NULL_ARRAY: Final = NullArray()
EMPTY_ARRAY: Final = RawReply(b"*0\r\n")
