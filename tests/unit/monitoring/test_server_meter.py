"""What a server counts and times beside INFO."""

from __future__ import annotations

import math

import pytest

from monitoring.families import Families
from monitoring.server_meter import (
    FULL,
    MASTER,
    MOMENTS_MAX,
    PARTIAL,
    REPLICA,
    FeedView,
    ServerMeter,
    StreamClock,
    StreamView,
)

IDLE = StreamView(is_writable=True, offset=0, backlog_size_bytes=None)


def samples_of(meter: ServerMeter, view: StreamView = IDLE, now_s: float = 0) -> dict[str, float]:
    families = Families()
    meter.add_to(families, view, now_s)
    return {
        f"{each.name}{{{','.join(each.labels.values())}}}".removeprefix("vedette_"): each.value
        for metric in families.metrics()
        for each in metric.samples
        if not each.name.endswith("_bucket")
    }


def test_resynchronisations_are_counted_by_side_kind_and_reason() -> None:
    """A full one that a larger backlog would have spared is told from one that nothing could."""
    meter = ServerMeter(["too_old", "ahead"])
    meter.on_resync(MASTER, FULL, "too_old")
    meter.on_resync(MASTER, PARTIAL, "continued")
    meter.on_resync_ended(REPLICA, PARTIAL, 0.25)
    meter.on_snapshot_bytes(MASTER, 100)
    meter.on_snapshot_bytes(MASTER, 11)

    samples = samples_of(meter)

    assert samples["resync_causes_total{master,full,too_old}"] == 1
    assert samples["resync_causes_total{master,full,ahead}"] == 0
    assert samples["resync_causes_total{replica,full,first}"] == 0
    assert samples["resync_causes_total{master,partial,continued}"] == 1
    assert samples["resync_duration_seconds_count{replica,partial}"] == 1
    assert samples["resync_duration_seconds_sum{replica,partial}"] == 0.25
    assert samples["resync_bytes_total{master}"] == 111
    assert samples["resync_bytes_total{replica}"] == 0


def test_waits_are_timed_and_their_shortfalls_counted() -> None:
    """A write whose WAIT fell short may be lost with the master."""
    meter = ServerMeter()
    meter.on_wait_ended("wait", 0.5, is_met=False)
    meter.on_wait_ended("wait", 0.0, is_met=True)

    samples = samples_of(meter)

    assert samples["wait_seconds_count{wait}"] == 2
    assert samples["wait_seconds_sum{wait}"] == 0.5
    assert samples["wait_shortfall_total{wait}"] == 1
    assert samples["wait_shortfall_total{waitaof}"] == 0


def test_roles_fsyncs_and_writability() -> None:
    """Both roles are there from the start, so that the first change is seen as a rise."""
    meter = ServerMeter()
    meter.on_role_change(MASTER)
    meter.on_fsync(0.02)

    samples = samples_of(meter)

    assert samples["role_changes_total{master}"] == 1
    assert samples["role_changes_total{replica}"] == 0
    assert samples["aof_fsync_seconds_sum{}"] == 0.02
    assert samples["master_writable{}"] == 1


def test_the_age_of_what_a_replica_lacks_is_that_of_its_oldest_part() -> None:
    """The stream had 100 bytes from second 1 to second 4, when it went on."""
    clock = StreamClock()
    for now_s, offset in ((1.0, 100), (2.0, 100), (3.0, 100), (4.0, 100), (5.0, 250), (6.0, 300)):
        clock.note(offset, now_s)

    assert clock.age_s(300, 300, 7.0) == 0
    assert clock.age_s(299, 300, 7.0) == 2.0
    assert clock.age_s(100, 300, 7.0) == 3.0
    assert clock.age_s(99, 300, 7.0) == 6.0


def test_a_stream_that_begins_anew_forgets_the_old_one() -> None:
    """Offsets of two histories have nothing to do with each other."""
    clock = StreamClock()
    clock.note(1000, 1.0)
    clock.note(10, 2.0)

    assert clock.age_s(5, 10, 4.0) == 2.0
    assert clock.bytes_per_second(30, 4.0) == 10.0


def test_the_pace_is_that_of_the_last_minute_and_memory_is_bounded() -> None:
    """A burst ten minutes ago says nothing of how long the backlog would last now."""
    clock = StreamClock()
    for second in range(2 * MOMENTS_MAX):
        clock.note(second * 5 if second > 600 else second, float(second))

    assert clock.bytes_per_second((2 * MOMENTS_MAX - 1) * 5, 2.0 * MOMENTS_MAX - 1) == 5.0
    assert len(clock._moments) == MOMENTS_MAX


def test_headroom_is_the_backlogs_size_by_the_pace() -> None:
    """While nothing is written a replica may be gone for ever."""
    meter = ServerMeter()
    feed = FeedView("10.0.0.2", 6379, 400)
    for second in range(5):
        meter.stream.note(second * 100, float(second))
    view = StreamView(is_writable=False, offset=400, backlog_size_bytes=1000, feeds=[feed])

    samples = samples_of(meter, view, 4.0)

    assert samples["backlog_headroom_seconds{}"] == pytest.approx(10.0)
    assert samples["replica_lag_seconds{10.0.0.2,6379}"] == 0
    assert samples["master_writable{}"] == 0
    still = ServerMeter()
    assert samples_of(still, view)["backlog_headroom_seconds{}"] == math.inf
