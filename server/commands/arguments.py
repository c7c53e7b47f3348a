"""Reading of command arguments: the number formats Redis takes, and the errors it gives for others.

Follows `util.c: string2ll` (integers are canonical: no sign but a minus, no leading zero, no space)
and `object.c: getLongLongFromObjectOrReply`.
"""

from __future__ import annotations

from typing import Final

from vedette.errors import CommandError

from ..store.integers import INT64_MAX as INT64_MAX
from ..store.integers import INT64_MIN as INT64_MIN

SYNTAX_ERROR: Final = b"ERR syntax error"
NOT_AN_INTEGER: Final = b"ERR value is not an integer or out of range"
NOT_A_FLOAT: Final = b"ERR value is not a valid float"
NO_SUCH_KEY: Final = b"ERR no such key"
DATABASE_OUT_OF_RANGE: Final = b"ERR DB index is out of range"


def parse_integer(text: bytes, error: bytes = NOT_AN_INTEGER) -> int:
    """Return the 64-bit integer that `text` spells in canonical form.

    Raises:
        CommandError: it spells none; the text is `error`.
    """
    try:
        value = int(text)
    except ValueError:
        raise CommandError(error) from None
    if b"%d" % value != text or not INT64_MIN <= value <= INT64_MAX:
        raise CommandError(error)
    return value


def parse_integer_between(text: bytes, low: int, high: int, error: bytes) -> int:
    """Return the integer of `text`, which must be from `low` to `high`.

    Raises:
        CommandError: it is none, or is out of range; the text is `error` in both cases.
    """
    value = parse_integer(text, error)
    if not low <= value <= high:
        raise CommandError(error)
    return value


def syntax_error() -> CommandError:
    """Return the error for options that make no sense."""
    return CommandError(SYNTAX_ERROR)


def wrong_arity(name: bytes) -> CommandError:
    """Return the error for a wrong number of arguments, where the row's arity cannot say it."""
    return CommandError(b"ERR wrong number of arguments for '%b' command" % name)
