"""The latency monitor: samples by event, and what people are told of them."""

from __future__ import annotations

from server.observation import LatencyMonitor
from server.observation.latency import COMMAND, FAST_COMMAND, Series
from server.observation.latency_report import graph, report


def make(threshold_ms: int = 10) -> LatencyMonitor:
    monitor = LatencyMonitor()
    monitor.threshold_ms = threshold_ms
    return monitor


def test_only_what_reaches_the_threshold_is_noted() -> None:
    """And nothing at all while the monitor is off."""
    monitor, off = make(), make(0)
    for duration_ms in (9.9, 10.0):
        monitor.note(COMMAND, duration_ms, 5_000)
        off.note(COMMAND, duration_ms, 5_000)

    assert [(name, list(series.samples)) for name, series in monitor.events()] == [
        (COMMAND, [(5, 10)])
    ]
    assert off.events() == []


def test_the_worst_of_a_second_is_kept_and_160_seconds_of_them() -> None:
    """A storm must not push out what was there before it."""
    monitor = make()
    for duration_ms in (20, 40, 30):
        monitor.note(COMMAND, duration_ms, 1_900)
    for second in range(2, 200):
        monitor.note(COMMAND, 10, second * 1000)

    series = monitor.series(COMMAND)
    assert series is not None
    assert len(series.samples) == 160
    assert series.samples[-1] == (199, 10)
    assert series.worst_ms == 40


def test_events_are_forgotten_one_by_one_or_all() -> None:
    """The name may be given in any case; how many there were is returned."""
    monitor = make()
    for event in ("a", "b", "c"):
        monitor.note(event, 10, 0)

    assert monitor.forget("none") == 0
    assert monitor.forget("A") == 1
    assert monitor.forget() == 2
    assert monitor.events() == []


def test_the_graph_rises_with_the_samples() -> None:
    """Four rows, a column for each sample, and below it how long ago it was."""
    series = Series(worst_ms=500)
    series.samples.extend([(0, 100), (3_500, 300), (3_590, 400)])

    assert graph("fork", series, now_s=3_600) == (
        "fork - high 400 ms, low 100 ms (all time high 500 ms)\n"
        + "-" * 80
        + "\n  #\n #|\n ||\n_||\n111\nhm0\n  s\n"
    )


def test_the_doctor_says_what_is_off_and_what_may_help() -> None:
    """His advice hangs on what was seen, and on the slow log's settings."""
    monitor = make(0)
    assert "is off" in report(monitor, slow_log_threshold_us=10_000, now_s=0)
    monitor.threshold_ms = 10
    assert "so far" in report(monitor, slow_log_threshold_us=10_000, now_s=0)

    monitor.note(COMMAND, 30, 10_000)
    monitor.note(COMMAND, 50, 20_000)
    monitor.note(FAST_COMMAND, 11, 20_000)

    text = report(monitor, slow_log_threshold_us=20_000, now_s=30)
    assert "1. command: 2 spikes, 40 ms on average (mean deviation 10 ms), one in 10.00 s" in text
    assert "slowlog-log-slower-than 10000" in text
    assert "intrinsic-latency" in text
    assert "is off" in report(monitor, slow_log_threshold_us=-1, now_s=30)
