"""MEMORY: what memory is used for (Redis 7.0 `object.c: memoryCommand, getMemoryDoctorReport`)."""

from __future__ import annotations

import sys
from typing import Final

from vedette.cmdspec import Flag, Keys, command, container
from vedette.resp.replies import OK, DoubleReply, MapReply, Reply, VerbatimReply

from ..engine import ServerContext
from ..store.values import SAMPLE_COUNT
from .arguments import parse_integer, syntax_error
from .help import help_reply
from .memory_overhead import MemoryOverhead, memory_overhead

MEMORY = container(
    "MEMORY", group="server", since="4.0.0", summary="Tells what memory is used for."
)

#: What a dictionary entry takes beside key and value: hash, two pointers, the spare third.
_ENTRY_BYTES: Final = 36
_MEGABYTE: Final = 1 << 20


@command(
    "MEMORY|USAGE",
    arity=-3,
    flags=Flag.READONLY | Flag.NO_TOUCH,
    keys=Keys(2, 2, 1, ("RO",)),
    group="server",
    since="4.0.0",
    summary="Returns how many bytes a key and its value take in this process.",
)
def memory_usage(ctx: ServerContext, argv: list[bytes]) -> Reply:
    sample_count = SAMPLE_COUNT
    rest = iter(argv[3:])
    for word in rest:
        samples = next(rest, None)
        if word.upper() != b"SAMPLES" or samples is None:
            raise syntax_error()
        sample_count = parse_integer(samples)
        if sample_count < 0:
            raise syntax_error()
    key = argv[2]
    value = ctx.peek(key)
    if value is None:
        return None
    entry_bytes = _ENTRY_BYTES * (2 if key in ctx.db.expires else 1)
    size = sys.getsizeof(value) if isinstance(value, bytes) else value.size_bytes(sample_count)
    return sys.getsizeof(key) + size + entry_bytes


@command(
    "MEMORY|STATS",
    arity=2,
    flags=Flag.NONE,
    group="server",
    since="4.0.0",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    summary="Returns how much memory is used, and for what.",
)
def memory_stats(ctx: ServerContext, argv: list[bytes]) -> Reply:
    overhead = memory_overhead(ctx)
    allocated = overhead.allocated
    free_bytes = max(0, overhead.held - allocated)
    other_bytes = overhead.resident - overhead.held
    fields: list[tuple[Reply, Reply]] = [
        (b"peak.allocated", overhead.peak),
        (b"total.allocated", overhead.used),
        (b"startup.allocated", overhead.startup),
        (b"replication.backlog", overhead.backlog),
        (b"clients.slaves", overhead.clients_replicas),
        (b"clients.normal", overhead.clients_normal),
        (b"cluster.links", 0),
        (b"aof.buffer", overhead.aof_buffer),
        (b"lua.caches", overhead.scripts),
        (b"functions.caches", overhead.functions),
    ]
    for database in overhead.databases:
        parts: list[tuple[Reply, Reply]] = [
            (b"overhead.hashtable.main", database.main_bytes),
            (b"overhead.hashtable.expires", database.expires_bytes),
            (b"overhead.hashtable.slot-to-keys", 0),
        ]
        fields.append((b"db.%d" % database.index, MapReply(parts)))
    fields += [
        (b"overhead.total", overhead.total),
        (b"keys.count", overhead.key_count),
        (b"keys.bytes-per-key", overhead.bytes_per_key),
        (b"dataset.bytes", overhead.dataset),
        (b"dataset.percentage", DoubleReply(overhead.dataset_percentage)),
        (b"peak.percentage", DoubleReply(overhead.peak_percentage)),
        (b"allocator.allocated", allocated),
        (b"allocator.active", overhead.held),
        (b"allocator.resident", overhead.held),
        (b"allocator-fragmentation.ratio", DoubleReply(overhead.held / allocated)),
        (b"allocator-fragmentation.bytes", free_bytes),
        (b"allocator-rss.ratio", DoubleReply(1.0)),
        (b"allocator-rss.bytes", 0),
        (b"rss-overhead.ratio", DoubleReply(overhead.resident / overhead.held)),
        (b"rss-overhead.bytes", other_bytes),
        (b"fragmentation", DoubleReply(overhead.resident / allocated)),
        (b"fragmentation.bytes", overhead.resident - allocated),
        (b"program.allocated", overhead.program),
    ]
    return MapReply(fields)


@command(
    "MEMORY|DOCTOR",
    arity=2,
    flags=Flag.NONE,
    group="server",
    since="4.0.0",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    summary="Says in words what is remarkable about the use of memory.",
)
def memory_doctor(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return VerbatimReply(_diagnosis(memory_overhead(ctx)))


def _diagnosis(overhead: MemoryOverhead) -> bytes:
    """Return the report; the thresholds are Redis'."""
    if overhead.used - overhead.startup < 5 * _MEGABYTE:
        return b"There is next to nothing in memory yet, so there is nothing to be said about it.\n"
    findings = []
    if overhead.peak > 1.5 * overhead.used:
        findings.append(
            b"More than 1.5 times as much memory as now was in use at the peak. What was freed"
            b" since is kept for what comes; MEMORY PURGE gives back what of it lies together."
        )
    if overhead.resident > 1.4 * overhead.allocated and (
        overhead.resident - overhead.allocated > 10 * _MEGABYTE
    ):
        findings.append(
            b"The process is more than 1.4 times as large as what is in use. After a peak that is"
            b" harmless. Else values of many sizes have left gaps, which a restart or a failover"
            b" to a replica closes."
        )
    if overhead.clients_normal > 200 * 1024 * max(1, overhead.client_count):
        findings.append(
            b"Clients take more than 200 KB each: they send large requests, or do not read what"
            b" they are owed. CLIENT LIST shows who; client-output-buffer-limit and"
            b" maxmemory-clients bound it."
        )
    if overhead.clients_replicas > 10 * _MEGABYTE * max(1, overhead.replica_count):
        findings.append(
            b"Replicas are owed more than 10 MB each: they, or the network, are too slow for the"
            b" writes there are. INFO replication shows their offsets."
        )
    if overhead.script_count > 1000:
        findings.append(
            b"There are more than 1000 scripts. Scripts that differ in values only should take them"
            b" as arguments; SCRIPT FLUSH forgets those there are."
        )
    if not findings:
        return b"Nothing is remarkable about the use of memory.\n"
    return b"".join(b" * %b\n\n" % finding for finding in findings)


@command(
    "MEMORY|MALLOC-STATS",
    arity=2,
    flags=Flag.NONE,
    group="server",
    since="4.0.0",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
    summary="Returns what the allocators say of themselves.",
)
def memory_malloc_stats(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return VerbatimReply(ctx.engine.host.allocator_report().encode())


@command(
    "MEMORY|PURGE",
    arity=2,
    flags=Flag.NONE,
    group="server",
    since="4.0.0",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
    summary="Gives free memory back to the system.",
)
def memory_purge(ctx: ServerContext, argv: list[bytes]) -> Reply:
    ctx.engine.host.release_memory()
    return OK


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
