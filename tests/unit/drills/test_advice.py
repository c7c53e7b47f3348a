"""What a failed drill says beyond that it failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drills.advice import LATE_MS, advise, lateness_note
from drills.checkers import Outage
from drills.scenarios.scenario import Failovers
from drills.timeline import Phase
from drills.verdict import Budget, Criterion, Findings, judge
from tests.support.findings import BUDGET, GOOD, WRITES, make_lost

TWICE = replace(GOOD, switched_to=["127.0.0.1:6380", "127.0.0.1:6381"])
LOST = replace(WRITES, lost=(make_lost(-1500, -1200),))


def advice_on(name: str, findings: Findings, budget: Budget = BUDGET) -> str:
    [criterion] = [it for it in judge(findings, budget) if it.name == name]
    assert not criterion.passed
    return advise(criterion, findings, budget)


def test_every_criterion_has_its_advice() -> None:
    """Whatever a drill demands may fail."""
    budgets = [
        replace(BUDGET, demotion_ms=1000, has_minority_time=True),
        replace(BUDGET, loss_window_ms=None),
        replace(BUDGET, failovers=Failovers.NONE),
    ]
    for budget in budgets:
        for criterion in judge(GOOD, budget):
            assert advise(replace(criterion, passed=False), GOOD, budget), criterion.name


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        (TWICE, "failed over 2 times"),
        (replace(GOOD, switched_to=[], new_master=None, elections=3), "3 attempts, and nobody"),
        (replace(GOOD, switched_to=[], new_master=None, elections=0), "No sentinel even tried"),
    ],
)
def test_failover_that_was_not_one_is_told_apart(findings: Findings, said: str) -> None:
    assert said in advice_on("failover", findings)


def test_failover_in_a_calm_drill_points_at_down_after() -> None:
    budget = replace(BUDGET, failovers=Failovers.NONE)

    assert "down-after-milliseconds" in advice_on("failover", GOOD, budget)


def test_long_outage_names_the_phase_that_took_longest() -> None:
    """In the order of time: `agreed` may come before `elected` is told."""
    times = {"sdown": 1000.0, "elected": 1100.0, "promoted": 4900.0, "announced": None}
    phases = [Phase(name=name, meaning="", after_ms=ms) for name, ms in times.items()]
    # What the other criteria ask for.
    phases += [
        Phase(name=name, meaning="", after_ms=5000.0)
        for name in ("agreed", "client_all_ok", "converged")
    ]
    slow = replace(GOOD, outage=Outage(gap_ms={0: 5000.0}, errors={}), phases=phases)

    assert "3800 ms, went by between elected and `promoted`" in advice_on("outage", slow)


@pytest.mark.parametrize(
    ("findings", "budget", "said"),
    [
        (replace(GOOD, writes=LOST), BUDGET, "WAIT tells of a single write"),
        (replace(TWICE, writes=LOST), BUDGET, "second failover"),
        (
            replace(GOOD, writes=LOST, split_brain_ms=9000.0),
            replace(BUDGET, demotion_ms=1000),
            "Two masters took writes for 9000 ms",
        ),
        (replace(GOOD, writes=None), BUDGET, "No single master was left"),
    ],
)
def test_loss_is_put_down_to_its_cause(findings: Findings, budget: Budget, said: str) -> None:
    assert said in advice_on("loss", findings, budget)


def test_figures_of_a_drill_that_was_late_itself_are_doubted() -> None:
    assert lateness_note(replace(GOOD, late_ms=float(LATE_MS))) is None
    note = lateness_note(replace(GOOD, late_ms=LATE_MS + 1.0))
    assert note is not None
    assert "251 ms late" in note


def test_advice_is_no_judgement() -> None:
    """It is asked for by name; a name without any is a mistake of ours."""
    stranger = Criterion(name="stranger", demanded="", found="", passed=False)
    with pytest.raises(KeyError):
        advise(stranger, GOOD, BUDGET)
