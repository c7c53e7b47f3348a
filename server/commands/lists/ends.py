"""Pushing and popping: LPUSH, RPUSH, LPUSHX, RPUSHX, LPOP, RPOP, LMPOP.

The plain forms are among the hottest commands and so written out for each end.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import NULL_ARRAY, Reply

from ...engine import ServerContext
from ...engine.context import WRONG_TYPE
from ...engine.keyspace_events import KeyspaceEvents
from ...store.lists import List
from ..arguments import INT64_MAX, parse_integer_between, wrong_arity
from ..popping import MultiPop, first_of

_PUSH: Final = Flag.WRITE | Flag.DENYOOM | Flag.FAST
_POP: Final = Flag.WRITE | Flag.FAST
_PUSHED_KEY: Final = Keys(1, 1, 1, ("RW", "INSERT"))
_POPPED_KEY: Final = Keys(1, 1, 1, ("RW", "ACCESS", "DELETE"))
#: Whether it is the left one.
ENDS: Final = {b"LEFT": True, b"RIGHT": False}
_EACH: Final = "O(N) where N is the number of elements pushed"
_COUNT_ERROR: Final = b"ERR value is out of range, must be positive"


@command(
    "LPUSH",
    arity=-3,
    flags=_PUSH,
    keys=_PUSHED_KEY,
    group="list",
    since="1.0.0",
    complexity=_EACH,
    summary="Puts elements, one after the other, before the first of a list; returns its length.",
)
def lpush(ctx: ServerContext, argv: list[bytes]) -> Reply:
    db = ctx.db
    key = argv[1]
    value = ctx.peek(key) if db.expires else db.values.get(key)
    if type(value) is List:
        items = value.items
        if len(argv) == 3:
            items.appendleft(argv[2])
        else:
            items.extendleft(argv[2:])
        if db.observed:
            db.touch(key)
    elif value is None:
        items = deque(argv[:1:-1])
        db.set(key, List(items))
    else:
        raise CommandError(WRONG_TYPE)
    ctx.changes += len(argv) - 2
    if ctx.engine.notified_events:
        ctx.notify(KeyspaceEvents.LIST, b"lpush", key)
    return len(items)


@command(
    "RPUSH",
    arity=-3,
    flags=_PUSH,
    keys=_PUSHED_KEY,
    group="list",
    since="1.0.0",
    complexity=_EACH,
    summary="Puts elements behind the last of a list; returns its length.",
)
def rpush(ctx: ServerContext, argv: list[bytes]) -> Reply:
    db = ctx.db
    key = argv[1]
    value = ctx.peek(key) if db.expires else db.values.get(key)
    if type(value) is List:
        items = value.items
        if len(argv) == 3:
            items.append(argv[2])
        else:
            items.extend(argv[2:])
        if db.observed:
            db.touch(key)
    elif value is None:
        items = deque(argv[2:])
        db.set(key, List(items))
    else:
        raise CommandError(WRONG_TYPE)
    ctx.changes += len(argv) - 2
    if ctx.engine.notified_events:
        ctx.notify(KeyspaceEvents.LIST, b"rpush", key)
    return len(items)


@command(
    "LPUSHX",
    arity=-3,
    flags=_PUSH,
    keys=_PUSHED_KEY,
    group="list",
    since="2.2.0",
    complexity=_EACH,
    summary="Does what LPUSH does, if there is a list.",
)
def lpushx(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return 0 if ctx.peek_as(argv[1], List) is None else lpush(ctx, argv)


@command(
    "RPUSHX",
    arity=-3,
    flags=_PUSH,
    keys=_PUSHED_KEY,
    group="list",
    since="2.2.0",
    complexity=_EACH,
    summary="Does what RPUSH does, if there is a list.",
)
def rpushx(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return 0 if ctx.peek_as(argv[1], List) is None else rpush(ctx, argv)


@command(
    "LPOP",
    arity=-2,
    flags=_POP,
    keys=_POPPED_KEY,
    group="list",
    since="1.0.0",
    complexity="O(N) where N is the number of elements popped",
    summary="Takes the first elements, by default one, out of a list.",
)
def lpop(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 2:
        return _pop_counted(ctx, argv, is_left=True)
    return pop_one(ctx, argv[1], is_left=True)


@command(
    "RPOP",
    arity=-2,
    flags=_POP,
    keys=_POPPED_KEY,
    group="list",
    since="1.0.0",
    complexity="O(N) where N is the number of elements popped",
    summary="Takes the last elements, by default one, out of a list.",
)
def rpop(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 2:
        return _pop_counted(ctx, argv, is_left=False)
    return pop_one(ctx, argv[1], is_left=False)


def pop_one(ctx: ServerContext, key: bytes, *, is_left: bool) -> bytes | None:
    """Take one element out of the list at `key` and return it; None: there is no list.

    Raises:
        CommandError: the key holds something else.
    """
    db = ctx.db
    value = ctx.peek(key) if db.expires else db.values.get(key)
    if value is None:
        return None
    if type(value) is not List:
        raise CommandError(WRONG_TYPE)
    items = value.items
    element = items.popleft() if is_left else items.pop()
    if items and not ctx.engine.notified_events:
        if db.observed:
            db.touch(key)
        ctx.changes += 1
    else:
        after_removal(ctx, key, value, b"lpop" if is_left else b"rpop", 1)
    return element


def pop_many(ctx: ServerContext, key: bytes, value: List, count: int, *, is_left: bool) -> Reply:
    """Take up to `count` elements out of the list `value` at `key` and return them."""
    popped = value.pop_left(count) if is_left else value.pop_right(count)
    after_removal(ctx, key, value, b"lpop" if is_left else b"rpop", len(popped))
    return popped


def after_removal(ctx: ServerContext, key: bytes, value: List, event: bytes, changes: int) -> None:
    """Do what follows when elements were taken out of `value`: an empty list is deleted."""
    ctx.notify(KeyspaceEvents.LIST, event, key)
    if value.items:
        ctx.db.touch(key)
    else:
        ctx.db.delete(key)
        ctx.notify(KeyspaceEvents.GENERIC, b"del", key)
    ctx.changes += changes


def _pop_counted(ctx: ServerContext, argv: list[bytes], *, is_left: bool) -> Reply:
    if len(argv) > 3:
        raise wrong_arity(b"lpop" if is_left else b"rpop")
    count = parse_integer_between(argv[2], 0, INT64_MAX, _COUNT_ERROR)
    key = argv[1]
    value = ctx.peek_as(key, List)
    if value is None:
        return NULL_ARRAY
    return pop_many(ctx, key, value, count, is_left=is_left) if count else []


def take_many(ctx: ServerContext, request: MultiPop[bool], key: bytes, value: List) -> Reply:
    """Pop what LMPOP asks for from the list `value`, and have replicas pop just that."""
    is_left = request.end
    count = min(request.count, len(value))
    popped = pop_many(ctx, key, value, count, is_left=is_left)
    ctx.propagate_as([b"LPOP" if is_left else b"RPOP", key, b"%d" % count])
    return [key, popped]


@command(
    "LMPOP",
    arity=-4,
    flags=Flag.WRITE | Flag.MOVABLE_KEYS,
    keys=Keys(keynum_index=1, access=("RW", "ACCESS", "DELETE")),
    group="list",
    since="7.0.0",
    complexity="O(N+M) where N is the number of keys and M the number of elements popped",
    summary="Takes elements out of the first of several lists that exists.",
)
def lmpop(ctx: ServerContext, argv: list[bytes]) -> Reply:
    request = MultiPop.parse(argv[1:], ENDS)
    found = first_of(ctx, request.keys, List)
    return NULL_ARRAY if found is None else take_many(ctx, request, *found)
