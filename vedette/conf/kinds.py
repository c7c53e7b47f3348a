"""What the value of a directive looks like: one class for each kind, shared by start-up and CONFIG.

A kind turns the words after a directive's name into a typed value and back. It knows neither
directives nor where the words came from. The texts of refusals are Redis 7.0's (`config.c`).
"""

from __future__ import annotations

import enum
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from ..errors import VedetteError

T = TypeVar("T")

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_MEMORY = re.compile(r"([0-9]{0,127})([a-z]*)\Z")
_UNITS = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1024,
    "m": 1000**2,
    "mb": 1024**2,
    "g": 1000**3,
    "gb": 1024**3,
}

INT_MAX = 2**31 - 1
INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1
UINT64_MAX = 2**64 - 1


class BadValueError(VedetteError):
    """Words do not make a value of the kind; `str(error)` is Redis' reason."""


class Kind(ABC, Generic[T]):
    """How the words of a directive become a value and back."""

    #: The directive takes a list of words: CONFIG SET splits its one argument at spaces.
    takes_list: ClassVar[bool] = False
    #: Whether a line may have no value at all; `parse` then gets no words.
    takes_none: ClassVar[bool] = False
    #: Of several lines in a file each stands for itself: one that says the default may be missing.
    has_lines_apart: ClassVar[bool] = False

    @abstractmethod
    def parse(self, words: Sequence[str]) -> T:
        """Return the value of `words`.

        Raises:
            BadValueError: they make none.
        """

    @abstractmethod
    def render(self, value: T) -> tuple[str, ...]:
        """Return the words that parse to `value`."""

    def combine(self, current: T, new: T, *, is_first: bool) -> T:
        """Return the value after `new` was read while `current` held.

        `is_first` says that `current` is still the default (at start-up). Most kinds let the last
        line win.
        """
        return new

    def render_lines(self, value: T) -> list[tuple[str, ...]]:
        """Return the words of each line that a rewritten file needs for `value`."""
        return [self.render(value)]


def _only(words: Sequence[str]) -> str:
    if len(words) != 1:
        raise BadValueError("wrong number of arguments")
    return words[0]


@dataclass(frozen=True, slots=True)
class YesNo(Kind[bool]):
    """`yes` or `no`."""

    def parse(self, words: Sequence[str]) -> bool:
        word = _only(words).lower()
        if word not in ("yes", "no"):
            raise BadValueError("argument must be 'yes' or 'no'")
        return word == "yes"

    def render(self, value: bool) -> tuple[str, ...]:
        return ("yes" if value else "no",)


@dataclass(frozen=True, slots=True)
class Integer(Kind[int]):
    """A whole number from `low` to `high`, both included."""

    low: int = 0
    high: int = INT_MAX

    def parse(self, words: Sequence[str]) -> int:
        word = _only(words)
        is_integer = _INTEGER.match(word) is not None and word != "-0"
        if not (is_integer and INT64_MIN <= int(word) <= INT64_MAX):
            raise BadValueError("argument couldn't be parsed into an integer")
        return _in_range(int(word), self.low, self.high)

    def render(self, value: int) -> tuple[str, ...]:
        return (str(value),)


@dataclass(frozen=True, slots=True)
class Octal(Kind[int]):
    """Permission bits, written in octal."""

    low: int = 0
    high: int = 0o777

    def parse(self, words: Sequence[str]) -> int:
        word = _only(words)
        if not word or any(digit not in "01234567" for digit in word):
            raise BadValueError("argument couldn't be parsed as an octal number")
        return _in_range(int(word, 8), self.low, self.high)

    def render(self, value: int) -> tuple[str, ...]:
        return (f"{value:o}",)


@dataclass(frozen=True, slots=True)
class Memory(Kind[int]):
    """A size in bytes: a number with an optional unit (`k` is 1000, `kb` 1024, ... up to `gb`).

    Without digits it is 0, as Redis' `util.c: memtoull` has it. With `allows_percent`, `25%` is
    accepted too and its value is -25, as Redis keeps it.
    """

    low: int = 0
    high: int = INT64_MAX
    allows_percent: bool = False

    def parse(self, words: Sequence[str]) -> int:
        word = _only(words).lower()
        if self.allows_percent and word.endswith("%"):
            return self._percent(word[:-1])
        match = _MEMORY.match(word)
        if match is None or match[2] not in _UNITS:
            kind = "memory or percent" if self.allows_percent else "memory"
            raise BadValueError(f"argument must be a {kind} value")
        return _in_range(int(match[1] or "0") * _UNITS[match[2]], self.low, self.high)

    def _percent(self, digits: str) -> int:
        if not digits.isdecimal() or not digits.isascii():
            raise BadValueError("argument must be a memory or percent value")
        if int(digits) > 100:
            raise BadValueError("percentage argument must be less or equal to 100")
        return -int(digits)

    def render(self, value: int) -> tuple[str, ...]:
        return (f"{-value}%" if value < 0 and self.allows_percent else str(value),)

    def render_lines(self, value: int) -> list[tuple[str, ...]]:
        return [self.render(value) if value < 0 else (_with_unit(value),)]


def _with_unit(value: int) -> str:
    """Return a size in the largest unit in which it is whole, as CONFIG REWRITE writes it."""
    for unit in ("gb", "mb", "kb"):
        if value and value % _UNITS[unit] == 0:
            return f"{value // _UNITS[unit]}{unit}"
    return str(value)


def _in_range(value: int, low: int, high: int) -> int:
    if not low <= value <= high:
        raise BadValueError(f"argument must be between {low} and {high} inclusive")
    return value


@dataclass(frozen=True, slots=True)
class Text(Kind[str]):
    """Any text; the empty text stands for none."""

    def parse(self, words: Sequence[str]) -> str:
        return _only(words)

    def render(self, value: str) -> tuple[str, ...]:
        return (value,)


class Choice(Kind[str]):
    """One of several names, in any case; the value is the name as the table spells it.

    `synonyms` are accepted too, and mean the name they map to.
    """

    def __init__(self, *names: str, synonyms: dict[str, str] | None = None) -> None:
        self.names = names
        self._meanings = {name: name for name in names} | (synonyms or {})

    def parse(self, words: Sequence[str]) -> str:
        meaning = self._meanings.get(words[0].lower()) if len(words) == 1 else None
        if meaning is None:
            listed = ", ".join(self._meanings)
            raise BadValueError(f"argument(s) must be one of the following: {listed}")
        return meaning

    def render(self, value: str) -> tuple[str, ...]:
        return (value,)


@dataclass(frozen=True, slots=True)
class WordList(Kind[tuple[str, ...]]):
    """Any number of words up to `most`, such as the addresses of `bind`; `""` means none."""

    takes_list: ClassVar[bool] = True
    most: int = 1024

    def parse(self, words: Sequence[str]) -> tuple[str, ...]:
        if len(words) > self.most:
            raise BadValueError("wrong number of arguments")
        if len(words) == 1 and not words[0]:
            return ()
        return tuple(words)

    def render(self, value: tuple[str, ...]) -> tuple[str, ...]:
        return value

    def render_lines(self, value: tuple[str, ...]) -> list[tuple[str, ...]]:
        return [value or ("",)]


@dataclass(frozen=True, slots=True)
class Words(Kind[tuple[str, ...]]):
    """Exactly `count` words; the value is empty when nothing was said."""

    takes_list: ClassVar[bool] = True
    count: int

    def parse(self, words: Sequence[str]) -> tuple[str, ...]:
        if len(words) != self.count:
            raise BadValueError("wrong number of arguments")
        return tuple(words)

    def render(self, value: tuple[str, ...]) -> tuple[str, ...]:
        return value

    def render_lines(self, value: tuple[str, ...]) -> list[tuple[str, ...]]:
        return [value] if value else []


@dataclass(frozen=True, slots=True)
class SavePoint:
    """A snapshot is due when this many changes are at least this old."""

    seconds: int
    changes: int


@dataclass(frozen=True, slots=True)
class SavePoints(Kind[tuple[SavePoint, ...]]):
    """The value of `save`: pairs of seconds and changes; `""` means none, and so does no value.

    At start-up the first line replaces the default, later lines add to it; CONFIG SET replaces all.
    """

    takes_list: ClassVar[bool] = True
    takes_none: ClassVar[bool] = True

    def parse(self, words: Sequence[str]) -> tuple[SavePoint, ...]:
        if len(words) == 1 and not words[0]:
            return ()
        if len(words) % 2 or not all(_INTEGER.match(word) for word in words):
            raise BadValueError("Invalid save parameters")
        numbers = [int(word) for word in words]
        points = [SavePoint(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]
        if any(point.seconds < 1 or point.changes < 0 for point in points):
            raise BadValueError("Invalid save parameters")
        return tuple(points)

    def combine(
        self, current: tuple[SavePoint, ...], new: tuple[SavePoint, ...], *, is_first: bool
    ) -> tuple[SavePoint, ...]:
        return new if is_first or not new else current + new

    def render(self, value: tuple[SavePoint, ...]) -> tuple[str, ...]:
        return tuple(str(number) for point in value for number in (point.seconds, point.changes))

    def render_lines(self, value: tuple[SavePoint, ...]) -> list[tuple[str, ...]]:
        lines = [(str(point.seconds), str(point.changes)) for point in value]
        return [*lines] or [("",)]


class ClientClass(enum.Enum):
    """The classes of clients whose output is limited apart, by their names on the wire."""

    NORMAL = "normal"
    REPLICA = "slave"
    PUBSUB = "pubsub"


@dataclass(frozen=True, slots=True)
class BufferLimit:
    """How much unsent output a client may have; 0 means no limit."""

    hard_size_bytes: int
    soft_size_bytes: int
    #: How long the soft limit may be passed before the client is closed.
    soft_seconds: int


class BufferLimits(Kind[dict[ClientClass, BufferLimit]]):
    """The value of `client-output-buffer-limit`: a limit for each class of clients.

    Lines and CONFIG SET alike change the classes they name and leave the others.
    """

    takes_list: ClassVar[bool] = True
    has_lines_apart: ClassVar[bool] = True
    _names: ClassVar[dict[str, ClientClass]] = {
        "normal": ClientClass.NORMAL,
        "slave": ClientClass.REPLICA,
        "replica": ClientClass.REPLICA,
        "pubsub": ClientClass.PUBSUB,
    }

    def parse(self, words: Sequence[str]) -> dict[ClientClass, BufferLimit]:
        if list(words) == [""]:
            return {}
        if len(words) % 4:
            raise BadValueError("Wrong number of arguments in buffer limit configuration.")
        limits = {}
        size = Memory()
        for name, hard, soft, seconds in zip(*(words[start::4] for start in range(4)), strict=True):
            which = self._names.get(name.lower())
            if which is None:
                raise BadValueError("Invalid client class specified in buffer limit configuration.")
            try:
                limits[which] = BufferLimit(
                    size.parse([hard]), size.parse([soft]), Integer().parse([seconds])
                )
            except BadValueError as error:
                raise BadValueError(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                ) from error
        return limits

    def combine(
        self,
        current: dict[ClientClass, BufferLimit],
        new: dict[ClientClass, BufferLimit],
        *,
        is_first: bool,
    ) -> dict[ClientClass, BufferLimit]:
        return current | new

    def render(self, value: dict[ClientClass, BufferLimit]) -> tuple[str, ...]:
        return tuple(
            word
            for which, limit in value.items()
            for word in (
                which.value,
                str(limit.hard_size_bytes),
                str(limit.soft_size_bytes),
                str(limit.soft_seconds),
            )
        )

    def render_lines(self, value: dict[ClientClass, BufferLimit]) -> list[tuple[str, ...]]:
        return [
            (
                which.name.lower(),
                _with_unit(limit.hard_size_bytes),
                _with_unit(limit.soft_size_bytes),
                str(limit.soft_seconds),
            )
            for which, limit in value.items()
        ]
