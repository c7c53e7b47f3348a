"""Putting the configuration into effect on the engine: at start, and when CONFIG SET changes it.

The pure half of it: what concerns sockets, files and timers is asked of the configuration by the
runtime whenever it matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from vedette.acl import UsersChange
from vedette.acl.directives import ACL_FILE, ACL_LOG_MAX_LEN, ACL_PUBSUB_DEFAULT, set_up
from vedette.conf.kinds import ClientClass
from vedette.conf.quoting import encode_word
from vedette.conf.settings import Directive
from vedette.conf.tls import TLS_PORT, TLS_REPLICATION

from .. import directives as d
from ..config import ChangeRefused, apply_to_serving
from ..persistence.aof.log import AofState
from ..replication.settings import OutputLimit

if TYPE_CHECKING:
    from .engine import ServerEngine

#: How often a second timers may run.
HZ_MIN: Final = 1
HZ_MAX: Final = 500
#: A smaller backlog would be of no use.
BACKLOG_MIN_BYTES: Final = 16 * 1024


def bind_configuration(engine: ServerEngine) -> None:
    """Apply what the configuration of `engine` says, now and whenever it is changed.

    Raises:
        ConfigError: what it says of users cannot be used.
    """
    configuration = engine.configuration
    for binding in _BINDINGS:
        configuration.on_change(partial(binding.apply, engine), *binding.directives)
    for binding in _BINDINGS:
        if binding.is_for_start:
            binding.apply(engine)
    set_up(
        engine.access,
        password=configuration[d.REQUIRE_PASS],
        users=configuration.users,
        file=engine.host.acl_file(configuration[ACL_FILE]) if configuration[ACL_FILE] else None,
    )


def _keep_in_bounds(engine: ServerEngine) -> None:
    """Put what Redis can work with in place of numbers that it takes, too."""
    configuration = engine.configuration
    configuration.put(d.HZ, max(HZ_MIN, min(HZ_MAX, configuration[d.HZ])))
    backlog_bytes = max(BACKLOG_MIN_BYTES, configuration[d.REPL_BACKLOG_SIZE])
    configuration.put(d.REPL_BACKLOG_SIZE, backlog_bytes)


def _serve(engine: ServerEngine) -> None:
    apply_to_serving(engine.configuration, engine.settings)
    for session in engine.clients:
        session.parser.max_bulk_bytes = engine.settings.max_bulk_bytes


def _set_password(engine: ServerEngine) -> None:
    password = encode_word(engine.configuration[d.REQUIRE_PASS])
    engine.access.users.set_default_password(password)
    engine.on_users_changed(UsersChange())


def _control_access(engine: ServerEngine) -> None:
    access, configuration = engine.access, engine.configuration
    access.log.max_length = configuration[ACL_LOG_MAX_LEN]
    access.users.allows_channels_by_default = configuration[ACL_PUBSUB_DEFAULT] == "allchannels"


def _limit_encodings(engine: ServerEngine) -> None:
    limits, configuration = engine.keyspace.limits, engine.configuration
    limits.hash_max_listpack_entries = configuration[d.HASH_MAX_LISTPACK_ENTRIES]
    limits.hash_max_listpack_value = configuration[d.HASH_MAX_LISTPACK_VALUE]
    limits.set_max_intset_entries = configuration[d.SET_MAX_INTSET_ENTRIES]
    limits.set_max_listpack_entries = configuration[d.SET_MAX_LISTPACK_ENTRIES]
    limits.set_max_listpack_value = configuration[d.SET_MAX_LISTPACK_VALUE]
    limits.zset_max_listpack_entries = configuration[d.ZSET_MAX_LISTPACK_ENTRIES]
    limits.zset_max_listpack_value = configuration[d.ZSET_MAX_LISTPACK_VALUE]
    limits.stream_node_max_bytes = configuration[d.STREAM_NODE_MAX_BYTES]
    limits.stream_node_max_entries = configuration[d.STREAM_NODE_MAX_ENTRIES]


def _observe(engine: ServerEngine) -> None:
    slow_log, configuration = engine.slow_log, engine.configuration
    slow_log.threshold_us = configuration[d.SLOWLOG_LOG_SLOWER_THAN]
    slow_log.set_max_length(configuration[d.SLOWLOG_MAX_LEN])
    engine.latency.threshold_ms = configuration[d.LATENCY_MONITOR_THRESHOLD]
    engine.tracked_keys.max_keys = configuration[d.TRACKING_TABLE_MAX_KEYS]
    for row in engine.table.all_rows():
        row.settle()
        row.has_histogram = configuration[d.LATENCY_TRACKING]
    engine.watch_calls()


def _notify(engine: ServerEngine) -> None:
    engine.set_notified_events(engine.configuration[d.NOTIFY_KEYSPACE_EVENTS])


def _collect_history(engine: ServerEngine) -> None:
    if engine.aof.port is not None and not engine.configuration[d.AOF_DISABLE_AUTO_GC]:
        engine.aof.port.collect_history()


def _review_limits(engine: ServerEngine) -> None:
    engine.review_limits()


def _limit_memory(engine: ServerEngine) -> None:
    engine.memory.apply_settings()


def _limit_memory_of_clients(engine: ServerEngine) -> None:
    engine.client_eviction.apply_settings()


def _switch_aof(engine: ServerEngine) -> None:
    """Turn the append-only file on or off, as CONFIG SET has just said."""
    aof = engine.aof
    is_wanted = engine.configuration[d.APPEND_ONLY]
    if aof.port is None or is_wanted == (aof.state is not AofState.OFF):
        return
    if not is_wanted:
        aof.port.turn_off()
        return
    try:
        aof.port.turn_on()
    except OSError as error:
        raise ChangeRefused("Unable to turn on AOF. Check server logs.") from error


def _replicate(engine: ServerEngine) -> None:
    configuration, replication = engine.configuration, engine.replication
    settings = replication.settings
    over_tls = configuration[TLS_REPLICATION]
    settings.listening_port = configuration[TLS_PORT if over_tls else d.PORT]
    settings.backlog_size_bytes = configuration[d.REPL_BACKLOG_SIZE]
    settings.backlog_ttl_ms = configuration[d.REPL_BACKLOG_TTL] * 1000
    settings.timeout_ms = configuration[d.REPL_TIMEOUT] * 1000
    settings.ping_period_ms = configuration[d.REPL_PING_PERIOD] * 1000
    settings.is_diskless = configuration[d.REPL_DISKLESS_SYNC]
    settings.diskless_max_replicas = configuration[d.REPL_DISKLESS_SYNC_MAX_REPLICAS]
    settings.diskless_delay_ms = configuration[d.REPL_DISKLESS_SYNC_DELAY] * 1000
    settings.min_replicas_to_write = configuration[d.MIN_REPLICAS_TO_WRITE]
    settings.min_replicas_max_lag_s = configuration[d.MIN_REPLICAS_MAX_LAG]
    settings.announced_address = configuration[d.REPLICA_ANNOUNCE_IP]
    settings.announced_port = configuration[d.REPLICA_ANNOUNCE_PORT]
    settings.master_user = encode_word(configuration[d.MASTER_USER])
    settings.master_password = encode_word(configuration[d.MASTER_AUTH])
    settings.priority = configuration[d.REPLICA_PRIORITY]
    settings.is_announced = configuration[d.REPLICA_ANNOUNCED]
    settings.is_read_only = configuration[d.REPLICA_READ_ONLY]
    settings.serves_stale_data = configuration[d.REPLICA_SERVE_STALE_DATA]
    limit = configuration[d.OUTPUT_LIMITS][ClientClass.REPLICA]
    settings.output_limit = OutputLimit(
        limit.hard_size_bytes, limit.soft_size_bytes, limit.soft_seconds * 1000
    )
    replication.apply_settings()
    engine.set_role(is_replica=engine.is_replica, is_read_only=settings.is_read_only)
    engine.set_link_state(is_down=engine.is_link_down, serves_stale_data=settings.serves_stale_data)
    has_rule = settings.min_replicas_to_write and settings.min_replicas_max_lag_s
    engine.set_write_guard(
        (lambda: replication.has_enough_replicas(engine.context.now_ms)) if has_rule else None
    )


# Any: a directive's value is of its own type.
@dataclass(frozen=True, slots=True)
class _Binding:
    """What is to be done when one of `directives` is set; `is_for_start`: and at the start."""

    apply: Callable[[ServerEngine], None]
    directives: tuple[Directive[Any], ...]
    is_for_start: bool = True


#: In the order in which they are applied.
_BINDINGS: Final = (
    _Binding(_keep_in_bounds, (d.HZ, d.REPL_BACKLOG_SIZE)),
    _Binding(_switch_aof, (d.APPEND_ONLY,), is_for_start=False),
    _Binding(_collect_history, (d.AOF_DISABLE_AUTO_GC,), is_for_start=False),
    _Binding(_notify, (d.NOTIFY_KEYSPACE_EVENTS,)),
    _Binding(
        _observe,
        (
            d.SLOWLOG_LOG_SLOWER_THAN,
            d.SLOWLOG_MAX_LEN,
            d.LATENCY_MONITOR_THRESHOLD,
            d.LATENCY_TRACKING,
            d.TRACKING_TABLE_MAX_KEYS,
        ),
    ),
    _Binding(_set_password, (d.REQUIRE_PASS,), is_for_start=False),
    _Binding(_control_access, (ACL_LOG_MAX_LEN, ACL_PUBSUB_DEFAULT)),
    _Binding(_serve, (d.QUERY_LIMIT, d.BULK_LIMIT, d.OUTPUT_LIMITS)),
    _Binding(
        _replicate,
        (
            TLS_REPLICATION,
            d.PORT,
            d.OUTPUT_LIMITS,
            d.REPL_BACKLOG_SIZE,
            d.REPL_BACKLOG_TTL,
            d.REPL_TIMEOUT,
            d.REPL_PING_PERIOD,
            d.REPL_DISKLESS_SYNC,
            d.REPL_DISKLESS_SYNC_DELAY,
            d.REPL_DISKLESS_SYNC_MAX_REPLICAS,
            d.MIN_REPLICAS_TO_WRITE,
            d.MIN_REPLICAS_MAX_LAG,
            d.REPLICA_ANNOUNCE_IP,
            d.REPLICA_ANNOUNCE_PORT,
            d.REPLICA_PRIORITY,
            d.REPLICA_ANNOUNCED,
            d.REPLICA_READ_ONLY,
            d.REPLICA_SERVE_STALE_DATA,
            d.MASTER_USER,
            d.MASTER_AUTH,
        ),
    ),
    _Binding(
        _limit_encodings,
        (
            d.HASH_MAX_LISTPACK_ENTRIES,
            d.HASH_MAX_LISTPACK_VALUE,
            d.SET_MAX_INTSET_ENTRIES,
            d.SET_MAX_LISTPACK_ENTRIES,
            d.SET_MAX_LISTPACK_VALUE,
            d.ZSET_MAX_LISTPACK_ENTRIES,
            d.ZSET_MAX_LISTPACK_VALUE,
            d.STREAM_NODE_MAX_BYTES,
            d.STREAM_NODE_MAX_ENTRIES,
        ),
    ),
    _Binding(
        _review_limits,
        (d.SAVE, d.STOP_WRITES_ON_SAVE_ERROR),
        is_for_start=False,
    ),
    _Binding(
        _limit_memory,
        (
            d.MAX_MEMORY,
            d.MAX_MEMORY_POLICY,
            d.MAX_MEMORY_SAMPLES,
            d.REPLICA_IGNORE_MAX_MEMORY,
            d.LFU_LOG_FACTOR,
            d.LFU_DECAY_TIME,
            d.LAZYFREE_LAZY_SERVER_DEL,
        ),
    ),
    _Binding(
        _limit_memory_of_clients,
        (d.MAX_MEMORY_CLIENTS, d.MAX_MEMORY),
    ),
)
