"""Commands that leave their result at a key: SUNIONSTORE, ZRANGESTORE, BITOP, SORT with STORE."""

from __future__ import annotations

from ..engine import ServerContext
from ..engine.keyspace_events import KeyspaceEvents
from ..store.values import Value


def store_result(
    ctx: ServerContext, key: bytes, value: Value | None, kind: int, event: bytes
) -> None:
    """Have `key` hold `value`, of which `event` of `kind` tells; None: there is no result.

    As in Redis a key whose time is over expires before it is set anew (`db.c: setKey`), but is
    merely deleted where there is no result.
    """
    if value is not None:
        ctx.peek(key)
        ctx.db.set(key, value)
        ctx.notify(kind, event, key)
        ctx.changes = 1
    elif ctx.db.delete(key):
        ctx.notify(KeyspaceEvents.GENERIC, b"del", key)
        ctx.changes = 1
