"""The journal's lines: what the machine was told, as JSON, and back.

A journal is a start record (the state and the seed that the machine began with) and then every
event in order. The machine is deterministic, so the same lines given to it again lead to the same
actions: an incident can be looked at as often as needed. Pure; the file is the runtime's.

Passwords are replaced by stars, so a replay differs in the AUTH commands it would send, and in
nothing else.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, cast, get_args

from vedette.conf.quoting import decode_word, encode_word
from vedette.errors import VedetteError
from vedette.resp.exchange import ReplyError
from vedette.types import Address

from .core.durable import DurableMaster, DurableState
from .core.events import Event, ForgetStep, LinkLoss
from .core.options import GlobalOptions, MasterOptions
from .core.timing import Periods

VERSION: Final = 1
_STARS: Final = b"******"


class JournalError(VedetteError):
    """A line is not one of a journal."""


@dataclass(frozen=True, slots=True)
class StartRecord:
    """What the machine began with."""

    version: int
    seed: int
    state: DurableState


#: What a line may hold, and what may stand inside of it.
_LINES: Final[tuple[type, ...]] = (StartRecord, *get_args(Event))
_RECORDS: Final[dict[str, type]] = {
    record.__name__: record
    for record in (
        *_LINES,
        DurableState,
        DurableMaster,
        MasterOptions,
        GlobalOptions,
        Periods,
    )
}


def encode_line(record: StartRecord | Event) -> str:
    """Return `record` as one line, without its end."""
    return json.dumps(_encode(record), separators=(",", ":"))


def decode_line(line: str) -> StartRecord | Event:
    """Return the record of a line.

    Raises:
        JournalError: it is no line of a journal.
    """
    try:
        record = _decode(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise JournalError(f"not a line of a journal: {line[:80]!r}") from error
    if not isinstance(record, _LINES):
        raise JournalError(f"not a line of a journal: {line[:80]!r}")
    return cast("StartRecord | Event", record)


# Any, here and below: JSON, and the values of whatever fields there are.
def _encode(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {"bytes": decode_word(value)}
        case Address(host, port):
            return {"address": [host, port]}
        case ForgetStep():
            return {"step": value.value}
        case LinkLoss():
            return {"loss": value.value}
        case ReplyError():
            return {"error": value.text}
        case list():
            return {"list": [_encode(item) for item in value]}
        case tuple():
            return [_encode(item) for item in value]
        case Mapping():
            return {"map": [[_encode(key), _encode(item)] for key, item in value.items()]}
        case _:
            assert not isinstance(value, Enum), value
            return _encode_record(_without_secrets(value))


def _encode_record(record: Any) -> dict[str, Any]:
    assert type(record).__name__ in _RECORDS, record
    fields = {
        field.name: _encode(getattr(record, field.name)) for field in dataclasses.fields(record)
    }
    return {"is": type(record).__name__, **fields}


def _without_secrets(record: Any) -> Any:
    if isinstance(record, MasterOptions) and record.auth_pass is not None:
        return replace(record, auth_pass=_STARS)
    if isinstance(record, GlobalOptions):
        return replace(
            record,
            sentinel_pass=record.sentinel_pass and _STARS,
            requirepass=record.requirepass and _STARS,
        )
    return record


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    match value:
        case {"is": name, **fields}:
            return _RECORDS[name](**{field: _decode(item) for field, item in fields.items()})
        case {"bytes": text}:
            return encode_word(text)
        case {"address": [host, port]}:
            return Address(host, port)
        case {"step": name}:
            return ForgetStep(name)
        case {"loss": name}:
            return LinkLoss(name)
        case {"error": text}:
            return ReplyError(text)
        case {"list": items}:
            return [_decode(item) for item in items]
        case {"map": pairs}:
            return {_decode(key): _decode(item) for key, item in pairs}
        case _:
            raise KeyError(f"unknown record {value}")
