"""Moving an element from list to list: LMOVE, RPOPLPUSH."""

from __future__ import annotations

from collections import deque
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.cmdspec.keys import KeySpec
from vedette.resp.replies import Reply

from ...engine import ServerContext
from ...engine.keyspace_events import KeyspaceEvents
from ...store.lists import List
from ..popping import parse_end
from .ends import ENDS, after_removal

MOVE_KEYS: Final = Keys(
    1, 2, 1, groups=(KeySpec(1, ("RW", "ACCESS", "DELETE")), KeySpec(2, ("RW", "INSERT")))
)


def move_element(
    ctx: ServerContext, key: bytes, target_key: bytes, *, from_left: bool, to_left: bool
) -> bytes | None:
    """Move one element from the list at `key` to the one at `target_key`, and return it.

    None: there is no list at `key`.

    Raises:
        CommandError: one of the keys holds something else.
    """
    value = ctx.peek_as(key, List)
    if value is None:
        return None
    target = ctx.peek_as(target_key, List)
    element = value.items.popleft() if from_left else value.items.pop()
    if target is None:
        ctx.db.set(target_key, List(deque((element,))))
    else:
        target.items.appendleft(element) if to_left else target.items.append(element)
        ctx.db.touch(target_key)
    ctx.notify(KeyspaceEvents.LIST, b"lpush" if to_left else b"rpush", target_key)
    after_removal(ctx, key, value, b"lpop" if from_left else b"rpop", 1)
    return element


@command(
    "LMOVE",
    arity=5,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=MOVE_KEYS,
    group="list",
    since="6.2.0",
    complexity="O(1)",
    summary="Moves an element from an end of a list to an end of another, and returns it.",
)
def lmove(ctx: ServerContext, argv: list[bytes]) -> Reply:
    from_left = parse_end(argv[3], ENDS)
    to_left = parse_end(argv[4], ENDS)
    return move_element(ctx, argv[1], argv[2], from_left=from_left, to_left=to_left)


@command(
    "RPOPLPUSH",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=MOVE_KEYS,
    group="list",
    since="1.2.0",
    complexity="O(1)",
    deprecated_since="6.2.0",
    replaced_by="`LMOVE` with the `RIGHT` and `LEFT` arguments",
    summary="Moves the last element of a list to the front of another, and returns it.",
)
def rpoplpush(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return move_element(ctx, argv[1], argv[2], from_left=False, to_left=True)
