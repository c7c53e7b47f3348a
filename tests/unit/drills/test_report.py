"""The verdict: every criterion can fail, and the report says by what."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from drills.checkers import Outage
from drills.lab import PortBases, Topology, plan_lab
from drills.report import Report, render_report, resync_kind, to_json
from drills.scenarios import SCENARIOS
from drills.scenarios.scenario import Failovers
from drills.timeline import Phase
from drills.verdict import Budget, Findings, judge
from tests.support.drawing import draw
from tests.support.findings import BUDGET, COUNTER, GOOD, WRITES, make_lost


def without_phase(name: str) -> list[Phase]:
    return [replace(p, after_ms=None) if p.name == name else p for p in GOOD.phases]


def failed_criteria(findings: Findings) -> list[str]:
    return [criterion.name for criterion in judge(findings, BUDGET) if not criterion.passed]


def test_a_good_failover_meets_every_criterion() -> None:
    assert failed_criteria(GOOD) == []


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (replace(GOOD, switched_to=[], new_master=None), ["failover"]),
        (replace(GOOD, switched_to=["127.0.0.1:6380", "127.0.0.1:6381"]), ["failover"]),
        (replace(GOOD, new_master="node-1"), ["failover"]),
        (replace(GOOD, phases=without_phase("agreed")), ["agreement"]),
        (replace(GOOD, phases=without_phase("client_all_ok")), ["service"]),
        (replace(GOOD, phases=without_phase("converged")), ["order"]),
        (replace(GOOD, outage=Outage(gap_ms={0: 3500.5}, errors={})), ["outage"]),
        (replace(GOOD, outage=Outage(gap_ms={}, errors={})), ["outage"]),
        (replace(GOOD, writes=None), ["loss", "values"]),
        (replace(GOOD, writes=replace(WRITES, unexpected=("x",))), ["values"]),
        (replace(GOOD, counter=replace(COUNTER, excess=1)), ["values"]),
        (replace(GOOD, rest_ms=None, not_at_rest=["node-3 is behind"]), ["rest"]),
        (replace(GOOD, ended={"sentinel-1": -11}), ["processes"]),
    ],
)
def test_every_criterion_can_fail(findings: Findings, expected: list[str]) -> None:
    assert failed_criteria(findings) == expected


@pytest.mark.parametrize(
    ("invoked_ms", "completed_ms", "is_allowed"),
    [
        (-999, -998, True),
        (-1, 2, True),
        (-1500, -1001, False),
        # What was asked after the fault was acknowledged by the new master, and must stay.
        (1, 2000, False),
    ],
)
def test_only_writes_from_just_before_the_fault_may_be_lost(
    invoked_ms: int, completed_ms: int, is_allowed: bool
) -> None:
    lost = replace(WRITES, lost=(make_lost(invoked_ms, completed_ms),))

    failed = failed_criteria(replace(GOOD, writes=lost))

    assert failed == ([] if is_allowed else ["loss"])


@pytest.mark.parametrize("invoked_ms", [-999, -1, 5])
def test_a_coordinated_failover_may_lose_nothing_and_must_tell_the_pause(invoked_ms: int) -> None:
    budget = Budget(outage_ms=3500, loss_window_ms=None)
    lost = replace(WRITES, lost=(make_lost(invoked_ms, invoked_ms + 1),))

    def failed(findings: Findings) -> list[str]:
        return [each.name for each in judge(findings, budget) if not each.passed]

    assert failed(replace(GOOD, pause_ms=23.0)) == []
    assert failed(GOOD) == ["pause"]
    assert failed(replace(GOOD, pause_ms=23.0, writes=lost)) == ["loss"]


@pytest.mark.parametrize(
    ("invoked_ms", "completed_ms", "is_allowed"),
    [(-999, -998, True), (5, 6, True), (1500, 1501, False), (-1500, -1001, False)],
)
def test_plain_failover_may_lose_what_the_old_master_took_until_its_clients_left(
    invoked_ms: int, completed_ms: int, is_allowed: bool
) -> None:
    """It goes on taking writes after the order; `GOOD` has every writer served after 1008 ms."""
    budget = replace(BUDGET, loses_until_service=True)
    lost = replace(WRITES, lost=(make_lost(invoked_ms, completed_ms),))

    criteria = judge(replace(GOOD, writes=lost), budget)
    failed = [each.name for each in criteria if each.passed is False]
    assert failed == ([] if is_allowed else ["loss"])


def test_what_cannot_be_observed_neither_passes_nor_fails() -> None:
    """Of processes that somebody else runs no exit codes are known, and others tell no pause."""
    budget = Budget(outage_ms=3500, loss_window_ms=None, tells_pause=False)
    criteria = {each.name: each for each in judge(replace(GOOD, ended=None), budget)}

    for name in ("processes", "pause"):
        assert (criteria[name].passed, criteria[name].found) == (None, "not observed")
    assert all(each.passed for name, each in criteria.items() if name not in ("processes", "pause"))


CALM = replace(GOOD, new_master=None, leader=None, switched_to=[], elections=0, epochs=[])


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (CALM, []),
        (replace(CALM, switched_to=["127.0.0.1:6380"]), ["failover"]),
        (replace(CALM, elections=1), ["failover"]),
        (replace(CALM, outage=Outage(gap_ms={0: 1001.0}, errors={})), ["outage"]),
        (replace(CALM, rest_ms=None, not_at_rest=["two masters"]), ["rest"]),
    ],
)
def test_where_nothing_was_to_change_nothing_may(findings: Findings, expected: list[str]) -> None:
    """An attempt is too much already; agreement on a new master is not waited for."""
    budget = Budget(outage_ms=1000, loss_window_ms=None, failovers=Failovers.NONE)
    if findings.outage is GOOD.outage:
        findings = replace(findings, outage=Outage(gap_ms={0: 80.0}, errors={}))

    failed = [each.name for each in judge(findings, budget) if not each.passed]
    assert failed == expected


@pytest.mark.parametrize(("switch_count", "is_met"), [(0, True), (1, True), (2, False)])
def test_a_master_that_flaps_may_be_replaced_once(switch_count: int, is_met: bool) -> None:
    """Sentinels that flap with it are worse than one that is too quick."""
    budget = Budget(outage_ms=5000, loss_window_ms=1000, failovers=Failovers.ONE_AT_MOST)
    switched = [f"127.0.0.1:{6380 + number}" for number in range(switch_count)]

    criteria = {each.name: each for each in judge(replace(GOOD, switched_to=switched), budget)}
    assert criteria["failover"].passed is is_met
    assert "agreement" not in criteria


@pytest.mark.parametrize(
    ("demoted_ms", "is_met"), [(0.0, True), (1000.0, True), (1000.5, False), (None, False)]
)
def test_an_old_master_has_to_step_down_in_time(demoted_ms: float | None, is_met: bool) -> None:
    """What it takes after its return is lost."""
    budget = replace(BUDGET, demotion_ms=1000)

    criteria = judge(replace(GOOD, demoted_ms=demoted_ms), budget)
    assert [each.passed for each in criteria if each.name == "demotion"] == [is_met]


@pytest.mark.parametrize(
    ("restored_ms", "accepted_ms", "is_met"),
    [
        (5000.0, {"node-2": 6000.0}, True),
        (5000.0, {}, True),
        (5000.0, {"node-2": 6000.0, "node-3": 4999.0}, False),
        (None, {}, False),
    ],
)
def test_nobody_may_be_promoted_without_a_majority(
    restored_ms: float | None, accepted_ms: dict[str, float], is_met: bool
) -> None:
    """A drill in which the majority never came back has shown nothing."""
    budget = replace(BUDGET, has_minority_time=True)
    findings = replace(GOOD, restored_ms=restored_ms, accepted_ms=accepted_ms)

    criteria = judge(findings, budget)
    assert [each.passed for each in criteria if each.name == "majority"] == [is_met]


@pytest.mark.parametrize(
    ("full", "partial", "expected"),
    [(0, 0, "none"), (2, 0, "full"), (0, 1, "partial"), (1, 1, "mixed")],
)
def test_the_kind_of_resynchronisation(full: int, partial: int, expected: str) -> None:
    assert resync_kind(replace(GOOD, sync_full=full, sync_partial=partial)) == expected


def make_report(findings: Findings = GOOD) -> Report:
    topology = Topology(nodes="redis", sentinels="vedette,redis,redis")
    return Report(
        scenario=SCENARIOS["master-crash"],
        deployment=plan_lab(topology, Path("/lab"), PortBases(), lambda port: True),
        seed=7,
        writer_count=2,
        version="0.1.0",
        budget=BUDGET,
        findings=findings,
        criteria=judge(findings, BUDGET),
    )


def test_one_failed_criterion_fails_the_drill() -> None:
    assert make_report().passed
    assert not make_report(replace(GOOD, writes=None)).passed


def test_the_json_document_survives_a_round_trip_and_holds_the_figures() -> None:
    document = json.loads(json.dumps(to_json(make_report())))

    assert document["passed"] is True
    assert document["phases_ms"]["odown"] == 1001.0
    assert document["agreed_ms"] == {"sentinel-1": 1006.0}
    assert document["outage_ms"] == {"p50": 1900.0, "max": 2100.0, "by_writer": [1900.0, 2100.0]}
    assert document["topology"]["sentinels"]["sentinel-1"] == "vedette-sentinel"
    assert document["resync"] == {
        "kind": "partial",
        "full": 0,
        "partial": 1,
        "by_replica": {
            "node-2": {"full": 0, "partial": 0},
            "node-3": {"full": 1, "partial": 2},
        },
    }
    assert document["duplicates"] == 0
    assert document["stale_read_ms"] == {"client": 3.0, "node-3": 41.0}
    assert document["split_brain_ms"] == 12.5
    assert document["events"] == [
        {"after_ms": 1.0, "sentinel": "sentinel-3", "event": "+sdown", "payload": "master m"}
    ]


def test_unread_data_is_null_in_json_and_not_zero() -> None:
    document = to_json(make_report(replace(GOOD, writes=None, counter=None)))

    assert document["writes"] is None
    assert document["counter"] is None
    advised = {it["name"]: it["advice"] is not None for it in document["criteria"]}
    assert advised == {it["name"]: not it["passed"] for it in document["criteria"]}


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        (
            GOOD,
            [
                "PASS",
                "node-1 -> node-2",
                "sentinel-3 (redis-sentinel)",
                "1004 ms",
                "partial",
                "node-3: 1 full and 2 partial",
                "at most 3 ms out of date",
                "12 ms in all",
            ],
        ),
        (
            replace(GOOD, new_master=None, leader=None, switched_to=[], writes=None),
            ["FAIL", "node-1 -> none", "the data could not be read", "nobody was promoted"],
        ),
        (replace(GOOD, late_ms=900.0), ["PASS", "900 ms late: this machine has too much to do"]),
    ],
)
def test_the_table_shows_the_verdict_and_its_reasons(
    findings: Findings, expected: list[str]
) -> None:
    text = " ".join(draw(render_report(make_report(findings))).split())

    assert [words for words in expected if words not in text] == []
