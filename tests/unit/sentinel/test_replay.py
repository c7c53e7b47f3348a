"""A journal that is run again gives the trace of the day it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sentinel.core.events import Event, Started
from sentinel.journal import VERSION, JournalError, StartRecord, encode_line
from sentinel.replay import trace
from tests.unit.sentinel.core.rig import MASTER, REPLICA_1, REPLICA_2, Rig, durable, replica_info
from vedette_cli.main import cli


class RecordedRig(Rig):
    """A rig that keeps a journal; its machine has the seed 1."""

    def __init__(self) -> None:
        self.journal = [encode_line(StartRecord(VERSION, 1, durable()))]
        super().__init__()

    def _step(self, event: Event) -> None:
        self.journal.append(encode_line(event))
        super()._step(event)


def failed_over() -> RecordedRig:
    rig = RecordedRig()
    rig.info[REPLICA_2] = replica_info(offset=200)
    rig.advance(1_000)
    rig.agree_down()
    rig.kill(MASTER)
    rig.advance(3_000)
    assert rig.master.address == REPLICA_2
    return rig


def test_replay_announces_what_was_announced() -> None:
    """An incident can be looked at as often as needed."""
    rig = failed_over()

    start, *lines = trace(rig.journal)

    assert start == f"start of {'0' * 40}"
    assert [line.split(maxsplit=1)[1] for line in lines] == rig.lines()
    sdown = next(line for line in lines if "+sdown" in line)
    # Down-after (1 s) behind the last PING before the death, which nobody answered.
    assert 1.9 <= float(sdown.split()[0]) <= 2.0


def test_everything_can_be_shown_but_passwords() -> None:
    """Events with <, actions with >."""
    rig = failed_over()

    lines = list(trace(rig.journal, shows_all=True))

    assert any("< LinkDown link=" in line and "reason=eof" in line for line in lines)
    assert any("> Send link=" in line and "MULTI; SLAVEOF NO ONE; CONFIG" in line for line in lines)
    assert any("> Persist " in line for line in lines)


def test_each_start_begins_anew() -> None:
    """A journal goes on over restarts of the process."""
    rig = failed_over()

    once, twice = list(trace(rig.journal)), list(trace(rig.journal * 2))

    assert twice == once * 2


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["nonsense"], "line 1: not a line of a journal"),
        ([encode_line(Started(1))], "line 1: no start comes before it"),
        (
            [encode_line(StartRecord(VERSION + 1, 1, durable()))],
            f"line 1: a journal of version {VERSION + 1}",
        ),
    ],
)
def test_what_is_no_journal_is_refused_with_the_line(lines: list[str], reason: str) -> None:
    """Whoever looks at an incident needs to know where the trace ends, and why."""
    with pytest.raises(JournalError, match=reason):
        list(trace(lines))


def test_program_prints_the_trace_and_says_where_it_ends(tmp_path: Path) -> None:
    """A process that was killed may have left half a line."""
    file = tmp_path / "journal"
    rig = failed_over()
    file.write_text("\n".join([*rig.journal, '{"is":"Tim']))

    result = CliRunner().invoke(cli, ["sentinel", "replay", str(file)])

    assert "+switch-master mymaster 10.0.0.1 6379 10.0.0.3 6379" in result.output
    assert f"Error: line {len(rig.journal) + 1}: not a line of a journal" in result.output
    assert result.exit_code == 1
    assert REPLICA_1.host in result.output
