"""From the fields of INFO to metric families: what servers and sentinels have in common.

The same for our own programs, which hand over their INFO, and for others that the exporter has
asked. What INFO lacks is not exposed: there are no zeros that stand for "unknown". Names, types and
labels are redis_exporter's; those with the prefix `vedette_` are in `native.py`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from vedette.info import parse_info_line

from .families import Families, Kind, Spec
from .info_table import CONFIG_ROWS, INFO_ROWS

_G, _C = Kind.GAUGE, Kind.COUNTER
_SLAVE: Final = ("slave_ip", "slave_port", "slave_state")
_MASTER: Final = ("master_host", "master_port")
#: redis_exporter 1.45 has these; newer ones add some, which would make new series of old ones.
_IDENTITY: Final = (
    "role",
    "redis_version",
    "redis_build_id",
    "redis_mode",
    "os",
    "maxmemory_policy",
    "tcp_port",
    "run_id",
    "process_id",
)

UP: Final = Spec("redis_up", _G, "Whether the process answered")
INSTANCE_INFO: Final = Spec("redis_instance_info", _G, "Always 1; who answers", _IDENTITY)
START_TIME: Final = Spec("redis_start_time_seconds", _G, "When the process started, Unix time")

SLAVE_OFFSET: Final = Spec(
    "redis_connected_slave_offset_bytes", _G, "What a replica has acknowledged", _SLAVE
)
SLAVE_LAG: Final = Spec(
    "redis_connected_slave_lag_seconds",
    _G,
    "Age of a replica's last acknowledgement in whole seconds; says nothing about missing data",
    _SLAVE,
)
SLAVE_INFO: Final = Spec(
    "redis_slave_info", _G, "Always 1; whom this replica follows", (*_MASTER, "read_only")
)
LINK_UP: Final = Spec("redis_master_link_up", _G, "Whether the link to the master is up", _MASTER)
LINK_FIELDS: Final[Mapping[str, Spec]] = {
    "master_last_io_seconds_ago": Spec(
        "redis_master_last_io_seconds_ago",
        _G,
        "Age of the last bytes from the master, -1 without a link",
        _MASTER,
    ),
    "master_sync_in_progress": Spec(
        "redis_master_sync_in_progress", _G, "Whether a snapshot is being received", _MASTER
    ),
    "slave_repl_offset": Spec(
        "redis_slave_repl_offset", _G, "What this replica has processed", _MASTER
    ),
}

DB_KEYS: Final = Spec("redis_db_keys", _G, "Keys in a database", ("db",))
DB_EXPIRING: Final = Spec("redis_db_keys_expiring", _G, "Keys in a database that expire", ("db",))
DB_TTL: Final = Spec(
    "redis_db_avg_ttl_seconds", _G, "Mean time left to the keys of a database that expire", ("db",)
)

COMMAND_CALLS: Final = Spec("redis_commands_total", _C, "Calls of a command", ("cmd",))
COMMAND_TIME: Final = Spec(
    "redis_commands_duration_seconds_total", _C, "Time spent in a command", ("cmd",)
)
COMMAND_REJECTED: Final = Spec(
    "redis_commands_rejected_calls_total",
    _C,
    "Calls of a command refused before they ran",
    ("cmd",),
)
COMMAND_FAILED: Final = Spec(
    "redis_commands_failed_calls_total", _C, "Calls of a command that ended with an error", ("cmd",)
)
COMMAND_LATENCY: Final = Spec(
    "redis_latency_percentiles_usec",
    Kind.SUMMARY,
    "Microseconds a command takes; quantiles are percentages",
    ("cmd",),
)
ERRORS: Final = Spec("redis_errors_total", _C, "Error replies by their first word", ("err",))

SLOWLOG_LENGTH: Final = Spec("redis_slowlog_length", _G, "Entries of the slow log")
SLOWLOG_LAST_ID: Final = Spec(
    "redis_slowlog_last_id", _G, "Number of the newest entry in the slow log"
)
SLOWLOG_LAST_TIME: Final = Spec(
    "redis_last_slow_execution_duration_seconds",
    _G,
    "How long the command of the slow log's newest entry took",
)

SPECS: Final[tuple[Spec, ...]] = (
    *(row.spec for row in INFO_ROWS),
    *(row.spec for row in CONFIG_ROWS),
    UP,
    INSTANCE_INFO,
    START_TIME,
    SLAVE_OFFSET,
    SLAVE_LAG,
    SLAVE_INFO,
    LINK_UP,
    *LINK_FIELDS.values(),
    DB_KEYS,
    DB_EXPIRING,
    DB_TTL,
    COMMAND_CALLS,
    COMMAND_TIME,
    COMMAND_REJECTED,
    COMMAND_FAILED,
    COMMAND_LATENCY,
    ERRORS,
    SLOWLOG_LENGTH,
    SLOWLOG_LAST_ID,
    SLOWLOG_LAST_TIME,
)

_WORDS: Final = {"ok": 1.0, "true": 1.0, "err": 0.0, "fail": 0.0, "false": 0.0}
_REPLICA_FIELD: Final = re.compile(r"slave\d+")
_DATABASE_FIELD: Final = re.compile(r"db\d+")
_COMMAND: Final = "cmdstat_"
_LATENCY: Final = "latency_percentiles_usec_"
_ERROR: Final = "errorstat_"


def number(text: str | None) -> float | None:
    """Return what a field says as a number; None if there is none, or none that is finite."""
    if text is None:
        return None
    if text in _WORDS:
        return _WORDS[text]
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def replica_lines(info: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the parts of each `slaveN` field: ip, port, state, offset, lag."""
    return [
        parse_info_line(value) for name, value in info.items() if _REPLICA_FIELD.fullmatch(name)
    ]


def add_node(
    families: Families,
    info: Mapping[str, str],
    *,
    now_s: float,
    config: Mapping[str, str] | None = None,
) -> None:
    """Add all that INFO and the directives in `config` say; `now_s` is Unix time."""
    config = config or {}
    families.add(UP, 1)
    values = {"redis_mode": info.get("server_mode", ""), **info}
    families.add(INSTANCE_INFO, 1, *(values.get(label, "") for label in _IDENTITY))
    uptime_s = number(info.get("uptime_in_seconds"))
    if uptime_s is not None:
        families.add(START_TIME, int(now_s) - uptime_s)
    for fields, rows in ((info, INFO_ROWS), (config, CONFIG_ROWS)):
        for row in rows:
            value = number(fields.get(row.field))
            if value is not None:
                families.add(row.spec, value / row.divisor)
    _add_replication(families, info)
    _add_databases(families, info, int(number(config.get("databases")) or 0))
    _add_commands(families, info)


def _add_replication(families: Families, info: Mapping[str, str]) -> None:
    for line in replica_lines(info):
        labels = (line.get("ip", ""), line.get("port", ""), line.get("state", ""))
        for spec, part in ((SLAVE_OFFSET, "offset"), (SLAVE_LAG, "lag")):
            value = number(line.get(part))
            if value is not None:
                families.add(spec, value, *labels)
    if info.get("role") != "slave":
        return
    master = (info.get("master_host", ""), info.get("master_port", ""))
    families.add(SLAVE_INFO, 1, *master, info.get("slave_read_only", ""))
    families.add(LINK_UP, float(info.get("master_link_status") == "up"), *master)
    for field, spec in LINK_FIELDS.items():
        value = number(info.get(field))
        if value is not None:
            families.add(spec, value, *master)


def _add_databases(families: Families, info: Mapping[str, str], database_count: int) -> None:
    """Add the databases with keys, and those without as far as it is known how many there are."""
    for index in range(database_count):
        families.add(DB_KEYS, 0, f"db{index}")
        families.add(DB_EXPIRING, 0, f"db{index}")
    for name in filter(_DATABASE_FIELD.fullmatch, info):
        line = parse_info_line(info[name])
        for spec, part, divisor in (
            (DB_KEYS, "keys", 1.0),
            (DB_EXPIRING, "expires", 1.0),
            (DB_TTL, "avg_ttl", 1e3),
        ):
            value = number(line.get(part))
            if value is not None:
                families.add(spec, value / divisor, name)


def _add_commands(families: Families, info: Mapping[str, str]) -> None:
    for name, text in info.items():
        if name.startswith(_COMMAND):
            _add_command(families, name.removeprefix(_COMMAND), text, info)
        elif name.startswith(_ERROR):
            count = number(parse_info_line(text).get("count"))
            if count is not None:
                families.add(ERRORS, count, name.removeprefix(_ERROR))


def _add_command(families: Families, command: str, text: str, info: Mapping[str, str]) -> None:
    line = parse_info_line(text)
    calls, usec = number(line.get("calls")), number(line.get("usec"))
    if calls is None or usec is None:
        return
    families.add(COMMAND_CALLS, calls, command)
    families.add(COMMAND_TIME, usec / 1e6, command)
    for spec, part in ((COMMAND_REJECTED, "rejected_calls"), (COMMAND_FAILED, "failed_calls")):
        value = number(line.get(part))
        if value is not None:
            families.add(spec, value, command)
    percentiles = parse_info_line(info.get(_LATENCY + command, ""))
    quantiles = {
        name.removeprefix("p"): value
        for name, value in ((name, number(text)) for name, text in percentiles.items())
        if value is not None
    }
    if quantiles:
        families.add_summary(COMMAND_LATENCY, calls, usec, command, quantiles=quantiles)
