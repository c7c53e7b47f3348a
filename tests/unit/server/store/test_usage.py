"""Marks of use: idle times, and counters that rise slowly and fall with time, as Redis' do."""

from __future__ import annotations

import random

import pytest

from server.store.database import Database
from server.store.usage import KeyUsage, Measure, SavedMarks

NOW_S = 1_700_000_040  # a whole minute


@pytest.fixture
def database() -> Database:
    database = Database(0, lambda database, key: None)
    database.set(b"k", b"v")
    return database


def usage_of(database: Database, measure: Measure) -> KeyUsage:
    usage = KeyUsage([database], random.Random(1))
    usage.begin(measure, NOW_S)
    return usage


def test_a_key_is_idle_since_it_was_used_or_since_marks_are_made(database: Database) -> None:
    """What was not noted is not known: then it is the time since notes began."""
    usage = usage_of(database, Measure.RECENCY)

    assert usage.idle_s(database, b"k", NOW_S + 100) == 100
    usage.mark_recency(database, b"k", NOW_S + 90)
    assert usage.idle_s(database, b"k", NOW_S + 100) == 10


@pytest.mark.parametrize("measure", Measure)
def test_equal_marks_are_one_object(database: Database, measure: Measure) -> None:
    """Whole databases are filled within a minute: an integer a key would be 32 bytes of each."""
    usage = usage_of(database, measure)
    mark = usage.mark_recency if measure is Measure.RECENCY else usage.mark_frequency
    database.set(b"other", b"v")
    for key in (b"k", b"other"):
        mark(database, key, int(str(NOW_S)))

    assert database.usage[b"k"] is database.usage[b"other"]


def test_a_key_that_is_gone_gets_no_mark(database: Database) -> None:
    """A command notes its keys when it has run, and may have deleted them."""
    for measure in Measure:
        usage = usage_of(database, measure)
        usage.mark_recency(database, b"other", NOW_S)
        usage.mark_frequency(database, b"other", NOW_S)

        assert database.usage == {}


def test_a_deletion_forgets_the_mark(database: Database) -> None:
    """A key made anew begins anew, and marks never outnumber keys."""
    usage = usage_of(database, Measure.RECENCY)
    usage.mark_recency(database, b"k", NOW_S)

    database.delete(b"k")

    assert usage.mark_count() == 0


def test_a_counter_begins_at_five_and_rises_ever_more_slowly(database: Database) -> None:
    """With the factor 10 some 100 uses give 10, 1000 give 18, 100,000 give 142 (Redis' table)."""
    usage = usage_of(database, Measure.FREQUENCY)
    counts = []
    usage.mark_frequency(database, b"k", NOW_S)
    counts.append(usage.frequency(database, b"k", NOW_S))
    for uses in (1, 99, 900, 99_000):
        for _ in range(uses):
            usage.mark_frequency(database, b"k", NOW_S)
        counts.append(usage.frequency(database, b"k", NOW_S))

    assert counts[:2] == [5, 6]
    assert 8 <= counts[2] <= 14
    assert 14 <= counts[3] <= 26
    assert 120 <= counts[4] <= 165


def test_a_counter_stops_at_255(database: Database) -> None:
    """It has eight bits."""
    usage = usage_of(database, Measure.FREQUENCY)
    usage.log_factor = 0
    for _ in range(400):
        usage.mark_frequency(database, b"k", NOW_S)

    assert usage.frequency(database, b"k", NOW_S) == 255


@pytest.mark.parametrize(
    ("decay_minutes", "elapsed_s", "expected"),
    [(1, 59, 100), (1, 60, 99), (1, 600, 90), (1, 60_000, 0), (5, 600, 98), (0, 60_000, 100)],
)
def test_a_counter_falls_by_one_each_period(
    database: Database, decay_minutes: int, elapsed_s: int, expected: int
) -> None:
    """lfu-decay-time is that period in minutes; 0: it never falls."""
    usage = usage_of(database, Measure.FREQUENCY)
    usage.decay_minutes = decay_minutes
    usage.set_frequency(database, b"k", 100, NOW_S)

    assert usage.frequency(database, b"k", NOW_S + elapsed_s) == expected


def test_minutes_may_wrap_around(database: Database) -> None:
    """A mark has 16 bits of them: 45 days."""
    usage = usage_of(database, Measure.FREQUENCY)
    last_minute_s = (NOW_S // 60 | 0xFFFF) * 60
    usage.set_frequency(database, b"k", 100, last_minute_s)

    assert usage.frequency(database, b"k", last_minute_s + 120) == 98


def test_what_is_told_takes_effect_only_if_it_is_measured(database: Database) -> None:
    """RESTORE and snapshots may bring what another policy needs."""
    usage = usage_of(database, Measure.RECENCY)
    usage.set_frequency(database, b"k", 100, NOW_S)
    usage.set_idle(database, b"k", 7, NOW_S)
    assert usage.idle_s(database, b"k", NOW_S) == 7

    usage = usage_of(database, Measure.FREQUENCY)
    usage.set_idle(database, b"k", 7, NOW_S)
    assert database.usage == {}
    usage.adopt(database, {b"k": 7}, {b"k": 100}, NOW_S)
    assert usage.frequency(database, b"k", NOW_S) == 100


@pytest.mark.parametrize(("measure", "expected"), [(Measure.RECENCY, 3), (Measure.FREQUENCY, 5)])
def test_saved_marks_are_those_that_there_are(
    database: Database, measure: Measure, expected: int
) -> None:
    """Keys without a mark have no opcode in a snapshot."""
    database.set(b"unmarked", b"v")
    usage = usage_of(database, measure)
    if measure is Measure.RECENCY:
        usage.mark_recency(database, b"k", NOW_S - 3)
    else:
        usage.mark_frequency(database, b"k", NOW_S)

    assert dict(SavedMarks(usage, database, NOW_S)) == {b"k": expected}
    assert SavedMarks(usage, database, NOW_S).get(b"unmarked") is None
