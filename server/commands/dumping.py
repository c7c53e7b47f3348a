"""DUMP and RESTORE: single values in RDB's encoding (Redis 7.0 `cluster.c`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply

from .. import directives
from ..engine import ServerContext
from ..engine.keyspace_events import KeyspaceEvents
from ..persistence.rdb.errors import DumpFooterError, RdbError
from ..persistence.rdb.payload import dump_payload, restore_payload
from ..store.usage import FIRST_FREQUENCY, MOST_FREQUENT
from .arguments import parse_integer, syntax_error
from .lifetimes import is_expired_at_once


@command(
    "DUMP",
    arity=2,
    flags=Flag.READONLY,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="generic",
    since="2.6.0",
    tips=("nondeterministic_output",),
    summary="Returns the value at a key in a form that RESTORE takes.",
)
def dump(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read(argv[1])
    if value is None:
        return None
    return dump_payload(value, compress=ctx.engine.configuration[directives.RDB_COMPRESSION])


@dataclass(slots=True)
class _RestoreOptions:
    replaces: bool = False
    is_absolute: bool = False
    #: How the key is said to have been used; None: not said.
    idle_s: int | None = None
    frequency: int | None = None

    @classmethod
    def parse(cls, words: list[bytes]) -> _RestoreOptions:
        """Read the options; IDLETIME and FREQ exclude one another."""
        options = cls()
        rest = iter(words)
        for word in rest:
            match word.upper():
                case b"REPLACE":
                    options.replaces = True
                case b"ABSTTL":
                    options.is_absolute = True
                case b"IDLETIME" if options.frequency is None:
                    options.idle_s = parse_integer(_next(rest))
                    if options.idle_s < 0:
                        raise CommandError(b"ERR Invalid IDLETIME value, must be >= 0")
                case b"FREQ" if options.idle_s is None:
                    options.frequency = parse_integer(_next(rest))
                    if not 0 <= options.frequency <= MOST_FREQUENT:
                        raise CommandError(b"ERR Invalid FREQ value, must be >= 0 and <= 255")
                case _:
                    raise syntax_error()
        return options


def _next(rest: Iterator[bytes]) -> bytes:
    value = next(rest, None)
    if value is None:
        raise syntax_error()
    return value


@command(
    "RESTORE-ASKING",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.ASKING,
    keys=Keys(1, 1, 1, ("OW", "UPDATE")),
    group="server",
    since="3.0.0",
    summary="Does what RESTORE does: nodes of a cluster send it.",
    categories=("keyspace", "dangerous"),
)
@command(
    "RESTORE",
    arity=-4,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.NO_TOUCH,
    keys=Keys(1, 1, 1, ("OW", "UPDATE")),
    group="generic",
    since="2.6.0",
    summary="Makes a key of what DUMP returned.",
    categories=("keyspace", "dangerous"),
)
def restore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    options = _RestoreOptions.parse(argv[4:])
    if not options.replaces and ctx.peek(key) is not None:
        raise CommandError(b"BUSYKEY Target key name already exists.")
    lifetime_ms = parse_integer(argv[2])
    if lifetime_ms < 0:
        raise CommandError(b"ERR Invalid TTL value, must be >= 0")
    try:
        value = restore_payload(argv[3], is_checked=ctx.engine.checks_payloads)
    except DumpFooterError as error:
        raise CommandError(b"ERR DUMP payload version or checksum are wrong") from error
    except RdbError as error:
        raise CommandError(b"ERR Bad data format") from error
    if not isinstance(value, bytes):
        value.settle(ctx.limits)
    expire_at_ms = lifetime_ms
    if lifetime_ms and not options.is_absolute:
        expire_at_ms += ctx.now_ms
    if expire_at_ms and is_expired_at_once(ctx, expire_at_ms):
        if options.replaces and ctx.db.delete(key):
            ctx.notify(KeyspaceEvents.GENERIC, b"del", key)
            ctx.changes = 1
            ctx.propagate_as([b"DEL", key])
        return OK
    ctx.db.delete(key)
    ctx.db.set(key, value)
    _set_usage(ctx, key, options)
    ctx.changes = 1
    if expire_at_ms:
        ctx.db.expire_at(key, expire_at_ms)
        if not options.is_absolute:
            ctx.propagate_as(
                [argv[0], key, b"%d" % expire_at_ms, *argv[3:], b"ABSTTL"],
            )
    ctx.notify(KeyspaceEvents.GENERIC, b"restore", key)
    return OK


def _set_usage(ctx: ServerContext, key: bytes, options: _RestoreOptions) -> None:
    """Have the new `key` be as used as it is said to be; else as just made."""
    usage = ctx.engine.memory.usage
    now_s = ctx.now_ms // 1000
    if not ctx.engine.usage_notes.is_on:
        return
    frequency = FIRST_FREQUENCY if options.frequency is None else options.frequency
    usage.set_frequency(ctx.db, key, frequency, now_s)
    usage.set_idle(ctx.db, key, options.idle_s or 0, now_s)
