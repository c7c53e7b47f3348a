"""Reading of arguments that several commands share."""

from __future__ import annotations

import re

from sentinel.context import SentinelContext
from sentinel.core.model import Master
from vedette.conf.quoting import decode_word
from vedette.errors import CommandError

_INTEGER = re.compile(rb"-?(0|[1-9][0-9]*)\Z")
_INT64_MAX = 2**63 - 1

NO_SUCH_MASTER = CommandError(b"ERR No such master with that name")


def parse_integer(argument: bytes) -> int | None:
    """Return a 64-bit integer spelt as Redis spells it, or None."""
    if not _INTEGER.match(argument) or argument == b"-0":
        return None
    value = int(argument)
    return value if -_INT64_MAX - 1 <= value <= _INT64_MAX else None


def require_integer(argument: bytes) -> int:
    """Return a 64-bit integer.

    Raises:
        CommandError: it is none.
    """
    value = parse_integer(argument)
    if value is None:
        raise CommandError(b"ERR value is not an integer or out of range")
    return value


def require_master(context: SentinelContext, name: bytes) -> Master:
    """Return the monitored master of that name.

    Raises:
        CommandError: there is none.
    """
    master = context.state.masters.get(decode_word(name))
    if master is None:
        raise CommandError(NO_SUCH_MASTER.text)
    return master


def has_control_characters(argument: bytes) -> bool:
    """Whether `argument` holds bytes that have no place in a name or setting."""
    return any(byte < 0x20 or byte == 0x7F for byte in argument)
