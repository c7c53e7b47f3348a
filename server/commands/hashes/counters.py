"""Hashes: numbers in fields, integers of 64 bits and decimals in extended precision."""

from __future__ import annotations

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ...engine import ServerContext
from ...engine.keyspace_events import KeyspaceEvents
from ...store.hashes import Hash
from .. import extended_float
from ..arguments import INT64_MAX, INT64_MIN, NOT_A_FLOAT, parse_integer
from .fields import hash_to_change

_FLAGS = Flag.WRITE | Flag.DENYOOM | Flag.FAST
_KEYS = Keys(1, 1, 1, ("RW", "ACCESS", "UPDATE"))


@command(
    "HINCRBY",
    arity=4,
    flags=_FLAGS,
    keys=_KEYS,
    group="hash",
    since="2.0.0",
    summary="Adds an integer to the one in a field of a hash.",
)
def hincrby(ctx: ServerContext, argv: list[bytes]) -> Reply:
    _, key, field, amount = argv
    result = parse_integer(amount)
    present = _field(ctx, key, field)
    if present is not None:
        result += parse_integer(present, b"ERR hash value is not an integer")
        if not INT64_MIN <= result <= INT64_MAX:
            raise CommandError(b"ERR increment or decrement would overflow")
    _set_field(ctx, key, field, b"%d" % result, b"hincrby")
    return result


@command(
    "HINCRBYFLOAT",
    arity=4,
    flags=_FLAGS,
    keys=_KEYS,
    group="hash",
    since="2.6.0",
    summary="Adds a decimal number to the one in a field of a hash.",
)
def hincrbyfloat(ctx: ServerContext, argv: list[bytes]) -> Reply:
    _, key, field, amount = argv
    summand = _extended(amount, NOT_A_FLOAT)
    if isinstance(summand, str):
        raise CommandError(b"ERR value is NaN or Infinity")
    text = _field(ctx, key, field)
    present = (
        extended_float.ZERO if text is None else _extended(text, b"ERR hash value is not a float")
    )
    result = extended_float.add(present, summand)
    if result is None:
        raise CommandError(b"ERR increment would produce NaN or Infinity")
    text = extended_float.render(result)
    _set_field(ctx, key, field, text, b"hincrbyfloat")
    # The sum and not the summand: so no replica's arithmetic can come to another result.
    ctx.propagate_as([b"HSET", key, field, text])
    return text


def _extended(text: bytes, error: bytes) -> extended_float.Extended:
    number = extended_float.parse(text)
    if number is None:
        raise CommandError(error)
    return number


def _field(ctx: ServerContext, key: bytes, field: bytes) -> bytes | None:
    value = ctx.peek_as(key, Hash)
    return None if value is None else value.fields.get(field)


def _set_field(ctx: ServerContext, key: bytes, field: bytes, text: bytes, event: bytes) -> None:
    hash_to_change(ctx, key).set(field, text, ctx.limits)
    ctx.db.touch(key)
    ctx.notify(KeyspaceEvents.HASH, event, key)
    ctx.changes = 1
