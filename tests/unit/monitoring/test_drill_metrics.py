"""The outcome of drills as a text file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring.drill_metrics import DrillOutcome, merge_outcome


def outcome(drill: str = "crash", *, passed: bool = True, ended_s: float = 100.0) -> DrillOutcome:
    return DrillOutcome(
        drill=drill,
        passed=passed,
        ended_s=ended_s,
        downtimes_s=[1.5, 1.25, 1.0, 1.25],
        lost_writes=2,
        beyond_budget=1,
        duplicates=3,
        stale_read_s=0.5,
        split_brain_s=0.25,
        resyncs={"full": 1, "partial": 2},
        seed=7,
        version="1.0",
    )


def samples_of(text: str) -> dict[str, float]:
    return {
        f"{sample.name}{{{','.join(sample.labels.values())}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_outcome_is_written() -> None:
    """Result, times, outage and loss."""
    assert samples_of(merge_outcome("", outcome())) == {
        "vedette_drill_last_result{crash}": 1,
        "vedette_drill_last_run_timestamp_seconds{crash}": 100,
        "vedette_drill_last_pass_timestamp_seconds{crash}": 100,
        "vedette_drill_write_downtime_seconds{crash,0.5}": 1.25,
        "vedette_drill_write_downtime_seconds{crash,1}": 1.5,
        "vedette_drill_write_downtime_seconds_sum{crash}": 5,
        "vedette_drill_write_downtime_seconds_count{crash}": 4,
        "vedette_drill_lost_acknowledged_writes{crash}": 2,
        "vedette_drill_lost_writes_beyond_budget{crash}": 1,
        "vedette_drill_duplicate_applies{crash}": 3,
        "vedette_drill_stale_read_seconds_max{crash}": 0.5,
        "vedette_drill_split_brain_seconds{crash}": 0.25,
        "vedette_drill_resyncs{crash,full}": 1,
        "vedette_drill_resyncs{crash,partial}": 2,
        "vedette_drill_info{crash,7,1.0}": 1,
    }


def test_failure_leaves_the_last_pass_and_other_drills_standing() -> None:
    """Else an alert on a drill that is overdue would never fire."""
    text = merge_outcome("", outcome())
    text = merge_outcome(text, outcome("hang"))
    samples = samples_of(merge_outcome(text, outcome(passed=False, ended_s=300)))

    assert samples["vedette_drill_last_result{crash}"] == 0
    assert samples["vedette_drill_last_run_timestamp_seconds{crash}"] == 300
    assert samples["vedette_drill_last_pass_timestamp_seconds{crash}"] == 100
    assert samples["vedette_drill_last_result{hang}"] == 1
    assert samples["vedette_drill_write_downtime_seconds{hang,1}"] == 1.5
    assert samples["vedette_drill_write_downtime_seconds_count{hang}"] == 4


def test_what_was_not_measured_leaves_no_series_of_before() -> None:
    """A number of another run would be taken for this one's."""
    text = merge_outcome("", outcome())
    blind = replace(
        outcome(passed=False, ended_s=200),
        downtimes_s=[],
        lost_writes=None,
        beyond_budget=None,
        duplicates=None,
        stale_read_s=None,
        split_brain_s=None,
        resyncs={},
        seed=8,
    )

    assert samples_of(merge_outcome(text, blind)) == {
        "vedette_drill_last_result{crash}": 0,
        "vedette_drill_last_run_timestamp_seconds{crash}": 200,
        "vedette_drill_last_pass_timestamp_seconds{crash}": 100,
        "vedette_drill_info{crash,8,1.0}": 1,
    }


def test_file_of_something_else_is_not_overwritten() -> None:
    """A slip of the hand may name any file."""
    with pytest.raises(ValueError, match="Invalid labels"):
        merge_outcome("{ this is no exposition\n", outcome())
