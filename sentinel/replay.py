"""A journal run again: the same machine, given the same events, does the same things.

Pure: lines in, the trace's lines out. A journal may hold several starts, each with its own seed and
state. Passwords are stars in a journal, and what is sent is shown by its first words only.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Iterator
from enum import Enum

from vedette.types import Address

from .core import SentinelCore, initial_state
from .core.actions import Action, Publish, Send
from .core.events import Event
from .journal import VERSION, JournalError, StartRecord, decode_line

#: Of each command that is sent, so many words are shown: enough to tell them apart.
_WORDS_SHOWN = 3


def trace(lines: Iterable[str], *, shows_all: bool = False) -> Iterator[str]:
    """Yield what the machine announces, with the seconds since its start.

    `shows_all` adds every event (`<`) and every action (`>`).

    Raises:
        JournalError: a line is not one of a journal that this version can run; the text says which.
        AssertionError: the machine breaks one of its invariants, as it may have done then.
    """
    core: SentinelCore | None = None
    began_ms: int | None = None
    for number, line in enumerate(lines, 1):
        record = _read(line, number)
        if isinstance(record, StartRecord):
            core = SentinelCore(initial_state(record.state), random.Random(record.seed))
            began_ms = None
            yield f"start of {record.state.my_id}"
            continue
        if core is None:
            raise JournalError(f"line {number}: no start comes before it")
        began_ms = record.now_ms if began_ms is None else began_ms
        at = f"{(record.now_ms - began_ms) / 1000:10.3f}"
        if shows_all:
            yield f"{at}  < {_shown(record)}"
        for action in core.step(record):
            if isinstance(action, Publish):
                payload = action.payload.decode("utf-8", "replace")
                yield f"{at}  {action.event.decode()} {payload}"
            elif shows_all:
                yield f"{at}  > {_shown(action)}"


def _read(line: str, number: int) -> StartRecord | Event:
    try:
        record = decode_line(line)
    except JournalError as error:
        raise JournalError(f"line {number}: {error}") from error
    if isinstance(record, StartRecord) and record.version != VERSION:
        raise JournalError(
            f"line {number}: a journal of version {record.version}, this program runs {VERSION}"
        )
    return record


def _shown(record: Event | Action) -> str:
    """One line about an event or action: its name, and its fields as far as they are short."""
    if isinstance(record, Send):
        commands = "; ".join(
            b" ".join(command[:_WORDS_SHOWN]).decode("utf-8", "replace")
            for command in record.commands
            if command[0] != b"AUTH"
        )
        return f"Send link={record.link} {commands}"
    fields = (
        f"{field.name}={_short(getattr(record, field.name))}"
        for field in dataclasses.fields(record)
        if field.name != "now_ms"
    )
    return " ".join((type(record).__name__, *fields))


def _short(value: object) -> str:
    match value:
        case Enum():
            return str(value.value)
        case Address() | int():
            return str(value)
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
