"""PFADD and its like: counting different elements (Redis 7.0 `hyperloglog.c`)."""

from __future__ import annotations

from typing import Final

from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.errors import CommandError, quotable
from vedette.resp.replies import OK, Reply, SimpleString

from .. import directives
from ..engine import ServerContext
from ..engine.keyspace_events import KeyspaceEvents
from ..store import hyperloglog as hll

_NOT_ONE: Final = b"WRONGTYPE Key is not a valid HyperLogLog string value."
_CORRUPT: Final = CommandError(b"INVALIDOBJ Corrupted HLL object detected")
_NO_SUCH_KEY: Final = b"ERR The specified key does not exist"


def _checked(ctx: ServerContext, value: object) -> bytes | None:
    """Return `value` if it is a HyperLogLog or None."""
    data = ctx.string_or_none(value)  # type: ignore[arg-type]  # any value of a key
    if data is not None and not hll.is_hyperloglog(data):
        raise CommandError(_NOT_ONE)
    return data


def _sparse_max_bytes(ctx: ServerContext) -> int:
    limit: int = ctx.engine.configuration[directives.HLL_SPARSE_MAX_BYTES]
    return limit


@command(
    "PFADD",
    arity=-2,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "INSERT")),
    group="hyperloglog",
    since="2.8.9",
    summary="Adds elements to a HyperLogLog; tells whether its estimate may have changed.",
)
def pfadd(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    data = _checked(ctx, ctx.peek(key))
    is_new = data is None
    try:
        data, changes = hll.add(
            data or hll.empty(), argv[2:], sparse_max_bytes=_sparse_max_bytes(ctx)
        )
    except hll.CorruptHyperLogLogError:
        raise _CORRUPT from None
    changes += is_new
    if not changes:
        return 0
    ctx.replace_raw(key, hll.with_stale_count(data))
    ctx.changes = changes
    ctx.notify(KeyspaceEvents.STRING, b"pfadd", key)
    return 1


@command(
    "PFCOUNT",
    arity=-2,
    flags=Flag.READONLY | Flag.MAY_REPLICATE,
    keys=Keys(
        1,
        -1,
        1,
        ("RW", "ACCESS"),
        notes=(
            "RW because it may change the internal representation of the key, and propagate to"
            " replicas"
        ),
    ),
    group="hyperloglog",
    since="2.8.9",
    summary="Estimates how many different elements one or several HyperLogLogs have seen.",
)
def pfcount(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) > 2:
        found = [_checked(ctx, ctx.read(key)) for key in argv[1:]]
        return _count([data for data in found if data is not None])
    key = argv[1]
    data = _checked(ctx, ctx.read(key))
    if data is None:
        return 0
    count = hll.cached_count(data)
    if count is None:
        count = _count([data])
        ctx.replace_raw(key, hll.with_cached_count(data, count))
        ctx.changes = 1
    return count


@command(
    "PFMERGE",
    arity=-2,
    flags=Flag.WRITE | Flag.DENYOOM,
    keys=Keys(
        1,
        -1,
        1,
        groups=(KeySpec(1, ("RW", "ACCESS", "INSERT")), KeySpec(2, ("RO", "ACCESS"), last=-1)),
    ),
    group="hyperloglog",
    since="2.8.9",
    summary="Merges HyperLogLogs into one.",
)
def pfmerge(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    found = [_checked(ctx, ctx.read(source)) for source in argv[1:]]
    sources = [data for data in found[1:] if data is not None]
    limit = _sparse_max_bytes(ctx)
    try:
        merged = hll.merge(found[0] or hll.empty(), sources, sparse_max_bytes=limit)
    except hll.CorruptHyperLogLogError:
        raise _CORRUPT from None
    ctx.replace_raw(key, merged)
    ctx.changes = 1
    ctx.notify(KeyspaceEvents.STRING, b"pfadd", key)
    return OK


def _count(sources: list[bytes]) -> int:
    try:
        return hll.count(sources)
    except hll.CorruptHyperLogLogError:
        raise _CORRUPT from None


def _registers(data: bytes) -> bytes:
    try:
        return hll.registers_of(data)
    except hll.CorruptHyperLogLogError:
        raise _CORRUPT from None


@command(
    "PFDEBUG",
    arity=3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.ADMIN,
    keys=Keys(2, 2, 1, ("RW", "ACCESS")),
    group="hyperloglog",
    since="2.8.9",
    summary="Looks into a HyperLogLog, for tests.",
)
def pfdebug(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[2]
    data = _checked(ctx, ctx.peek(key))
    if data is None:
        raise CommandError(_NO_SUCH_KEY)
    match argv[1].upper():
        case b"GETREG":
            registers: list[Reply] = list(_registers(data))
            if not hll.is_dense(data):
                _make_dense(ctx, key, data)
            return registers
        case b"ENCODING":
            return SimpleString(b"dense" if hll.is_dense(data) else b"sparse")
        case b"TODENSE":
            if hll.is_dense(data):
                return 0
            _make_dense(ctx, key, data)
            return 1
        case b"DECODE":
            if hll.is_dense(data):
                raise CommandError(b"ERR HLL encoding is not sparse")
            return hll.describe_runs(data)
    raise CommandError(b"ERR Unknown PFDEBUG subcommand '%b'" % quotable(argv[1]))


def _make_dense(ctx: ServerContext, key: bytes, data: bytes) -> None:
    _registers(data)  # refuses a corrupt one
    ctx.replace_raw(key, hll.to_dense(data))
    ctx.changes = 1


@command(
    "PFSELFTEST",
    arity=1,
    flags=Flag.ADMIN,
    group="hyperloglog",
    since="2.8.9",
    summary="Checks that registers keep their values and that estimates are close.",
)
def pfselftest(ctx: ServerContext, argv: list[bytes]) -> Reply:
    data, seen = hll.empty(), 0
    limit = _sparse_max_bytes(ctx)
    for goal in (10, 100, 1000, 5000):
        elements = [b"selftest:%d" % number for number in range(seen, goal)]
        data, _ = hll.add(data, elements, sparse_max_bytes=limit)
        seen = goal
        # Four standard errors, and one for the small numbers.
        error_max = max(1, round(4 * 1.04 / hll.REGISTER_COUNT**0.5 * goal))
        if abs(hll.count([data]) - goal) > error_max:
            raise CommandError(b"ERR TESTFAILED too high error at cardinality %d" % goal)
        if hll.registers_of(hll.to_dense(data)) != hll.registers_of(data):
            raise CommandError(b"ERR TESTFAILED dense registers differ at cardinality %d" % goal)
    return OK
