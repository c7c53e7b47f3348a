"""Which fields of INFO and CONFIG become metrics of one number each: the table, and nothing else.

Names are redis_exporter's, so dashboards and alerts made for it work unchanged, odd ones included
(`_sec`, `_usec`, gauges that end in `_total`). What takes more than one field, or labels, is in
`node.py` and `sentinel_families.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .families import Kind, Spec

_G, _C, _U = Kind.GAUGE, Kind.COUNTER, Kind.UNTYPED


@dataclass(frozen=True, slots=True)
class Row:
    """A field, its metric, and how many of the field's units make one of the metric's."""

    field: str
    spec: Spec
    divisor: float = 1.0


def _row(field: str, kind: Kind, name: str, meaning: str, divisor: float = 1.0) -> Row:
    return Row(field, Spec(f"redis_{name}", kind, meaning), divisor)


_SERVER: Final = (
    _row("uptime_in_seconds", _G, "uptime_in_seconds", "Seconds since the start"),
    _row("process_id", _G, "process_id", "Process id"),
    _row("hz", _G, "hz", "How often timers run each second"),
    _row("configured_hz", _G, "configured_hz", "How often timers are to run each second"),
    _row("io_threads_active", _G, "io_threads_active", "Whether I/O threads are at work"),
)

_CLIENTS: Final = (
    _row("connected_clients", _G, "connected_clients", "Clients, replicas not counted"),
    _row("cluster_connections", _G, "cluster_connections", "Sockets of the cluster bus"),
    _row("maxclients", _G, "max_clients", "Clients that may be connected at once"),
    _row(
        "client_recent_max_input_buffer",
        _G,
        "client_recent_max_input_buffer_bytes",
        "Longest query buffer among the clients",
    ),
    _row(
        "client_recent_max_output_buffer",
        _G,
        "client_recent_max_output_buffer_bytes",
        "Longest unsent output among the clients",
    ),
    _row("blocked_clients", _G, "blocked_clients", "Clients that wait in a blocking command"),
    _row("tracking_clients", _G, "tracking_clients", "Clients with client-side caching"),
    _row("pubsub_clients", _G, "pubsub_clients", "Clients in pub/sub mode"),
    _row("watching_clients", _G, "watching_clients", "Clients that watch keys"),
    _row("total_watched_keys", _G, "total_watched_keys", "Keys that are watched"),
    _row("total_blocking_keys", _G, "total_blocking_keys", "Keys that clients wait for"),
    _row(
        "total_blocking_keys_on_nokey",
        _G,
        "total_blocking_keys_on_nokey",
        "Keys whose deletion clients wait for",
    ),
    _row(
        "clients_in_timeout_table",
        _G,
        "clients_in_timeout_table",
        "Clients whose wait has a deadline",
    ),
)

_MEMORY: Final = (
    _row("used_memory", _G, "memory_used_bytes", "Memory in use"),
    _row("used_memory_rss", _G, "memory_used_rss_bytes", "Resident size of the process"),
    _row("used_memory_peak", _G, "memory_used_peak_bytes", "Most memory ever in use"),
    _row("used_memory_overhead", _G, "memory_used_overhead_bytes", "Memory of all but the data"),
    _row("used_memory_startup", _G, "memory_used_startup_bytes", "Memory in use after the start"),
    _row("used_memory_dataset", _G, "memory_used_dataset_bytes", "Memory of the data"),
    _row("used_memory_lua", _G, "memory_used_lua_bytes", "Memory of the Lua engine"),
    _row("used_memory_vm_eval", _G, "memory_used_vm_eval_bytes", "Memory of EVAL's engine"),
    _row("used_memory_vm_functions", _G, "memory_used_vm_functions_bytes", "Memory of FUNCTION's"),
    _row("used_memory_vm_total", _G, "memory_used_vm_total", "Bytes of both script engines"),
    _row("used_memory_scripts_eval", _G, "memory_used_scripts_eval_bytes", "Memory of scripts"),
    _row("used_memory_functions", _G, "memory_used_functions_bytes", "Memory of functions"),
    _row("used_memory_scripts", _G, "memory_used_scripts_bytes", "Memory of scripts and functions"),
    _row("number_of_cached_scripts", _G, "number_of_cached_scripts", "Scripts in the cache"),
    _row("number_of_functions", _G, "number_of_functions", "Functions loaded"),
    _row("number_of_libraries", _G, "number_of_libraries", "Libraries of functions loaded"),
    _row("maxmemory", _G, "memory_max_bytes", "The limit maxmemory, 0 for none"),
    _row("allocator_allocated", _G, "allocator_allocated_bytes", "Allocated by the program"),
    _row("allocator_active", _G, "allocator_active_bytes", "In the allocator's active pages"),
    _row("allocator_resident", _G, "allocator_resident_bytes", "Resident for the allocator"),
    _row("allocator_muzzy", _G, "allocator_muzzy_bytes", "In pages given back lazily"),
    _row("allocator_frag_ratio", _G, "allocator_frag_ratio", "Active by allocated bytes"),
    _row("allocator_frag_bytes", _G, "allocator_frag_bytes", "Active less allocated bytes"),
    _row("allocator_rss_ratio", _G, "allocator_rss_ratio", "Resident by active bytes"),
    _row("allocator_rss_bytes", _G, "allocator_rss_bytes", "Resident less active bytes"),
    _row("mem_fragmentation_ratio", _G, "mem_fragmentation_ratio", "Resident by used bytes"),
    _row("mem_fragmentation_bytes", _G, "mem_fragmentation_bytes", "Resident less used bytes"),
    _row(
        "mem_not_counted_for_evict",
        _G,
        "mem_not_counted_for_eviction_bytes",
        "Memory that maxmemory does not count",
    ),
    _row("mem_replication_backlog", _G, "mem_replication_backlog_bytes", "Memory of the backlog"),
    _row(
        "mem_total_replication_buffers",
        _G,
        "mem_total_replication_buffers_bytes",
        "Memory of the backlog and of replicas' output",
    ),
    _row("mem_clients_slaves", _G, "mem_clients_slaves", "Bytes of replicas' buffers"),
    _row("mem_clients_normal", _G, "mem_clients_normal", "Bytes of other clients' buffers"),
    _row("mem_cluster_links", _G, "mem_cluster_links_bytes", "Memory of the cluster bus"),
    _row("mem_aof_buffer", _G, "mem_aof_buffer_bytes", "Memory of the AOF's buffers"),
    _row(
        "mem_overhead_db_hashtable_rehashing",
        _G,
        "mem_overhead_db_hashtable_rehashing_bytes",
        "Memory of hash tables that are being resized",
    ),
    _row("active_defrag_running", _G, "active_defrag_running", "CPU share of defragmentation"),
    _row("lazyfree_pending_objects", _G, "lazyfree_pending_objects", "Objects yet to be freed"),
    _row("lazyfreed_objects", _G, "lazyfreed_objects", "Objects freed in the background"),
)

_PERSISTENCE: Final = (
    _row("loading", _G, "loading_dump_file", "Whether a dataset is being loaded"),
    _row("async_loading", _G, "async_loading", "Whether one is loaded while old data is served"),
    _row(
        "rdb_changes_since_last_save",
        _G,
        "rdb_changes_since_last_save",
        "Changes that no snapshot holds yet",
    ),
    _row("rdb_bgsave_in_progress", _G, "rdb_bgsave_in_progress", "Whether a snapshot is written"),
    _row(
        "rdb_last_save_time",
        _G,
        "rdb_last_save_timestamp_seconds",
        "When the last good snapshot was made, Unix time",
    ),
    _row("rdb_last_bgsave_status", _G, "rdb_last_bgsave_status", "Whether the last one was good"),
    _row(
        "rdb_last_bgsave_time_sec",
        _G,
        "rdb_last_bgsave_duration_sec",
        "Seconds the last one took, -1 if there was none",
    ),
    _row(
        "rdb_current_bgsave_time_sec",
        _G,
        "rdb_current_bgsave_duration_sec",
        "Seconds the one under way has taken, -1 if there is none",
    ),
    _row("rdb_saves", _G, "rdb_saves_total", "Snapshots since the start"),
    _row("rdb_last_cow_size", _G, "rdb_last_cow_size_bytes", "Memory the last one had to copy"),
    _row(
        "rdb_last_load_keys_expired",
        _G,
        "rdb_last_load_expired_keys",
        "Keys the last load dropped as expired",
    ),
    _row(
        "rdb_last_load_keys_loaded", _G, "rdb_last_load_loaded_keys", "Keys the last load brought"
    ),
    _row("aof_enabled", _G, "aof_enabled", "Whether there is an append-only file"),
    _row("aof_rewrite_in_progress", _G, "aof_rewrite_in_progress", "Whether it is rewritten"),
    _row("aof_rewrite_scheduled", _G, "aof_rewrite_scheduled", "Whether that is to follow"),
    _row(
        "aof_last_rewrite_time_sec",
        _G,
        "aof_last_rewrite_duration_sec",
        "Seconds the last rewrite took, -1 if there was none",
    ),
    _row(
        "aof_current_rewrite_time_sec",
        _G,
        "aof_current_rewrite_duration_sec",
        "Seconds the rewrite under way has taken, -1 if there is none",
    ),
    _row(
        "aof_last_bgrewrite_status",
        _G,
        "aof_last_bgrewrite_status",
        "Whether the last rewrite was good",
    ),
    _row("aof_last_write_status", _G, "aof_last_write_status", "Whether the last write was good"),
    _row("aof_last_cow_size", _G, "aof_last_cow_size_bytes", "Memory the last rewrite copied"),
    _row("aof_current_size", _G, "aof_current_size_bytes", "Size of the append-only file"),
    _row("aof_base_size", _G, "aof_base_size_bytes", "Its size after the last rewrite"),
    _row("aof_pending_rewrite", _G, "aof_pending_rewrite", "Whether a rewrite waits for a save"),
    _row("aof_buffer_length", _G, "aof_buffer_length", "Bytes not yet written to it"),
    _row("aof_rewrite_buffer_length", _G, "aof_rewrite_buffer_length", "Bytes for the rewrite"),
    _row("aof_pending_bio_fsync", _G, "aof_pending_bio_fsync", "fsync calls that wait"),
    _row("aof_delayed_fsync", _G, "aof_delayed_fsync", "Writes that had to wait for an fsync"),
    _row("module_fork_in_progress", _G, "module_fork_in_progress", "Whether a module has forked"),
    _row(
        "module_fork_last_cow_size",
        _G,
        "module_fork_last_cow_size",
        "Bytes the last fork of a module copied",
    ),
)

_STATS: Final = (
    _row("total_connections_received", _C, "connections_received_total", "Connections accepted"),
    _row("total_commands_processed", _C, "commands_processed_total", "Commands run"),
    _row("total_net_input_bytes", _C, "net_input_bytes_total", "Bytes received"),
    _row("total_net_output_bytes", _C, "net_output_bytes_total", "Bytes sent"),
    _row("total_net_repl_input_bytes", _C, "net_repl_input_bytes_total", "Bytes from the master"),
    _row(
        "total_net_repl_output_bytes", _C, "net_repl_output_bytes_total", "Bytes sent to replicas"
    ),
    _row("rejected_connections", _C, "rejected_connections_total", "Connections turned away"),
    _row("sync_full", _G, "replica_resyncs_full", "Full synchronisations of replicas"),
    _row(
        "sync_partial_ok",
        _G,
        "replica_partial_resync_accepted",
        "Partial synchronisations of replicas",
    ),
    _row(
        "sync_partial_err",
        _G,
        "replica_partial_resync_denied",
        "Partial synchronisations that had to be full ones",
    ),
    _row("expired_keys", _C, "expired_keys_total", "Keys that expired"),
    _row("expired_subkeys", _C, "expired_subkeys_total", "Fields of hashes that expired"),
    _row("expired_stale_perc", _G, "expired_stale_percentage", "Expired keys yet in memory, %"),
    _row(
        "expired_time_cap_reached_count",
        _G,
        "expired_time_cap_reached_total",
        "Searches for expired keys that ran out of time",
    ),
    _row(
        "expire_cycle_cpu_milliseconds",
        _C,
        "expire_cycle_cpu_time_ms_total",
        "Milliseconds spent in that search",
    ),
    _row("evicted_keys", _C, "evicted_keys_total", "Keys evicted because of maxmemory"),
    _row("evicted_clients", _C, "evicted_clients_total", "Clients closed because of memory"),
    _row("evicted_scripts", _C, "evicted_scripts_total", "Scripts dropped from the cache"),
    _row(
        "total_eviction_exceeded_time",
        _C,
        "eviction_exceeded_time_ms_total",
        "Milliseconds spent above maxmemory",
    ),
    _row(
        "current_eviction_exceeded_time",
        _G,
        "current_eviction_exceeded_time_ms",
        "Milliseconds since memory last rose above maxmemory",
    ),
    _row("keyspace_hits", _C, "keyspace_hits_total", "Look-ups that found their key"),
    _row("keyspace_misses", _C, "keyspace_misses_total", "Look-ups that did not"),
    _row("pubsub_channels", _G, "pubsub_channels", "Channels with subscribers"),
    _row("pubsub_patterns", _G, "pubsub_patterns", "Patterns with subscribers"),
    _row("pubsubshard_channels", _G, "pubsubshard_channels", "Shard channels with subscribers"),
    _row("latest_fork_usec", _G, "latest_fork_seconds", "How long the last fork took", 1e6),
    _row("migrate_cached_sockets", _G, "migrate_cached_sockets_total", "Sockets kept for MIGRATE"),
    _row("active_defrag_hits", _G, "defrag_hits", "Values moved by defragmentation"),
    _row("active_defrag_misses", _G, "defrag_misses", "Moves it gave up"),
    _row("active_defrag_key_hits", _G, "defrag_key_hits", "Keys defragmented"),
    _row("active_defrag_key_misses", _G, "defrag_key_misses", "Keys passed over"),
    _row("tracking_total_keys", _G, "tracking_total_keys", "Keys that clients cache"),
    _row("tracking_total_items", _G, "tracking_total_items", "Pairs of client and cached key"),
    _row("tracking_total_prefixes", _G, "tracking_total_prefixes", "Prefixes that are tracked"),
    _row("unexpected_error_replies", _U, "unexpected_error_replies", "Errors from the master"),
    _row("total_error_replies", _U, "total_error_replies", "Error replies sent"),
    _row("dump_payload_sanitizations", _U, "dump_payload_sanitizations", "Payloads verified"),
    _row("total_reads_processed", _U, "total_reads_processed", "Reads from sockets"),
    _row("total_writes_processed", _U, "total_writes_processed", "Writes to sockets"),
    _row("io_threaded_reads_processed", _U, "io_threaded_reads_processed", "Reads by I/O threads"),
    _row(
        "io_threaded_writes_processed", _U, "io_threaded_writes_processed", "Writes by I/O threads"
    ),
    _row(
        "client_query_buffer_limit_disconnections",
        _C,
        "client_query_buffer_limit_disconnections_total",
        "Clients closed because of long requests",
    ),
    _row(
        "client_output_buffer_limit_disconnections",
        _C,
        "client_output_buffer_limit_disconnections_total",
        "Clients closed because they did not read",
    ),
    _row("reply_buffer_shrinks", _C, "reply_buffer_shrinks_total", "Reply buffers made smaller"),
    _row("reply_buffer_expands", _C, "reply_buffer_expands_total", "Reply buffers made larger"),
    _row("eventloop_cycles", _C, "eventloop_cycles_total", "Turns of the event loop"),
    _row(
        "eventloop_duration_sum",
        _C,
        "eventloop_duration_sum_usec_total",
        "Microseconds spent in them",
    ),
    _row(
        "eventloop_duration_cmd_sum",
        _C,
        "eventloop_duration_cmd_sum_usec_total",
        "Microseconds spent in commands",
    ),
    _row(
        "instantaneous_eventloop_cycles_per_sec",
        _G,
        "instantaneous_eventloop_cycles_per_sec",
        "Turns of the event loop each second",
    ),
    _row(
        "instantaneous_eventloop_duration_usec",
        _G,
        "instantaneous_eventloop_duration_usec",
        "Microseconds of one turn",
    ),
    _row("acl_access_denied_auth", _C, "acl_access_denied_auth_total", "Refused log-ins"),
    _row("acl_access_denied_cmd", _C, "acl_access_denied_cmd_total", "Commands refused by ACL"),
    _row("acl_access_denied_key", _C, "acl_access_denied_key_total", "Keys refused by ACL"),
    _row(
        "acl_access_denied_channel",
        _C,
        "acl_access_denied_channel_total",
        "Channels refused by ACL",
    ),
)

_REPLICATION: Final = (
    _row("connected_slaves", _G, "connected_slaves", "Replicas connected"),
    _row("master_repl_offset", _G, "master_repl_offset", "End of the replication stream"),
    _row(
        "second_repl_offset",
        _G,
        "second_repl_offset",
        "Up to where the former master's history holds, -1 without one",
    ),
    _row("repl_backlog_size", _G, "replication_backlog_bytes", "Size of the backlog"),
    _row("repl_backlog_active", _G, "repl_backlog_is_active", "Whether there is a backlog"),
    _row(
        "repl_backlog_first_byte_offset",
        _G,
        "repl_backlog_first_byte_offset",
        "Offset of the oldest byte in the backlog",
    ),
    _row("repl_backlog_histlen", _G, "repl_backlog_history_bytes", "Bytes in the backlog"),
    _row("slave_priority", _G, "slave_priority", "Order of promotion, 0 for never"),
    _row(
        "slave_expires_tracked_keys",
        _G,
        "slave_expires_tracked_keys",
        "Expiring keys that a writable replica made itself",
    ),
)

_CPU: Final = (
    _row("used_cpu_sys", _C, "cpu_sys_seconds_total", "CPU time in the kernel"),
    _row("used_cpu_user", _C, "cpu_user_seconds_total", "CPU time in the program"),
    _row("used_cpu_sys_children", _C, "cpu_sys_children_seconds_total", "Kernel, of children"),
    _row("used_cpu_user_children", _C, "cpu_user_children_seconds_total", "Program, of children"),
    _row(
        "used_cpu_sys_main_thread",
        _C,
        "cpu_sys_main_thread_seconds_total",
        "Kernel, of the main thread",
    ),
    _row(
        "used_cpu_user_main_thread",
        _C,
        "cpu_user_main_thread_seconds_total",
        "Program, of the main thread",
    ),
)

_OTHERS: Final = (
    _row("cluster_enabled", _G, "cluster_enabled", "Whether cluster mode is on"),
    _row("sentinel_masters", _G, "sentinel_masters", "Masters that this sentinel watches"),
    _row("sentinel_tilt", _G, "sentinel_tilt", "Whether the sentinel distrusts its clock"),
    _row("sentinel_running_scripts", _G, "sentinel_running_scripts", "Scripts that run"),
    _row(
        "sentinel_scripts_queue_length",
        _G,
        "sentinel_scripts_queue_length",
        "Scripts that run or wait",
    ),
    _row(
        "sentinel_simulate_failure_flags",
        _G,
        "sentinel_simulate_failure_flags",
        "Crashes asked for by SENTINEL SIMULATE-FAILURE",
    ),
)

#: Fields of INFO, a server's and a sentinel's.
INFO_ROWS: Final[tuple[Row, ...]] = (
    *_SERVER,
    *_CLIENTS,
    *_MEMORY,
    *_PERSISTENCE,
    *_STATS,
    *_REPLICATION,
    *_CPU,
    *_OTHERS,
)

#: Directives, as CONFIG GET names them.
CONFIG_ROWS: Final[tuple[Row, ...]] = (
    _row("maxclients", _G, "config_maxclients", "The directive maxclients"),
    _row("maxmemory", _G, "config_maxmemory", "The directive maxmemory, in bytes"),
    _row("io-threads", _G, "config_io_threads", "The directive io-threads"),
    _row("repl-backlog-size", _G, "config_repl_backlog_size", "The directive, in bytes"),
)
