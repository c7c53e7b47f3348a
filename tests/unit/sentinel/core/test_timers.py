"""Deadlines fire once, in order, at the time they were set to last."""

from __future__ import annotations

from sentinel.core.timers import Timer, TimerKind, Timers

ASK = Timer(TimerKind.ASK, "m")
INFO = Timer(TimerKind.INFO, "m")


def test_moved_deadline_fires_only_at_its_new_time() -> None:
    """A PING that is answered moves the next look."""
    timers = Timers()
    timers.set(ASK, 10)
    timers.set(ASK, 30)

    assert timers.next_ms == 30
    assert timers.pop_due(29) is None
    assert timers.pop_due(30) == ASK
    assert timers.next_ms is None


def test_set_earlier_never_delays() -> None:
    """A suspicion keeps its first deadline."""
    timers = Timers()
    timers.set_earlier(ASK, 20)
    timers.set_earlier(ASK, 30)
    assert timers.next_ms == 20
    timers.set_earlier(ASK, 10)
    assert timers.next_ms == 10


def test_same_time_fires_in_the_order_of_setting() -> None:
    """Determinism."""
    timers = Timers()
    timers.set(INFO, 5)
    timers.set(ASK, 5)

    assert [timers.pop_due(5), timers.pop_due(5), timers.pop_due(5)] == [INFO, ASK, None]


def test_timers_of_a_master_go_with_it() -> None:
    """A removed master must not be woken for."""
    timers = Timers()
    timers.set(ASK, 5)
    timers.set(Timer(TimerKind.ASK, "other"), 7)
    timers.cancel_master("m")

    assert not timers.is_set(ASK)
    assert timers.next_ms == 7


def test_moving_for_ever_takes_no_memory() -> None:
    """Deadlines are moved ten times a second for months."""
    timers = Timers()
    for at_ms in range(100_000):
        timers.set(ASK, at_ms)

    assert len(timers._heap) < 200
    assert timers.pop_due(99_999) == ASK


def test_deadline_can_be_looked_up() -> None:
    """Without being taken out; the latest counts."""
    timers = Timers()
    timers.set(Timer(TimerKind.SAVE), 7)
    timers.set(Timer(TimerKind.SAVE), 9)

    assert timers.due_ms(Timer(TimerKind.SAVE)) == 9
    assert timers.due_ms(Timer(TimerKind.TILT)) is None
    assert timers.next_ms == 9
