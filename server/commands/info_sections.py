"""The sections of INFO: names, order and spelling of fields as Redis 7.0 has them.

A field is here if it means something in this server, or if dashboards fail without it (then it is
the constant that is true here, such as `cluster_enabled:0`). Follows `server.c:
genRedisInfoString`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeAlias

from vedette import REDIS_VERSION, __version__
from vedette.clients import info_sections
from vedette.conf.tls import TLS_PORT

from .. import directives
from ..config import Configuration
from ..engine import ServerContext
from ..persistence.aof.log import AofState
from ..replication import report
from ..scripting import Scripting
from ..store.database import Database
from .memory_overhead import memory_overhead

Fields: TypeAlias = Mapping[str, object]

_UNITS: Final = ("B", "K", "M", "G", "T", "P")
#: How many expiring keys `avg_ttl` is computed from.
_TTL_SAMPLE_COUNT: Final = 64


def human_size(size_bytes: int) -> str:
    """Return a size as Redis' `*_human` fields show it: `991.21K`."""
    if size_bytes < 1024:
        return f"{size_bytes}B"
    value = float(size_bytes)
    unit = 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{value:.2f}{_UNITS[unit]}"


def server(ctx: ServerContext) -> Fields:
    """Return the section `server`."""
    facts = ctx.engine.facts
    configuration = ctx.engine.configuration
    uptime_s = max(0, ctx.now_ms - facts.started_ms) // 1000
    return {
        "redis_version": REDIS_VERSION,
        "vedette_version": __version__,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "0",
        "redis_mode": ctx.settings.mode,
        "os": facts.operating_system,
        "arch_bits": 64,
        "monotonic_clock": "POSIX clock_gettime",
        "multiplexing_api": "epoll",
        "python_version": facts.python_version,
        "process_id": facts.pid,
        "process_supervised": facts.supervisor,
        "run_id": ctx.engine.run_id,
        "tcp_port": configuration[directives.PORT],
        "server_time_usec": ctx.now_ms * 1000,
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s // 86_400,
        "hz": configuration[directives.HZ],
        "configured_hz": configuration[directives.HZ],
        "lru_clock": ctx.now_ms // 1000 & 0xFFFFFF,
        "executable": facts.executable,
        "config_file": configuration.path,
        "io_threads_active": 0,
        **_shutdown_fields(ctx),
        **_listener_fields(configuration),
    }


def _listener_fields(configuration: Configuration) -> Fields:
    """Return where the server listens, as Redis 7.2 says it; the number tells the kind."""
    hosts = "".join(f",bind={host}" for host in configuration[directives.BIND])
    port, tls_port = configuration[directives.PORT], configuration[TLS_PORT]
    path = configuration[directives.UNIX_SOCKET]
    fields = {}
    if port:
        fields["listener0"] = f"name=tcp{hosts},port={port}"
    if path:
        fields["listener1"] = f"name=unix,bind={path}"
    if tls_port:
        fields["listener2"] = f"name=tls{hosts},port={tls_port}"
    return fields


def _shutdown_fields(ctx: ServerContext) -> Fields:
    """Return how long a shutdown waits for replicas yet; nothing while none does."""
    shutdown = ctx.engine.shutdown
    if not shutdown.is_waiting:
        return {}
    return {"shutdown_in_milliseconds": max(0, shutdown.deadline_ms - ctx.now_ms)}


def clients(ctx: ServerContext) -> Fields:
    """Return the section `clients`."""
    return info_sections.clients_fields(
        ctx.engine, ctx.engine.configuration[directives.MAX_CLIENTS]
    )


def memory(ctx: ServerContext) -> Fields:
    """Return the section `memory`."""
    engine = ctx.engine
    overhead = memory_overhead(ctx)
    used, allocated = overhead.used, overhead.allocated
    held, resident = overhead.held, overhead.resident
    limit = engine.configuration[directives.MAX_MEMORY]
    machine = engine.facts.machine_memory_bytes
    lazy_free = engine.memory.lazy_free
    return {
        "used_memory": used,
        "used_memory_human": human_size(used),
        "used_memory_rss": resident,
        "used_memory_rss_human": human_size(resident),
        "used_memory_peak": overhead.peak,
        "used_memory_peak_human": human_size(overhead.peak),
        "used_memory_peak_perc": f"{overhead.peak_percentage:.2f}%",
        "used_memory_overhead": overhead.total,
        "used_memory_startup": overhead.startup,
        "used_memory_program": overhead.program,
        "used_memory_dataset": overhead.dataset,
        "used_memory_dataset_perc": f"{overhead.dataset_percentage:.2f}%",
        "allocator_allocated": allocated,
        "allocator_active": held,
        "allocator_resident": held,
        "total_system_memory": machine,
        "total_system_memory_human": human_size(machine),
        **_script_memory(engine.scripting),
        "maxmemory": limit,
        "maxmemory_human": human_size(limit),
        "maxmemory_policy": engine.configuration[directives.MAX_MEMORY_POLICY],
        "allocator_frag_ratio": f"{held / allocated:.2f}",
        "allocator_frag_bytes": max(0, held - allocated),
        "allocator_rss_ratio": "1.00",
        "allocator_rss_bytes": 0,
        "rss_overhead_ratio": f"{resident / held:.2f}",
        "rss_overhead_bytes": resident - held,
        "mem_fragmentation_ratio": f"{resident / allocated:.2f}",
        "mem_fragmentation_bytes": resident - allocated,
        "mem_not_counted_for_evict": engine.memory.not_counted_bytes,
        "mem_replication_backlog": overhead.backlog,
        "mem_total_replication_buffers": overhead.backlog + overhead.clients_replicas,
        "mem_clients_slaves": overhead.clients_replicas,
        "mem_clients_normal": overhead.clients_normal,
        "mem_cluster_links": 0,
        "mem_aof_buffer": overhead.aof_buffer,
        "mem_allocator": "libc",
        "active_defrag_running": 0,
        "lazyfree_pending_objects": lazy_free.pending_count,
        "lazyfreed_objects": lazy_free.freed_count,
    }


def _script_memory(scripting: Scripting) -> Fields:
    """Return what scripts and functions take, by which Lua, and how many there are."""
    functions = scripting.functions
    eval_bytes, functions_bytes = scripting.lua_bytes, functions.lua_bytes
    texts_bytes = scripting.texts_bytes + functions.libraries.texts_bytes
    return {
        "used_memory_lua": eval_bytes,
        "used_memory_vm_eval": eval_bytes,
        "used_memory_lua_human": human_size(eval_bytes),
        "used_memory_scripts_eval": scripting.texts_bytes,
        "number_of_cached_scripts": len(scripting.scripts),
        "number_of_functions": functions.libraries.function_count,
        "number_of_libraries": len(functions.libraries),
        "used_memory_vm_functions": functions_bytes,
        "used_memory_vm_total": eval_bytes + functions_bytes,
        "used_memory_vm_total_human": human_size(eval_bytes + functions_bytes),
        "used_memory_functions": functions.libraries.texts_bytes,
        "used_memory_scripts": texts_bytes,
        "used_memory_scripts_human": human_size(texts_bytes),
    }


def persistence(ctx: ServerContext) -> Fields:
    """Return the section `persistence`."""
    engine = ctx.engine
    saves = engine.saves
    started_ms = saves.current_started_ms
    return {
        "loading": int(engine.is_loading),
        "async_loading": int(engine.load.is_async),
        **engine.background.info_fields(ctx.now_ms),
        "rdb_changes_since_last_save": engine.keyspace.dirty,
        "rdb_bgsave_in_progress": int(saves.is_in_progress or engine.background.is_synchronising),
        "rdb_last_save_time": saves.last_save_ms // 1000,
        "rdb_last_bgsave_status": "ok" if saves.is_last_background_save_ok else "err",
        "rdb_last_bgsave_time_sec": _whole_seconds(saves.last_duration_ms),
        "rdb_current_bgsave_time_sec": (
            -1 if started_ms is None else _whole_seconds(ctx.now_ms - started_ms)
        ),
        "rdb_saves": saves.save_count,
        "rdb_last_cow_size": saves.last_copied_bytes,
        "rdb_last_load_keys_expired": saves.last_load_keys_expired,
        "rdb_last_load_keys_loaded": saves.last_load_keys_loaded,
        **_aof_fields(ctx),
        **engine.load.info_fields(ctx.now_ms),
    }


def _aof_fields(ctx: ServerContext) -> Fields:
    """Return what the section `persistence` says of the append-only file."""
    aof = ctx.engine.aof
    rewrite = aof.rewrite
    started_ms = rewrite.started_ms
    fields: dict[str, object] = {
        "aof_enabled": int(aof.state is not AofState.OFF),
        "aof_rewrite_in_progress": int(rewrite.is_in_progress),
        "aof_rewrite_scheduled": int(rewrite.is_scheduled),
        "aof_last_rewrite_time_sec": _whole_seconds(rewrite.last_duration_ms),
        "aof_current_rewrite_time_sec": (
            -1 if started_ms is None else _whole_seconds(ctx.now_ms - started_ms)
        ),
        "aof_last_bgrewrite_status": "ok" if rewrite.is_last_ok else "err",
        "aof_rewrites": rewrite.count,
        "aof_rewrites_consecutive_failures": rewrite.failures,
        "aof_last_write_status": "err" if aof.error else "ok",
        "aof_last_cow_size": rewrite.last_copied_bytes,
        "module_fork_in_progress": 0,
        "module_fork_last_cow_size": 0,
    }
    if ctx.engine.configuration[directives.APPEND_ONLY]:
        fields |= {
            "aof_current_size": aof.current_bytes,
            "aof_base_size": aof.base_bytes,
            "aof_pending_rewrite": int(rewrite.is_scheduled),
            "aof_buffer_length": aof.buffered_bytes,
            "aof_pending_bio_fsync": 0 if aof.port is None else aof.port.pending_sync_count,
            "aof_delayed_fsync": aof.delayed_count,
        }
    return fields


def _whole_seconds(duration_ms: int) -> int:
    """Return a duration in seconds; -1, for there was none, stays what it is."""
    return -1 if duration_ms < 0 else duration_ms // 1000


def stats(ctx: ServerContext) -> Fields:
    """Return the section `stats`."""
    engine = ctx.engine
    statistics = ctx.statistics
    cycle = engine.expiry_cycle
    pauses = engine.host.collector_pauses()
    return {
        **info_sections.traffic_fields(
            engine, engine.rates, (statistics.repl_input_bytes, statistics.repl_output_bytes)
        ),
        "sync_full": statistics.sync_full,
        "sync_partial_ok": statistics.sync_partial_ok,
        "sync_partial_err": statistics.sync_partial_err,
        "expired_keys": statistics.expired_keys,
        "expired_stale_perc": f"{cycle.stale_share * 100:.2f}",
        "expired_time_cap_reached_count": cycle.capped_count,
        "expire_cycle_cpu_milliseconds": round(engine.expire_cycle_s * 1000),
        "evicted_keys": engine.memory.evicted_keys,
        "evicted_clients": engine.client_eviction.evicted_count,
        "total_eviction_exceeded_time": engine.memory.exceeded_ms[0],
        "current_eviction_exceeded_time": engine.memory.exceeded_ms[1],
        "keyspace_hits": statistics.keyspace_hits,
        "keyspace_misses": statistics.keyspace_misses,
        **info_sections.pubsub_fields(engine),
        "latest_fork_usec": statistics.latest_fork_usec,
        "total_forks": statistics.total_forks,
        "migrate_cached_sockets": 0
        if engine.migrations is None
        else engine.migrations.socket_count,
        "slave_expires_tracked_keys": len(engine.local_expiries),
        "active_defrag_hits": 0,
        "active_defrag_misses": 0,
        "active_defrag_key_hits": 0,
        "active_defrag_key_misses": 0,
        "total_active_defrag_time": 0,
        "current_active_defrag_time": 0,
        "tracking_total_keys": engine.tracked_keys.key_count,
        "tracking_total_items": engine.tracked_keys.item_count,
        "tracking_total_prefixes": engine.tracked_keys.prefix_count,
        "gc_collections": pauses.count,
        "gc_pause_total_usec": int(pauses.total_s * 1e6),
        "gc_pause_max_usec": int(pauses.longest_s * 1e6),
        **info_sections.error_fields(engine),
        "dump_payload_sanitizations": 0,
        "total_reads_processed": engine.reads_processed,
        "total_writes_processed": engine.writes_processed,
        "io_threaded_reads_processed": 0,
        "io_threaded_writes_processed": 0,
        "reply_buffer_shrinks": 0,
        "reply_buffer_expands": 0,
        **info_sections.cycle_fields(engine, engine.rates),
        **info_sections.access_fields(engine),
    }


def replication(ctx: ServerContext) -> Fields:
    """Return the section `replication`."""
    return report.info_fields(ctx.engine.replication, ctx.now_ms)


def cpu(ctx: ServerContext) -> Fields:
    """Return the section `cpu`."""
    host = ctx.engine.host
    return info_sections.cpu_fields(host.cpu_seconds(), host.thread_cpu_seconds())


def modules(ctx: ServerContext) -> Fields:
    """Return the section `modules`: there are none."""
    return {}


def commandstats(ctx: ServerContext) -> Fields:
    """Return the section `commandstats`: commands that were called, refused or failed."""
    return info_sections.commandstats_fields(ctx.engine.table)


def errorstats(ctx: ServerContext) -> Fields:
    """Return the section `errorstats`."""
    return info_sections.errorstats_fields(ctx.engine)


def latencystats(ctx: ServerContext) -> Fields:
    """Return the section `latencystats`."""
    percentiles = ctx.engine.configuration[directives.LATENCY_TRACKING_INFO_PERCENTILES]
    return info_sections.latencystats_fields(ctx.engine.table, percentiles)


def cluster(ctx: ServerContext) -> Fields:
    """Return the section `cluster`."""
    return {"cluster_enabled": 0}


def keyspace(ctx: ServerContext) -> Fields:
    """Return the section `keyspace`: the databases that hold keys."""
    return {
        f"db{database.index}": (
            f"keys={len(database)},expires={len(database.expires)}"
            f",avg_ttl={_mean_lifetime_ms(database, ctx.now_ms)}"
        )
        for database in ctx.keyspace.databases
        if len(database)
    }


def _mean_lifetime_ms(database: Database, now_ms: int) -> int:
    """Return the mean of what is left to the oldest of the expiring keys; 0 without any."""
    sample = list(islice(database.expires.values(), _TTL_SAMPLE_COUNT))
    left_ms = [max(0, expire_at_ms - now_ms) for expire_at_ms in sample]
    return sum(left_ms) // len(left_ms) if left_ms else 0


#: Every section in INFO's order, with its title.
SECTIONS: Final[dict[str, tuple[str, Callable[[ServerContext], Fields]]]] = {
    "server": ("Server", server),
    "clients": ("Clients", clients),
    "memory": ("Memory", memory),
    "persistence": ("Persistence", persistence),
    "stats": ("Stats", stats),
    "replication": ("Replication", replication),
    "cpu": ("CPU", cpu),
    "modules": ("Modules", modules),
    "commandstats": ("Commandstats", commandstats),
    "errorstats": ("Errorstats", errorstats),
    "latencystats": ("Latencystats", latencystats),
    "cluster": ("Cluster", cluster),
    "keyspace": ("Keyspace", keyspace),
}

#: Sections that are given only when asked for, by name or by `all`.
NOT_BY_DEFAULT: Final = frozenset({"commandstats", "latencystats"})


def chosen_sections(words: Iterable[str]) -> list[str]:
    """Return the names of the sections that INFO with `words` gives, in order.

    Unknown names are passed over; no words at all mean the default.
    """
    wanted = {word.lower() for word in words} or {"default"}
    if wanted & {"all", "everything"}:
        return list(SECTIONS)
    if "default" in wanted:
        wanted |= SECTIONS.keys() - NOT_BY_DEFAULT
    return [name for name in SECTIONS if name in wanted]


def collect(ctx: ServerContext, names: Iterable[str]) -> Iterator[tuple[str, Fields]]:
    """Yield title and fields of each of the sections."""
    for name in names:
        title, fields_of = SECTIONS[name]
        yield title, fields_of(ctx)
