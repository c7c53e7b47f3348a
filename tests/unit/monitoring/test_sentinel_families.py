"""What a sentinel knows of its masters and of itself, as metrics."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from monitoring.failovers import FailoverLog
from monitoring.families import Families
from monitoring.metrics import SentinelMeter, sentinel_metrics
from monitoring.replies import MasterSeen, ReplicaSeen
from monitoring.sentinel_families import add_masters
from vedette.types import Address


def make_master(
    status: str = "ok",
    *,
    usable: int = 3,
    quorum: int = 2,
    quorum_text: str = "OK 3 usable Sentinels.",
    failover_state: str = "none",
    replicas: tuple[ReplicaSeen, ...] = (),
) -> MasterSeen:
    """Return a master watched by three sentinels."""
    return MasterSeen(
        name="m",
        address=Address("10.0.0.1", 6379),
        status=status,
        quorum=quorum,
        down_after_ms=5000,
        failover_timeout_ms=60000,
        parallel_syncs=1,
        config_epoch=7,
        failover_state=failover_state,
        last_ok_ping_age_ms=250,
        usable_sentinels=usable,
        known_sentinels=3,
        quorum_text=quorum_text,
        replicas=replicas,
    )


def samples_of(families: Families) -> dict[str, float]:
    """Return values by series, spelled `name{values of the labels}`."""
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for metric in families.metrics()
        for sample in metric.samples
    }


def samples_about(master: MasterSeen) -> dict[str, float]:
    families = Families()
    add_masters(families, [master])
    return samples_of(families)


def test_a_master_has_the_exporters_metrics() -> None:
    """Labels are master_name and master_address, in this order."""
    samples = samples_about(make_master())

    prefix = "redis_sentinel_master"
    of_master = {name: value for name, value in samples.items() if name.startswith(prefix)}
    assert of_master == {
        f"{prefix}_status{{m,10.0.0.1:6379,ok}}": 1,
        f"{prefix}_slaves{{m,10.0.0.1:6379}}": 0,
        f"{prefix}_ok_slaves{{m,10.0.0.1:6379}}": 0,
        f"{prefix}_sentinels{{m,10.0.0.1:6379}}": 3,
        f"{prefix}_ok_sentinels{{m,10.0.0.1:6379}}": 3,
        f"{prefix}_config_epoch{{m,10.0.0.1:6379}}": 7,
        f"{prefix}_last_ok_ping_reply_seconds{{m,10.0.0.1:6379}}": 0.25,
        f"{prefix}_setting_ckquorum{{m,10.0.0.1:6379}}": 2,
        f"{prefix}_setting_failover_timeout{{m,10.0.0.1:6379}}": 60000,
        f"{prefix}_setting_parallel_syncs{{m,10.0.0.1:6379}}": 1,
        f"{prefix}_setting_down_after_milliseconds{{m,10.0.0.1:6379}}": 5000,
        f"{prefix}_ckquorum_status{{m,OK 3 usable Sentinels.}}": 1,
    }


@pytest.mark.parametrize("status", ["sdown", "odown"])
def test_a_master_that_is_down_has_status_zero(status: str) -> None:
    """Alerts compare the value and show the word."""
    samples = samples_about(make_master(status, quorum_text="NOQUORUM 1 usable Sentinels."))

    assert samples[f"redis_sentinel_master_status{{m,10.0.0.1:6379,{status}}}"] == 0
    assert samples["redis_sentinel_master_ckquorum_status{m,NOQUORUM 1 usable Sentinels.}"] == 0


@pytest.mark.parametrize(
    ("usable", "quorum", "margin"), [(3, 2, 1), (2, 2, 0), (1, 1, -1), (3, 3, 0), (3, 1, 1)]
)
def test_the_margin_is_what_is_left_above_quorum_and_majority(
    usable: int, quorum: int, margin: int
) -> None:
    """0: one more loss, and no failover is possible; a low quorum does not replace a majority."""
    samples = samples_about(make_master(usable=usable, quorum=quorum))

    assert samples["vedette_quorum_margin{m}"] == margin


def test_only_replicas_that_can_be_promoted_count_as_such() -> None:
    """`ok_slaves` counts replicas that no sentinel would ever promote."""
    replicas = (
        ReplicaSeen(is_s_down=False, is_connected=True, priority=100),
        ReplicaSeen(is_s_down=False, is_connected=True, priority=0),
        ReplicaSeen(is_s_down=False, is_connected=False, priority=100),
        ReplicaSeen(is_s_down=True, is_connected=True, priority=100),
    )

    samples = samples_about(make_master(replicas=replicas))

    assert samples["vedette_promotable_replicas{m}"] == 1
    assert samples["redis_sentinel_master_ok_slaves{m,10.0.0.1:6379}"] == 3
    assert samples["redis_sentinel_master_slaves{m,10.0.0.1:6379}"] == 4


def test_every_state_of_a_failover_is_exposed_and_one_is_set() -> None:
    """A state that came and went between scrapes leaves no series behind."""
    samples = samples_about(make_master(failover_state="wait_promotion"))

    states = {name: value for name, value in samples.items() if "failover_state" in name}
    assert len(states) == 7
    assert [name for name, value in states.items() if value] == [
        "vedette_failover_state{m,wait_promotion}"
    ]


@dataclass
class Saves:
    saved_count: int = 4
    failed_count: int = 1
    last_duration_s: float = 0.25
    is_failing: bool = False


@dataclass
class Sentinel:
    """A sentinel's account of itself."""

    current_epoch: int = 9
    tilted_s: float = 1.5
    votes_for_us: int = 5
    votes_for_others: int = 6
    info: dict[str, str] = field(default_factory=lambda: {"redis_mode": "sentinel"})
    masters: list[MasterSeen] = field(default_factory=list)
    conflicts: dict[str, bool] = field(default_factory=lambda: {"m": True})
    foreign_nodes: dict[str, int] = field(default_factory=lambda: {"m": 2})
    saves: Saves = field(default_factory=Saves)
    refused_inputs: dict[str, int] = field(default_factory=lambda: {"hello": 2, "epoch": 0})
    event_counts: dict[str, int] = field(default_factory=lambda: {"+sdown": 3, "+slave": 1})


def test_a_sentinel_tells_of_itself() -> None:
    """Epoch, stalls, saves and events are nowhere in Redis' protocol."""
    samples = {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for metric in sentinel_metrics(
            Sentinel(),
            FailoverLog("a"),
            now_s=0,
            monotonic_s=0,
            detail=(),
            meter=SentinelMeter(),
            certificates={"own": 5.0},
        )
        for sample in metric.samples
    }

    assert samples["vedette_current_epoch{}"] == 9
    assert samples["vedette_tls_certificate_expiry_timestamp_seconds{own}"] == 5
    assert samples["vedette_config_conflict{m}"] == 1
    assert samples["vedette_foreign_nodes{m}"] == 2
    assert samples["vedette_tilt_total{stopped}"] == 0
    assert samples["vedette_tilt_seconds_total{}"] == 1.5
    assert samples["vedette_votes_received_total{self}"] == 5
    assert samples["vedette_votes_received_total{peer}"] == 6
    assert samples["vedette_config_persists_total{saved}"] == 4
    assert samples["vedette_config_persists_total{failed}"] == 1
    assert samples["vedette_config_last_persist_seconds{}"] == 0.25
    assert samples["vedette_refused_inputs_total{hello}"] == 2
    assert samples["vedette_refused_inputs_total{epoch}"] == 0
    assert samples["vedette_events_total{+sdown}"] == 3
    assert samples["vedette_events_total{+slave}"] == 1
    assert samples["vedette_events_total{+switch-master}"] == 0
