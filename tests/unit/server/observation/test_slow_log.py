"""The slow log: what is kept, and of what how much."""

from __future__ import annotations

import pytest

from server.observation import SlowLog


def add(log: SlowLog, *words: bytes) -> None:
    log.add(list(words), duration_us=20_000, now_ms=1_500, address="1.2.3.4:5", client_name=b"me")


@pytest.mark.parametrize(
    ("threshold_us", "duration_us", "is_wanted"),
    [(10_000, 10_000, True), (10_000, 9_999, False), (0, 0, True), (-1, 1_000_000, False)],
)
def test_a_call_is_wanted_from_the_threshold_on(
    threshold_us: int, duration_us: int, is_wanted: bool
) -> None:
    """A negative threshold switches the log off, 0 keeps every call."""
    log = SlowLog()
    log.threshold_us = threshold_us

    assert log.wants(duration_us) is is_wanted


def test_the_newest_come_first_and_the_oldest_go() -> None:
    """Ids go on, so that whoever reads the log knows what was missed."""
    log = SlowLog()
    log.set_max_length(2)
    for name in (b"A", b"B", b"C"):
        add(log, name)

    assert [(entry.id, entry.argv) for entry in log.newest(5)] == [(2, [b"C"]), (1, [b"B"])]
    assert len(log.newest(1)) == 1
    log.clear()
    add(log, b"D")
    assert [entry.id for entry in log.newest(5)] == [3]


def test_long_requests_are_shortened() -> None:
    """32 words at most, the last of which says how many are missing, and 128 bytes of each."""
    log = SlowLog()
    add(log, b"SADD", *[b"%d" % number for number in range(33)])
    add(log, b"SET", b"k", b"x" * 130, b"y" * 128)

    newest, oldest = log.newest(2)
    assert len(oldest.argv) == 32
    assert oldest.argv[-2:] == [b"29", b"... (3 more arguments)"]
    assert newest.argv[2:] == [b"x" * 128 + b"... (2 more bytes)", b"y" * 128]
