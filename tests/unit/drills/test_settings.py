"""What a pass allows, by the scenario, the laboratory and what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from drills.lab import LabPlan, PortBases, Topology, plan_lab
from drills.scenarios import SCENARIOS
from drills.settings import DrillError, DrillSettings, LabSettings
from drills.verdict import Budget


def budget(
    scenario: str,
    *,
    sentinels: str = "vedette",
    outage_ms: int | None = None,
    demotion_ms: int | None = None,
) -> Budget:
    settings = DrillSettings(
        scenario=SCENARIOS[scenario],
        seed=1,
        writer_count=4,
        outage_ms=outage_ms,
        demotion_ms=demotion_ms,
    )
    return settings.budget(lab(sentinels))


def lab(sentinels: str) -> LabPlan:
    topology = Topology(sentinels=sentinels, down_after_ms=2000)
    return plan_lab(topology, Path("/lab"), PortBases(metrics=None), lambda port: True)


def require_possible(scenario: str, sentinels: str) -> None:
    topology = Topology(sentinels=sentinels)
    settings = LabSettings(topology=topology, ports=PortBases(metrics=None))
    settings.require_possible(SCENARIOS[scenario])


@pytest.mark.parametrize(
    ("scenario", "expected_ms"),
    [("master-crash", 2000 + 2500), ("majority-loss", 5 * 2000 + 6500), ("replica-crash", 2000)],
)
def test_an_outage_may_last_for_down_after_and_what_the_scenario_adds(
    scenario: str, expected_ms: int
) -> None:
    assert budget(scenario).outage_ms == expected_ms


def test_what_was_asked_for_replaces_what_the_scenario_allows() -> None:
    found = budget("master-hang", outage_ms=700, demotion_ms=300)

    assert (found.outage_ms, found.demotion_ms) == (700, 300)


@pytest.mark.parametrize(
    ("sentinels", "expected_ms"), [("vedette", 1_000), ("redis", 20_000), ("mix", 20_000)]
)
def test_an_old_master_may_take_writes_for_longer_where_a_sentinel_is_of_others(
    sentinels: str, expected_ms: int
) -> None:
    """redis-sentinel demotes it only with its next INFO, and after a while of patience."""
    assert budget("master-hang", sentinels=sentinels).demotion_ms == expected_ms


def test_where_no_master_comes_back_its_demotion_is_not_judged() -> None:
    assert budget("master-crash", demotion_ms=300).demotion_ms is None


@pytest.mark.parametrize("sentinels", ["redis", "valkey", "redis,valkey"])
def test_order_that_only_our_sentinels_know_is_not_given_to_others(sentinels: str) -> None:
    """After half a minute of a laboratory's start they would refuse it, in words of their own."""
    with pytest.raises(DrillError, match="needs a sentinel of Vedette"):
        require_possible("coordinated-switchover", sentinels)


@pytest.mark.parametrize(("scenario", "sentinels"), [
    ("coordinated-switchover", "mix"), ("coordinated-switchover", "redis,vedette"),
    ("master-crash", "redis"),
])  # fmt: skip
def test_drill_that_its_laboratory_can_run_is_run(scenario: str, sentinels: str) -> None:
    require_possible(scenario, sentinels)
