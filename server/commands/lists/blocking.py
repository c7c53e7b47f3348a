"""Popping that waits for an element: BLPOP, BRPOP, BLMPOP, BLMOVE, BRPOPLPUSH.

Each first tries what its namesake without B does, and waits if there is no list. Replicas are sent
what was done, never the wait. A key that comes to hold something else than a list while a client
waits for it goes on being waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from vedette.clients import WAITING, Block
from vedette.clients.blocking import Waiting
from vedette.cmdspec import Flag, Keys, command
from vedette.resp.replies import Reply

from ...engine import ServerContext
from ...store.lists import List
from ..popping import MultiPop, parse_end, take_or_wait
from ..waiting import deadline_after_seconds, wait_for_keys
from .ends import ENDS, pop_one, take_many
from .moving import MOVE_KEYS, move_element

_POP: Final = Flag.WRITE | Flag.NOSCRIPT | Flag.BLOCKING
_MOVE: Final = _POP | Flag.DENYOOM
_POPPED_KEYS: Final = Keys(1, -2, 1, ("RW", "ACCESS", "DELETE"))
_EACH_KEY: Final = "O(N) where N is the number of keys"


@command(
    "BLPOP",
    arity=-3,
    flags=_POP,
    keys=_POPPED_KEYS,
    group="list",
    since="2.0.0",
    complexity=_EACH_KEY,
    summary="Takes the first element out of the first of several lists that exists, or waits.",
)
def blpop(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    return _pop_or_wait(ctx, argv, is_left=True)


@command(
    "BRPOP",
    arity=-3,
    flags=_POP,
    keys=_POPPED_KEYS,
    group="list",
    since="2.0.0",
    complexity=_EACH_KEY,
    summary="Takes the last element out of the first of several lists that exists, or waits.",
)
def brpop(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    return _pop_or_wait(ctx, argv, is_left=False)


def _pop_or_wait(ctx: ServerContext, argv: list[bytes], *, is_left: bool) -> Reply | Block:
    deadline_ms = deadline_after_seconds(argv[-1], ctx.now_ms)

    def take(key: bytes, value: List) -> Reply:
        element = pop_one(ctx, key, is_left=is_left)
        ctx.propagate_as([b"LPOP" if is_left else b"RPOP", key])
        return [key, element]

    return take_or_wait(ctx, argv[1:-1], List, take, deadline_ms)


@command(
    "BLMPOP",
    arity=-5,
    flags=Flag.WRITE | Flag.BLOCKING | Flag.MOVABLE_KEYS,
    keys=Keys(keynum_index=2, access=("RW", "ACCESS", "DELETE")),
    group="list",
    since="7.0.0",
    complexity="O(N+M) where N is the number of keys and M the number of elements popped",
    summary="Takes elements out of the first of several lists that exists, or waits.",
)
def blmpop(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    request = MultiPop.parse(argv[2:], ENDS)
    deadline_ms = deadline_after_seconds(argv[1], ctx.now_ms)
    take = partial(take_many, ctx, request)
    return take_or_wait(ctx, request.keys, List, take, deadline_ms)


@command(
    "BLMOVE",
    arity=6,
    flags=_MOVE,
    keys=MOVE_KEYS,
    group="list",
    since="6.2.0",
    complexity="O(1)",
    summary="Moves an element from an end of a list to an end of another, or waits for one.",
)
def blmove(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    _, key, target_key, source_end, target_end, timeout = argv
    from_left = parse_end(source_end, ENDS)
    to_left = parse_end(target_end, ENDS)
    effect = [b"LMOVE", key, target_key, source_end, target_end]
    return _move_or_wait(
        ctx,
        key,
        lambda: move_element(ctx, key, target_key, from_left=from_left, to_left=to_left),
        effect,
        timeout,
    )


@command(
    "BRPOPLPUSH",
    arity=4,
    flags=_MOVE,
    keys=MOVE_KEYS,
    group="list",
    since="2.2.0",
    complexity="O(1)",
    deprecated_since="6.2.0",
    replaced_by="`BLMOVE` with the `RIGHT` and `LEFT` arguments",
    summary="Moves the last element of a list to the front of another, or waits for one.",
)
def brpoplpush(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    _, key, target_key, timeout = argv
    return _move_or_wait(
        ctx,
        key,
        lambda: move_element(ctx, key, target_key, from_left=False, to_left=True),
        [b"RPOPLPUSH", key, target_key],
        timeout,
    )


def _move_or_wait(
    ctx: ServerContext,
    key: bytes,
    move: Callable[[], bytes | None],
    effect: list[bytes],
    timeout: bytes,
) -> Reply | Block:
    """Do `move` from the list at `key`, propagated as `effect`, now or when there is one."""
    deadline_ms = deadline_after_seconds(timeout, ctx.now_ms)

    def serve() -> Reply | Waiting:
        if type(ctx.peek(key)) is not List:
            return WAITING
        element = move()
        ctx.propagate_as(effect)
        return element

    element = move()
    if element is not None:
        ctx.propagate_as(effect)
        return element
    return wait_for_keys(ctx, (key,), serve, deadline_ms, instead_of_waiting=None)
