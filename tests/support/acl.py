"""A command table for tests of access control: the common commands, and a few of a datastore."""

from __future__ import annotations

from tests.support.kernel import KernelEngine
from vedette.acl import CommandIndex, User
from vedette.cmdspec import CommandRow, CommandTable, Flag, Keys

__all__ = ["INDEX", "TABLE", "user"]

_READ = Keys(1, 1, 1, ("RO", "ACCESS"))


def _row(name: str, flags: int, keys: Keys, group: str = "string", arity: int = 2) -> CommandRow:
    return CommandRow(
        name,
        arity=arity,
        flags=flags,
        keys=keys,
        group=group,
        since="1.0.0",
        handler=lambda ctx, argv: None,
    )


_ROWS = (
    _row("GET", Flag.READONLY | Flag.FAST, _READ),
    _row("STRLEN", Flag.READONLY | Flag.FAST, Keys(1, 1, 1, ("RO",))),
    _row("SET", Flag.WRITE, Keys(1, 1, 1, ("OW", "UPDATE")), arity=3),
    _row("APPEND", Flag.WRITE | Flag.FAST, Keys(1, 1, 1, ("RW", "INSERT")), arity=3),
    _row("MGET", Flag.READONLY | Flag.FAST, Keys(1, -1, 1, ("RO", "ACCESS")), arity=-2),
    _row("DEL", Flag.WRITE, Keys(1, -1, 1, ("RM", "DELETE")), "generic", arity=-2),
    _row("SELECT", Flag.FAST, Keys(), "connection"),
)

TABLE = CommandTable([*KernelEngine().table, *_ROWS])
INDEX = CommandIndex(TABLE)


def user(*rules: str, name: str = "alice") -> User:
    """Return a new user of `rules`."""
    made = User(name.encode(), INDEX)
    for rule in rules:
        made.apply(rule.encode())
    return made
