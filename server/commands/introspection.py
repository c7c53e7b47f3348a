"""OBJECT: what a value looks like inside, and how it is used (Redis 7.0 `object.c`).

A string here is its bytes and nothing else, so its encoding is what Redis would choose for them on
SET, unless it is noted as changed since (`raw_strings`).
"""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, command, container
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..store.integers import is_canonical_integer
from ..store.raw_strings import EMBEDDED_SIZE_MAX, RawStrings
from ..store.usage import Measure
from ..store.values import Value
from .help import help_reply

OBJECT = container("OBJECT", group="generic", since="2.2.3", summary="Tells how a value is kept.")

_KEY: Final = Keys(2, 2, 1, ("RO",))
#: Redis shares the objects of integers below this, and reports no true count for them.
_SHARED_INTEGERS: Final = 10_000
_SHARED_REFCOUNT: Final = 2**31 - 1
_POLICY_SWITCH: Final = (
    b" Please note that when switching between policies at runtime LRU and LFU data will take some"
    b" time to adjust."
)


@command(
    "OBJECT|ENCODING",
    arity=3,
    flags=Flag.READONLY | Flag.NO_TOUCH,
    keys=_KEY,
    group="generic",
    since="2.2.3",
    tips=("nondeterministic_output",),
    summary="Returns the name of the encoding that Redis would choose for a value.",
)
def object_encoding(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read(argv[2], announces_miss=False)
    return None if value is None else encoding_of(value, ctx.keyspace.raw_strings)


def encoding_of(value: Value, raw_strings: RawStrings) -> bytes:
    """Return Redis' name for the encoding of `value`."""
    if not isinstance(value, bytes):
        return value.encoding()
    if value in raw_strings:
        return b"raw"
    if is_canonical_integer(value):
        return b"int"
    return b"embstr" if len(value) <= EMBEDDED_SIZE_MAX else b"raw"


@command(
    "OBJECT|REFCOUNT",
    arity=3,
    flags=Flag.READONLY | Flag.NO_TOUCH,
    keys=_KEY,
    group="generic",
    since="2.2.3",
    tips=("nondeterministic_output",),
    summary="Returns how many references Redis would count for a value.",
)
def object_refcount(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read(argv[2], announces_miss=False)
    if value is None:
        return None
    memory = ctx.engine.memory
    if memory.limit_bytes and memory.eviction.policy.needs_usage:
        return 1  # Redis keeps the use of each value in its object, and so shares none
    if isinstance(value, bytes) and encoding_of(value, ctx.keyspace.raw_strings) == b"int":
        return _SHARED_REFCOUNT if 0 <= int(value) < _SHARED_INTEGERS else 1
    return 1


@command(
    "OBJECT|IDLETIME",
    arity=3,
    flags=Flag.READONLY | Flag.NO_TOUCH,
    keys=_KEY,
    group="generic",
    since="2.2.3",
    tips=("nondeterministic_output",),
    summary="Returns for how many seconds a key has not been used.",
)
def object_idletime(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[2]
    if ctx.read(key, announces_miss=False) is None:
        return None
    engine = ctx.engine
    usage = engine.memory.usage
    if usage.measure is not Measure.RECENCY:
        raise CommandError(
            b"ERR An LFU maxmemory policy is selected, idle time not tracked." + _POLICY_SWITCH
        )
    if not engine.usage_notes.is_on:
        return 0  # too busy for notes: any key may have been used just now
    return usage.idle_s(ctx.db, key, ctx.now_ms // 1000)


@command(
    "OBJECT|FREQ",
    arity=3,
    flags=Flag.READONLY | Flag.NO_TOUCH,
    keys=_KEY,
    group="generic",
    since="4.0.0",
    tips=("nondeterministic_output",),
    summary="Returns how often a key is used, on a logarithmic scale up to 255.",
)
def object_freq(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[2]
    if ctx.read(key, announces_miss=False) is None:
        return None
    usage = ctx.engine.memory.usage
    if usage.measure is not Measure.FREQUENCY:
        raise CommandError(
            b"ERR An LFU maxmemory policy is not selected, access frequency not tracked."
            + _POLICY_SWITCH
        )
    return usage.frequency(ctx.db, key, ctx.now_ms // 1000)


@command(
    "OBJECT|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="generic",
    since="6.2.0",
    summary="Lists the subcommands.",
)
def object_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply(ctx, "OBJECT")
