"""What a sentinel's runtime counts and times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from monitoring.families import Families
from monitoring.sentinel_detail import MasterDetailView
from monitoring.sentinel_meter import (
    INSTANCES_MAX,
    INSTANCES_WITH_BOUNDS_MAX,
    NODE,
    SENTINEL,
    SentinelMeter,
)
from vedette.types import Address

A, B = Address("a", 1), Address("b", 1)


def samples_of(meter: SentinelMeter) -> dict[str, float]:
    families = Families()
    meter.add_to(families)
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for metric in families.metrics()
        for sample in metric.samples
        if not sample.name.endswith("_bucket")
    }


def test_ping_is_timed_until_its_own_reply() -> None:
    """Replies to other requests on the link say nothing about it."""
    meter = SentinelMeter()
    meter.on_ping_sent(7, 1, NODE, A, 10.0)
    meter.on_replies(7, 2, 10.1)
    meter.on_replies(8, 1, 10.2)
    meter.on_replies(7, 1, 10.25)
    meter.on_replies(7, 1, 11.0)

    samples = samples_of(meter)

    assert samples["vedette_ping_rtt_seconds_count{node}"] == 1
    assert samples["vedette_ping_rtt_seconds_sum{node}"] == pytest.approx(0.25)
    assert samples["vedette_ping_rtt_seconds_count{sentinel}"] == 0


def test_ping_of_a_link_that_ended_is_never_answered() -> None:
    """Nor is it kept for ever."""
    meter = SentinelMeter()
    meter.on_ping_sent(7, 1, SENTINEL, A, 10.0)
    meter.on_link_ended(7)
    meter.on_replies(7, 1, 10.1)

    assert samples_of(meter)["vedette_ping_rtt_seconds_count{sentinel}"] == 0
    assert meter._pings == {}


def test_delays_saves_and_losses_are_counted() -> None:
    """Waking early is no delay."""
    meter = SentinelMeter()
    for late_s in (-0.001, 0.5):
        meter.on_woken(late_s)
    meter.on_saved(0.02)
    meter.on_link_lost("cmd", "refused", A)
    meter.on_link_lost("cmd", "refused", A)

    samples = samples_of(meter)

    assert samples["vedette_loop_lag_seconds_count{}"] == 2
    assert samples["vedette_loop_lag_seconds_sum{}"] == pytest.approx(0.5)
    assert samples["vedette_config_persist_seconds_count{}"] == 1
    assert samples["vedette_link_losses_total{cmd,refused}"] == 2


def test_pings_that_fail_are_counted_by_reason() -> None:
    """What a node is too busy to answer, or refuses to, is no silence."""
    meter = SentinelMeter()
    for token, error in enumerate((None, "LOADING", "NOAUTH", "WEIRD")):
        meter.on_ping_sent(7, token, NODE, A, 1.0)
        meter.on_replies(7, token, 1.1, error)
    meter.on_ping_sent(8, 9, SENTINEL, B, 1.0)
    meter.on_link_ended(8)

    samples = samples_of(meter)
    counted = {name: value for name, value in samples.items() if "failures" in name and value}
    assert counted == {
        "vedette_ping_failures_total{node,loading}": 1,
        "vedette_ping_failures_total{node,noauth}": 1,
        "vedette_ping_failures_total{node,error}": 1,
        "vedette_ping_failures_total{sentinel,lost}": 1,
    }


def test_scripts_are_counted_by_outcome() -> None:
    """All outcomes are there from the start."""
    meter = SentinelMeter()
    meter.on_script_ended("reconfig", "failed")

    samples = samples_of(meter)
    assert samples["vedette_scripts_total{reconfig,failed}"] == 1
    assert samples["vedette_scripts_total{notification,done}"] == 0


@dataclass
class Instance:
    """As much of an instance as is asked for here."""

    name: str
    kind: str
    address: Address


@dataclass
class Watched:
    instances: list[Instance]


def test_each_instance_has_its_own_round_trips_and_losses() -> None:
    """The one peer behind a slow link is lost in the sum of all; who is gone has no series."""
    meter = SentinelMeter()
    for token, (address, took_s) in enumerate(((A, 0.5), (A, 0.25), (B, 0.01))):
        meter.on_ping_sent(7, token, NODE, address, 1.0)
        meter.on_replies(7, token, 1.0 + took_s)
    meter.on_link_lost("cmd", "reset", A)
    families = Families()

    watched = Watched([Instance("a:1", "replica", A)])
    meter.add_instances(families, [cast("MasterDetailView", watched)])

    rtt = "vedette_instance_ping_rtt_seconds"
    assert instance_samples(families) == {
        **{f"{rtt}_bucket{{{bound}}}": 0 for bound in ("0.0005", "0.002", "0.01", "0.05")},
        f"{rtt}_bucket{{0.25}}": 1,
        **{f"{rtt}_bucket{{{bound}}}": 2 for bound in ("1.0", "5.0", "+Inf")},
        f"{rtt}_count{{}}": 2,
        f"{rtt}_sum{{}}": pytest.approx(0.75),
        "vedette_instance_link_losses_total{}": 1,
    }


def test_of_very_many_instances_only_means_are_told() -> None:
    """Buckets for thousands would hold up the sentinel while they are collected."""
    meter = SentinelMeter()
    meter.on_ping_sent(7, 1, NODE, A, 1.0)
    meter.on_replies(7, 1, 1.25)
    others = [Instance(f"b:{port}", "replica", B) for port in range(INSTANCES_WITH_BOUNDS_MAX)]
    families = Families()

    watched = Watched([Instance("a:1", "replica", A), *others])
    meter.add_instances(families, [cast("MasterDetailView", watched)])

    assert instance_samples(families) == {
        "vedette_instance_ping_rtt_seconds_bucket{+Inf}": 1,
        "vedette_instance_ping_rtt_seconds_count{}": 1,
        "vedette_instance_ping_rtt_seconds_sum{}": 0.25,
        "vedette_instance_link_losses_total{}": 0,
    }


def instance_samples(families: Families) -> dict[str, float]:
    return {
        f"{sample.name}{{{sample.labels.get('le', '')}}}": sample.value
        for metric in families.metrics()
        for sample in metric.samples
    }


def test_addresses_that_come_and_go_are_not_kept_for_ever() -> None:
    """Containers get a new address with each start."""
    meter = SentinelMeter()
    for number in range(INSTANCES_MAX + 5):
        meter.on_link_lost("cmd", "refused", Address("a", number))

    assert len(meter._instances) <= INSTANCES_MAX


def test_a_stall_is_told_from_own_work() -> None:
    """The first is the machine's fault, the second ours."""
    meter = SentinelMeter()
    meter.on_tilt(3.0, busy_s=0.01)
    meter.on_tilt(3.0, busy_s=2.9)
    meter.on_tilt(3.0, busy_s=0.1)

    samples = samples_of(meter)

    assert samples["vedette_tilt_total{stopped}"] == 2
    assert samples["vedette_tilt_total{busy}"] == 1
