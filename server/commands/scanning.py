"""Finding keys without knowing their names: KEYS, SCAN, RANDOMKEY (Redis 7.0 `db.c`).

HSCAN, SSCAN and ZSCAN, which stand with their types, are `scan_elements` underneath.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from vedette.cmdspec import Flag, command
from vedette.errors import CommandError
from vedette.glob import glob_matcher
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..store.values import Scannable, type_name
from .arguments import parse_integer, syntax_error

ScannableT = TypeVar("ScannableT", bound=Scannable)

_CURSOR: Final = re.compile(rb"([+-]?\d{1,20})?")
_UINT64_MAX: Final = 2**64 - 1
#: How often RANDOMKEY of a replica may hit a key that has expired before it returns one.
_RANDOM_TRIES: Final = 100


@command(
    "KEYS",
    arity=2,
    flags=Flag.READONLY,
    group="generic",
    since="1.0.0",
    tips=("request_policy:all_shards", "nondeterministic_output_order"),
    summary="Returns all keys that match a pattern.",
    categories=("keyspace", "dangerous"),
)
def keys(ctx: ServerContext, argv: list[bytes]) -> Reply:
    pattern = argv[1]
    db = ctx.db
    if pattern == b"*" and not db.expires:
        return list(db.values)
    found = list(filter(glob_matcher(pattern), db.values))
    if not db.expires:
        return list[Reply](found)
    now_ms = ctx.now_ms
    return [key for key in found if not db.is_expired(key, now_ms)]


@dataclass(slots=True)
class _ScanOptions:
    """Options of SCAN and its like."""

    count: int = 10
    pattern: bytes = b"*"
    type_name: bytes | None = None

    @classmethod
    def parse(cls, words: list[bytes], *, allows_type: bool) -> _ScanOptions:
        """Read the options behind the cursor; only SCAN itself has TYPE."""
        options = cls()
        rest = iter(words)
        for word in rest:
            value = next(rest, None)
            if value is None:
                raise syntax_error()
            match word.upper():
                case b"COUNT":
                    options.count = parse_integer(value)
                    if options.count < 1:
                        raise syntax_error()
                case b"MATCH":
                    options.pattern = value
                case b"TYPE" if allows_type:
                    options.type_name = value.lower()
                case _:
                    raise syntax_error()
        return options


@command(
    "SCAN",
    arity=-2,
    flags=Flag.READONLY | Flag.TOUCHES_ARBITRARY_KEYS,
    group="generic",
    since="2.8.0",
    tips=("nondeterministic_output", "request_policy:special"),
    summary="Returns some of the keys, and where to go on from.",
)
def scan(ctx: ServerContext, argv: list[bytes]) -> Reply:
    cursor = _parse_cursor(argv[1])
    options = _ScanOptions.parse(argv[2:], allows_type=True)
    db = ctx.db
    cursor, found = db.scan(cursor, options.count)
    if options.pattern != b"*":
        found = list(filter(glob_matcher(options.pattern), found))
    if db.expires:
        found = [key for key in found if ctx.peek(key) is not None]
    if options.type_name is not None:
        found = [key for key in found if type_name(db.values[key]) == options.type_name]
    return [b"%d" % cursor, [*found]]


def scan_elements(
    ctx: ServerContext,
    argv: list[bytes],
    kind: type[ScannableT],
    render: Callable[[ScannableT, list[bytes]], list[Reply]],
) -> Reply:
    """Answer HSCAN, SSCAN or ZSCAN; `render(value, elements)` is what stands for the elements."""
    cursor = _parse_cursor(argv[2])
    value = ctx.read_as(argv[1], kind)
    if value is None:
        return [b"0", []]
    options = _ScanOptions.parse(argv[3:], allows_type=False)
    cursor, elements = value.scan(cursor, options.count)
    if options.pattern != b"*":
        elements = list(filter(glob_matcher(options.pattern), elements))
    return [b"%d" % cursor, render(value, elements)]


def _parse_cursor(text: bytes) -> int:
    """Return the cursor, read as C's `strtoul` does."""
    text = text.partition(b"\0")[0]
    if _CURSOR.fullmatch(text) is None:
        raise CommandError(b"ERR invalid cursor")
    digits = text.lstrip(b"+-")
    value = int(digits) if digits else 0
    if value > _UINT64_MAX:
        raise CommandError(b"ERR invalid cursor")
    return -value & _UINT64_MAX if text.startswith(b"-") else value


@command(
    "RANDOMKEY",
    arity=1,
    flags=Flag.READONLY | Flag.TOUCHES_ARBITRARY_KEYS,
    group="generic",
    since="1.0.0",
    tips=("request_policy:all_shards", "nondeterministic_output"),
    summary="Returns a key chosen at random.",
)
def randomkey(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = None
    for _ in range(_RANDOM_TRIES):
        key = ctx.db.random_key(ctx.random.random)
        if key is None or ctx.peek(key) is not None:
            return key
    return key  # a replica full of expired keys; Redis gives one of them too
