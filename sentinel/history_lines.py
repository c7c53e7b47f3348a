"""Failover records as lines of the history file: JSON, with dates in place of machine times.

Pure; the file is the runtime's. A machine's times mean nothing to the next process, so they are
written as Unix milliseconds and read back relative to the reader's own clock.
"""

from __future__ import annotations

import json
from typing import Any, Final

from vedette.errors import VedetteError
from vedette.types import Address, RunId

from .core.history import Cause, FailoverRecord, Phase, Result

#: Fields that are written as they are.
_PLAIN: Final = (
    "leader",
    "epoch",
    "ended_by",
    "attempts",
    "selections",
    "votes",
    "needed_votes",
    "estimated_lost_bytes",
    "pause_ms",
)


class HistoryLineError(VedetteError):
    """A line is not one of a history file."""


def encode_record(name: str, record: FailoverRecord, to_unix_ms: int) -> str:
    """Return a record of the master `name` as a line, without its end.

    `to_unix_ms` is what makes Unix time of a machine time when it is added.
    """
    fields: dict[str, Any] = {
        "master": name,
        "cause": record.cause.value,
        "result": record.result.value,
        "old": list(record.old_address),
        "new": None if record.new_address is None else list(record.new_address),
        "phases": {phase.value: at_ms + to_unix_ms for phase, at_ms in record.phases.items()},
        "ended": None if record.ended_ms is None else record.ended_ms + to_unix_ms,
        "chosen_by": record.chosen_by,
        **{field: getattr(record, field) for field in _PLAIN},
    }
    return json.dumps(fields, separators=(",", ":"))


def decode_record(line: str, to_unix_ms: int) -> tuple[str, FailoverRecord]:
    """Return the master's name and the record of a line.

    Raises:
        HistoryLineError: it is no such line.
    """
    try:
        fields = json.loads(line)
        ended_ms = fields["ended"]
        record = FailoverRecord(
            cause=Cause(fields["cause"]),
            result=Result(fields["result"]),
            old_address=_address(fields["old"]),
            new_address=None if fields["new"] is None else _address(fields["new"]),
            phases={
                Phase(name): int(at_ms) - to_unix_ms for name, at_ms in fields["phases"].items()
            },
            ended_ms=None if ended_ms is None else int(ended_ms) - to_unix_ms,
            # Lines of the first versions have no such word.
            chosen_by=str(fields.get("chosen_by", "")),
            leader=None if fields["leader"] is None else RunId(str(fields["leader"])),
            **{field: fields[field] for field in _PLAIN if field != "leader"},
        )
        name = str(fields["master"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HistoryLineError(f"not a line of a history: {line[:80]!r}") from error
    if not record.phases or record.result is Result.RUNNING:
        raise HistoryLineError(f"not a failover that has ended: {line[:80]!r}")
    return name, record


def _address(words: Any) -> Address:  # Any: JSON
    host, port = words
    return Address(str(host), int(port))
