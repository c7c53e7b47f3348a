"""The directives of sentinel.conf beside `sentinel ...`: those of a server that a sentinel takes.

Names, defaults and values are redis-sentinel's (`port` 26379, `protected-mode` no, ...), so one
file serves both; `metrics-port` and `journal` are Vedette's own. Directives of a datastore are
unknown here, but for those that stand in files made for redis-sentinel, or that it writes itself.
"""

from __future__ import annotations

from typing import Final

from vedette.conf import (
    BufferLimit,
    BufferLimits,
    Choice,
    Directive,
    DirectiveTable,
    Flag,
    Integer,
    Memory,
    Text,
    WordList,
    YesNo,
)
from vedette.conf.kinds import ClientClass

_MEGABYTE = 1024 * 1024

PORT: Final = Directive("port", Integer(0, 65535), 26379, Flag.IMMUTABLE)
BIND: Final = Directive("bind", WordList(), ("*", "-::*"), Flag.IMMUTABLE)
BIND_SOURCE_ADDRESS: Final = Directive("bind-source-addr", Text(), "", Flag.IMMUTABLE)
TCP_BACKLOG: Final = Directive("tcp-backlog", Integer(), 511, Flag.IMMUTABLE)
PROTECTED_MODE: Final = Directive("protected-mode", YesNo(), False)
TIMEOUT: Final = Directive("timeout", Integer(), 0)
TCP_KEEPALIVE: Final = Directive("tcp-keepalive", Integer(), 300)
MAX_CLIENTS: Final = Directive("maxclients", Integer(1), 10_000)
REQUIRE_PASS: Final = Directive("requirepass", Text(), "", Flag.SENSITIVE)
DIRECTORY: Final = Directive("dir", Text(), "", Flag.PROTECTED)
LOG_FILE: Final = Directive("logfile", Text(), "", Flag.IMMUTABLE)
LOG_LEVEL: Final = Directive("loglevel", Choice("debug", "verbose", "notice", "warning"), "notice")
DAEMONIZE: Final = Directive("daemonize", YesNo(), False, Flag.IMMUTABLE)
PID_FILE: Final = Directive("pidfile", Text(), "", Flag.IMMUTABLE)
METRICS_PORT: Final = Directive("metrics-port", Integer(0, 65535), 0, Flag.IMMUTABLE)
OUTPUT_LIMITS: Final = Directive(
    "client-output-buffer-limit",
    BufferLimits(),
    {
        ClientClass.NORMAL: BufferLimit(0, 0, 0),
        ClientClass.REPLICA: BufferLimit(256 * _MEGABYTE, 64 * _MEGABYTE, 60),
        ClientClass.PUBSUB: BufferLimit(32 * _MEGABYTE, 8 * _MEGABYTE, 60),
    },
)
QUERY_LIMIT: Final = Directive("client-query-buffer-limit", Memory(_MEGABYTE), 1024 * _MEGABYTE)
BULK_LIMIT: Final = Directive("proto-max-bulk-len", Memory(_MEGABYTE), 512 * _MEGABYTE)
JOURNAL: Final = Directive("journal", Text(), "", Flag.IMMUTABLE)

#: Taken so that a file made for redis-sentinel starts here; they change nothing.
_WITHOUT_EFFECT: Final = (
    Directive("supervised", Choice("no", "auto", "systemd", "upstart"), "no", Flag.IMMUTABLE),
    Directive("syslog-enabled", YesNo(), False, Flag.IMMUTABLE),
    Directive("syslog-ident", Text(), "redis", Flag.IMMUTABLE),
    Directive("syslog-facility", Text(), "local0", Flag.IMMUTABLE),
    Directive("always-show-logo", YesNo(), False, Flag.IMMUTABLE),
    Directive("set-proc-title", YesNo(), True, Flag.IMMUTABLE),
    Directive("proc-title-template", Text(), "{title} {listen-addr} {server-mode}"),
    Directive("crash-log-enabled", YesNo(), True),
    Directive("hz", Integer(), 10),
    Directive("dynamic-hz", YesNo(), True),
    Directive("databases", Integer(1), 16, Flag.IMMUTABLE),
    Directive("acllog-max-len", Integer(), 128),
    Directive("latency-tracking", YesNo(), True),
    Directive("latency-tracking-info-percentiles", WordList(), ("50", "99", "99.9")),
    Directive("save", WordList(), ()),
    Directive("appendonly", YesNo(), False),
    Directive("oom-score-adj", Choice("no", "yes", "relative", "absolute"), "no"),
    Directive("disable-thp", YesNo(), True),
    Directive("io-threads", Integer(1, 128), 1, Flag.IMMUTABLE),
    Directive("locale-collate", Text(), ""),
)

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
        DIRECTORY,
        LOG_FILE,
        LOG_LEVEL,
        DAEMONIZE,
        PID_FILE,
        METRICS_PORT,
        JOURNAL,
        OUTPUT_LIMITS,
        QUERY_LIMIT,
        BULK_LIMIT,
        *_WITHOUT_EFFECT,
    ]
)
