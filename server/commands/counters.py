"""Numbers kept in strings: INCR and its kin.

INCR is hot: its plain path is one look-up, one parse and one store. Follows Redis 7.0 `t_string.c:
incrDecrCommand, incrbyfloatCommand`.
"""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..engine.context import WRONG_TYPE
from ..engine.keyspace_events import KeyspaceEvents
from . import extended_float
from .arguments import INT64_MAX, INT64_MIN, NOT_A_FLOAT, parse_integer

_FLAGS: Final = Flag.WRITE | Flag.DENYOOM | Flag.FAST
_KEYS: Final = Keys(1, 1, 1, ("RW", "ACCESS", "UPDATE"))
_ZERO: Final = ord("0")
#: Decimal digits from which on a number may not be of 64 bits.
_SURELY_FITS: Final = 19


@command(
    "INCR",
    arity=2,
    flags=_FLAGS,
    keys=_KEYS,
    group="string",
    since="1.0.0",
    summary="Adds one to the integer at a key.",
)
def incr(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _add(ctx, argv[1], 1)


@command(
    "DECR",
    arity=2,
    flags=_FLAGS,
    keys=_KEYS,
    group="string",
    since="1.0.0",
    summary="Subtracts one from the integer at a key.",
)
def decr(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _add(ctx, argv[1], -1)


@command(
    "INCRBY",
    arity=3,
    flags=_FLAGS,
    keys=_KEYS,
    group="string",
    since="1.0.0",
    summary="Adds an integer to the one at a key.",
)
def incrby(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _add(ctx, argv[1], parse_integer(argv[2]))


@command(
    "DECRBY",
    arity=3,
    flags=_FLAGS,
    keys=_KEYS,
    group="string",
    since="1.0.0",
    summary="Subtracts an integer from the one at a key.",
)
def decrby(ctx: ServerContext, argv: list[bytes]) -> Reply:
    amount = parse_integer(argv[2])
    if amount == INT64_MIN:
        raise CommandError(b"ERR decrement would overflow")
    return _add(ctx, argv[1], -amount)


def _add(ctx: ServerContext, key: bytes, amount: int) -> int:
    db = ctx.db
    value = db.values.get(key)
    if value is not None and db.expires:
        value = ctx.peek(key)
    if value is None:
        result = amount
    else:
        if type(value) is not bytes:
            raise CommandError(WRONG_TYPE)
        if value.isdigit() and value[0] != _ZERO and len(value) < _SURELY_FITS:
            result = int(value) + amount  # the usual counter, for which parsing has less to check
        else:
            result = parse_integer(value) + amount
        if not INT64_MIN <= result <= INT64_MAX:
            raise CommandError(b"ERR increment or decrement would overflow")
    db.replace(key, b"%d" % result)
    if ctx.is_notifying:
        ctx.notify(KeyspaceEvents.STRING, b"incrby", key)
    ctx.changes = 1
    return result


@command(
    "INCRBYFLOAT",
    arity=3,
    flags=_FLAGS,
    keys=_KEYS,
    group="string",
    since="2.6.0",
    summary="Adds a decimal number to the one at a key.",
)
def incrbyfloat(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    value = ctx.string_or_none(ctx.peek(key))
    present = _extended(value) if value is not None else extended_float.ZERO
    result = extended_float.add(present, _extended(argv[2]))
    if result is None:
        raise CommandError(b"ERR increment would produce NaN or Infinity")
    text = extended_float.render(result)
    ctx.db.replace(key, text)
    ctx.notify(KeyspaceEvents.STRING, b"incrbyfloat", key)
    ctx.changes = 1
    # The sum and not the summand: so no replica's arithmetic can come to another result.
    ctx.propagate_as([b"SET", key, text, b"KEEPTTL"])
    return text


def _extended(text: bytes) -> extended_float.Extended:
    number = extended_float.parse(text)
    if number is None:
        raise CommandError(NOT_A_FLOAT)
    return number
