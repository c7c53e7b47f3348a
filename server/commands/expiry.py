"""Expiry times: setting, reading and dropping them (Redis 7.0 `expire.c`).

Replicas are sent absolute times only; a time already past deletes the key here and there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError, quotable
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..engine.keyspace_events import KeyspaceEvents
from .arguments import INT64_MAX, INT64_MIN, parse_integer
from .lifetimes import invalid_expire_time, is_expired_at_once

_GENERIC: Final = KeyspaceEvents.GENERIC
_CONDITIONS: Final = frozenset((b"NX", b"XX", b"GT", b"LT"))
_WRITE: Final = Flag.WRITE | Flag.FAST
_WRITTEN_KEY: Final = Keys(1, 1, 1, ("RW", "UPDATE"))
_READ: Final = Flag.READONLY | Flag.FAST
_READ_KEY: Final = Keys(1, 1, 1, ("RO", "ACCESS"))


@dataclass(frozen=True, slots=True)
class _Unit:
    """What the number of one of the four commands means."""

    command: bytes
    milliseconds: int
    is_relative: bool


@command(
    "EXPIRE",
    arity=-3,
    flags=_WRITE,
    keys=_WRITTEN_KEY,
    group="generic",
    since="1.0.0",
    summary="Has a key expire after some seconds.",
)
def expire(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _expire(ctx, argv, _Unit(b"expire", 1000, True))


@command(
    "PEXPIRE",
    arity=-3,
    flags=_WRITE,
    keys=_WRITTEN_KEY,
    group="generic",
    since="2.6.0",
    summary="Has a key expire after some milliseconds.",
)
def pexpire(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _expire(ctx, argv, _Unit(b"pexpire", 1, True))


@command(
    "EXPIREAT",
    arity=-3,
    flags=_WRITE,
    keys=_WRITTEN_KEY,
    group="generic",
    since="1.2.0",
    summary="Has a key expire at a Unix time in seconds.",
)
def expireat(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _expire(ctx, argv, _Unit(b"expireat", 1000, False))


@command(
    "PEXPIREAT",
    arity=-3,
    flags=_WRITE,
    keys=_WRITTEN_KEY,
    group="generic",
    since="2.6.0",
    summary="Has a key expire at a Unix time in milliseconds.",
)
def pexpireat(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _expire(ctx, argv, _Unit(b"pexpireat", 1, False))


def _expire(ctx: ServerContext, argv: list[bytes], unit: _Unit) -> int:
    conditions = _parse_conditions(argv[3:])
    at_ms = _time_of(argv[2], unit, ctx.now_ms)
    key = argv[1]
    if ctx.peek(key) is None:
        return 0
    if conditions and not _is_met(conditions, at_ms, ctx.db.expires.get(key)):
        return 0
    ctx.changes = 1
    if is_expired_at_once(ctx, at_ms):
        ctx.db.delete(key)
        ctx.notify(_GENERIC, b"del", key)
        ctx.propagate_as([b"DEL", key])
        return 1
    ctx.db.expire_at(key, at_ms)
    ctx.notify(_GENERIC, b"expire", key)
    if unit.is_relative or unit.milliseconds != 1:
        ctx.propagate_as([b"PEXPIREAT", key, b"%d" % at_ms, *argv[3:]])
    return 1


def _parse_conditions(words: list[bytes]) -> set[bytes]:
    conditions = set()
    for word in words:
        if word.upper() not in _CONDITIONS:
            raise CommandError(b"ERR Unsupported option %b" % quotable(word))
        conditions.add(word.upper())
    if b"NX" in conditions and len(conditions) > 1:
        raise CommandError(b"ERR NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= conditions:
        raise CommandError(b"ERR GT and LT options at the same time are not compatible")
    return conditions


def _time_of(text: bytes, unit: _Unit, now_ms: int) -> int:
    at_ms = parse_integer(text) * unit.milliseconds
    if not INT64_MIN <= at_ms <= INT64_MAX:
        raise invalid_expire_time(unit.command)
    if unit.is_relative:
        at_ms += now_ms
    if at_ms > INT64_MAX:
        raise invalid_expire_time(unit.command)
    return at_ms


def _is_met(conditions: set[bytes], at_ms: int, present_ms: int | None) -> bool:
    """Return whether the new time passes; a key without one counts as living for ever."""
    if present_ms is None:
        return not conditions & {b"XX", b"GT"}
    if b"NX" in conditions or (b"GT" in conditions and at_ms <= present_ms):
        return False
    return not (b"LT" in conditions and at_ms >= present_ms)


@command(
    "TTL",
    arity=2,
    flags=_READ | Flag.NO_TOUCH,
    keys=_READ_KEY,
    group="generic",
    since="1.0.0",
    tips=("nondeterministic_output",),
    summary="Returns how long a key lives on, in seconds.",
)
def ttl(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _in_seconds(_lifetime(ctx, argv[1], since_ms=ctx.now_ms))


@command(
    "PTTL",
    arity=2,
    flags=_READ | Flag.NO_TOUCH,
    keys=_READ_KEY,
    group="generic",
    since="2.6.0",
    tips=("nondeterministic_output",),
    summary="Returns how long a key lives on, in milliseconds.",
)
def pttl(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _lifetime(ctx, argv[1], since_ms=ctx.now_ms)


@command(
    "EXPIRETIME",
    arity=2,
    flags=_READ | Flag.NO_TOUCH,
    keys=_READ_KEY,
    group="generic",
    since="7.0.0",
    summary="Returns when a key expires, as a Unix time in seconds.",
)
def expiretime(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _in_seconds(_lifetime(ctx, argv[1], since_ms=0))


@command(
    "PEXPIRETIME",
    arity=2,
    flags=_READ | Flag.NO_TOUCH,
    keys=_READ_KEY,
    group="generic",
    since="7.0.0",
    summary="Returns when a key expires, as a Unix time in milliseconds.",
)
def pexpiretime(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _lifetime(ctx, argv[1], since_ms=0)


def _in_seconds(lifetime: int) -> int:
    """Return what `_lifetime` gave in seconds, rounded; that there is none remains so."""
    return lifetime if lifetime < 0 else (lifetime + 500) // 1000


def _lifetime(ctx: ServerContext, key: bytes, *, since_ms: int) -> int:
    """Return the ms from `since_ms` to the expiry of `key`; -1 if it has none, -2 without key."""
    if ctx.read(key) is None:
        return -2
    expire_at_ms = ctx.db.expires.get(key)
    return -1 if expire_at_ms is None else max(expire_at_ms - since_ms, 0)


@command(
    "PERSIST",
    arity=2,
    flags=_WRITE,
    keys=_WRITTEN_KEY,
    group="generic",
    since="2.2.0",
    summary="Drops the expiry time of a key.",
)
def persist(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    if ctx.peek(key) is None or key not in ctx.db.expires:
        return 0
    ctx.db.expire_at(key, None)
    ctx.notify(_GENERIC, b"persist", key)
    ctx.changes = 1
    return 1
