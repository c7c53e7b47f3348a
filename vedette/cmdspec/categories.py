"""ACL categories: derived from a command's group and flags, so that no row lists them.

Follows Redis 7.0 `server.c: setImplicitACLCategories` and the categories its command files name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .flags import Flag

if TYPE_CHECKING:
    from .row import CommandRow

#: Every category, in the order in which Redis lists them.
CATEGORIES: Final = (
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
)

#: The category that goes with a group; groups that are not here (server, pubsub) have none.
CATEGORY_OF_GROUP: Final = {
    "bitmap": "bitmap",
    "connection": "connection",
    "generic": "keyspace",
    "geo": "geo",
    "hash": "hash",
    "hyperloglog": "hyperloglog",
    "list": "list",
    "scripting": "scripting",
    "set": "set",
    "sorted-set": "sortedset",
    "stream": "stream",
    "string": "string",
    "transactions": "transaction",
}

_CATEGORIES_OF_FLAGS: Final = (
    (Flag.WRITE, ("write",)),
    (Flag.READONLY, ("read",)),
    (Flag.ADMIN, ("admin", "dangerous")),
    (Flag.PUBSUB, ("pubsub",)),
    (Flag.BLOCKING, ("blocking",)),
)


def categories_of(row: CommandRow) -> tuple[str, ...]:
    """Return the categories of `row` in Redis' order.

    `row.categories` replaces what the group implies. A container is in none but `slow`: what its
    subcommands do is theirs.
    """
    found = {"fast" if row.flags & Flag.FAST else "slow"}
    if row.categories is not None:
        found.update(row.categories)
    elif row.handler is not None and row.group in CATEGORY_OF_GROUP:
        found.add(CATEGORY_OF_GROUP[row.group])
    for flag, names in _CATEGORIES_OF_FLAGS:
        if row.flags & flag:
            found.update(names)
    if "scripting" in found and row.flags & Flag.READONLY:
        found.discard("read")  # EVAL_RO and its like read nothing by themselves
    return tuple(name for name in CATEGORIES if name in found)
