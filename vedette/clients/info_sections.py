"""The parts of INFO that server and sentinel have in common, as fields by name.

Pure: counters come from the engine, the rest as arguments. Names and number formats are those of
Redis 7.0 `server.c: genRedisInfoString`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from .session import ClientKind

if TYPE_CHECKING:
    from ..cmdspec import CommandTable
    from .engine import Engine

#: How many samples an instantaneous rate is the mean of.
RATE_SAMPLES: Final = 16


class Rate:
    """How fast a counter grows, as the mean over the latest samples."""

    def __init__(self) -> None:
        self._last: tuple[int, int] | None = None
        self._per_second: deque[float] = deque(maxlen=RATE_SAMPLES)

    def sample(self, now_ms: int, count: int) -> None:
        """Note that the counter stands at `count`; a counter that was reset starts anew."""
        last = self._last
        self._last = (now_ms, count)
        if last is None or count < last[1]:
            return
        if now_ms > last[0]:
            self._per_second.append((count - last[1]) * 1000 / (now_ms - last[0]))

    @property
    def per_second(self) -> float:
        """The growth in one second."""
        return sum(self._per_second) / len(self._per_second) if self._per_second else 0.0


class TrafficRates:
    """The instantaneous rates of INFO stats; `sample` is to be called about ten times a second."""

    def __init__(self) -> None:
        self.commands = Rate()
        self.input_bytes = Rate()
        self.output_bytes = Rate()

    def sample(self, now_ms: int, engine: Engine) -> None:
        """Read the counters of `engine`."""
        self.commands.sample(now_ms, engine.commands_processed)
        self.input_bytes.sample(now_ms, engine.input_bytes)
        self.output_bytes.sample(now_ms, engine.output_bytes)


def clients_fields(engine: Engine, max_clients: int) -> dict[str, object]:
    """Return the section `clients`; replicas do not count as connected clients."""
    sessions = list(engine.clients)
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
        "tracking_clients": 0,
        "clients_in_timeout_table": sum(
            session.blocked is not None and session.blocked.deadline_ms is not None
            for session in sessions
        ),
    }


def traffic_fields(engine: Engine, rates: TrafficRates) -> dict[str, object]:
    """Return the beginning of the section `stats`: connections, commands, bytes."""
    return {
        "total_connections_received": engine.clients.accepted_count,
        "total_commands_processed": engine.commands_processed,
        "instantaneous_ops_per_sec": round(rates.commands.per_second),
        "total_net_input_bytes": engine.input_bytes,
        "total_net_output_bytes": engine.output_bytes,
        "instantaneous_input_kbps": f"{rates.input_bytes.per_second / 1024:.2f}",
        "instantaneous_output_kbps": f"{rates.output_bytes.per_second / 1024:.2f}",
        "rejected_connections": engine.clients.rejected_count,
    }


def pubsub_and_error_fields(engine: Engine) -> dict[str, object]:
    """Return the rest of the section `stats` that both programs have."""
    return {
        "pubsub_channels": engine.pubsub.channel_count,
        "pubsub_patterns": engine.pubsub.pattern_count,
        "pubsubshard_channels": 0,
        "unexpected_error_replies": 0,
        "total_error_replies": engine.error_replies,
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


def errorstats_fields(engine: Engine) -> dict[str, object]:
    """Return the section `errorstats`: one field for each error code that was replied."""
    return {
        f"errorstat_{code.decode('latin-1')}": f"count={count}"
        for code, count in sorted(engine.errors_by_code.items())
    }


def cpu_fields(seconds: tuple[float, float, float, float]) -> dict[str, object]:
    """Return the section `cpu` from system and user seconds, own ones then the children's."""
    system, user, children_system, children_user = seconds
    return {
        "used_cpu_sys": f"{system:.6f}",
        "used_cpu_user": f"{user:.6f}",
        "used_cpu_sys_children": f"{children_system:.6f}",
        "used_cpu_user_children": f"{children_user:.6f}",
    }


def reset_statistics(engine: Engine) -> None:
    """Clear what CONFIG RESETSTAT clears of the above."""
    engine.clients.accepted_count = 0
    engine.clients.rejected_count = 0
    engine.commands_processed = 0
    engine.input_bytes = 0
    engine.output_bytes = 0
    engine.error_replies = 0
    engine.errors_by_code.clear()
    for row in engine.table.all_rows():
        row.reset_statistics()
