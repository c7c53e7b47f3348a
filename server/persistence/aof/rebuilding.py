"""The commands that rebuild a dataset: an append-only file's base without `aof-use-rdb-preamble`.

One function for each type gives the commands of a value; the other types' are registered by those
who make them, in `REBUILDERS`. No command carries more than 64 items (`AOF_REWRITE_ITEMS_PER_CMD`),
so that none keeps a server that loads them from serving others for long. Follows Redis 7.0 `aof.c:
rewriteAppendOnlyFileRio`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
#: What is gathered before it is handed out: so many commands, or up to one of this size.
_PARTS_PER_CHUNK: Final = 4096
_LARGE_PART_BYTES: Final = 64 * 1024

#: Gives the commands that make `value` anew at `key`.
Rebuilder: TypeAlias = Callable[[bytes, Value], Iterable[Sequence[bytes]]]


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


#: By the Python type of a value; strings need none.
REBUILDERS: Final[dict[type, Rebuilder]] = {
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
    on_keys: Callable[[int], None] | None = None,
    batch_size: int = 1024,
) -> Iterator[bytes]:
    """Yield, in chunks, the commands that make `databases` and function `libraries` anew.

    `timestamp_s` is annotated at the beginning, unless it is None. `on_keys(count)` is called
    whenever so many keys more were encoded, `batch_size` at most. The mappings are read while the
    chunks are consumed: nothing may change them meanwhile.

    Raises:
        TypeError: nothing rebuilds values of some type.
    """
    parts = [] if timestamp_s is None else [annotation(timestamp_s)]
    parts += [encode_command([b"FUNCTION", b"LOAD", code]) for code in libraries]
    for database in databases:
        if database.values:
            parts.append(encode_select(database.index))
        items = iter(database.values.items())
        while batch := list(islice(items, batch_size)):
            for part in _encoded(batch, database.expire_at_ms):
                parts.append(part)
                if len(part) >= _LARGE_PART_BYTES or len(parts) >= _PARTS_PER_CHUNK:
                    yield b"".join(parts)
                    parts.clear()
            if on_keys is not None:
                on_keys(len(batch))
    yield b"".join(parts)


def _encoded(
    batch: Iterable[tuple[bytes, Value]], expire_at_ms: Mapping[bytes, int]
) -> Iterator[bytes]:
    """Yield the commands that make the keys of `batch` anew."""
    for key, value in batch:
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
