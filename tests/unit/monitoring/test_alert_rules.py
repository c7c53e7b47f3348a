"""The alerts that are shipped: promtool reads them, and each fires when it should and not else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import monitoring.alert_rules
from monitoring.alert_rules import PACKS, Alert, render_pack
from monitoring.catalogue import ALL_SPECS
from tests.support.documents import ROOT
from tests.support.redis import SKIP_PREFIX

ALERTS = Path(monitoring.alert_rules.__file__).with_name("alerts")
RUNBOOKS = ROOT / "docs" / "alerts.md"

Labels = dict[str, str]
#: Series and their values each minute, and the labels of the alerts that must fire after ten.
Case = tuple[dict[str, str], list[Labels]]

M: Labels = {"master_name": "m"}
NODE: Labels = {"job": "redis", "instance": "a:9121"}


def on(labels: Labels) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def of(name: str, values: str, **labels: str) -> dict[str, str]:
    return {f"{name}{on(labels)}": values}


ODOWN = {"scope": "objective"}

#: For each alert: when it fires, and when it only just does not.
TOOK = "vedette_failover_duration_seconds_bucket"
ENDS, DAY_S = "vedette_tls_certificate_expiry_timestamp_seconds", 86_400
PING = "vedette_ping_rtt_seconds_bucket"
DOWN_AFTER = "redis_sentinel_master_setting_down_after_milliseconds"
LATE = "vedette_drill_last_pass_timestamp_seconds"
CASES: dict[str, tuple[Case, ...]] = {
    "VedetteMasterDown": (
        (of("vedette_master_down", "0x9 1", master_name="m", **ODOWN), [M]),
        (of("vedette_master_down", "0x10", master_name="m", **ODOWN), []),
    ),
    "VedetteNoWritableMaster": (
        (of("vedette_master_down", "1x10", master_name="m", **ODOWN), [M]),
        (
            of("vedette_master_down", "1x10", master_name="m", instance="a", **ODOWN)
            | of("vedette_master_down", "0x10", master_name="m", instance="b", **ODOWN),
            [],
        ),
    ),
    "VedetteSplitBrain": (
        (
            of("vedette_node_role", "1x10", job="j", instance="a", role="master")
            | of("vedette_node_role", "1x10", job="j", instance="b", role="master"),
            [{"job": "j"}],
        ),
        (
            of("vedette_node_role", "1x10", job="j", instance="a", role="master")
            | of("vedette_node_role", "0x10", job="j", instance="b", role="master")
            | of("vedette_node_role", "1x10", job="k", instance="c", role="master"),
            [],
        ),
    ),
    "VedetteQuorumLost": (
        (of("vedette_quorum_reachable", "0x10", **M), [M]),
        (of("vedette_quorum_reachable", "1x10", **M), []),
    ),
    "VedetteMajorityLost": (
        (of("vedette_failover_authorizable", "0x10", **M), [M]),
        (of("vedette_failover_authorizable", "0x9 1", **M), []),
    ),
    "VedetteFailoverStuck": (
        (of("vedette_failover_phase_start_timestamp_seconds", "500x10", **M), [M]),
        (of("vedette_failover_phase_start_timestamp_seconds", "590x10", **M), []),
    ),
    "VedetteNoPromotableReplica": (
        (of("vedette_promotable_replicas", "0x10", **M), [M]),
        (of("vedette_promotable_replicas", "1x10", **M), []),
    ),
    "VedetteFailoverFlapping": (
        (of("vedette_master_switches_total", "0 0 1 2 3 4x6", role="observer", **M), [M]),
        (of("vedette_master_switches_total", "0 0 1 1x8", role="observer", **M), []),
    ),
    "VedetteMasterViewsDiffer": (
        (of("vedette_split_config", "1x10", **M), [M]),
        (
            of("vedette_split_config", "0x10", **M) | of("vedette_config_conflict", "0x10", **M),
            [],
        ),
    ),
    "VedetteEpochsDiffer": (
        (
            of("redis_sentinel_master_config_epoch", "4x10", instance="a", **M)
            | of("redis_sentinel_master_config_epoch", "5x10", instance="b", **M),
            [M],
        ),
        (
            of("redis_sentinel_master_config_epoch", "5x10", instance="a", **M)
            | of("redis_sentinel_master_config_epoch", "4x9 5", instance="b", **M),
            [],
        ),
    ),
    "VedetteGhostSentinels": (
        (of("vedette_ghost_sentinels", "1x10", **M), [M]),
        (of("vedette_ghost_sentinels", "0x6 1x4", **M), []),
    ),
    "VedetteFailoverHappened": (
        (of("vedette_master_switches_total", "0x8 1 1", role="leader", **M), [M]),
        (of("vedette_master_switches_total", "1x10", role="leader", **M), []),
    ),
    "VedetteFailoverAborted": (
        (
            of("vedette_failovers_total", "0x8 1 1", result="not_elected", **M),
            [{**M, "result": "not_elected"}],
        ),
        (
            of("vedette_failovers_total", "0x8 1 1", result="no_good_replica", **M)
            | of("vedette_master_switches_total", "0x8 1 1", role="leader", **M),
            [{**M, "result": "no_good_replica"}],
        ),
        (of("vedette_failovers_total", "0x8 1 1", result="completed", **M), []),
        # Another sentinel stood at the same time, and won: in an ordinary failover.
        (
            of("vedette_failovers_total", "0x8 1 1", result="not_elected", **M)
            | of("vedette_master_switches_total", "0x8 1 1", role="leader", **M),
            [],
        ),
    ),
    "VedetteFailoverSlow": (
        (
            of(TOOK, "0x10", role="leader", le="10.0", **M)
            | of(TOOK, "0 1x9", role="leader", le="15.0", **M)
            | of(
                "vedette_failover_duration_seconds_bucket", "0 1x9", role="leader", le="+Inf", **M
            ),
            [M],
        ),
        (
            of(TOOK, "0 1x9", role="leader", le="10.0", **M)
            | of(
                "vedette_failover_duration_seconds_bucket", "0 1x9", role="leader", le="+Inf", **M
            ),
            [],
        ),
    ),
    "VedetteOnePromotableReplica": (
        (of("vedette_promotable_replicas", "1x30", **M), [M]),
        (of("vedette_promotable_replicas", "2x30", **M), []),
    ),
    "VedetteReplicaNearFullResync": (
        (
            of("vedette_replica_lag_bytes", "90x10", slave_port="1", **NODE)
            | of("redis_replication_backlog_bytes", "100x10", **NODE),
            [{**NODE, "slave_port": "1"}],
        ),
        (
            of("vedette_replica_lag_bytes", "70x10", slave_port="1", **NODE)
            | of("redis_replication_backlog_bytes", "100x10", **NODE),
            [],
        ),
    ),
    "VedetteReplicaLag": (
        (
            of("vedette_replica_lag_bytes", "1200x10", slave_port="1", **NODE)
            | of("redis_master_repl_offset", "0+6000x20", **NODE),
            [{**NODE, "slave_port": "1"}],
        ),
        (
            of("vedette_replica_lag_bytes", "800x10", slave_port="1", **NODE)
            | of("redis_master_repl_offset", "0+6000x20", **NODE),
            [],
        ),
    ),
    "VedetteMasterLinkDown": (
        (of("redis_master_link_up", "0x10", **NODE), [NODE]),
        (of("redis_master_link_up", "0x9 1", **NODE), []),
    ),
    "VedetteFullResyncStorm": (
        (of("vedette_resyncs_total", "0+1x10", kind="full", **NODE), [{**NODE, "kind": "full"}]),
        (of("vedette_resyncs_total", "0+1x10", kind="partial", **NODE), []),
    ),
    "VedetteTilt": (
        (of("redis_sentinel_tilt", "1x10", **NODE), [NODE]),
        (of("redis_sentinel_tilt", "0x10", **NODE), []),
    ),
    "VedetteSentinelLate": (
        (
            of("vedette_loop_lag_seconds_bucket", "0x10", le="0.5", **NODE)
            | of("vedette_loop_lag_seconds_bucket", "0+9x10", le="1.0", **NODE)
            | of("vedette_loop_lag_seconds_bucket", "0+9x10", le="+Inf", **NODE),
            [NODE],
        ),
        (
            of("vedette_loop_lag_seconds_bucket", "0+9x10", le="0.5", **NODE)
            | of("vedette_loop_lag_seconds_bucket", "0+9x10", le="+Inf", **NODE),
            [],
        ),
    ),
    "VedetteStateNotSaved": (
        (of("vedette_config_persist_failing", "1x10", **NODE), [NODE]),
        (of("vedette_config_persist_failing", "0x10", **NODE), []),
    ),
    "VedetteInstanceFlapping": (
        (of("vedette_sdown_total", "0+1x10", kind="replica", **M), [{**M, "kind": "replica"}]),
        (of("vedette_sdown_total", "0x8 1 2", kind="replica", **M), []),
    ),
    "VedetteNearFalseFailover": (
        (of("vedette_detection_margin_ratio", "0.6x10", **M), [M]),
        (
            of("vedette_detection_margin_ratio", "1.1x10", **M)
            | of("vedette_master_down", "1x10", scope="subjective", **M),
            [],
        ),
    ),
    "VedettePingsFail": (
        (
            of("vedette_ping_failures_total", "0+1x10", kind="node", reason="noauth", **NODE),
            [{**NODE, "kind": "node", "reason": "noauth"}],
        ),
        (of("vedette_ping_failures_total", "0+1x10", kind="node", reason="lost", **NODE), []),
    ),
    "VedetteWritesBlocked": (
        (
            of("vedette_writes_rejected_total", "0+1x10", reason="noreplicas", **NODE),
            [{**NODE, "reason": "noreplicas"}],
        ),
        (of("vedette_writes_rejected_total", "0+1x10", reason="readonly", **NODE), []),
    ),
    "VedetteScriptsWait": (
        (of("redis_sentinel_scripts_queue_length", "51x10", **NODE), [NODE]),
        (of("redis_sentinel_scripts_queue_length", "50x10", **NODE), []),
    ),
    "VedetteBadInput": (
        (
            of("vedette_refused_inputs_total", "0x8 1 1", kind="hello", **NODE),
            [{**NODE, "kind": "hello"}],
        ),
        (of("vedette_refused_inputs_total", "0x8 1 1", kind="stale", **NODE), []),
    ),
    "VedetteTlsExpiry": (
        (
            of(ENDS, f"{13 * DAY_S}x10", certificate="own", **NODE),
            [{"certificate": "own", **NODE}],
        ),
        (of(ENDS, f"{15 * DAY_S}x10", certificate="own", **NODE), []),
    ),
    "VedettePingSlow": (
        (
            of(PING, "0+1x10", kind="node", le="0.25", **NODE)
            | of(PING, "0+60x10", kind="node", le="0.5", **NODE)
            | of(PING, "0+60x10", kind="node", le="+Inf", **NODE)
            | of(DOWN_AFTER, "1000x10", **NODE, **M),
            [{"kind": "node", **NODE}],
        ),
        (
            of(PING, "0+1x10", kind="node", le="0.25", **NODE)
            | of(PING, "0+60x10", kind="node", le="0.5", **NODE)
            | of(PING, "0+60x10", kind="node", le="+Inf", **NODE)
            | of(DOWN_AFTER, "5000x10", **NODE, **M),
            [],
        ),
    ),
    "VedetteNoWritesTaken": (
        (
            of("vedette_master_writable", "0x10", **NODE)
            | of("vedette_node_role", "1x10", role="master", **NODE),
            [NODE],
        ),
        (
            of("vedette_master_writable", "0x10", **NODE)
            | of("vedette_node_role", "0x10", role="master", **NODE),
            [],
        ),
    ),
    "VedetteDrillLostWrites": (
        (of("vedette_drill_lost_writes_beyond_budget", "1x10", drill="d"), [{"drill": "d"}]),
        (of("vedette_drill_lost_writes_beyond_budget", "0x10", drill="d"), []),
    ),
    "VedetteTargetDown": (
        (
            of("redis_up", "0x10", **NODE)
            | of("up", "1x10", **NODE)
            | of("up", "0x10", job="redis", instance="dead:9121"),
            [NODE, {"job": "redis", "instance": "dead:9121"}],
        ),
        (
            of("redis_up", "1x10", **NODE)
            | of("up", "1x10", **NODE)
            | of("up", "0x10", job="web", instance="dead:80"),
            [],
        ),
    ),
    "VedetteDrillOverdue": (
        (
            of(LATE, "-3000000x10", drill="d"),
            [{"drill": "d"}],
        ),
        (of(LATE, "0x10", drill="d"), []),
    ),
    "VedetteDrillFailed": (
        (of("vedette_drill_last_result", "0x10", drill="d"), [{"drill": "d"}]),
        (of("vedette_drill_last_result", "1x10", drill="d"), []),
    ),
    "SentinelMasterNotOk": (
        (of("redis_sentinel_master_status", "0x10", master_status="odown", **M), [M]),
        (
            of("redis_sentinel_master_status", "0x10", instance="a", **M)
            | of("redis_sentinel_master_status", "1x10", instance="b", **M),
            [],
        ),
    ),
    "SentinelQuorumLost": (
        (of("redis_sentinel_master_ckquorum_status", "0x10", message="NOQUORUM", **M), [M]),
        (of("redis_sentinel_master_ckquorum_status", "1x10", message="OK", **M), []),
    ),
    "SentinelNoReplica": (
        (of("redis_sentinel_master_ok_slaves", "0x10", **M), [M]),
        (of("redis_sentinel_master_ok_slaves", "1x10", **M), []),
    ),
    "SentinelMasterViewsDiffer": (
        (
            of("redis_sentinel_master_status", "1x10", master_address="a:1", instance="x", **M)
            | of("redis_sentinel_master_status", "1x10", master_address="b:1", instance="y", **M),
            [M],
        ),
        (
            of("redis_sentinel_master_status", "1x10", master_address="a:1", instance="x", **M)
            | of("redis_sentinel_master_status", "1x10", master_address="a:1", instance="y", **M),
            [],
        ),
    ),
    "SentinelFew": (
        (
            of("redis_sentinel_master_ok_sentinels", "2x20", **M)
            | of("redis_sentinel_master_sentinels", "4x20", **M),
            [M],
        ),
        (
            of("redis_sentinel_master_ok_sentinels", "2x20", **M)
            | of("redis_sentinel_master_sentinels", "3x20", **M),
            [],
        ),
    ),
    "SentinelTilt": (
        (of("redis_sentinel_tilt", "1x10", **NODE), [NODE]),
        (of("redis_sentinel_tilt", "0x10", **NODE), []),
    ),
    "SentinelFailoverHappened": (
        (of("redis_sentinel_master_config_epoch", "4x8 5 5", **M), [M]),
        (of("redis_sentinel_master_config_epoch", "5x10", **M), []),
    ),
}

#: A quarter of an hour must have gone by for some.
_MINUTES = {"VedetteOnePromotableReplica": 20}


def promtool(*arguments: str) -> None:
    """Run promtool, which must find no fault."""
    if shutil.which("promtool") is None:
        pytest.skip(f"{SKIP_PREFIX}promtool, not found on PATH")
    result = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr


def unit_test(alert: Alert, case: Case) -> dict[str, Any]:
    """What `promtool test rules` is told of one case."""
    series, labels = case
    expected = [
        {
            "exp_labels": {**each, "severity": alert.severity},
            "exp_annotations": {"summary": alert.summary, "runbook": alert.runbook},
        }
        for each in labels
    ]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": f"{_MINUTES.get(alert.name, 10)}m",
                "alertname": alert.name,
                "exp_alerts": expected,
            }
        ],
    }


def test_rule_files_are_those_of_the_table() -> None:
    """`python -m monitoring.alert_rules` was run after the last change; nothing else lies there."""
    rendered = {
        name: render_pack(name.removesuffix(".yml"), alerts) for name, alerts in PACKS.items()
    }

    assert {path.name: path.read_text() for path in ALERTS.iterdir()} == rendered


@pytest.mark.parametrize("pack", PACKS)
def test_every_alert_fires_when_it_should_and_not_else(pack: str, tmp_path: Path) -> None:
    """By Prometheus' own unit tests: two cases for each."""
    tests = [unit_test(alert, case) for alert in PACKS[pack] for case in CASES[alert.name]]
    path = tmp_path / "tests.yml"
    path.write_text(json.dumps({"rule_files": [str(ALERTS / pack)], "tests": tests}))

    promtool("check", "rules", str(ALERTS / pack))
    promtool("test", "rules", str(path))


def test_every_alert_is_tested() -> None:
    """And none that is gone."""
    assert set(CASES) == {alert.name for alerts in PACKS.values() for alert in alerts}


def test_alerts_ask_for_metrics_that_exist() -> None:
    """A misspelt metric never fires, and nobody notices."""
    names = {spec.name for spec in ALL_SPECS}
    for alerts in PACKS.values():
        for alert in alerts:
            for name in re.findall(r"\b(?:vedette|redis)_\w+", alert.expr):
                assert name.removesuffix("_bucket") in names, (alert.name, name)


def test_every_alert_has_a_runbook_and_a_known_severity() -> None:
    """An alert that leaves its reader alone is noise."""
    headings = set(re.findall(r"^### (\w+)$", RUNBOOKS.read_text(), re.M))
    alerts = [alert for alerts in PACKS.values() for alert in alerts]

    assert headings == {alert.name for alert in alerts}
    assert {alert.severity for alert in alerts} == {"page", "ticket", "info"}
