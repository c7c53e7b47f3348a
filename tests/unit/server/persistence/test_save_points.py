"""When a snapshot is due."""

from __future__ import annotations

import pytest

from server.persistence.save_points import RETRY_DELAY_MS, SaveStatus, due_save_point
from vedette.conf import SavePoint

POINTS = (SavePoint(3600, 1), SavePoint(60, 100))
START_MS = 1_000_000


@pytest.mark.parametrize(
    ("elapsed_s", "changes", "due"),
    [
        (3600, 1, None),
        (3601, 1, POINTS[0]),
        (3601, 0, None),
        (60, 100, None),
        (61, 100, POINTS[1]),
        (61, 99, None),
        (4000, 500, POINTS[0]),
    ],
)
def test_a_point_is_met_by_changes_and_time(
    elapsed_s: int, changes: int, due: SavePoint | None
) -> None:
    """At least so many changes, and more than so many seconds since the last save."""
    status = SaveStatus(last_save_ms=START_MS)

    assert due_save_point(POINTS, changes, status, START_MS + elapsed_s * 1000) == due


def test_nothing_is_due_while_one_is_being_written() -> None:
    """One child at a time."""
    status = SaveStatus()
    status.on_background_start(START_MS, 5)

    assert due_save_point(POINTS, 1000, status, START_MS + 10**9) is None


def test_after_a_failure_the_next_attempt_waits() -> None:
    """A full disk must not make the server fork ten times a second."""
    status = SaveStatus()
    status.on_background_start(START_MS, 5)
    assert status.on_background_end(START_MS + 10, is_ok=False) == 0

    assert due_save_point(POINTS, 1000, status, START_MS + RETRY_DELAY_MS) is None
    assert due_save_point(POINTS, 1000, status, START_MS + RETRY_DELAY_MS + 1) == POINTS[1]


def test_a_save_covers_the_changes_before_it() -> None:
    """What was changed while the child wrote is not in the file."""
    status = SaveStatus()
    status.on_background_start(START_MS, 5)

    assert status.is_in_progress
    assert status.on_background_end(START_MS + 1500, is_ok=True, copied_bytes=7) == 5
    assert (status.last_save_ms, status.last_duration_ms) == (START_MS + 1500, 1500)
    assert (status.save_count, status.last_copied_bytes) == (1, 7)


def test_a_save_in_the_foreground_makes_good_a_failure() -> None:
    """The data is on the disk, so writes may go on."""
    status = SaveStatus(is_last_background_save_ok=False)

    status.on_foreground_end(START_MS)

    assert status.is_last_background_save_ok
    assert (status.last_save_ms, status.save_count) == (START_MS, 1)
