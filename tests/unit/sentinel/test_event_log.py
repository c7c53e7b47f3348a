"""Events with ids that rise over restarts, in a ring that says when it has forgotten some."""

from __future__ import annotations

from sentinel.core.actions import Level, Publish
from sentinel.event_log import EventLog

START = 1_700_000_000_000_000


def filled(count: int, size_max: int = 4) -> EventLog:
    log = EventLog(START, size_max)
    for number in range(count):
        log.append(Publish(b"+e", b"%d" % number, Level.NOTICE), unix_ms=number)
    return log


def payloads(log: EventLog, since: int, count: int = 100) -> list[int]:
    return [int(event.payload) for event in log.since(since, count)]


def test_ids_rise_by_one_from_the_start_of_the_process() -> None:
    """So none comes twice, also over a restart."""
    log = filled(3)

    assert [event.id for event in log.since(0, 9)] == [START, START + 1, START + 2]
    assert (log.first_id, log.last_id) == (START, START + 2)


def test_reading_goes_on_behind_the_last_seen() -> None:
    """Nothing twice, nothing left out, no more than asked for."""
    log = filled(4)

    assert payloads(log, START) == [1, 2, 3]
    assert payloads(log, START, count=2) == [1, 2]
    assert payloads(log, START + 3) == []
    assert payloads(log, START + 99) == []


def test_oldest_are_overwritten_and_that_is_told() -> None:
    """Only to who has not seen them."""
    log = filled(7)

    assert payloads(log, START) == [3, 4, 5, 6]
    assert log.has_dropped(START + 1)
    assert not log.has_dropped(START + 2)
    assert log.has_dropped(0)


def test_id_from_before_a_restart_has_lost_events() -> None:
    """What came between is unknown; a first reader has lost nothing."""
    assert filled(2).has_dropped(START - 60_000_000)
    assert not filled(2).has_dropped(0)
    assert not filled(0).has_dropped(0)
    assert not filled(0).has_dropped(START - 1)
