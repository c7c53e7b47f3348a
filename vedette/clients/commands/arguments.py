"""Reading of arguments and wording of refusals, as the commands of this package need them."""

from __future__ import annotations

from typing import Final

from ...errors import CommandError
from ...resp.replies import Reply, SimpleString

SYNTAX_ERROR: Final = CommandError(b"ERR syntax error")
NOT_AN_INTEGER: Final = b"ERR value is not an integer or out of range"


def parse_integer(text: bytes, error: bytes = NOT_AN_INTEGER) -> int:
    """Return the 64-bit integer that `text` spells without sign plus, leading zeros or spaces.

    Raises:
        CommandError: it spells none; the text is `error`.
    """
    try:
        value = int(text)
    except ValueError:
        raise CommandError(error) from None
    if b"%d" % value != text or not -(2**63) <= value < 2**63:
        raise CommandError(error)
    return value


def check_name(text: bytes, error: bytes) -> bytes:
    """Return `text` if it can stand in a line of CLIENT LIST: printable ASCII without spaces.

    Raises:
        CommandError: it cannot; the text is `error`.
    """
    if any(not 33 <= byte <= 126 for byte in text):
        raise CommandError(error)
    return text


def subcommand_syntax_error(argv: list[bytes]) -> CommandError:
    """Return Redis' error for options that a subcommand does not take in this number."""
    return CommandError(
        b"ERR unknown subcommand or wrong number of arguments for '%b'. Try %b HELP."
        % (argv[1][:128], argv[0].upper())
    )


def help_reply(name: str, entries: tuple[tuple[str, str], ...]) -> Reply:
    """Return what `name HELP` answers: each (syntax, explanation) of `entries`, then HELP."""
    lines = [f"{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"]
    for syntax, explanation in (*entries, ("HELP", "Print this help.")):
        lines.append(syntax)
        lines += [f"    {line}" for line in explanation.splitlines()]
    return [SimpleString(line.encode()) for line in lines]
