"""The directives of sentinel.conf beside `sentinel ...`: those of a server that a sentinel takes.

Names, defaults and values are redis-sentinel's (`port` 26379, `protected-mode` no, ...), so one
file serves both; `metrics-port` and `journal` are Vedette's own. Directives of a datastore are
unknown here, but for those that stand in files made for redis-sentinel, or that it writes itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vedette.acl.directives import ACL_DIRECTIVES
from vedette.conf import (
    Choice,
    Directive,
    DirectiveTable,
    Flag,
    Integer,
    Text,
    WordList,
    YesNo,
    program,
    serving,
)
from vedette.conf.tls import TLS_DIRECTIVES, TLS_WITHOUT_EFFECT

PORT: Final = Directive("port", Integer(0, 65535), 26379, Flag.IMMUTABLE)
BIND: Final = Directive("bind", WordList(), ("*", "-::*"), Flag.IMMUTABLE)
BIND_SOURCE_ADDRESS: Final = Directive("bind-source-addr", Text(), "", Flag.IMMUTABLE)
TCP_BACKLOG: Final = serving.TCP_BACKLOG
PROTECTED_MODE: Final = Directive("protected-mode", YesNo(), False)
TIMEOUT: Final = serving.TIMEOUT
TCP_KEEPALIVE: Final = serving.TCP_KEEPALIVE
MAX_CLIENTS: Final = Directive("maxclients", Integer(1), 10_000)
REQUIRE_PASS: Final = Directive("requirepass", Text(), "", Flag.SENSITIVE)
DIRECTORY: Final = Directive("dir", Text(), "", Flag.PROTECTED)
LOG_FILE: Final = Directive("logfile", Text(), "", Flag.IMMUTABLE)
LOG_FORMAT: Final = Directive(
    "log-format", Choice("console", "logfmt", "json"), "console", Flag.IMMUTABLE
)
LOG_LEVEL: Final = Directive(
    "loglevel", Choice("debug", "verbose", "notice", "warning", "nothing"), "notice"
)
DAEMONIZE: Final = Directive("daemonize", YesNo(), False, Flag.IMMUTABLE)
PID_FILE: Final = Directive("pidfile", Text(), "", Flag.IMMUTABLE)
METRICS_PORT: Final = Directive("metrics-port", Integer(0, 65535), 0, Flag.IMMUTABLE)
OUTPUT_LIMITS: Final = serving.OUTPUT_LIMITS
QUERY_LIMIT: Final = serving.QUERY_LIMIT
BULK_LIMIT: Final = serving.BULK_LIMIT
SUPERVISED: Final = program.SUPERVISED
SYSLOG_ENABLED: Final = program.SYSLOG_ENABLED
SYSLOG_IDENT: Final = program.SYSLOG_IDENT
SYSLOG_FACILITY: Final = program.SYSLOG_FACILITY
HISTORY_FILE: Final = Directive("history-file", Text(), "", Flag.IMMUTABLE)
JOURNAL: Final = Directive("journal", Text(), "", Flag.IMMUTABLE)

#: Taken so that a file made for redis-sentinel starts here; they change nothing.
_WITHOUT_EFFECT: Final = (
    Directive("always-show-logo", YesNo(), False, Flag.IMMUTABLE),
    Directive("set-proc-title", YesNo(), True, Flag.IMMUTABLE),
    Directive("proc-title-template", Text(), "{title} {listen-addr} {server-mode}"),
    Directive("crash-log-enabled", YesNo(), True),
    Directive("hz", Integer(), 10),
    Directive("dynamic-hz", YesNo(), True),
    Directive("databases", Integer(1), 16, Flag.IMMUTABLE),
    Directive("latency-tracking", YesNo(), True),
    Directive("latency-tracking-info-percentiles", WordList(), ("50", "99", "99.9")),
    Directive("save", WordList(), ()),
    Directive("appendonly", YesNo(), False),
    Directive("oom-score-adj", Choice("no", "yes", "relative", "absolute"), "no"),
    Directive("disable-thp", YesNo(), True),
    Directive("io-threads", Integer(1, 128), 1, Flag.IMMUTABLE),
    Directive("locale-collate", Text(), ""),
)

#: Directives of a datastore, which redis-sentinel takes and has no use for either.
OF_A_DATASTORE: Final = """
    active-defrag-cycle-max active-defrag-cycle-min active-defrag-ignore-bytes
    active-defrag-max-scan-fields active-defrag-threshold-lower
    active-defrag-threshold-upper active-expire-effort activedefrag activerehashing
    aof-load-truncated aof-rewrite-incremental-fsync aof-timestamp-enabled
    aof-use-rdb-preamble aof_rewrite_cpulist appenddirname appendfilename appendfsync
    auto-aof-rewrite-min-size auto-aof-rewrite-percentage bgsave_cpulist bio_cpulist
    busy-reply-threshold cluster-allow-pubsubshard-when-down cluster-allow-reads-when-down
    cluster-allow-replica-migration cluster-announce-bus-port cluster-announce-hostname
    cluster-announce-ip cluster-announce-port cluster-announce-tls-port cluster-config-file
    cluster-link-sendbuf-limit cluster-migration-barrier cluster-node-timeout cluster-port
    cluster-preferred-endpoint-type cluster-replica-no-failover
    cluster-replica-validity-factor cluster-require-full-coverage cluster-slave-no-failover
    cluster-slave-validity-factor crash-memcheck-enabled dbfilename enable-debug-assert
    enable-debug-command enable-module-command enable-protected-configs
    hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries
    hash-max-ziplist-value hll-sparse-max-bytes ignore-warnings io-threads-do-reads
    jemalloc-bg-thread latency-monitor-threshold lazyfree-lazy-eviction lazyfree-lazy-expire
    lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time
    lfu-log-factor list-compress-depth list-max-listpack-size list-max-ziplist-size
    lua-time-limit masterauth masteruser maxmemory maxmemory-clients
    maxmemory-eviction-tenacity maxmemory-policy maxmemory-samples min-replicas-max-lag
    min-replicas-to-write min-slaves-max-lag min-slaves-to-write no-appendfsync-on-rewrite
    notify-keyspace-events oom-score-adj-values primaryauth primaryuser
    propagation-error-behavior rdb-del-sync-files rdb-save-incremental-fsync rdbchecksum
    rdbcompression repl-backlog-size repl-backlog-ttl repl-disable-tcp-nodelay
    repl-diskless-load repl-diskless-sync repl-diskless-sync-delay
    repl-diskless-sync-max-replicas repl-ping-replica-period repl-ping-slave-period
    repl-timeout replica-announce-ip replica-announce-port replica-announced
    replica-ignore-disk-write-errors replica-ignore-maxmemory replica-lazy-flush
    replica-priority replica-read-only replica-serve-stale-data sanitize-dump-payload
    server_cpulist set-max-intset-entries shutdown-on-sigint shutdown-on-sigterm
    shutdown-timeout slave-announce-ip slave-announce-port slave-ignore-maxmemory
    slave-lazy-flush slave-priority slave-read-only slave-serve-stale-data
    slowlog-log-slower-than slowlog-max-len socket-mark-id stop-writes-on-bgsave-error
    stream-node-max-bytes stream-node-max-entries tracking-table-max-keys unixsocketperm
    zset-max-listpack-entries zset-max-listpack-value zset-max-ziplist-entries
    zset-max-ziplist-value
""".split()  # noqa: SIM905 (as a list it would take 150 lines)

#: What a sentinel would have to do something for that it cannot: the one value that asks for
#: nothing (None: there is none), and why others stop the start.
REFUSED: Final[dict[str, tuple[str | None, str]]] = {
    "tls-cluster": ("no", "A sentinel is no node of a cluster"),
    "tls-ciphersuites": ("", "The cipher suites of TLS 1.3 cannot be chosen"),
    "unixsocket": ("", "Unix sockets are not supported: a sentinel listens on TCP ports"),
    "cluster-enabled": ("no", "A sentinel is no node of a cluster"),
    "replicaof": (None, "A sentinel follows no master"),
    "slaveof": (None, "A sentinel follows no master"),
    "loadmodule": (None, "Modules are not supported"),
    "rename-command": (
        None,
        "The sentinel's own commands cannot be renamed; those of the nodes: `sentinel "
        "rename-command <master> <command> <other>`",
    ),
}


def refusal(name: str, values: Sequence[str]) -> str | None:
    """Return why a directive stops the start: "" if it asks for nothing, None if it is none of
    those that are refused.
    """
    harmless, reason = REFUSED.get(name, (None, ""))
    if not reason:
        return None
    return "" if list(values) == [harmless] else f"{name}: {reason}"


TABLE: Final = DirectiveTable(
    [
        PORT,
        BIND,
        BIND_SOURCE_ADDRESS,
        TCP_BACKLOG,
        PROTECTED_MODE,
        TIMEOUT,
        TCP_KEEPALIVE,
        MAX_CLIENTS,
        REQUIRE_PASS,
        *ACL_DIRECTIVES,
        DIRECTORY,
        LOG_FILE,
        LOG_FORMAT,
        LOG_LEVEL,
        DAEMONIZE,
        PID_FILE,
        SUPERVISED,
        SYSLOG_ENABLED,
        SYSLOG_IDENT,
        SYSLOG_FACILITY,
        METRICS_PORT,
        HISTORY_FILE,
        JOURNAL,
        OUTPUT_LIMITS,
        QUERY_LIMIT,
        BULK_LIMIT,
        *TLS_DIRECTIVES,
        *TLS_WITHOUT_EFFECT,
        *_WITHOUT_EFFECT,
        *(Directive(name, WordList(), (), Flag.IMMUTABLE) for name in OF_A_DATASTORE),
    ]
)
