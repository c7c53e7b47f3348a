"""Which fields of INFO's sections memory and persistence become metrics; see `info_table.py`."""

from __future__ import annotations

from typing import Final

from .families import Kind
from .rows import row

_G: Final = Kind.GAUGE

MEMORY: Final = (
    row("used_memory", _G, "memory_used_bytes", "Memory in use"),
    row("used_memory_rss", _G, "memory_used_rss_bytes", "Resident size of the process"),
    row("used_memory_peak", _G, "memory_used_peak_bytes", "Most memory ever in use"),
    row("used_memory_overhead", _G, "memory_used_overhead_bytes", "Memory of all but the data"),
    row("used_memory_startup", _G, "memory_used_startup_bytes", "Memory in use after the start"),
    row("used_memory_dataset", _G, "memory_used_dataset_bytes", "Memory of the data"),
    row("used_memory_lua", _G, "memory_used_lua_bytes", "Memory of the Lua engine"),
    row("used_memory_vm_eval", _G, "memory_used_vm_eval_bytes", "Memory of the engine for EVAL"),
    row(
        "used_memory_vm_functions",
        _G,
        "memory_used_vm_functions_bytes",
        "Memory of the engine for functions",
    ),
    row("used_memory_vm_total", _G, "memory_used_vm_total", "Bytes of both script engines"),
    row(
        "used_memory_scripts_eval", _G, "memory_used_scripts_eval_bytes", "Memory of cached scripts"
    ),
    row("used_memory_functions", _G, "memory_used_functions_bytes", "Memory of functions"),
    row("used_memory_scripts", _G, "memory_used_scripts_bytes", "Memory of scripts and functions"),
    row("number_of_cached_scripts", _G, "number_of_cached_scripts", "Scripts in the cache"),
    row("number_of_functions", _G, "number_of_functions", "Functions loaded"),
    row("number_of_libraries", _G, "number_of_libraries", "Libraries of functions loaded"),
    row("maxmemory", _G, "memory_max_bytes", "The limit maxmemory, 0 for none"),
    row("allocator_allocated", _G, "allocator_allocated_bytes", "Memory allocated by the program"),
    row("allocator_active", _G, "allocator_active_bytes", "Memory in the allocator's active pages"),
    row("allocator_resident", _G, "allocator_resident_bytes", "Memory resident for the allocator"),
    row("allocator_muzzy", _G, "allocator_muzzy_bytes", "Memory in pages given back lazily"),
    row("allocator_frag_ratio", _G, "allocator_frag_ratio", "Active by allocated bytes"),
    row("allocator_frag_bytes", _G, "allocator_frag_bytes", "Active less allocated bytes"),
    row("allocator_rss_ratio", _G, "allocator_rss_ratio", "Resident by active bytes"),
    row("allocator_rss_bytes", _G, "allocator_rss_bytes", "Resident less active bytes"),
    row("mem_fragmentation_ratio", _G, "mem_fragmentation_ratio", "Resident by used bytes"),
    row("mem_fragmentation_bytes", _G, "mem_fragmentation_bytes", "Resident less used bytes"),
    row(
        "mem_not_counted_for_evict",
        _G,
        "mem_not_counted_for_eviction_bytes",
        "Memory that maxmemory does not count",
    ),
    row("mem_replication_backlog", _G, "mem_replication_backlog_bytes", "Memory of the backlog"),
    row(
        "mem_total_replication_buffers",
        _G,
        "mem_total_replication_buffers_bytes",
        "Memory of the backlog and of replicas' output",
    ),
    row("mem_clients_slaves", _G, "mem_clients_slaves", "Bytes of replicas' buffers"),
    row("mem_clients_normal", _G, "mem_clients_normal", "Bytes of other clients' buffers"),
    row("mem_cluster_links", _G, "mem_cluster_links_bytes", "Memory of the cluster bus"),
    row("mem_aof_buffer", _G, "mem_aof_buffer_bytes", "Memory of the AOF's buffers"),
    row(
        "mem_overhead_db_hashtable_rehashing",
        _G,
        "mem_overhead_db_hashtable_rehashing_bytes",
        "Memory of hash tables that are being resized",
    ),
    row("active_defrag_running", _G, "active_defrag_running", "CPU share of defragmentation"),
    row("lazyfree_pending_objects", _G, "lazyfree_pending_objects", "Objects yet to be freed"),
    row("lazyfreed_objects", _G, "lazyfreed_objects", "Objects freed in the background"),
)

PERSISTENCE: Final = (
    row("loading", _G, "loading_dump_file", "Whether a dataset is being loaded"),
    row(
        "async_loading",
        _G,
        "async_loading",
        "Whether a dataset is loaded while the old one is served",
    ),
    row(
        "rdb_changes_since_last_save",
        _G,
        "rdb_changes_since_last_save",
        "Changes that no snapshot holds yet",
    ),
    row("rdb_bgsave_in_progress", _G, "rdb_bgsave_in_progress", "Whether a snapshot is written"),
    row(
        "rdb_last_save_time",
        _G,
        "rdb_last_save_timestamp_seconds",
        "When the last good snapshot was made, Unix time",
    ),
    row(
        "rdb_last_bgsave_status",
        _G,
        "rdb_last_bgsave_status",
        "Whether the last background save succeeded",
    ),
    row(
        "rdb_last_bgsave_time_sec",
        _G,
        "rdb_last_bgsave_duration_sec",
        "Seconds the last background save took, -1 if there was none",
    ),
    row(
        "rdb_current_bgsave_time_sec",
        _G,
        "rdb_current_bgsave_duration_sec",
        "Seconds the background save under way has taken, -1 if there is none",
    ),
    row("rdb_saves", _G, "rdb_saves_total", "Snapshots since the start"),
    row(
        "rdb_last_cow_size",
        _G,
        "rdb_last_cow_size_bytes",
        "Memory the last background save had to copy",
    ),
    row(
        "rdb_last_load_keys_expired",
        _G,
        "rdb_last_load_expired_keys",
        "Keys the last load dropped as expired",
    ),
    row("rdb_last_load_keys_loaded", _G, "rdb_last_load_loaded_keys", "Keys the last load brought"),
    row("aof_enabled", _G, "aof_enabled", "Whether there is an append-only file"),
    row(
        "aof_rewrite_in_progress",
        _G,
        "aof_rewrite_in_progress",
        "Whether the append-only file is being rewritten",
    ),
    row(
        "aof_rewrite_scheduled",
        _G,
        "aof_rewrite_scheduled",
        "Whether a rewrite of the append-only file is to follow a save",
    ),
    row(
        "aof_last_rewrite_time_sec",
        _G,
        "aof_last_rewrite_duration_sec",
        "Seconds the last rewrite of the append-only file took, -1 if there was none",
    ),
    row(
        "aof_current_rewrite_time_sec",
        _G,
        "aof_current_rewrite_duration_sec",
        "Seconds the rewrite of the append-only file has taken, -1 if there is none",
    ),
    row(
        "aof_last_bgrewrite_status",
        _G,
        "aof_last_bgrewrite_status",
        "Whether the last rewrite of the append-only file succeeded",
    ),
    row("aof_rewrites", _G, "aof_rewrites_total", "Rewrites of the append-only file"),
    row(
        "aof_rewrites_consecutive_failures",
        _G,
        "aof_rewrites_consecutive_failures",
        "Rewrites of the append-only file that failed since the last that did not",
    ),
    row(
        "aof_last_write_status",
        _G,
        "aof_last_write_status",
        "Whether the last write to the append-only file succeeded",
    ),
    row(
        "aof_last_cow_size",
        _G,
        "aof_last_cow_size_bytes",
        "Memory the last rewrite of the append-only file had to copy",
    ),
    row("aof_current_size", _G, "aof_current_size_bytes", "Size of the append-only file"),
    row(
        "aof_base_size",
        _G,
        "aof_base_size_bytes",
        "Size of the append-only file after its last rewrite",
    ),
    row(
        "aof_pending_rewrite",
        _G,
        "aof_pending_rewrite",
        "Whether a rewrite of the append-only file waits for a save",
    ),
    row(
        "aof_buffer_length",
        _G,
        "aof_buffer_length",
        "Bytes not yet written to the append-only file",
    ),
    row(
        "aof_rewrite_buffer_length",
        _G,
        "aof_rewrite_buffer_length",
        "Bytes that a rewrite of the append-only file has yet to take",
    ),
    row("aof_pending_bio_fsync", _G, "aof_pending_bio_fsync", "fsync calls that wait to be made"),
    row("aof_delayed_fsync", _G, "aof_delayed_fsync", "Writes that had to wait for an fsync"),
    row("module_fork_in_progress", _G, "module_fork_in_progress", "Whether a module has forked"),
    row(
        "module_fork_last_cow_size",
        _G,
        "module_fork_last_cow_size",
        "Bytes the last fork of a module copied",
    ),
)
