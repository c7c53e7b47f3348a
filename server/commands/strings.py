"""Strings: reading and setting whole values, with their lifetimes.

GET and SET without options are the hottest commands, so their plain forms return first and touch
nothing they need not. Follows Redis 7.0 `t_string.c`; what goes to replicas carries absolute times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply

from ..engine import ServerContext
from ..engine.context import WRONG_TYPE
from ..engine.keyspace_events import KeyspaceEvents
from .arguments import syntax_error, wrong_arity
from .lifetimes import LIFETIMES, expire_time_ms, is_expired_at_once

_STRING: Final = KeyspaceEvents.STRING
_GENERIC: Final = KeyspaceEvents.GENERIC


@command(
    "GET",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="string",
    since="1.0.0",
    summary="Returns the string at a key.",
)
def get(ctx: ServerContext, argv: list[bytes]) -> Reply:
    db = ctx.db
    value = db.values.get(argv[1])
    if value is None:
        ctx.statistics.keyspace_misses += 1
        if ctx.is_notifying:
            ctx.notify(KeyspaceEvents.KEY_MISS, b"keymiss", argv[1])
        return None
    if db.expires:
        return ctx.string_or_none(ctx.read(argv[1]))
    ctx.statistics.keyspace_hits += 1
    if type(value) is not bytes:
        raise CommandError(WRONG_TYPE)
    return value


@dataclass(slots=True)
class _Options:
    """Options of SET and GETEX; at most one lifetime and one condition."""

    #: A name of LIFETIMES, KEEPTTL or PERSIST.
    lifetime: bytes = b""
    amount: bytes = b""
    #: NX or XX.
    condition: bytes = b""
    returns_old_value: bool = False

    @classmethod
    def parse(cls, words: list[bytes], *, is_set: bool) -> _Options:
        """Read the options behind the value of SET, or the key of GETEX.

        Raises:
            CommandError: one is unknown, lacks its amount, or excludes an earlier one.
        """
        options = cls()
        rest = iter(words)
        for word in rest:
            name = word.upper()
            if name in LIFETIMES:
                options._choose_lifetime(name)
                amount = next(rest, None)
                if amount is None:
                    raise syntax_error()
                options.amount = amount
            elif name == (b"KEEPTTL" if is_set else b"PERSIST"):
                options._choose_lifetime(name)
            elif is_set and name in (b"NX", b"XX") and options.condition in (b"", name):
                options.condition = name
            elif is_set and name == b"GET":
                options.returns_old_value = True
            else:
                raise syntax_error()
        return options

    def _choose_lifetime(self, name: bytes) -> None:
        if self.lifetime not in (b"", name):
            raise syntax_error()
        self.lifetime = name


def _access_of_set(argv: list[bytes]) -> tuple[str, ...]:
    is_reading = any(word.upper() == b"GET" for word in argv[3:])
    return ("RW", "ACCESS", "UPDATE") if is_reading else ("OW", "UPDATE")


@command(
    "SET",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(
        1,
        1,
        1,
        ("RW", "ACCESS", "UPDATE", "VARIABLE_FLAGS"),
        notes="GET returns the old value",
        narrow=_access_of_set,
    ),
    group="string",
    since="1.0.0",
    summary="Sets a key to a string, with conditions and a lifetime if asked for.",
)
def set_(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) == 3:
        db = ctx.db
        if db.expires:
            ctx.peek(argv[1])  # one that has expired is deleted first, as replicas are told
        db.set(argv[1], argv[2])
        if ctx.is_notifying:
            ctx.notify(_STRING, b"set", argv[1])
        ctx.changes = 1
        return OK
    return _set_with_options(ctx, argv)


def set_many(ctx: ServerContext, requests: list[list[bytes]]) -> bool:
    """Do what `set_` does with each of `requests` of our master's.

    Returns False, having done nothing, if one has options or events are to be published.
    """
    if ctx.is_notifying or set(map(len, requests)) != {3}:
        return False
    _, keys, values = zip(*requests, strict=True)
    ctx.db.set_all(keys, values)
    return True


def _set_with_options(ctx: ServerContext, argv: list[bytes]) -> Reply:
    options = _Options.parse(argv[3:], is_set=True)
    key, value = argv[1], argv[2]
    expire_at_ms = None
    if options.amount:
        expire_at_ms = expire_time_ms(options.lifetime, options.amount, ctx.now_ms, b"set")
    reply: Reply = OK
    if options.returns_old_value:
        reply = ctx.string_or_none(ctx.read(key))
    is_there = ctx.peek(key) is not None
    if (options.condition == b"NX" and is_there) or (options.condition == b"XX" and not is_there):
        return reply if options.returns_old_value else None
    if options.lifetime == b"KEEPTTL":
        ctx.db.replace(key, value)
    else:
        ctx.db.set(key, value)
    ctx.notify(_STRING, b"set", key)
    ctx.changes = 1
    if expire_at_ms is not None:
        _expire_new_value(ctx, key, value, expire_at_ms)
    elif options.returns_old_value:
        # Replicas need no reply, so the option that asks for one is left out.
        ctx.propagate_as([*argv[:3], *(word for word in argv[3:] if word.upper() != b"GET")])
    return reply


def _expire_new_value(ctx: ServerContext, key: bytes, value: bytes, expire_at_ms: int) -> None:
    ctx.db.expire_at(key, expire_at_ms)
    ctx.notify(_GENERIC, b"expire", key)
    ctx.propagate_as([b"SET", key, value, b"PXAT", b"%d" % expire_at_ms])


@command(
    "SETNX",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    keys=Keys(1, 1, 1, ("OW", "INSERT")),
    group="string",
    since="1.0.0",
    summary="Sets a key to a string unless the key exists.",
)
def setnx(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if ctx.peek(argv[1]) is not None:
        return 0
    ctx.db.set(argv[1], argv[2])
    ctx.notify(_STRING, b"set", argv[1])
    ctx.changes = 1
    return 1


@command(
    "SETEX",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 1, 1, ("OW", "UPDATE")),
    group="string",
    since="2.0.0",
    summary="Sets a key to a string that expires after some seconds.",
)
def setex(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _set_for_a_time(ctx, argv, b"EX", b"setex")


@command(
    "PSETEX",
    arity=4,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, 1, 1, ("OW", "UPDATE")),
    group="string",
    since="2.6.0",
    summary="Sets a key to a string that expires after some milliseconds.",
)
def psetex(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _set_for_a_time(ctx, argv, b"PX", b"psetex")


def _set_for_a_time(
    ctx: ServerContext, argv: list[bytes], lifetime: bytes, command_name: bytes
) -> Reply:
    _, key, amount, value = argv
    expire_at_ms = expire_time_ms(lifetime, amount, ctx.now_ms, command_name)
    ctx.peek(key)
    ctx.db.set(key, value)
    ctx.notify(_STRING, b"set", key)
    ctx.changes = 1
    _expire_new_value(ctx, key, value, expire_at_ms)
    return OK


@command(
    "GETSET",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "ACCESS", "UPDATE")),
    group="string",
    since="1.0.0",
    deprecated_since="6.2.0",
    replaced_by="`SET` with the `!GET` argument",
    summary="Sets a key to a string and returns the one that was there.",
)
def getset(ctx: ServerContext, argv: list[bytes]) -> Reply:
    old = ctx.string_or_none(ctx.read(argv[1]))
    ctx.db.set(argv[1], argv[2])
    ctx.notify(_STRING, b"set", argv[1])
    ctx.changes = 1
    ctx.propagate_as([b"SET", argv[1], argv[2]])
    return old


@command(
    "GETDEL",
    arity=2,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "ACCESS", "DELETE")),
    group="string",
    since="6.2.0",
    summary="Returns the string at a key and deletes the key.",
)
def getdel(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.string_or_none(ctx.read(argv[1]))
    if value is not None:
        ctx.db.delete(argv[1])
        ctx.notify(_GENERIC, b"del", argv[1])
        ctx.changes = 1
        ctx.propagate_as([b"DEL", argv[1]])
    return value


@command(
    "GETEX",
    arity=-2,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "ACCESS", "UPDATE"), notes="the lifetime is what is updated"),
    group="string",
    since="6.2.0",
    summary="Returns the string at a key and changes its lifetime.",
)
def getex(ctx: ServerContext, argv: list[bytes]) -> Reply:
    options = _Options.parse(argv[2:], is_set=False)
    key = argv[1]
    value = ctx.string_or_none(ctx.read(key))
    if value is None:
        return None
    if options.lifetime == b"PERSIST":
        if key in ctx.db.expires:
            ctx.db.expire_at(key, None)
            ctx.notify(_GENERIC, b"persist", key)
            ctx.changes = 1
            ctx.propagate_as([b"PERSIST", key])
    elif options.lifetime:
        at_ms = expire_time_ms(options.lifetime, options.amount, ctx.now_ms, b"getex")
        ctx.changes = 1
        if is_expired_at_once(ctx, at_ms):
            ctx.db.delete(key)
            ctx.notify(_GENERIC, b"del", key)
            ctx.propagate_as([b"DEL", key])
        else:
            ctx.db.expire_at(key, at_ms)
            ctx.notify(_GENERIC, b"expire", key)
            ctx.propagate_as([b"PEXPIREAT", key, b"%d" % at_ms])
    return value


@command(
    "MGET",
    arity=-2,
    flags=Flag.READONLY | Flag.FAST,
    keys=Keys(1, -1, 1, ("RO", "ACCESS")),
    group="string",
    since="1.0.0",
    tips=("request_policy:multi_shard",),
    summary="Returns the strings at several keys.",
)
def mget(ctx: ServerContext, argv: list[bytes]) -> Reply:
    read = ctx.read
    values = [read(key) for key in argv[1:]]
    return [value if type(value) is bytes else None for value in values]


@command(
    "MSET",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, -1, 2, ("OW", "UPDATE")),
    group="string",
    since="1.0.1",
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
    summary="Sets several keys to strings at once.",
)
def mset(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) % 2 == 0:
        raise wrong_arity(b"mset")
    _set_all(ctx, argv)
    return OK


@command(
    "MSETNX",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(1, -1, 2, ("OW", "INSERT")),
    group="string",
    since="1.0.1",
    tips=("request_policy:multi_shard", "response_policy:agg_min"),
    summary="Sets several keys to strings at once, unless any of them exists.",
)
def msetnx(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) % 2 == 0:
        raise wrong_arity(b"msetnx")
    if any(ctx.peek(key) is not None for key in argv[1::2]):
        return 0
    _set_all(ctx, argv)
    return 1


def _set_all(ctx: ServerContext, argv: list[bytes]) -> None:
    keys = argv[1::2]
    if ctx.db.expires:
        for key in keys:
            ctx.peek(key)
    if ctx.is_notifying:  # each key's events before those of the next
        for key, value in zip(keys, argv[2::2], strict=True):
            ctx.db.set(key, value)
            ctx.notify(_STRING, b"set", key)
    else:
        ctx.db.set_all(keys, argv[2::2])
    ctx.changes = len(argv) // 2
