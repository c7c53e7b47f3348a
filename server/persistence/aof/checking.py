"""Whether one file of an append-only file is whole, and up to where: for `vedette check-aof`.

Nothing is run: a file passes if it is made of commands, and its transactions are complete. Follows
Redis 7.0 `redis-check-aof.c`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..rdb.errors import RdbError
from ..rdb.opcodes import MAGIC
from ..rdb_survey import RdbSurvey, survey_rdb
from .reading import AofData, AofReader, CorruptAofError, TruncatedAofError


@dataclass(slots=True)
class PartReport:
    """What was found in one file."""

    size_bytes: int
    #: Everything before this offset is whole.
    whole_bytes: int = 0
    command_count: int = 0
    #: What is wrong at `whole_bytes`; empty: nothing.
    problem: str = ""
    #: It is an early end, not damage.
    is_truncated: bool = False
    #: What the snapshot that the file begins with holds; None: it begins with none.
    snapshot: RdbSurvey | None = None
    #: Where the first annotation of a later time than was asked for stands; None: there is none.
    later_offset: int | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


def check_part(data: AofData, *, now_ms: int, until_s: int | None = None) -> Iterator[PartReport]:
    """Check a file, and yield the report on it as it grows; what came last is complete.

    Reading stops at the first annotation of a time (Unix seconds) after `until_s`.
    """
    report = PartReport(len(data))
    start = 0
    if data[: len(MAGIC)] == MAGIC:
        report.snapshot = RdbSurvey()
        try:
            for position in survey_rdb(data, report.snapshot, now_ms):
                report.whole_bytes = position
                yield report
        except RdbError as error:
            report.problem = str(error)
            yield report
            return
        start = report.whole_bytes
    yield from _check_commands(AofReader(data, start), report, until_s)


def _check_commands(
    reader: AofReader, report: PartReport, until_s: int | None
) -> Iterator[PartReport]:
    is_in_transaction = False
    report.whole_bytes = reader.position
    try:
        while True:
            commands, ends = reader.read()
            for offset, timestamp_s in reader.annotations:
                if until_s is not None and timestamp_s > until_s and not is_in_transaction:
                    report.later_offset = report.whole_bytes = offset
                    yield report
                    return
            if not commands:
                break
            offset = report.whole_bytes
            for command, end in zip(commands, ends, strict=True):
                name = command[0].upper()
                if name == b"MULTI":
                    if is_in_transaction:
                        raise CorruptAofError(offset, "MULTI within a transaction")
                    is_in_transaction = True
                elif name == b"EXEC":
                    if not is_in_transaction:
                        raise CorruptAofError(offset, "EXEC without MULTI")
                    is_in_transaction = False
                if not is_in_transaction:
                    report.whole_bytes = end
                offset = end
            report.command_count += len(commands)
            yield report
        if is_in_transaction:
            raise TruncatedAofError(report.whole_bytes)
        report.whole_bytes = reader.position
    except TruncatedAofError as error:
        report.problem, report.is_truncated = str(error), True
    except CorruptAofError as error:
        report.problem = str(error)
    yield report
