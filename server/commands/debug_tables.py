"""DEBUG HTSTATS and HTSTATS-KEY: how many entries the dictionaries hold.

What Redis tells of chains and of rehashing has no counterpart in Python's dictionaries.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Final

from vedette.errors import CommandError
from vedette.resp.replies import Reply, VerbatimReply

from ..engine import ServerContext
from ..store.values import Value
from .arguments import NO_SUCH_KEY, parse_integer

_WITH_A_TABLE: Final = (b"hashtable", b"skiplist")


def database_tables(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Return the sizes of a database's dictionaries."""
    index = parse_integer(argv[2])
    if not 0 <= index < len(ctx.keyspace.databases):
        raise CommandError(b"ERR Out of range database")
    database = ctx.keyspace.databases[index]
    text = (
        f"[Dictionary HT]\n{_described(database.values)}[Expires HT]\n"
        f"{_described(database.expires)}"
    )
    return VerbatimReply(text.encode())


def value_table(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Return the size of the dictionary behind a value."""
    value: Value | None = ctx.db.values.get(argv[2])
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    if isinstance(value, bytes) or value.encoding() not in _WITH_A_TABLE:
        raise CommandError(
            b"ERR The value stored at the specified key is not represented using an hash table"
        )
    return VerbatimReply(_described(value).encode())


def _described(table: Sized) -> str:
    if not len(table):
        return "No stats available for empty dictionaries\n"
    return f"Hash table 0 stats (main hash table):\n number of elements: {len(table)}\n"
