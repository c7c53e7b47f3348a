"""The commands that rebuild a dataset: an append-only file's base without `aof-use-rdb-preamble`.

One function for each type gives the commands of a value; the other types' are registered by those
who make them, in `REBUILDERS`. No command carries more than 64 items (`AOF_REWRITE_ITEMS_PER_CMD`),
so that none keeps a server that loads them from serving others for long. Follows Redis 7.0 `aof.c:
rewriteAppendOnlyFileRio`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, TypeAlias

from vedette.resp.encode import encode_command, format_double

from ...replication.propagation import encode_effect, encode_select
from ...store.hashes import Hash
from ...store.lists import List
from ...store.sets import Set
from ...store.sorted_sets import SortedSet
from ...store.streams import Stream
from ..rdb.records import Value
from ..snapshot import SavedDatabase
from .stream_commands import stream_commands

ITEMS_PER_COMMAND: Final = 64
#: How much is gathered before it is handed out.
_CHUNK_BYTES: Final = 256 * 1024

#: Gives the commands that make `value` anew at `key`.
Rebuilder: TypeAlias = Callable[[bytes, Value], Iterable[Sequence[bytes]]]


def _rebuild_string(key: bytes, value: bytes) -> Iterator[list[bytes]]:
    yield [b"SET", key, value]


def _rebuild_list(key: bytes, value: List) -> Iterator[list[bytes]]:
    return _in_batches([b"RPUSH", key], value.items, ITEMS_PER_COMMAND)


def _rebuild_set(key: bytes, value: Set) -> Iterator[list[bytes]]:
    return _in_batches([b"SADD", key], value.members, ITEMS_PER_COMMAND)


def _rebuild_hash(key: bytes, value: Hash) -> Iterator[list[bytes]]:
    texts = chain.from_iterable(value.fields.items())
    return _in_batches([b"HMSET", key], texts, 2 * ITEMS_PER_COMMAND)


def _rebuild_sorted_set(key: bytes, value: SortedSet) -> Iterator[list[bytes]]:
    pairs = value.slice(0, len(value))
    texts = chain.from_iterable((format_double(score), member) for score, member in pairs)
    return _in_batches([b"ZADD", key], texts, 2 * ITEMS_PER_COMMAND)


#: By the Python type of a value.
REBUILDERS: Final[dict[type, Rebuilder]] = {
    bytes: _rebuild_string,
    List: _rebuild_list,
    Set: _rebuild_set,
    Hash: _rebuild_hash,
    SortedSet: _rebuild_sorted_set,
    Stream: stream_commands,
}


def _in_batches(head: list[bytes], items: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield head + batch


def encode_commands(
    databases: Iterable[SavedDatabase],
    libraries: Iterable[bytes] = (),
    *,
    timestamp_s: int | None = None,
) -> Iterator[bytes]:
    """Yield, in chunks, the commands that make `databases` and function `libraries` anew.

    `timestamp_s` is annotated at the beginning, unless it is None. The mappings are read while the
    chunks are consumed: nothing may change them meanwhile.

    Raises:
        TypeError: nothing rebuilds values of some type.
    """
    parts: list[bytes] = []
    size = 0
    for part in _encoded(databases, libraries, timestamp_s):
        parts.append(part)
        size += len(part)
        if size >= _CHUNK_BYTES:
            yield b"".join(parts)
            parts.clear()
            size = 0
    if parts:
        yield b"".join(parts)


def _encoded(
    databases: Iterable[SavedDatabase], libraries: Iterable[bytes], timestamp_s: int | None
) -> Iterator[bytes]:
    if timestamp_s is not None:
        yield annotation(timestamp_s)
    for code in libraries:
        yield encode_command([b"FUNCTION", b"LOAD", code])
    for database in databases:
        if not database.values:
            continue
        yield encode_select(database.index)
        expire_at_ms = database.expire_at_ms
        for key, value in database.values.items():
            if type(value) is bytes:
                yield encode_effect([b"SET", key, value])
            else:
                rebuild = REBUILDERS.get(type(value))
                if rebuild is None:
                    raise TypeError(f"no commands rebuild a value of {type(value).__name__}")
                for command in rebuild(key, value):
                    yield encode_command(command)
            if key in expire_at_ms:
                yield encode_effect([b"PEXPIREAT", key, b"%d" % expire_at_ms[key]])


def annotation(timestamp_s: int) -> bytes:
    """Return the line that says at what time, in Unix seconds, what follows was written."""
    return b"#TS:%d\r\n" % timestamp_s
