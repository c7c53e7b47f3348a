"""OBJECT and MEMORY USAGE: what a value looks like inside (Redis 7.0 `object.c`).

A string here is its bytes and nothing else, so its encoding is what Redis would choose for them on
SET. Access times and frequencies are not kept, because nothing is evicted.
"""

from __future__ import annotations

import sys
from typing import Final

from vedette.cmdspec import Flag, Keys, command, container
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..store.integers import is_canonical_integer
from ..store.values import Value
from .arguments import parse_integer, syntax_error
from .help import help_reply

OBJECT = container("OBJECT", group="generic", since="2.2.3", summary="Tells how a value is kept.")
MEMORY = container(
    "MEMORY", group="server", since="4.0.0", summary="Tells what memory is used for."
)

_KEY: Final = Keys(2, 2, 1, ("RO",))
#: The longest string that Redis keeps in one piece with its header.
_EMBEDDED_BYTES: Final = 44
#: Redis shares the objects of integers below this, and reports no true count for them.
_SHARED_INTEGERS: Final = 10_000
_SHARED_REFCOUNT: Final = 2**31 - 1
#: What a dictionary entry takes beside key and value: hash, two pointers, the spare third.
_ENTRY_BYTES: Final = 36


@command(
    "OBJECT|ENCODING",
    arity=3,
    flags=Flag.READONLY,
    keys=_KEY,
    group="generic",
    since="2.2.3",
    tips=("nondeterministic_output",),
    summary="Returns the name of the encoding that Redis would choose for a value.",
)
def object_encoding(ctx: ServerContext, argv: list[bytes]) -> Reply:
    value = ctx.read(argv[2], announces_miss=False)
    return None if value is None else encoding_of(value)


def encoding_of(value: Value) -> bytes:
    """Return Redis' name for the encoding of `value`."""
    if not isinstance(value, bytes):
        return value.encoding()
    if is_canonical_integer(value):
        return b"int"
    return b"embstr" if len(value) <= _EMBEDDED_BYTES else b"raw"


@command(
    "OBJECT|REFCOUNT",
    arity=3,
    flags=Flag.READONLY,
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
    if isinstance(value, bytes) and is_canonical_integer(value):
        return _SHARED_REFCOUNT if 0 <= int(value) < _SHARED_INTEGERS else 1
    return 1


@command(
    "OBJECT|IDLETIME",
    arity=3,
    flags=Flag.READONLY,
    keys=_KEY,
    group="generic",
    since="2.2.3",
    tips=("nondeterministic_output",),
    summary="Returns 0: when a value was last used is not kept.",
)
def object_idletime(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return None if ctx.read(argv[2], announces_miss=False) is None else 0


@command(
    "OBJECT|FREQ",
    arity=3,
    flags=Flag.READONLY,
    keys=_KEY,
    group="generic",
    since="4.0.0",
    tips=("nondeterministic_output",),
    summary="Refused: how often a value is used is not kept.",
)
def object_freq(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if ctx.read(argv[2], announces_miss=False) is None:
        return None
    raise CommandError(
        b"ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note"
        b" that when switching between policies at runtime LRU and LFU data will take some time"
        b" to adjust."
    )


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


@command(
    "MEMORY|USAGE",
    arity=-3,
    flags=Flag.READONLY,
    keys=_KEY,
    group="server",
    since="4.0.0",
    summary="Returns how many bytes a key and its value take in this process.",
)
def memory_usage(ctx: ServerContext, argv: list[bytes]) -> Reply:
    rest = iter(argv[3:])
    for word in rest:
        samples = next(rest, None)
        if word.upper() != b"SAMPLES" or samples is None or parse_integer(samples) < 0:
            raise syntax_error()
    key = argv[2]
    value = ctx.peek(key)
    if value is None:
        return None
    entry_bytes = _ENTRY_BYTES * (2 if key in ctx.db.expires else 1)
    return sys.getsizeof(key) + sys.getsizeof(value) + entry_bytes


@command(
    "MEMORY|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="4.0.0",
    summary="Lists the subcommands.",
)
def memory_help(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return help_reply(ctx, "MEMORY")
