"""The alerts that we ship, as a table, and Prometheus' rule files made from it.

`python -m monitoring.alert_rules` writes `monitoring/alerts/*.yml`; a test compares the files with
the table, runs promtool's unit tests on them, and looks for every metric among those that exist.
Two packs: `vedette.yml` for what our programs and exporter expose, `redis-sentinel.yml` for who has
only redis_exporter's series.

A page (`severity: page`) is a symptom that needs somebody now; a ticket can wait for the morning;
info is worth knowing. Pure but for `main`, which only developers run.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DIRECTORY: Final = Path(__file__).with_name("alerts")
_RUNBOOK: Final = "docs/alerts.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alerting rule."""

    name: str
    expr: str
    #: How long it must hold: Prometheus' spelling, `0s` for at once.
    hold: str
    #: `page`, `ticket` or `info`.
    severity: str
    summary: str

    @property
    def runbook(self) -> str:
        """Where docs/alerts.md says what to do."""
        return f"{_RUNBOOK}#{self.name.lower()}"


def _page(name: str, hold: str, expr: str, summary: str) -> Alert:
    return Alert(name=name, expr=expr, hold=hold, severity="page", summary=summary)


def _ticket(name: str, hold: str, expr: str, summary: str) -> Alert:
    return Alert(name=name, expr=expr, hold=hold, severity="ticket", summary=summary)


def _info(name: str, hold: str, expr: str, summary: str) -> Alert:
    return Alert(name=name, expr=expr, hold=hold, severity="info", summary=summary)


VEDETTE: Final = (
    _page(
        "VedetteMasterDown",
        "0s",
        'max by (master_name) (vedette_master_down{scope="objective"}) == 1',
        "A quorum of sentinels holds the master down",
    ),
    _page(
        "VedetteNoWritableMaster",
        "15s",
        'min by (master_name) (vedette_master_down{scope="objective"}) == 1',
        "No sentinel has had a living master for 15 s: the failover does not succeed",
    ),
    _page(
        "VedetteSplitBrain",
        "5s",
        'sum by (job) (vedette_node_role{role="master"}) > 1',
        "More than one node of a job takes itself for the master",
    ),
    _page(
        "VedetteQuorumLost",
        "10s",
        "max by (master_name) (vedette_quorum_reachable) == 0",
        "Too few sentinels live to hold a master down: nothing would be failed over",
    ),
    _page(
        "VedetteMajorityLost",
        "10s",
        "max by (master_name) (vedette_failover_authorizable) == 0",
        "Too few sentinels live to elect a leader: nothing would be failed over",
    ),
    _page(
        "VedetteFailoverStuck",
        "0s",
        "time() - vedette_failover_phase_start_timestamp_seconds > 30",
        "A failover has been in one state for more than 30 s",
    ),
    _page(
        "VedetteNoPromotableReplica",
        "1m",
        "max by (master_name) (vedette_promotable_replicas) == 0",
        "No replica could be promoted",
    ),
    _page(
        "VedetteFailoverFlapping",
        "0s",
        "max by (master_name) (sum without (role) (increase(vedette_master_switches_total[30m])))"
        " > 2",
        "The master has changed more than twice in half an hour",
    ),
    _ticket(
        "VedetteMasterViewsDiffer",
        "30s",
        "max by (master_name) (vedette_split_config) > 0"
        " or max by (master_name) (vedette_config_conflict) > 0",
        "Sentinels name different masters",
    ),
    _ticket(
        "VedetteEpochsDiffer",
        "30s",
        "max by (master_name) (redis_sentinel_master_config_epoch)"
        " != min by (master_name) (redis_sentinel_master_config_epoch)",
        "Sentinels hold configurations of different epochs",
    ),
    _ticket(
        "VedetteGhostSentinels",
        "5m",
        "max by (master_name) (vedette_ghost_sentinels) > 0",
        "Sentinels count for the majority and do not answer",
    ),
    _info(
        "VedetteFailoverHappened",
        "0s",
        "max by (master_name) (sum without (role) (increase(vedette_master_switches_total[5m])))"
        " > 0",
        "The master has changed",
    ),
    _ticket(
        "VedetteFailoverAborted",
        "1m",
        "sum by (master_name, result)"
        ' (increase(vedette_failovers_total{result!~"completed|superseded|not_elected"}[10m])) > 0'
        # Who stood beside the one that won has given up nothing.
        " or (sum by (master_name, result)"
        ' (increase(vedette_failovers_total{result="not_elected"}[10m])) > 0'
        " unless on (master_name) sum by (master_name)"
        ' (increase(vedette_master_switches_total{role="leader"}[10m])) > 0)',
        "A failover was given up",
    ),
    _ticket(
        "VedetteFailoverSlow",
        "0s",
        "histogram_quantile(0.5, sum by (master_name, le)"
        ' (increase(vedette_failover_duration_seconds_bucket{role="leader"}[1h]))) > 10',
        "Failovers take more than 10 s from the first unanswered ping",
    ),
    _ticket(
        "VedetteOnePromotableReplica",
        "15m",
        "max by (master_name) (vedette_promotable_replicas) == 1",
        "Only one replica could be promoted",
    ),
    _ticket(
        "VedetteReplicaNearFullResync",
        "1m",
        "vedette_replica_lag_bytes"
        " > on (job, instance) group_left () 0.8 * redis_replication_backlog_bytes",
        "A replica is so far behind that a lost link would cost a full synchronisation",
    ),
    _ticket(
        "VedetteReplicaLag",
        "1m",
        "vedette_replica_lag_bytes"
        " / on (job, instance) group_left () rate(redis_master_repl_offset[1m]) > 10",
        "A replica is more than 10 s of writes behind",
    ),
    _ticket(
        "VedetteMasterLinkDown",
        "1m",
        "redis_master_link_up == 0",
        "A replica has no link to its master",
    ),
    _ticket(
        "VedetteFullResyncStorm",
        "0s",
        'increase(vedette_resyncs_total{kind="full"}[10m]) > 3',
        "A node has served more than three full synchronisations in ten minutes",
    ),
    _ticket("VedetteTilt", "0s", "redis_sentinel_tilt == 1", "A sentinel distrusts its own clock"),
    _ticket(
        "VedetteSentinelLate",
        "1m",
        "histogram_quantile(0.99, sum by (job, instance, le)"
        " (rate(vedette_loop_lag_seconds_bucket[5m]))) > 0.5",
        "A sentinel's decisions come half a second late: its machine is overloaded",
    ),
    _ticket(
        "VedetteStateNotSaved",
        "0s",
        "vedette_config_persist_failing == 1",
        "A sentinel cannot save its state, and so casts no vote",
    ),
    _ticket(
        "VedetteInstanceFlapping",
        "0s",
        "increase(vedette_sdown_total[15m]) > 5",
        "Instances of a kind are held down again and again",
    ),
    _ticket(
        "VedetteNearFalseFailover",
        "0s",
        "vedette_detection_margin_ratio > 0.5 unless on (master_name)"
        ' max by (master_name) (vedette_master_down{scope="subjective"}) == 1',
        "A master that lives was silent for more than half of down-after",
    ),
    _ticket(
        "VedettePingsFail",
        "1m",
        "sum by (job, instance, kind, reason)"
        ' (rate(vedette_ping_failures_total{reason!="lost"}[2m])) > 0',
        "PINGs are answered with errors",
    ),
    _ticket(
        "VedetteWritesBlocked",
        "0s",
        'increase(vedette_writes_rejected_total{reason=~"noreplicas|misconf|oom"}[2m]) > 0',
        "A master refuses writes: too few replicas, a failed save, or no memory",
    ),
    _ticket(
        "VedetteScriptsWait",
        "1m",
        "redis_sentinel_scripts_queue_length > 50",
        "Notification scripts pile up",
    ),
    _ticket(
        "VedetteBadInput",
        "0s",
        'sum by (job, instance, kind) (increase(vedette_refused_inputs_total{kind!="stale"}[10m]))'
        " > 0",
        "Somebody sends a sentinel what is not believed",
    ),
    _ticket(
        "VedetteTlsExpiry",
        "0s",
        "vedette_tls_certificate_expiry_timestamp_seconds - time() < 14 * 86400",
        "A certificate expires within 14 days",
    ),
    _ticket(
        "VedettePingSlow",
        "1m",
        "histogram_quantile(0.99, sum by (job, instance, kind, le)"
        " (rate(vedette_ping_rtt_seconds_bucket[5m])))"
        " > on (job, instance) group_left () min by (job, instance)"
        " (redis_sentinel_master_setting_down_after_milliseconds) / 4000",
        "One ping of a hundred takes more than a quarter of down-after",
    ),
    _ticket(
        "VedetteNoWritesTaken",
        "1m",
        'vedette_master_writable == 0 and on (job, instance) vedette_node_role{role="master"} == 1',
        "A node that is master takes no writes",
    ),
    _ticket(
        "VedetteTargetDown",
        "1m",
        # A process that serves its own metrics is missed by Prometheus itself; of its job there has
        # to have been one that tells of Redis, for others' targets are others' business.
        "redis_up == 0 or (up == 0 and on (job) group by (job) (last_over_time(redis_up[1d])))",
        "A node or sentinel does not answer the exporter, or Prometheus",
    ),
    _ticket(
        "VedetteDrillOverdue",
        "0s",
        "time() - vedette_drill_last_pass_timestamp_seconds > 30 * 86400",
        "No drill of this name has passed for 30 days",
    ),
    _ticket("VedetteDrillFailed", "0s", "vedette_drill_last_result == 0", "The last drill failed"),
    _ticket(
        "VedetteDrillLostWrites",
        "0s",
        "vedette_drill_lost_writes_beyond_budget > 0",
        "The last drill lost more acknowledged writes than its budget allows",
    ),
)

_SENTINELS_AGREE: Final = "count by (master_name, master_address) (redis_sentinel_master_status)"

REDIS_SENTINEL: Final = (
    _page(
        "SentinelMasterNotOk",
        "15s",
        "max by (master_name) (redis_sentinel_master_status) == 0",
        "No sentinel takes the master for well",
    ),
    _page(
        "SentinelQuorumLost",
        "30s",
        "max by (master_name) (redis_sentinel_master_ckquorum_status) == 0",
        "CKQUORUM fails everywhere: nothing would be failed over",
    ),
    _page(
        "SentinelNoReplica",
        "1m",
        "max by (master_name) (redis_sentinel_master_ok_slaves) == 0",
        "No replica is up",
    ),
    _ticket(
        "SentinelMasterViewsDiffer",
        "30s",
        f"count by (master_name) ({_SENTINELS_AGREE}) > 1",
        "Sentinels name different masters",
    ),
    _ticket(
        "SentinelFew",
        "5m",
        "max by (master_name) (redis_sentinel_master_ok_sentinels)"
        " <= max by (master_name) (redis_sentinel_master_sentinels) / 2",
        "Half of the sentinels or fewer are left",
    ),
    _ticket("SentinelTilt", "1m", "redis_sentinel_tilt == 1", "A sentinel is in TILT"),
    _info(
        "SentinelFailoverHappened",
        "0s",
        "max by (master_name) (redis_sentinel_master_config_epoch)"
        " > max by (master_name) (redis_sentinel_master_config_epoch offset 5m)",
        "The master's configuration is of a new epoch",
    ),
)

#: File -> the alerts in it.
PACKS: Final[dict[str, tuple[Alert, ...]]] = {
    "vedette.yml": VEDETTE,
    "redis-sentinel.yml": REDIS_SENTINEL,
}


def render_pack(name: str, alerts: Sequence[Alert]) -> str:
    """Return the text of a rule file whose one group is called `name`."""
    lines = [
        "# Made by `python -m monitoring.alert_rules`; what to do is in docs/alerts.md.",
        "groups:",
        f"  - name: {name}",
        "    rules:",
    ]
    for alert in alerts:
        lines += [
            f"      - alert: {alert.name}",
            "        expr: >-",
            f"          {alert.expr}",
            f"        for: {alert.hold}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {_quoted(alert.summary)}",
            f"          runbook: {_quoted(alert.runbook)}",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    assert '"' not in text
    assert "\\" not in text
    return f'"{text}"'


def main() -> int:
    """Write the rule files."""
    for name, alerts in PACKS.items():
        (_DIRECTORY / name).write_text(render_pack(name.removesuffix(".yml"), alerts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
