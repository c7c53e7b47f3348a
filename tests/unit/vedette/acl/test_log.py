"""The log of refusals: newest first, those alike together, never longer than allowed."""

from __future__ import annotations

from vedette.acl import AclLog, DenialReason
from vedette.acl.log import GROUPING_MS


def add(log: AclLog, subject: str, now_ms: int = 0, **changes: str) -> None:
    """Enter a refused command."""
    log.add(
        DenialReason.COMMAND,
        context=changes.get("context", "toplevel"),
        subject=subject.encode(),
        user_name=changes.get("user", "alice").encode(),
        client_info=f"at {now_ms}".encode(),
        now_ms=now_ms,
    )


def shown(log: AclLog, count: int = 10) -> list[tuple[bytes, int, int]]:
    """Subject, count and id of the newest entries."""
    return [(each.subject, each.count, each.entry_id) for each in log.newest(count)]


def test_refusals_alike_are_counted_together() -> None:
    """And come first again; the first time is kept, the last client shown."""
    log = AclLog()
    add(log, "get", 1000)
    add(log, "set", 2000)
    add(log, "get", 3000)

    assert shown(log) == [(b"get", 2, 0), (b"set", 1, 1)]
    (newest,) = log.newest(1)
    assert (newest.created_ms, newest.updated_ms, newest.client_info) == (1000, 3000, b"at 3000")


def test_another_user_context_or_minute_is_another_entry() -> None:
    """Each may be another matter."""
    log = AclLog()
    add(log, "get")
    add(log, "get", user="bob")
    add(log, "get", context="multi")
    add(log, "get", GROUPING_MS + 1)

    assert [count for _, count, _ in shown(log)] == [1, 1, 1, 1]
    add(log, "get", 2 * GROUPING_MS + 1)
    assert shown(log)[0] == (b"get", 2, 3)


def test_the_log_is_bounded_and_looked_through_only_in_part() -> None:
    """A flood of refusals must cost little."""
    log = AclLog()
    log.max_length = 12
    for number in range(20):
        add(log, f"c{number}")
    assert len(log) == 12
    assert shown(log, 2) == [(b"c19", 1, 19), (b"c18", 1, 18)]
    assert shown(log, -1) == []

    add(log, "c9")  # the eleventh: further away than is looked
    assert shown(log, 1) == [(b"c9", 1, 20)]
    log.clear()
    assert len(log) == 0
