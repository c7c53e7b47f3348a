"""The failovers' history over restarts: what is written is read back, and the file stays short."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentinel.core import initial_state
from sentinel.core.events import FailoverRequested
from sentinel.core.history import FailoverRecord, Result
from sentinel.core.model import SentinelState
from sentinel.history_lines import HistoryLineError, decode_record, encode_record
from sentinel.runtime import history_file
from sentinel.runtime.history_file import HistoryFile
from tests.unit.sentinel.core.rig import (
    MASTER,
    NAME,
    PEER_A,
    REPLICA_1,
    REPLICA_2,
    Rig,
    durable,
    replica_info,
    run_id_of,
)

TO_UNIX_MS = 1_700_000_000_000


def failed_over() -> Rig:
    """A rig with a failover that has ended, and everything in its record."""
    rig = Rig()
    rig.advance(1_000)
    rig.agree_down()
    rig.kill(MASTER)
    rig.advance(1_200)
    rig.info[REPLICA_2] = replica_info(rig.master.address, run_id=run_id_of(REPLICA_2))
    rig.info[REPLICA_1] = rig.info.get(REPLICA_1, b"")
    rig.advance(12_000)
    assert rig.master.history[-1].result in (Result.COMPLETED, Result.TIMED_OUT)
    return rig


def opened(path: Path, state: SentinelState, to_unix_ms: int = TO_UNIX_MS) -> HistoryFile:
    file = HistoryFile(str(path), state, to_unix_ms)
    file.open()
    return file


def shifted(record: FailoverRecord, by_ms: int) -> FailoverRecord:
    return decode_record(encode_record(NAME, record, 0), by_ms)[1]


def test_record_is_read_back_in_the_readers_time() -> None:
    """The other process' clock began elsewhere."""
    (record,) = failed_over().master.history

    name, read = decode_record(encode_record(NAME, record, TO_UNIX_MS), TO_UNIX_MS - 500)

    assert name == NAME
    assert read == shifted(record, -500)
    assert min(read.phases.values()) == min(record.phases.values()) + 500


def test_history_is_there_after_a_restart(tmp_path: Path) -> None:
    """Of the masters that are still watched; one that goes on failing stands in it once."""
    path = tmp_path / "history"
    rig = failed_over()
    file = opened(path, rig.core.state)
    file.write(NAME)
    file.write(NAME)
    file.write("nobody")

    state = initial_state(durable())
    opened(path, state)

    assert list(state.masters[NAME].history) == list(rig.master.history)
    assert len(path.read_text().splitlines()) == 1


def test_failover_that_runs_is_not_written(tmp_path: Path) -> None:
    """Nobody would know how it ended."""
    path = tmp_path / "history"
    rig = Rig()
    rig.advance(1_000)
    file = opened(path, rig.core.state)
    rig.silent.update((REPLICA_1, REPLICA_2))
    rig.step(FailoverRequested(rig.now_ms, rig.new_request(), NAME))

    file.write(NAME)

    assert path.read_text() == ""


def test_file_is_cut_back_when_it_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elections lost for days must not fill the disk."""
    monkeypatch.setattr(history_file, "LINES_MAX", 5)
    path = tmp_path / "history"
    rig = failed_over()
    file = opened(path, rig.core.state)

    for _ in range(20):
        file.write(NAME)
        assert len(path.read_text().splitlines()) <= 6


@pytest.mark.parametrize(
    "line", ["", "nonsense", "[]", "{}", '{"master":"m","phases":{}}', "null", "7"]
)
def test_line_that_is_none_is_refused(line: str) -> None:
    """It says so, and the others are read."""
    with pytest.raises(HistoryLineError):
        decode_record(line, 0)


def test_torn_and_foreign_lines_do_not_stop_the_start(tmp_path: Path) -> None:
    """A crash may have left half a line."""
    path = tmp_path / "history"
    rig = failed_over()
    good = encode_record(NAME, rig.master.history[0], TO_UNIX_MS)
    path.write_text(f"nonsense\n{good}\n{good.replace(NAME, 'gone')}\n{good[:50]}")

    state = initial_state(durable())
    opened(path, state)

    assert len(state.masters[NAME].history) == 1
    assert path.read_text() == f"{good}\n"


def test_history_that_cannot_be_written_ends_and_nothing_else(tmp_path: Path) -> None:
    """The sentinel does not depend on it."""
    rig = failed_over()
    file = opened(tmp_path / "missing" / "history", rig.core.state)

    file.write(NAME)

    rig.hello(PEER_A)
    assert not (tmp_path / "missing").exists()
