"""The directives of vedette.conf: names, aliases, values and defaults, as in redis-server 7.0.

The named constants are those that something here acts upon; the others are in `inert.py`.
`metrics-port` and `log-format` are Vedette's own.
"""

from __future__ import annotations

from typing import Final

from vedette.acl.directives import ACL_DIRECTIVES
from vedette.conf import (
    Choice,
    Directive,
    DirectiveTable,
    Flag,
    Integer,
    Memory,
    Octal,
    SavePoint,
    SavePoints,
    Text,
    WordList,
    YesNo,
    program,
    serving,
)
from vedette.conf.kinds import INT64_MAX, UINT64_MAX
from vedette.conf.tls import TLS_DIRECTIVES

from ..store.keyspace_events import KeyspaceEvents
from .inert import ONLY_DEFAULT, WITHOUT_EFFECT
from .kinds import (
    ANY_INTEGER,
    UINT_MAX,
    EventLetters,
    MasterAddress,
    OomScores,
    Percentiles,
    ShutdownWords,
    file_name_only,
    plain_name,
    shutdown_flags,
)

_KILOBYTE: Final = 1024
_MEGABYTE: Final = 1024 * 1024
_PORT: Final = Integer(0, 65535)

# --- the network ---------------------------------------------------------------------------------
PORT: Final = Directive("port", _PORT, 6379)
BIND: Final = Directive("bind", WordList(16), ("*", "-::*"))
BIND_SOURCE_ADDRESS: Final = Directive("bind-source-addr", Text(), "")
UNIX_SOCKET: Final = Directive("unixsocket", Text(), "", Flag.IMMUTABLE)
UNIX_SOCKET_PERM: Final = Directive("unixsocketperm", Octal(), 0, Flag.IMMUTABLE)
PROTECTED_MODE: Final = Directive("protected-mode", YesNo(), True)
TCP_BACKLOG: Final = serving.TCP_BACKLOG
TIMEOUT: Final = serving.TIMEOUT
TCP_KEEPALIVE: Final = serving.TCP_KEEPALIVE
MAX_CLIENTS: Final = Directive("maxclients", Integer(1, UINT_MAX), 10_000)
METRICS_PORT: Final = Directive("metrics-port", _PORT, 0)
OUTPUT_LIMITS: Final = serving.OUTPUT_LIMITS
QUERY_LIMIT: Final = serving.QUERY_LIMIT
BULK_LIMIT: Final = serving.BULK_LIMIT

# --- types ---------------------------------------------------------------------------------------
BUSY_REPLY_THRESHOLD: Final = Directive(
    "busy-reply-threshold", Integer(0, INT64_MAX), 5000, aliases=("lua-time-limit",)
)
HLL_SPARSE_MAX_BYTES: Final = Directive("hll-sparse-max-bytes", Memory(), 3000)

# --- the process ---------------------------------------------------------------------------------
DAEMONIZE: Final = Directive("daemonize", YesNo(), False, Flag.IMMUTABLE)
PID_FILE: Final = Directive("pidfile", Text(), "", Flag.IMMUTABLE)
LOG_FORMAT: Final = Directive("log-format", Choice("console", "logfmt", "json"), "console")
LOG_LEVEL: Final = Directive(
    "loglevel", Choice("debug", "verbose", "notice", "warning", "nothing"), "notice"
)
LOG_FILE: Final = Directive("logfile", Text(), "", Flag.IMMUTABLE)
SUPERVISED: Final = program.SUPERVISED
OOM_SCORE_ADJ: Final = Directive(
    "oom-score-adj",
    Choice("no", "yes", "relative", "absolute", synonyms={"relative": "yes"}),
    "no",
)
OOM_SCORE_ADJ_VALUES: Final = Directive("oom-score-adj-values", OomScores(), (0, 200, 800))
SYSLOG_ENABLED: Final = program.SYSLOG_ENABLED
SYSLOG_IDENT: Final = program.SYSLOG_IDENT
SYSLOG_FACILITY: Final = program.SYSLOG_FACILITY
DATABASES: Final = Directive("databases", Integer(1), 16, Flag.IMMUTABLE)
HZ: Final = Directive("hz", Integer(), 10)
SHUTDOWN_TIMEOUT: Final = Directive("shutdown-timeout", Integer(), 10)
SHUTDOWN_ON_SIGINT: Final = Directive(
    "shutdown-on-sigint", ShutdownWords(5), ("default",), validate=shutdown_flags
)
SHUTDOWN_ON_SIGTERM: Final = Directive(
    "shutdown-on-sigterm", ShutdownWords(5), ("default",), validate=shutdown_flags
)

# --- access --------------------------------------------------------------------------------------
REQUIRE_PASS: Final = Directive("requirepass", Text(), "", Flag.SENSITIVE)
ENABLE_DEBUG_COMMAND: Final = Directive(
    "enable-debug-command", Choice("no", "yes", "local"), "no", Flag.IMMUTABLE
)
ENABLE_MODULE_COMMAND: Final = Directive(
    "enable-module-command", Choice("no", "yes", "local"), "no", Flag.IMMUTABLE
)
ENABLE_PROTECTED_CONFIGS: Final = Directive(
    "enable-protected-configs", Choice("no", "yes", "local"), "no", Flag.IMMUTABLE
)

# --- snapshots -----------------------------------------------------------------------------------
SAVE: Final = Directive(
    "save", SavePoints(), (SavePoint(3600, 1), SavePoint(300, 100), SavePoint(60, 10_000))
)
DIRECTORY: Final = Directive("dir", Text(), "", Flag.PROTECTED | Flag.NOT_WHILE_LOADING)
DB_FILE_NAME: Final = Directive(
    "dbfilename", Text(), "dump.rdb", Flag.PROTECTED, validate=file_name_only
)
RDB_COMPRESSION: Final = Directive("rdbcompression", YesNo(), True)
RDB_DEL_SYNC_FILES: Final = Directive("rdb-del-sync-files", YesNo(), False)
RDB_CHECKSUM: Final = Directive("rdbchecksum", YesNo(), True, Flag.IMMUTABLE)
RDB_KEY_SAVE_DELAY: Final = Directive("rdb-key-save-delay", ANY_INTEGER, 0, Flag.HIDDEN)
KEY_LOAD_DELAY: Final = Directive("key-load-delay", ANY_INTEGER, 0, Flag.HIDDEN)
LOADING_INTERVAL_BYTES: Final = Directive(
    "loading-process-events-interval-bytes", Integer(1024), 2 * _MEGABYTE, Flag.HIDDEN
)
STOP_WRITES_ON_SAVE_ERROR: Final = Directive("stop-writes-on-bgsave-error", YesNo(), True)

# --- the append-only file ------------------------------------------------------------------------
APPEND_ONLY: Final = Directive("appendonly", YesNo(), False, Flag.NOT_WHILE_LOADING)
APPEND_FILE_NAME: Final = Directive(
    "appendfilename",
    Text(),
    "appendonly.aof",
    Flag.IMMUTABLE,
    validate=plain_name("appendfilename"),
)
APPEND_DIR_NAME: Final = Directive(
    "appenddirname", Text(), "appendonlydir", Flag.IMMUTABLE, validate=plain_name("appenddirname")
)
APPEND_FSYNC: Final = Directive("appendfsync", Choice("everysec", "always", "no"), "everysec")
NO_APPEND_FSYNC_ON_REWRITE: Final = Directive("no-appendfsync-on-rewrite", YesNo(), False)
AUTO_AOF_REWRITE_PERCENTAGE: Final = Directive("auto-aof-rewrite-percentage", Integer(), 100)
AUTO_AOF_REWRITE_MIN_SIZE: Final = Directive(
    "auto-aof-rewrite-min-size", Memory(0, INT64_MAX), 64 * _MEGABYTE
)
AOF_LOAD_TRUNCATED: Final = Directive("aof-load-truncated", YesNo(), True)
AOF_USE_RDB_PREAMBLE: Final = Directive("aof-use-rdb-preamble", YesNo(), True)
AOF_TIMESTAMP_ENABLED: Final = Directive("aof-timestamp-enabled", YesNo(), False)
AOF_DISABLE_AUTO_GC: Final = Directive("aof-disable-auto-gc", YesNo(), False)

# --- replication ---------------------------------------------------------------------------------
REPLICA_OF: Final = Directive(
    "replicaof", MasterAddress(), None, Flag.IMMUTABLE, aliases=("slaveof",)
)
#: The aliases are Valkey's, from 8.0 on.
MASTER_AUTH: Final = Directive("masterauth", Text(), "", Flag.SENSITIVE, aliases=("primaryauth",))
MASTER_USER: Final = Directive("masteruser", Text(), "", Flag.SENSITIVE, aliases=("primaryuser",))
REPLICA_SERVE_STALE_DATA: Final = Directive(
    "replica-serve-stale-data", YesNo(), True, aliases=("slave-serve-stale-data",)
)
REPLICA_READ_ONLY: Final = Directive(
    "replica-read-only", YesNo(), True, aliases=("slave-read-only",)
)
REPLICA_PRIORITY: Final = Directive("replica-priority", Integer(), 100, aliases=("slave-priority",))
REPLICA_ANNOUNCED: Final = Directive("replica-announced", YesNo(), True)
REPLICA_ANNOUNCE_IP: Final = Directive(
    "replica-announce-ip", Text(), "", aliases=("slave-announce-ip",)
)
REPLICA_ANNOUNCE_PORT: Final = Directive(
    "replica-announce-port", _PORT, 0, aliases=("slave-announce-port",)
)
REPLICA_IGNORE_DISK_WRITE_ERRORS: Final = Directive(
    "replica-ignore-disk-write-errors", YesNo(), False
)
REPL_DISKLESS_SYNC: Final = Directive("repl-diskless-sync", YesNo(), True)
REPL_DISKLESS_LOAD: Final = Directive(
    "repl-diskless-load",
    Choice("disabled", "on-empty-db", "swapdb"),
    "disabled",
    Flag.NOT_WHILE_LOADING,
)
REPL_DISKLESS_SYNC_DELAY: Final = Directive("repl-diskless-sync-delay", Integer(), 5)
REPL_DISKLESS_SYNC_MAX_REPLICAS: Final = Directive("repl-diskless-sync-max-replicas", Integer(), 0)
REPL_PING_PERIOD: Final = Directive(
    "repl-ping-replica-period", Integer(1), 10, aliases=("repl-ping-slave-period",)
)
REPL_TIMEOUT: Final = Directive("repl-timeout", Integer(1), 60)
REPL_BACKLOG_SIZE: Final = Directive("repl-backlog-size", Memory(1, INT64_MAX), _MEGABYTE)
REPL_BACKLOG_TTL: Final = Directive("repl-backlog-ttl", Integer(0, INT64_MAX), 3600)
MIN_REPLICAS_TO_WRITE: Final = Directive(
    "min-replicas-to-write", Integer(), 0, aliases=("min-slaves-to-write",)
)
MIN_REPLICAS_MAX_LAG: Final = Directive(
    "min-replicas-max-lag", Integer(), 10, aliases=("min-slaves-max-lag",)
)

# --- memory --------------------------------------------------------------------------------------
MAX_MEMORY: Final = Directive("maxmemory", Memory(0, UINT64_MAX), 0)
MAX_MEMORY_POLICY: Final = Directive(
    "maxmemory-policy",
    Choice(
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ),
    "noeviction",
)
MAX_MEMORY_SAMPLES: Final = Directive("maxmemory-samples", Integer(1), 5)
MAX_MEMORY_EVICTION_TENACITY: Final = Directive("maxmemory-eviction-tenacity", Integer(0, 100), 10)
MAX_MEMORY_CLIENTS: Final = Directive("maxmemory-clients", Memory(allows_percent=True), 0)
REPLICA_IGNORE_MAX_MEMORY: Final = Directive(
    "replica-ignore-maxmemory", YesNo(), True, aliases=("slave-ignore-maxmemory",)
)
LFU_LOG_FACTOR: Final = Directive("lfu-log-factor", Integer(), 10)
LFU_DECAY_TIME: Final = Directive("lfu-decay-time", Integer(), 1)
LAZYFREE_LAZY_EVICTION: Final = Directive("lazyfree-lazy-eviction", YesNo(), False)
LAZYFREE_LAZY_EXPIRE: Final = Directive("lazyfree-lazy-expire", YesNo(), False)
LAZYFREE_LAZY_SERVER_DEL: Final = Directive("lazyfree-lazy-server-del", YesNo(), False)
LAZYFREE_LAZY_USER_DEL: Final = Directive("lazyfree-lazy-user-del", YesNo(), False)
LAZYFREE_LAZY_USER_FLUSH: Final = Directive("lazyfree-lazy-user-flush", YesNo(), False)
REPLICA_LAZY_FLUSH: Final = Directive(
    "replica-lazy-flush", YesNo(), False, aliases=("slave-lazy-flush",)
)

NOTIFY_KEYSPACE_EVENTS: Final = Directive(
    "notify-keyspace-events", EventLetters(), KeyspaceEvents.NONE
)

# --- observation ---------------------------------------------------------------------------------
SLOWLOG_LOG_SLOWER_THAN: Final = Directive(
    "slowlog-log-slower-than", Integer(-1, INT64_MAX), 10_000
)
SLOWLOG_MAX_LEN: Final = Directive("slowlog-max-len", Integer(0, INT64_MAX), 128)
LATENCY_MONITOR_THRESHOLD: Final = Directive("latency-monitor-threshold", Integer(0, INT64_MAX), 0)
LATENCY_TRACKING: Final = Directive("latency-tracking", YesNo(), True)
LATENCY_TRACKING_INFO_PERCENTILES: Final = Directive(
    "latency-tracking-info-percentiles", Percentiles(), (50.0, 99.0, 99.9)
)
TRACKING_TABLE_MAX_KEYS: Final = Directive(
    "tracking-table-max-keys", Integer(0, INT64_MAX), 1_000_000
)

# --- encodings -----------------------------------------------------------------------------------
_ENTRIES: Final = Integer(0, INT64_MAX)
HASH_MAX_LISTPACK_ENTRIES: Final = Directive(
    "hash-max-listpack-entries", _ENTRIES, 512, aliases=("hash-max-ziplist-entries",)
)
HASH_MAX_LISTPACK_VALUE: Final = Directive(
    "hash-max-listpack-value", Memory(), 64, aliases=("hash-max-ziplist-value",)
)
SET_MAX_INTSET_ENTRIES: Final = Directive("set-max-intset-entries", _ENTRIES, 512)
SET_MAX_LISTPACK_ENTRIES: Final = Directive("set-max-listpack-entries", _ENTRIES, 0)
SET_MAX_LISTPACK_VALUE: Final = Directive("set-max-listpack-value", _ENTRIES, 64)
ZSET_MAX_LISTPACK_ENTRIES: Final = Directive(
    "zset-max-listpack-entries", _ENTRIES, 128, aliases=("zset-max-ziplist-entries",)
)
ZSET_MAX_LISTPACK_VALUE: Final = Directive(
    "zset-max-listpack-value", Memory(), 64, aliases=("zset-max-ziplist-value",)
)

STREAM_NODE_MAX_BYTES: Final = Directive("stream-node-max-bytes", Memory(), 4 * _KILOBYTE)
STREAM_NODE_MAX_ENTRIES: Final = Directive("stream-node-max-entries", _ENTRIES, 100)

#: Those above, in the order in which they are defined.
_NAMED: Final = [value for value in list(vars().values()) if isinstance(value, Directive)]

TABLE: Final = DirectiveTable(
    [*_NAMED, *ACL_DIRECTIVES, *TLS_DIRECTIVES, *WITHOUT_EFFECT, *ONLY_DEFAULT]
)
