"""Reading of arguments that several commands share."""

from __future__ import annotations

from sentinel.context import SentinelContext
from sentinel.core.model import Master
from vedette.conf.quoting import decode_word
from vedette.errors import CommandError


def require_master(context: SentinelContext, name: bytes) -> Master:
    """Return the monitored master of that name.

    Raises:
        CommandError: there is none.
    """
    master = context.state.masters.get(decode_word(name))
    if master is None:
        raise CommandError(b"ERR No such master with that name")
    return master


def has_control_characters(argument: bytes) -> bool:
    """Whether `argument` holds bytes that have no place in a name or setting."""
    return any(byte < 0x20 or byte == 0x7F for byte in argument)
