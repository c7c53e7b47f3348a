"""INFO: the sections that a sentinel has, with every field of redis-sentinel in its order.

A sentinel has no keys, replicas or forked children, so what Redis counts of those is 0 here as it
is there. Follows Redis' `sentinel.c: sentinelInfoCommand`, `server.c: genRedisInfoString`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from sentinel.context import SentinelContext
from sentinel.core import views
from sentinel.core.hosts import shown
from sentinel.directives import MAX_CLIENTS
from vedette import REDIS_VERSION, __version__
from vedette.clients import info_sections
from vedette.cmdspec import Flag, command
from vedette.conf.quoting import encode_word
from vedette.info import render_sections
from vedette.resp.replies import Reply

Fields: TypeAlias = Mapping[str, object]

_NO_DATASET: Final = {
    "sync_full": 0,
    "sync_partial_ok": 0,
    "sync_partial_err": 0,
    "expired_keys": 0,
    "expired_stale_perc": "0.00",
    "expired_time_cap_reached_count": 0,
    "expire_cycle_cpu_milliseconds": 0,
    "evicted_keys": 0,
    "evicted_clients": 0,
    "total_eviction_exceeded_time": 0,
    "current_eviction_exceeded_time": 0,
    "keyspace_hits": 0,
    "keyspace_misses": 0,
}
_NO_UPKEEP: Final = {
    "latest_fork_usec": 0,
    "total_forks": 0,
    "migrate_cached_sockets": 0,
    "slave_expires_tracked_keys": 0,
    "active_defrag_hits": 0,
    "active_defrag_misses": 0,
    "active_defrag_key_hits": 0,
    "active_defrag_key_misses": 0,
    "total_active_defrag_time": 0,
    "current_active_defrag_time": 0,
    "tracking_total_keys": 0,
    "tracking_total_items": 0,
}
_NO_IO_THREADS: Final = {
    "io_threaded_reads_processed": 0,
    "io_threaded_writes_processed": 0,
    "reply_buffer_shrinks": 0,
    "reply_buffer_expands": 0,
}


@command(
    "INFO",
    arity=-1,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="1.0.0",
    summary="Return facts and counters of the sentinel",
    categories=("dangerous",),
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)
def info(context: SentinelContext, argv: list[bytes]) -> Reply:
    return encode_word(info_text(context, argv[1:]))


def info_text(context: SentinelContext, wanted: Sequence[bytes] = ()) -> str:
    """Return the sections of INFO that are `wanted`, all if none are named."""
    asked = {argument.lower() for argument in wanted}
    takes_all = not asked or bool(asked & {b"default", b"all", b"everything"})
    sections = [
        (title, fields(context))
        for title, fields in _SECTIONS.items()
        if takes_all or title.lower().encode() in asked
    ]
    return render_sections(sections)


def _server(context: SentinelContext) -> Fields:
    facts = context.around.process_facts()
    return {
        "redis_version": REDIS_VERSION,
        "vedette_version": __version__,
        "redis_git_sha1": "00000000",
        "redis_git_dirty": 0,
        "redis_build_id": "0",
        "redis_mode": "sentinel",
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": 64,
        "monotonic_clock": "POSIX clock_gettime",
        "multiplexing_api": "epoll",
        "atomicvar_api": "none",
        # Of the compiler that made the interpreter: "GCC 12.2.0", "Clang 14.0.3 ".
        "gcc_version": platform.python_compiler().split()[-1],
        "process_id": facts.process_id,
        "process_supervised": facts.supervisor,
        "run_id": facts.run_id,
        "tcp_port": facts.tcp_port,
        "server_time_usec": context.now_ms * 1000,
        "uptime_in_seconds": facts.uptime_s,
        "uptime_in_days": facts.uptime_s // 86400,
        "hz": 10,
        "configured_hz": 10,
        "lru_clock": context.now_ms // 1000 & 0xFFFFFF,
        "executable": facts.executable,
        "config_file": facts.config_file,
        "io_threads_active": 0,
    }


def _clients(context: SentinelContext) -> Fields:
    max_clients: int = context.around.settings.value_of(MAX_CLIENTS)
    return info_sections.clients_fields(context.engine, max_clients)


def _stats(context: SentinelContext) -> Fields:
    engine = context.engine
    rates = engine.rates
    prefixes = {
        prefix
        for session in engine.clients
        if session.tracking is not None
        for prefix in session.tracking.prefixes
    }
    return {
        "total_connections_received": engine.clients.accepted_count,
        "total_commands_processed": engine.commands_processed,
        "instantaneous_ops_per_sec": round(rates.commands_per_second),
        "total_net_input_bytes": engine.input_bytes,
        "total_net_output_bytes": engine.output_bytes,
        "total_net_repl_input_bytes": 0,
        "total_net_repl_output_bytes": 0,
        "instantaneous_input_kbps": f"{rates.input_bytes_per_second / 1024:.2f}",
        "instantaneous_output_kbps": f"{rates.output_bytes_per_second / 1024:.2f}",
        "instantaneous_input_repl_kbps": "0.00",
        "instantaneous_output_repl_kbps": "0.00",
        "rejected_connections": engine.clients.rejected_count,
        **_NO_DATASET,
        **info_sections.pubsub_fields(engine),
        **_NO_UPKEEP,
        "tracking_total_prefixes": len(prefixes),
        **info_sections.error_fields(engine),
        "dump_payload_sanitizations": 0,
        "total_reads_processed": engine.reads_processed,
        "total_writes_processed": engine.writes_processed,
        **_NO_IO_THREADS,
        **info_sections.access_fields(engine),
    }


def _cpu(context: SentinelContext) -> Fields:
    facts = context.around.process_facts()
    own = (facts.cpu_system_s, facts.cpu_user_s)
    children = (facts.children_cpu_system_s, facts.children_cpu_user_s)
    return {
        **info_sections.cpu_fields((*own, *children)),
        "used_cpu_sys_main_thread": f"{facts.main_thread_system_s:.6f}",
        "used_cpu_user_main_thread": f"{facts.main_thread_user_s:.6f}",
    }


def _sentinel(context: SentinelContext) -> Fields:
    state = context.state
    scripts = context.around.pending_scripts()
    fields: dict[str, object] = {
        "sentinel_masters": len(state.masters),
        "sentinel_tilt": int(state.tilt_since_ms is not None),
        "sentinel_tilt_since_seconds": views.tilt_since_seconds(state, context.machine_now_ms),
        "sentinel_total_tilt": state.tilt_count,
        "sentinel_running_scripts": sum(script.process_id != 0 for script in scripts),
        "sentinel_scripts_queue_length": len(scripts),
        "sentinel_simulate_failure_flags": int(state.simulated_failures),
    }
    for index, master in enumerate(state.masters.values()):
        host, port = shown(state, master.address)
        fields[f"master{index}"] = (
            f"name={master.name},status={views.master_status(master)},address={host}:{port},"
            f"slaves={len(master.replicas)},sentinels={len(master.peers) + 1}"
        )
    return fields


#: In the order of the reply.
_SECTIONS: Mapping[str, Callable[[SentinelContext], Fields]] = {
    "Server": _server,
    "Clients": _clients,
    "Stats": _stats,
    "CPU": _cpu,
    "Sentinel": _sentinel,
}
