"""Which fields of INFO and CONFIG become metrics of one number each: the table, and nothing else.

Names are redis_exporter's, so dashboards and alerts made for it work unchanged, odd ones included
(`_sec`, `_usec`, gauges that end in `_total`). What takes more than one field, or labels, is in
`node_families.py` and `sentinel_families.py`.
"""

from __future__ import annotations

from typing import Final

from .families import Kind
from .rows import Row, row
from .storage_rows import MEMORY, PERSISTENCE

_G, _C, _U = Kind.GAUGE, Kind.COUNTER, Kind.UNTYPED

_SERVER: Final = (
    row("uptime_in_seconds", _G, "uptime_in_seconds", "Seconds since the start"),
    row("process_id", _G, "process_id", "Process id"),
    row("hz", _G, "hz", "How often timers run each second"),
    row("configured_hz", _G, "configured_hz", "How often timers are to run each second"),
    row("io_threads_active", _G, "io_threads_active", "Whether I/O threads are at work"),
)

_CLIENTS: Final = (
    row("connected_clients", _G, "connected_clients", "Clients, replicas not counted"),
    row("cluster_connections", _G, "cluster_connections", "Sockets of the cluster bus"),
    row("maxclients", _G, "max_clients", "Clients that may be connected at once"),
    row(
        "client_recent_max_input_buffer",
        _G,
        "client_recent_max_input_buffer_bytes",
        "Longest query buffer among the clients",
    ),
    row(
        "client_recent_max_output_buffer",
        _G,
        "client_recent_max_output_buffer_bytes",
        "Longest unsent output among the clients",
    ),
    row("blocked_clients", _G, "blocked_clients", "Clients that wait in a blocking command"),
    row("tracking_clients", _G, "tracking_clients", "Clients with client-side caching"),
    row("pubsub_clients", _G, "pubsub_clients", "Clients in pub/sub mode"),
    row("watching_clients", _G, "watching_clients", "Clients that watch keys"),
    row("total_watched_keys", _G, "total_watched_keys", "Keys that are watched"),
    row("total_blocking_keys", _G, "total_blocking_keys", "Keys that clients wait for"),
    row(
        "total_blocking_keys_on_nokey",
        _G,
        "total_blocking_keys_on_nokey",
        "Keys whose deletion clients wait for",
    ),
    row(
        "clients_in_timeout_table",
        _G,
        "clients_in_timeout_table",
        "Clients whose wait has a deadline",
    ),
)

_STATS: Final = (
    row("total_connections_received", _C, "connections_received_total", "Connections accepted"),
    row("total_commands_processed", _C, "commands_processed_total", "Commands run"),
    row("total_net_input_bytes", _C, "net_input_bytes_total", "Bytes received from clients"),
    row("total_net_output_bytes", _C, "net_output_bytes_total", "Bytes sent to clients"),
    row(
        "total_net_repl_input_bytes",
        _C,
        "net_repl_input_bytes_total",
        "Bytes of replication received from the master",
    ),
    row(
        "total_net_repl_output_bytes",
        _C,
        "net_repl_output_bytes_total",
        "Bytes of replication sent to replicas",
    ),
    row("rejected_connections", _C, "rejected_connections_total", "Connections turned away"),
    row("sync_full", _G, "replica_resyncs_full", "Full synchronisations of replicas"),
    row(
        "sync_partial_ok",
        _G,
        "replica_partial_resync_accepted",
        "Partial synchronisations of replicas",
    ),
    row(
        "sync_partial_err",
        _G,
        "replica_partial_resync_denied",
        "Partial synchronisations that had to be full ones",
    ),
    row("expired_keys", _C, "expired_keys_total", "Keys that expired"),
    row("expired_subkeys", _C, "expired_subkeys_total", "Fields of hashes that expired"),
    row(
        "expired_stale_perc",
        _G,
        "expired_stale_percentage",
        "Share of keys that have expired and are still there, in percent",
    ),
    row(
        "expired_time_cap_reached_count",
        _G,
        "expired_time_cap_reached_total",
        "Searches for expired keys that ran out of time",
    ),
    row(
        "expire_cycle_cpu_milliseconds",
        _C,
        "expire_cycle_cpu_time_ms_total",
        "Milliseconds spent looking for expired keys",
    ),
    row("evicted_keys", _C, "evicted_keys_total", "Keys evicted because of maxmemory"),
    row("evicted_clients", _C, "evicted_clients_total", "Clients closed because of memory"),
    row("evicted_scripts", _C, "evicted_scripts_total", "Scripts dropped from the cache"),
    row(
        "total_eviction_exceeded_time",
        _C,
        "eviction_exceeded_time_ms_total",
        "Milliseconds spent above maxmemory",
    ),
    row(
        "current_eviction_exceeded_time",
        _G,
        "current_eviction_exceeded_time_ms",
        "Milliseconds since memory last rose above maxmemory",
    ),
    row("gc_collections", _C, "gc_collections_total", "Collections of garbage cycles"),
    row(
        "gc_pause_total_usec",
        _C,
        "gc_pause_seconds_total",
        "How long they have kept everybody waiting",
        1e6,
    ),
    row("gc_pause_max_usec", _G, "gc_pause_max_seconds", "The longest of these pauses", 1e6),
    row("keyspace_hits", _C, "keyspace_hits_total", "Look-ups that found their key"),
    row("keyspace_misses", _C, "keyspace_misses_total", "Look-ups that did not find their key"),
    row("pubsub_channels", _G, "pubsub_channels", "Channels with subscribers"),
    row("pubsub_patterns", _G, "pubsub_patterns", "Patterns with subscribers"),
    row("pubsubshard_channels", _G, "pubsubshard_channels", "Shard channels with subscribers"),
    row("latest_fork_usec", _G, "latest_fork_seconds", "How long the last fork took", 1e6),
    row("migrate_cached_sockets", _G, "migrate_cached_sockets_total", "Sockets kept for MIGRATE"),
    row("active_defrag_hits", _G, "defrag_hits", "Values moved by defragmentation"),
    row(
        "active_defrag_misses",
        _G,
        "defrag_misses",
        "Values that defragmentation left where they were",
    ),
    row("active_defrag_key_hits", _G, "defrag_key_hits", "Keys defragmented"),
    row(
        "active_defrag_key_misses", _G, "defrag_key_misses", "Keys that defragmentation passed over"
    ),
    row("tracking_total_keys", _G, "tracking_total_keys", "Keys that clients cache"),
    row("tracking_total_items", _G, "tracking_total_items", "Pairs of client and cached key"),
    row("tracking_total_prefixes", _G, "tracking_total_prefixes", "Prefixes that are tracked"),
    row(
        "unexpected_error_replies",
        _U,
        "unexpected_error_replies",
        "Error replies to the master's commands",
    ),
    row("total_error_replies", _U, "total_error_replies", "Error replies sent"),
    row(
        "dump_payload_sanitizations",
        _U,
        "dump_payload_sanitizations",
        "Snapshots and payloads whose integrity was verified",
    ),
    row("total_reads_processed", _U, "total_reads_processed", "Reads from sockets"),
    row("total_writes_processed", _U, "total_writes_processed", "Writes to sockets"),
    row("io_threaded_reads_processed", _U, "io_threaded_reads_processed", "Reads by I/O threads"),
    row(
        "io_threaded_writes_processed", _U, "io_threaded_writes_processed", "Writes by I/O threads"
    ),
    row(
        "client_query_buffer_limit_disconnections",
        _C,
        "client_query_buffer_limit_disconnections_total",
        "Clients closed because of long requests",
    ),
    row(
        "client_output_buffer_limit_disconnections",
        _C,
        "client_output_buffer_limit_disconnections_total",
        "Clients closed because they did not read",
    ),
    row("reply_buffer_shrinks", _C, "reply_buffer_shrinks_total", "Reply buffers made smaller"),
    row("reply_buffer_expands", _C, "reply_buffer_expands_total", "Reply buffers made larger"),
    row("eventloop_cycles", _C, "eventloop_cycles_total", "Turns of the event loop"),
    row(
        "eventloop_duration_sum",
        _C,
        "eventloop_duration_sum_usec_total",
        "Microseconds spent in turns of the event loop",
    ),
    row(
        "eventloop_duration_cmd_sum",
        _C,
        "eventloop_duration_cmd_sum_usec_total",
        "Microseconds spent in commands",
    ),
    row(
        "instantaneous_eventloop_cycles_per_sec",
        _G,
        "instantaneous_eventloop_cycles_per_sec",
        "Turns of the event loop each second",
    ),
    row(
        "instantaneous_eventloop_duration_usec",
        _G,
        "instantaneous_eventloop_duration_usec",
        "Microseconds of one turn",
    ),
    row("acl_access_denied_auth", _C, "acl_access_denied_auth_total", "Refused log-ins"),
    row("acl_access_denied_cmd", _C, "acl_access_denied_cmd_total", "Commands refused by ACL"),
    row("acl_access_denied_key", _C, "acl_access_denied_key_total", "Keys refused by ACL"),
    row(
        "acl_access_denied_channel",
        _C,
        "acl_access_denied_channel_total",
        "Channels refused by ACL",
    ),
)

_REPLICATION: Final = (
    row("connected_slaves", _G, "connected_slaves", "Replicas connected"),
    row("master_repl_offset", _G, "master_repl_offset", "End of the replication stream"),
    row(
        "second_repl_offset",
        _G,
        "second_repl_offset",
        "Up to where the former master's history holds, -1 without one",
    ),
    row("repl_backlog_size", _G, "replication_backlog_bytes", "Size of the backlog"),
    row("repl_backlog_active", _G, "repl_backlog_is_active", "Whether there is a backlog"),
    row(
        "repl_backlog_first_byte_offset",
        _G,
        "repl_backlog_first_byte_offset",
        "Offset of the oldest byte in the backlog",
    ),
    row("repl_backlog_histlen", _G, "repl_backlog_history_bytes", "Bytes in the backlog"),
    row("slave_priority", _G, "slave_priority", "Order of promotion, 0 for never"),
    row(
        "slave_expires_tracked_keys",
        _G,
        "slave_expires_tracked_keys",
        "Expiring keys that a writable replica made itself",
    ),
)

_CPU: Final = (
    row("used_cpu_sys", _C, "cpu_sys_seconds_total", "CPU time in the kernel"),
    row("used_cpu_user", _C, "cpu_user_seconds_total", "CPU time in the program"),
    row(
        "used_cpu_sys_children",
        _C,
        "cpu_sys_children_seconds_total",
        "CPU time of child processes in the kernel",
    ),
    row(
        "used_cpu_user_children",
        _C,
        "cpu_user_children_seconds_total",
        "CPU time of child processes in the program",
    ),
    row(
        "used_cpu_sys_main_thread",
        _C,
        "cpu_sys_main_thread_seconds_total",
        "CPU time of the main thread in the kernel",
    ),
    row(
        "used_cpu_user_main_thread",
        _C,
        "cpu_user_main_thread_seconds_total",
        "CPU time of the main thread in the program",
    ),
)

_OTHERS: Final = (
    row("cluster_enabled", _G, "cluster_enabled", "Whether cluster mode is on"),
    row("sentinel_masters", _G, "sentinel_masters", "Masters that this sentinel watches"),
    row("sentinel_tilt", _G, "sentinel_tilt", "Whether the sentinel distrusts its clock"),
    row("sentinel_running_scripts", _G, "sentinel_running_scripts", "Scripts that run"),
    row(
        "sentinel_scripts_queue_length",
        _G,
        "sentinel_scripts_queue_length",
        "Scripts that run or wait",
    ),
    row(
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
    *MEMORY,
    *PERSISTENCE,
    *_STATS,
    *_REPLICATION,
    *_CPU,
    *_OTHERS,
)

#: Directives, as CONFIG GET names them.
CONFIG_ROWS: Final[tuple[Row, ...]] = (
    row("maxclients", _G, "config_maxclients", "The directive maxclients"),
    row("maxmemory", _G, "config_maxmemory", "The directive maxmemory, in bytes"),
    row("io-threads", _G, "config_io_threads", "The directive io-threads"),
    row(
        "repl-backlog-size",
        _G,
        "config_repl_backlog_size",
        "The directive repl-backlog-size, in bytes",
    ),
)
