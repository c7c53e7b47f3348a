"""What an RDB file holds, as plain records in file order.

Keys come in `Entries`, a run of them at a time: a record for each key would cost more than all
the rest of the codec. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

#: A value as the codec hands it over: bytes for a string, for any other type what the decoder
#: registered for it (`decode.VALUE_DECODERS`) makes, and the encoder (`encode.VALUE_ENCODERS`)
#: takes. The codec looks into none of them: hence Any.
Value: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Aux:
    """A named fact about the file, such as `redis-ver` or `repl-id`."""

    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class SelectDb:
    """The entries that follow belong to database `index`."""

    index: int


@dataclass(frozen=True, slots=True)
class ResizeDb:
    """How many keys the selected database holds, and how many of them expire: a hint."""

    key_count: int
    expire_count: int


@dataclass(frozen=True, slots=True)
class SlotInfo:
    """A cluster slot's key counts, which Valkey 8 writes in cluster mode: a hint."""

    slot: int
    key_count: int
    expire_count: int


@dataclass(frozen=True, slots=True)
class FunctionLibrary:
    """The source text of one function library."""

    code: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """A run of keys of the selected database.

    The decoder gives runs of some 256 KB, in new dictionaries that the reader may keep or change;
    the encoder takes any mappings, of a whole database if need be. The three mappings beside
    `values` hold only the keys that have such an attribute.
    """

    values: Mapping[bytes, Value]
    expire_at_ms: Mapping[bytes, int] = field(default_factory=dict)
    #: Seconds since the key was last used, which Redis keeps under an LRU policy.
    idle_s: Mapping[bytes, int] = field(default_factory=dict)
    #: The logarithmic access counter, 0 to 255, which Redis keeps under an LFU policy.
    frequency: Mapping[bytes, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EndOfFile:
    """The last record the decoder gives; `end_offset` is the first byte after the file.

    An append-only file with an RDB preamble continues there. The encoder takes none: it ends the
    file when its records end.
    """

    end_offset: int


Record: TypeAlias = Aux | SelectDb | ResizeDb | SlotInfo | FunctionLibrary | Entries | EndOfFile
