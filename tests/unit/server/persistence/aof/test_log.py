"""The log: what is written, how far it got, and when rewrites are due."""

from __future__ import annotations

from server.persistence.aof.log import AofState, AppendOnlyLog, RewriteStatus
from server.replication.propagation import EffectStream
from vedette.resp.encode import encode_command

SET = encode_command([b"SET", b"a", b"1"])
SELECT_0 = encode_command([b"SELECT", b"0"])
SELECT_1 = encode_command([b"SELECT", b"1"])
MULTI = encode_command([b"MULTI"])
EXEC = encode_command([b"EXEC"])


class Rig:
    """A log that gathers, and the replication offset beside it."""

    def __init__(self) -> None:
        self.offset = 0
        self.sinks: list[EffectStream] = []
        self.log = AppendOnlyLog(self.sinks, lambda: self.offset)
        self.log.state = AofState.ON
        self.log.gather()

    def write(self, size: int | None = None) -> bytes:
        output = self.log.output()
        self.log.on_written(len(output) if size is None else size)
        return output


def test_units_are_written_with_the_databases_that_they_belong_to() -> None:
    """Several effects are a transaction; one is whole by itself."""
    rig = Rig()
    rig.log.effects.append([(0, SET)])
    rig.log.effects.append([(0, SET)])
    rig.log.effects.append([(0, SET), (1, SET)])

    expected = SELECT_0 + SET + SET + MULTI + SET + SELECT_1 + SET + EXEC
    assert rig.write() == expected
    assert rig.log.output() == b""


def test_each_new_file_begins_with_a_select() -> None:
    """A reader of it knows no database yet."""
    rig = Rig()
    rig.log.effects.append([(0, SET)])
    rig.write()
    rig.log.effects.forget_database()
    rig.log.effects.append([(0, SET)])

    assert rig.write() == SELECT_0 + SET


def test_what_was_written_in_part_stays_to_be_written() -> None:
    """It is not safe before the whole is there, though some bytes are in the file."""
    rig = Rig()
    rig.log.effects.append([(0, SET)])
    rig.write(5)

    assert rig.log.output() == (SELECT_0 + SET)[5:]
    assert rig.log.buffered_bytes == len(SELECT_0 + SET) - 5
    assert rig.log.written_mark.position == 0


def test_an_fsync_makes_safe_what_was_written_when_it_began() -> None:
    """Not what was written meanwhile."""
    rig = Rig()
    rig.log.effects.append([(0, SET)])
    rig.offset = 10
    rig.write()
    mark = rig.log.written_mark
    rig.log.effects.append([(0, SET)])
    rig.offset = 20
    rig.write()
    rig.log.on_synced(mark)
    assert (rig.log.is_all_synced, rig.log.synced_offset) == (False, 10)

    rig.log.on_synced(rig.log.written_mark)
    rig.offset = 34  # a PING in the stream
    assert (rig.log.is_all_synced, rig.log.synced_offset) == (True, 34)


def test_without_a_file_nothing_is_safe() -> None:
    """A replica says so to its master by saying nothing."""
    rig = Rig()
    rig.log.state = AofState.AWAITING_REWRITE

    assert rig.log.synced_offset == -1


def test_the_time_is_noted_once_a_second_between_units() -> None:
    """A transaction is never cut by it; a batch has one time."""
    rig = Rig()
    rig.log.annotates_time = True
    rig.log.clock_ms = lambda: 1_700_000_000_500
    rig.log.effects.append([(0, SET), (0, SET)])
    rig.log.effects.append([(0, SET)])
    first = rig.write()
    rig.log.clock_ms = lambda: 1_700_000_001_000
    rig.log.effects.append([(0, SET)])

    assert first + rig.write() == (
        b"#TS:1700000000\r\n"
        + SELECT_0
        + MULTI
        + SET
        + SET
        + EXEC
        + SET
        + b"#TS:1700000001\r\n"
        + SET
    )


def test_a_write_waits_two_seconds_for_an_fsync_and_no_longer() -> None:
    """Redis' rule; the write that went ahead is counted."""
    rig = Rig()
    rig.log.effects.append([(0, SET)])

    assert [rig.log.may_postpone(at_ms) for at_ms in (5000, 6999, 7000)] == [True, True, False]
    assert rig.log.delayed_count == 1
    rig.write()
    assert rig.log.may_postpone(7100)


def test_what_is_not_gathered_any_more_is_not_waited_for() -> None:
    """A position that was promised is passed all the same."""
    rig = Rig()
    rig.log.effects.append([(0, SET)])
    position = rig.log.appended
    rig.log.stop_gathering()

    assert rig.sinks == []
    assert (rig.log.output(), rig.log.buffered_bytes) == (b"", 0)
    assert rig.log.synced.position == position


def test_a_rewrite_is_due_by_growth_beyond_the_least_size() -> None:
    """A base that is not known counts as one byte."""
    log = Rig().log
    log.base_bytes, log.current_bytes = 1000, 1999
    assert not log.is_rewrite_due(100, 500)
    log.current_bytes = 2000
    assert log.is_rewrite_due(100, 500)
    assert not log.is_rewrite_due(100, 2000)
    assert not log.is_rewrite_due(0, 500)
    log.base_bytes = 0
    assert log.is_rewrite_due(100, 500)
    log.state = AofState.AWAITING_REWRITE
    assert not log.is_rewrite_due(100, 500)


def test_rewrites_that_keep_failing_wait_longer_and_longer() -> None:
    """A minute, two, and so on to an hour; told once when a wait begins."""
    status = RewriteStatus()
    for _ in range(2):
        status.on_failure()
    assert status.delay_minutes(0) is None
    status.on_failure()
    now_ms = 0
    delays = []
    for _ in range(8):
        delay = status.delay_minutes(now_ms)
        assert delay is not None
        delays.append(delay)
        assert status.delay_minutes(now_ms + delay * 60_000 - 1) == 0
        now_ms += delay * 60_000
        assert status.delay_minutes(now_ms) is None
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]

    status.on_start(now_ms)
    status.on_end(now_ms, is_ok=True, copied_bytes=1)
    assert status.delay_minutes(now_ms) is None
    assert status.failures == 0


def test_a_rewrite_that_was_stopped_on_purpose_has_not_failed() -> None:
    """The status that INFO shows stays what it was."""
    status = RewriteStatus()
    status.on_start(1000)
    status.on_end(1500, is_ok=None, copied_bytes=0)

    assert (status.is_last_ok, status.failures, status.last_duration_ms) == (True, 0, 500)
