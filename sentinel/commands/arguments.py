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


def refuse_control_characters(argv: list[bytes], first: int, command: bytes) -> None:
    """Refuse a command that would have its arguments, from number `first` on, written to the file.

    A line break in one must never become a line of sentinel.conf. The text is Valkey's; it names
    the argument by number, counted from the command's first word, and does not repeat it.

    Raises:
        CommandError: an argument holds a control character.
    """
    for index in range(first, len(argv)):
        if any(byte < 0x20 or byte == 0x7F for byte in argv[index]):
            where = b"ERR Invalid argument at index %d for SENTINEL %b" % (index, command)
            raise CommandError(where + b": control characters are not allowed")
