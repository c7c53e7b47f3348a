"""The history of a drill: what each client asked, and what it was told.

One record per event, in the shape of Jepsen's histories so that other checkers can read them: a
`process` (one logical client; it gets a new number after an operation of unknown outcome, as such
an operation may still take effect at any later time), a type, a function, key, value and a time of
one monotonic clock. Pure: times are arguments.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass


class Outcome(enum.Enum):
    """How an operation stands."""

    INVOKE = "invoke"
    #: Acknowledged by the server.
    OK = "ok"
    #: Certainly not done: refused, or never sent.
    FAIL = "fail"
    #: Sent, but no reply came: it may have been done, or may yet be.
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record; `value` is what was written (SET) or answered (INCR)."""

    index: int
    process: int
    writer: int
    outcome: Outcome
    function: str
    key: str
    value: str | int | None
    time_ns: int
    #: Class of the error, and its text, for `fail` and `info`.
    error: str | None = None

    def to_json(self) -> str:
        """Return the record as one line of JSON, with Jepsen's names."""
        record = {
            "index": self.index,
            "process": self.process,
            "writer": self.writer,
            "type": self.outcome.value,
            "f": self.function,
            "key": self.key,
            "value": self.value,
            "time": self.time_ns,
        }
        if self.error is not None:
            record["error"] = self.error
        return json.dumps(record, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An invocation with its completion; `completed_ns` is None while it is open."""

    writer: int
    function: str
    key: str
    value: str | int | None
    outcome: Outcome
    invoked_ns: int
    completed_ns: int | None
    error: str | None = None


class History:
    """Events in the order in which they happened; the only writer of their numbers."""

    def __init__(self, writer_count: int) -> None:
        self._events: list[Event] = []
        self._process_of = list(range(writer_count))
        self._open: dict[int, Event] = {}
        self._writer_count = writer_count

    def __len__(self) -> int:
        return len(self._events)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def invoke(
        self, writer: int, function: str, key: str, value: str | int | None, time_ns: int
    ) -> None:
        """Record that `writer` begins an operation; it must have none open."""
        assert writer not in self._open, f"writer {writer} has an operation open"
        self._open[writer] = self._append(
            writer, Outcome.INVOKE, function, key, value, time_ns, error=None
        )

    def complete(
        self,
        writer: int,
        outcome: Outcome,
        time_ns: int,
        *,
        value: str | int | None = None,
        error: str | None = None,
    ) -> None:
        """Record how the open operation of `writer` ended; `value` replaces the invoked one."""
        assert outcome is not Outcome.INVOKE
        invoked = self._open.pop(writer)
        kept = invoked.value if value is None else value
        self._append(writer, outcome, invoked.function, invoked.key, kept, time_ns, error=error)
        if outcome is Outcome.INFO:
            self._process_of[writer] += self._writer_count

    def operations(self) -> list[Operation]:
        """Return every operation in the order of completion, then those still open as INFO.

        An operation nobody completed was cut off while it waited: its outcome is unknown.
        """
        return pair_events(self._events)

    def _append(
        self,
        writer: int,
        outcome: Outcome,
        function: str,
        key: str,
        value: str | int | None,
        time_ns: int,
        *,
        error: str | None,
    ) -> Event:
        event = Event(
            index=len(self._events),
            process=self._process_of[writer],
            writer=writer,
            outcome=outcome,
            function=function,
            key=key,
            value=value,
            time_ns=time_ns,
            error=error,
        )
        self._events.append(event)
        return event


def pair_events(events: Iterable[Event]) -> list[Operation]:
    """Return the operations that `events` describe; see `History.operations`."""
    operations: list[Operation] = []
    opened: dict[int, Event] = {}
    for event in events:
        if event.outcome is Outcome.INVOKE:
            opened[event.writer] = event
            continue
        operations.append(_join(opened.pop(event.writer), event))
    operations.extend(_join(event, None) for event in opened.values())
    return operations


def _join(invoked: Event, completed: Event | None) -> Operation:
    return Operation(
        writer=invoked.writer,
        function=invoked.function,
        key=invoked.key,
        value=invoked.value if completed is None else completed.value,
        outcome=Outcome.INFO if completed is None else completed.outcome,
        invoked_ns=invoked.time_ns,
        completed_ns=None if completed is None else completed.time_ns,
        error=None if completed is None else completed.error,
    )
