"""What is on the dashboard: its rows and panels, as a table. What Grafana is told of them is in
`dashboard.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_OF_MASTER: Final = 'master_name=~"$master_name"'
_OF_INSTANCE: Final = 'instance=~"$instance"'
_STEP: Final = "$__interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One expression, and how its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel; `kind` and `unit` in Grafana's words, `width` in its 24 columns."""

    title: str
    kind: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


def _panel(
    title: str, kind: str, *queries: tuple[str, str], unit: str = "short", width: int = 8
) -> Panel:
    return Panel(
        title=title,
        kind=kind,
        queries=tuple(Query(expr=expr, legend=legend) for expr, legend in queries),
        unit=unit,
        width=width,
    )


def _quantiles(metric: str, by: str, *quantiles: float) -> tuple[tuple[str, str], ...]:
    return tuple(
        (
            f"histogram_quantile({quantile}, sum by ({by}, le)"
            f" (rate({metric}_bucket{{{_OF_INSTANCE}}}[5m])))",
            f"p{100 * quantile:g} {{{{{by}}}}}",
        )
        for quantile in quantiles
    )


ROWS: Final = (
    Row(
        title="Now",
        panels=(
            _panel(
                "Master and epoch",
                "table",
                (
                    f"max by (master_name, master_address)"
                    f" (redis_sentinel_master_config_epoch{{{_OF_MASTER}}})",
                    "",
                ),
            ),
            _panel(
                "Sentinels that may be lost",
                "stat",
                (
                    f"min by (master_name) (vedette_quorum_margin{{{_OF_MASTER}}})",
                    "{{master_name}}",
                ),
                width=4,
            ),
            _panel(
                "Replicas that could be promoted",
                "stat",
                (
                    f"max by (master_name) (vedette_promotable_replicas{{{_OF_MASTER}}})",
                    "{{master_name}}",
                ),
                width=4,
            ),
            _panel(
                "Since the last switch",
                "stat",
                (
                    "time() - max by (master_name)"
                    f" (vedette_last_switch_timestamp_seconds{{{_OF_MASTER}}})",
                    "{{master_name}}",
                ),
                unit="s",
                width=4,
            ),
            _panel(
                "Would be lost now",
                "stat",
                ("max by (job) (vedette_unreplicated_bytes)", "{{job}}"),
                unit="bytes",
                width=4,
            ),
        ),
    ),
    Row(
        title="Failovers",
        panels=(
            _panel(
                "Time by phase, mean",
                "barchart",
                (
                    f"sum by (master_name, phase)"
                    f" (increase(vedette_failover_phase_seconds_sum{{{_OF_MASTER}}}[$__range]))"
                    f" / sum by (master_name, phase)"
                    f" (increase(vedette_failover_phase_seconds_count{{{_OF_MASTER}}}[$__range]))",
                    "{{phase}}",
                ),
                unit="s",
                width=12,
            ),
            _panel(
                "From the first unanswered ping to the switch",
                "heatmap",
                (
                    "sum by (le) (increase("
                    f"vedette_failover_duration_seconds_bucket{{{_OF_MASTER}}}[{_STEP}]))",
                    "{{le}}",
                ),
                unit="s",
                width=12,
            ),
            _panel(
                "Failovers by result",
                "timeseries",
                (
                    f"sum by (trigger, result)"
                    f" (increase(vedette_failovers_total{{{_OF_MASTER}}}[$__interval])) > 0",
                    "{{trigger}} {{result}}",
                ),
            ),
            _panel(
                "Rounds of election, mean",
                "timeseries",
                (
                    f"sum by (master_name)"
                    f" (increase(vedette_election_rounds_sum{{{_OF_MASTER}}}[1h]))"
                    f" / sum by (master_name)"
                    f" (increase(vedette_election_rounds_count{{{_OF_MASTER}}}[1h]))",
                    "{{master_name}}",
                ),
            ),
            _panel(
                "What decided promotions",
                "timeseries",
                (
                    f"sum by (reason)"
                    f" (increase(vedette_promotions_total{{{_OF_MASTER}}}[$__range]))",
                    "{{reason}}",
                ),
            ),
        ),
    ),
    Row(
        title="Agreement",
        panels=(
            _panel(
                "Who names which master",
                "table",
                (f"redis_sentinel_master_config_epoch{{{_OF_MASTER}}}", ""),
                width=12,
            ),
            _panel(
                "Held down",
                "state-timeline",
                (
                    f"max by (master_name, kind, exported_instance, instance)"
                    f" (vedette_instance_down{{{_OF_MASTER}}})",
                    "{{kind}} {{exported_instance}} by {{instance}}",
                ),
                width=12,
            ),
            _panel(
                "Disagreement",
                "timeseries",
                (f"vedette_split_config{{{_OF_MASTER}}}", "split {{instance}}"),
                (f"vedette_ghost_sentinels{{{_OF_MASTER}}}", "ghosts {{instance}}"),
                (f"vedette_config_conflict{{{_OF_MASTER}}}", "conflict {{instance}}"),
                width=12,
            ),
            _panel(
                "Votes",
                "timeseries",
                (
                    "sum by (candidate) (increase(vedette_votes_cast_total[$__interval]))",
                    "cast for {{candidate}}",
                ),
                (
                    "sum by (candidate) (increase(vedette_votes_received_total[$__interval]))",
                    "told of, for {{candidate}}",
                ),
                width=12,
            ),
        ),
    ),
    Row(
        title="Detection",
        panels=(
            _panel(
                "Ping",
                "timeseries",
                *_quantiles("vedette_ping_rtt_seconds", "kind", 0.5, 0.99),
                unit="s",
            ),
            _panel(
                "Nearness of a false alarm (1 is down)",
                "timeseries",
                (f"vedette_detection_margin_ratio{{{_OF_MASTER}}}", "{{master_name}} {{instance}}"),
                unit="percentunit",
            ),
            _panel(
                "Delay of the sentinel itself",
                "timeseries",
                *_quantiles("vedette_loop_lag_seconds", "instance", 0.99),
                unit="s",
            ),
            _panel(
                "Connections lost",
                "timeseries",
                (
                    f"sum by (link, reason)"
                    f" (rate(vedette_link_losses_total{{{_OF_INSTANCE}}}[5m])) > 0",
                    "{{link}} {{reason}}",
                ),
            ),
            _panel(
                "Pings that failed",
                "timeseries",
                (
                    f"sum by (kind, reason)"
                    f" (rate(vedette_ping_failures_total{{{_OF_INSTANCE}}}[5m])) > 0",
                    "{{kind}} {{reason}}",
                ),
            ),
            _panel(
                "Saving the state",
                "timeseries",
                *_quantiles("vedette_config_persist_seconds", "instance", 0.5, 0.99),
                unit="s",
            ),
            _panel(
                "Ping of each instance, in the mean",
                "timeseries",
                (
                    "sum by (exported_instance, instance, kind)"
                    f" (rate(vedette_instance_ping_rtt_seconds_sum{{{_OF_INSTANCE}}}[5m]))"
                    " / sum by (exported_instance, instance, kind)"
                    f" (rate(vedette_instance_ping_rtt_seconds_count{{{_OF_INSTANCE}}}[5m]))",
                    "{{kind}} {{exported_instance}} by {{instance}}",
                ),
                unit="s",
                width=12,
            ),
            _panel(
                "Elections not won",
                "timeseries",
                (
                    "sum by (result) (increase(vedette_elections_total"
                    f'{{result!="won", {_OF_MASTER}}}[{_STEP}])) > 0',
                    "{{result}}",
                ),
                width=12,
            ),
        ),
    ),
    Row(
        title="Replication",
        panels=(
            _panel(
                "Behind the master",
                "timeseries",
                (f"vedette_replica_lag_bytes{{{_OF_INSTANCE}}}", "{{slave_ip}}:{{slave_port}}"),
                unit="bytes",
            ),
            _panel(
                "Behind the master, in time",
                "timeseries",
                (f"vedette_replica_lag_seconds{{{_OF_INSTANCE}}}", "{{slave_ip}}:{{slave_port}}"),
                unit="s",
            ),
            _panel(
                "Outage that the backlog bridges",
                "timeseries",
                (
                    f"redis_repl_backlog_history_bytes{{{_OF_INSTANCE}}}"
                    " / rate(redis_master_repl_offset[5m])",
                    "{{instance}}",
                ),
                unit="s",
            ),
            _panel(
                "Synchronisations",
                "timeseries",
                (
                    f"sum by (kind) (increase(vedette_resyncs_total{{{_OF_INSTANCE}}}[{_STEP}]))",
                    "{{kind}}",
                ),
            ),
            _panel(
                "Why they were full or partial",
                "timeseries",
                (
                    "sum by (side, kind, reason)"
                    f" (increase(vedette_resync_causes_total{{{_OF_INSTANCE}}}[{_STEP}])) > 0",
                    "{{side}}: {{kind}}, {{reason}}",
                ),
            ),
            _panel(
                "Masters that take writes",
                "state-timeline",
                (f"vedette_master_writable{{{_OF_INSTANCE}}}", "{{instance}}"),
            ),
            _panel(
                "fsync of the append-only file",
                "timeseries",
                *_quantiles("vedette_aof_fsync_seconds", "instance", 0.5, 0.99),
                unit="s",
            ),
            _panel(
                "Roles",
                "state-timeline",
                (f'vedette_node_role{{role="master", {_OF_INSTANCE}}}', "{{instance}}"),
            ),
            _panel(
                "Refused",
                "timeseries",
                (
                    f"sum by (reason)"
                    f" (rate(vedette_writes_rejected_total{{{_OF_INSTANCE}}}[1m])) > 0",
                    "{{reason}}",
                ),
            ),
        ),
    ),
    Row(
        title="Clients",
        panels=(
            _panel(
                "Without a master",
                "timeseries",
                *_quantiles("vedette_client_failover_seconds", "client", 0.5, 0.99),
                unit="s",
            ),
            _panel(
                "Why the master was left",
                "timeseries",
                (
                    f"sum by (client, reason)"
                    f" (increase(vedette_client_reresolve_total[{_STEP}])) > 0",
                    "{{client}} {{reason}}",
                ),
            ),
            _panel(
                "Unknown outcome, or no master in time",
                "timeseries",
                (
                    f"sum by (client) (increase(vedette_client_unknown_outcome_total[{_STEP}]))",
                    "{{client}} unknown",
                ),
                (
                    f"sum by (client) (increase(vedette_client_unavailable_total[{_STEP}]))",
                    "{{client}} unavailable",
                ),
            ),
        ),
    ),
    Row(
        title="Drills",
        panels=(
            _panel("Last result", "table", ("vedette_drill_last_result", "{{drill}}")),
            _panel(
                "Outage of writers",
                "timeseries",
                ("vedette_drill_write_downtime_seconds", "{{drill}} p{{quantile}}"),
                unit="s",
            ),
            _panel(
                "Acknowledged writes lost",
                "timeseries",
                ("vedette_drill_lost_acknowledged_writes", "{{drill}}"),
            ),
            _panel(
                "Two masters, and the oldest answer",
                "timeseries",
                ("vedette_drill_split_brain_seconds", "two masters {{drill}}"),
                ("vedette_drill_stale_read_seconds_max", "out of date {{drill}}"),
                unit="s",
                width=12,
            ),
            _panel(
                "Synchronisations, duplicates",
                "timeseries",
                ("vedette_drill_resyncs", "{{kind}} {{drill}}"),
                ("vedette_drill_duplicate_applies", "applied twice {{drill}}"),
                width=12,
            ),
        ),
    ),
    Row(
        title="Nodes",
        panels=(
            _panel(
                "Commands",
                "timeseries",
                (f"rate(redis_commands_processed_total{{{_OF_INSTANCE}}}[1m])", "{{instance}}"),
                unit="ops",
            ),
            _panel(
                "Memory",
                "timeseries",
                (f"redis_memory_used_bytes{{{_OF_INSTANCE}}}", "used {{instance}}"),
                (f"redis_memory_max_bytes{{{_OF_INSTANCE}}}", "limit {{instance}}"),
                unit="bytes",
            ),
            _panel(
                "Clients",
                "timeseries",
                (f"redis_connected_clients{{{_OF_INSTANCE}}}", "{{instance}}"),
                (f"redis_blocked_clients{{{_OF_INSTANCE}}}", "waiting {{instance}}"),
            ),
            _panel(
                "Keys",
                "timeseries",
                (f"sum by (instance) (redis_db_keys{{{_OF_INSTANCE}}})", "{{instance}}"),
            ),
            _panel(
                "Look-ups that found something",
                "timeseries",
                (
                    f"rate(redis_keyspace_hits_total{{{_OF_INSTANCE}}}[5m])"
                    f" / (rate(redis_keyspace_hits_total{{{_OF_INSTANCE}}}[5m])"
                    f" + rate(redis_keyspace_misses_total{{{_OF_INSTANCE}}}[5m]))",
                    "{{instance}}",
                ),
                unit="percentunit",
            ),
            _panel(
                "Network",
                "timeseries",
                (f"rate(redis_net_input_bytes_total{{{_OF_INSTANCE}}}[1m])", "in {{instance}}"),
                (f"rate(redis_net_output_bytes_total{{{_OF_INSTANCE}}}[1m])", "out {{instance}}"),
                unit="Bps",
            ),
        ),
    ),
)

#: When a master changed, on every panel.
SWITCHES: Final = "max by (master_name) (increase(vedette_master_switches_total[1m])) > 0"
