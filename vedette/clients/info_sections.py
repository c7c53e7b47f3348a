"""The parts of INFO that server and sentinel have in common, as fields by name.

Pure: counters come from the engine, the rest as arguments. Names and number formats are those of
Redis 7.0 `server.c: genRedisInfoString`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..acl import DenialReason
from .session import ClientKind

if TYPE_CHECKING:
    from ..cmdspec import CommandTable
    from .engine import Engine
    from .rates import Rates


def clients_fields(engine: Engine, max_clients: int) -> dict[str, object]:
    """Return the section `clients`; replicas do not count as connected clients."""
    sessions = list(engine.clients)
    awaited_keys, awaited_losses = engine.count_awaited_keys()
    return {
        "connected_clients": sum(session.kind is not ClientKind.REPLICA for session in sessions),
        "cluster_connections": 0,
        "maxclients": max_clients,
        "client_recent_max_input_buffer": max(
            (session.parser.buffered_bytes + session.waiting_bytes for session in sessions),
            default=0,
        ),
        "client_recent_max_output_buffer": max(
            (session.unsent_bytes for session in sessions), default=0
        ),
        "blocked_clients": sum(session.blocked is not None for session in sessions),
        "tracking_clients": sum(session.tracking is not None for session in sessions),
        "clients_in_timeout_table": sum(
            session.blocked is not None and session.blocked.deadline_ms is not None
            for session in sessions
        ),
        "total_blocking_keys": awaited_keys,
        "total_blocking_keys_on_nokey": awaited_losses,
    }


def traffic_fields(
    engine: Engine, rates: Rates | None = None, repl_bytes: tuple[int, int] | None = None
) -> dict[str, object]:
    """Return the beginning of the section `stats`: connections, commands, bytes.

    Without `rates` the instantaneous fields are left out. `repl_bytes` is what came from the master
    and went to replicas; None: nothing is ever replicated.
    """
    repl_input_bytes, repl_output_bytes = repl_bytes or (0, 0)
    fields: dict[str, object] = {
        "total_connections_received": engine.clients.accepted_count,
        "total_commands_processed": engine.commands_processed,
    }
    if rates is not None:
        fields["instantaneous_ops_per_sec"] = round(rates.commands_per_second)
    fields["total_net_input_bytes"] = engine.input_bytes + repl_input_bytes
    fields["total_net_output_bytes"] = engine.output_bytes + repl_output_bytes
    if repl_bytes is not None:
        fields["total_net_repl_input_bytes"] = repl_input_bytes
        fields["total_net_repl_output_bytes"] = repl_output_bytes
    if rates is not None:
        fields["instantaneous_input_kbps"] = _kilobytes(rates.input_bytes_per_second)
        fields["instantaneous_output_kbps"] = _kilobytes(rates.output_bytes_per_second)
    if rates is not None and repl_bytes is not None:
        fields["instantaneous_input_repl_kbps"] = _kilobytes(rates.repl_input_bytes_per_second)
        fields["instantaneous_output_repl_kbps"] = _kilobytes(rates.repl_output_bytes_per_second)
    fields["rejected_connections"] = engine.clients.rejected_count
    return fields


def _kilobytes(size_bytes: float) -> str:
    return f"{size_bytes / 1024:.2f}"


def pubsub_fields(engine: Engine) -> dict[str, object]:
    """Return what the section `stats` says of channels."""
    return {
        "pubsub_channels": engine.pubsub.channel_count,
        "pubsub_patterns": engine.pubsub.pattern_count,
        "pubsubshard_channels": engine.pubsub.shard_channel_count,
    }


def error_fields(engine: Engine) -> dict[str, object]:
    """Return what the section `stats` says of errors."""
    return {
        "unexpected_error_replies": engine.unexpected_error_replies,
        "total_error_replies": engine.error_replies,
    }


def cycle_fields(engine: Engine, rates: Rates) -> dict[str, object]:
    """Return what the section `stats` says of batches, the turns of Redis' event loop.

    A turn that finds nothing to do is none here.
    """
    commands_s = sum([row.seconds for row in engine.table.all_rows()])
    return {
        "eventloop_cycles": engine.cycles,
        "eventloop_duration_sum": round(engine.cycles_s * 1e6),
        "eventloop_duration_cmd_sum": round(commands_s * 1e6),
        "instantaneous_eventloop_cycles_per_sec": round(rates.cycles_per_second),
        "instantaneous_eventloop_duration_usec": round(rates.seconds_per_cycle * 1e6),
    }


def access_fields(engine: Engine) -> dict[str, object]:
    """Return the end of the section `stats`: what access control has refused, as Redis 7.2 does."""
    counts = engine.access.denial_counts
    return {
        "acl_access_denied_auth": counts[DenialReason.AUTH],
        "acl_access_denied_cmd": counts[DenialReason.COMMAND],
        "acl_access_denied_key": counts[DenialReason.KEY],
        "acl_access_denied_channel": counts[DenialReason.CHANNEL],
    }


def commandstats_fields(table: CommandTable) -> dict[str, object]:
    """Return the section `commandstats`: one field for each command that was sent."""
    fields: dict[str, object] = {}
    for row in table.all_rows():
        if not (row.calls or row.rejected_calls or row.failed_calls):
            continue
        usec = round(row.seconds * 1_000_000)
        per_call = usec / row.calls if row.calls else 0.0
        fields[f"cmdstat_{row.full_name}"] = (
            f"calls={row.calls},usec={usec},usec_per_call={per_call:.2f}"
            f",rejected_calls={row.rejected_calls},failed_calls={row.failed_calls}"
        )
    return fields


def latencystats_fields(table: CommandTable, percentiles: Sequence[float]) -> dict[str, object]:
    """Return the section `latencystats`: microseconds that most calls of a command stayed below."""
    fields: dict[str, object] = {}
    for row in table.all_rows():
        histogram = row.histogram
        if histogram is not None:
            fields[f"latency_percentiles_usec_{row.full_name}"] = ",".join(
                f"p{format_percentile(each)}={histogram.percentile_us(each):.3f}"
                for each in percentiles
            )
    return fields


def format_percentile(value: float) -> str:
    """Return a percentile with up to six digits behind the point, and no zeros at the end."""
    return f"{value:f}".rstrip("0").rstrip(".")


def errorstats_fields(engine: Engine) -> dict[str, object]:
    """Return the section `errorstats`: one field for each error code that was replied."""
    return {
        f"errorstat_{code.decode('latin-1')}": f"count={count}"
        for code, count in sorted(engine.errors_by_code.items())
    }


def cpu_fields(
    seconds: tuple[float, float, float, float], main_thread: tuple[float, float] | None = None
) -> dict[str, object]:
    """Return the section `cpu` from system and user seconds, own ones then the children's.

    `main_thread` are those of the thread that serves; None where that is not asked for.
    """
    system, user, children_system, children_user = seconds
    fields: dict[str, object] = {
        "used_cpu_sys": f"{system:.6f}",
        "used_cpu_user": f"{user:.6f}",
        "used_cpu_sys_children": f"{children_system:.6f}",
        "used_cpu_user_children": f"{children_user:.6f}",
    }
    if main_thread is not None:
        fields["used_cpu_sys_main_thread"] = f"{main_thread[0]:.6f}"
        fields["used_cpu_user_main_thread"] = f"{main_thread[1]:.6f}"
    return fields


def reset_statistics(engine: Engine) -> None:
    """Clear what CONFIG RESETSTAT clears of the above."""
    engine.clients.accepted_count = 0
    engine.clients.rejected_count = 0
    engine.commands_processed = 0
    engine.input_bytes = 0
    engine.output_bytes = 0
    engine.reads_processed = 0
    engine.writes_processed = 0
    engine.cycles = 0
    engine.cycles_s = 0.0
    engine.error_replies = 0
    engine.unexpected_error_replies = 0
    engine.errors_by_code.clear()
    engine.access.denial_counts.clear()
    for row in engine.table.all_rows():
        row.reset_statistics()
