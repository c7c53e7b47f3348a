"""Records to the bytes of an RDB file, a chunk at a time (reference: redis rdb.c: rdbSaveRio).

A forked child runs this over whole databases, so the loop over plain strings is written for
speed: about a third of a microsecond for each key, most of it in joining and compression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from struct import Struct
from typing import Final, TypeAlias, assert_never

from . import opcodes
from .checksum import CHECKSUM_SIZE, checksum_bytes, crc64
from .lengths import ONE_BYTE_LENGTHS, encode_length
from .records import (
    Aux,
    EndOfFile,
    Entries,
    FunctionLibrary,
    Record,
    ResizeDb,
    SelectDb,
    SlotInfo,
    Value,
)
from .strings import COMPRESSION_THRESHOLD, INTEGER_SIZE_LIMIT, encode_string

#: Keys that are written together, into one chunk unless they are large.
BATCH_SIZE: Final = 1024
#: A single value of this size is handed out as it is, never copied into a larger chunk.
LARGE_PART_SIZE: Final = 1 << 16
#: A chunk is handed out once the values that are not small have added up to so much in it.
CHUNK_SIZE: Final = 1 << 20

#: Gives the chunks of some items; and of all items of a mapping, by the former.
EncodeItems: TypeAlias = Callable[[list[tuple[bytes, Value]]], Iterator[bytes]]
Walk: TypeAlias = Callable[[Mapping[bytes, Value], EncodeItems], Iterator[bytes]]

ValueEncoder = Callable[..., Sequence[bytes]]

#: For each Python type of a value its RDB type, or what tells that of a value where there are
#: several, and `encoder(value, compress=)`, which gives the parts that follow the key. Types other
#: than strings are registered by `server.persistence`.
VALUE_ENCODERS: Final[dict[type, tuple[int | Callable[[Value], int], ValueEncoder]]] = {
    bytes: (opcodes.STRING, encode_string),
}

_OPCODE_INT64: Final = Struct("<Bq")
#: The type byte of a string value and the length of its key, by that length.
_STRING_HEADS: Final = tuple(bytes((opcodes.STRING,)) + length for length in ONE_BYTE_LENGTHS)
_STRING_TYPE: Final = bytes((opcodes.STRING,))


def encode_records(
    records: Iterable[Record],
    *,
    version: int = opcodes.WRITTEN_VERSION,
    compress: bool = True,
    checksum: bool = True,
    on_keys: Callable[[int], None] = lambda count: None,
    batch_size: int = BATCH_SIZE,
    walk: Walk | None = None,
) -> Iterator[bytes]:
    """Yield the file that holds `records`, in chunks that are neither tiny nor copies of giants.

    Records are written in the order given; it is the caller's to put aux fields and functions
    first and a SelectDb before its entries. `compress` is `rdbcompression`. Without `checksum`
    the footer is eight zero bytes, which readers take as "not checked".

    `on_keys(count)` is called whenever so many keys more were handed out, `batch_size` at most.

    The mappings are read while the chunks are consumed: nothing may change them meanwhile.
    `walk(values, encode)` may take that over, and give the chunks that `encode` makes of all items.
    """
    if walk is None:
        walk = partial(_walk, size=batch_size, on_keys=on_keys)
    crc = 0
    for chunk in _encode_body(records, version, compress, walk):
        if checksum:
            crc = crc64(chunk, crc)
        yield chunk
    yield checksum_bytes(crc) if checksum else bytes(CHECKSUM_SIZE)


def _encode_body(
    records: Iterable[Record],
    version: int,
    compress: bool,
    walk: Walk,
) -> Iterator[bytes]:
    pending = [opcodes.MAGIC + b"%04d" % version]
    for record in records:
        match record:
            case Entries():
                yield b"".join(pending)
                pending.clear()
                yield from walk(record.values, partial(_encode_batch, record, compress))
            case EndOfFile():
                raise AssertionError("the encoder itself ends the file")
            case _:
                pending += _encode_mark(record, compress)
    pending.append(bytes((opcodes.END_OF_FILE,)))
    yield b"".join(pending)


def _walk(
    values: Mapping[bytes, Value],
    encode: EncodeItems,
    size: int,
    on_keys: Callable[[int], None],
) -> Iterator[bytes]:
    """Yield the chunks of all items of `values`, `size` of them at a time."""
    items = iter(values.items())
    while batch := list(islice(items, size)):
        yield from encode(batch)
        on_keys(len(batch))


def _encode_mark(
    record: Aux | SelectDb | ResizeDb | SlotInfo | FunctionLibrary, compress: bool
) -> list[bytes]:
    """Return the parts of a record that is no key."""
    match record:
        case Aux(name, value):
            opcode = opcodes.AUX
            parts = [*encode_string(name, compress=compress)]
            parts += encode_string(value, compress=compress)
        case SelectDb(index):
            opcode = opcodes.SELECT_DB
            parts = [encode_length(index)]
        case ResizeDb(key_count, expire_count):
            opcode = opcodes.RESIZE_DB
            parts = [encode_length(key_count), encode_length(expire_count)]
        case SlotInfo(slot, key_count, expire_count):
            opcode = opcodes.SLOT_INFO
            parts = [encode_length(number) for number in (slot, key_count, expire_count)]
        case FunctionLibrary(code):
            opcode = opcodes.FUNCTION
            parts = [*encode_string(code, compress=compress)]
        case _:
            assert_never(record)
    return [bytes((opcode,)), *parts]


def _encode_batch(
    entries: Entries, compress: bool, batch: Sequence[tuple[bytes, Value]]
) -> Iterator[bytes]:
    """Yield the chunks of some of the keys of `entries`.

    Only bytes that are surely neither integers nor worth compressing are written right here;
    `encode_value` and `encode_string` do all the rest, and so say again what a string looks like.
    """
    # Without compression long strings are plain too, up to the size of a one-byte length.
    plain_limit = COMPRESSION_THRESHOLD if compress else len(ONE_BYTE_LENGTHS) - 1
    has_attributes = bool(entries.expire_at_ms or entries.idle_s or entries.frequency)
    string_heads = _STRING_HEADS
    short_lengths = ONE_BYTE_LENGTHS
    parts: list[bytes] = []
    append = parts.append
    large_size = 0
    for key, value in batch:
        if has_attributes:
            parts += _encode_attributes(entries, key)
        if type(value) is bytes:
            size = len(key)
            if INTEGER_SIZE_LIMIT < size <= plain_limit or (
                0 < size <= INTEGER_SIZE_LIMIT and key[0] > 0x39
            ):
                append(string_heads[size])
                append(key)
            else:
                append(_STRING_TYPE)
                parts += encode_string(key, compress=compress)
            size = len(value)
            if INTEGER_SIZE_LIMIT < size <= plain_limit or (
                0 < size <= INTEGER_SIZE_LIMIT and value[0] > 0x39
            ):
                append(short_lengths[size])
                append(value)
            else:
                parts += encode_string(value, compress=compress)
                if size >= LARGE_PART_SIZE:
                    last = parts.pop()
                    yield b"".join(parts)
                    yield last
                    parts.clear()
                else:
                    large_size += size
        else:
            type_byte, body = encode_value(value, compress=compress)
            append(type_byte)
            parts += encode_string(key, compress=compress)
            parts += body
            large_size += sum(map(len, body))
        if large_size >= CHUNK_SIZE:
            yield b"".join(parts)
            parts.clear()
            large_size = 0
    if parts:
        yield b"".join(parts)


def encode_value(value: Value, *, compress: bool) -> tuple[bytes, Sequence[bytes]]:
    """Return the type byte of `value` and the parts that follow its key.

    Raises:
        TypeError: no row of VALUE_ENCODERS takes a value of this Python type.
    """
    row = VALUE_ENCODERS.get(type(value))
    if row is None:
        raise TypeError(f"no RDB type holds a value of {type(value).__name__}")
    value_type, encoder = row
    if callable(value_type):
        value_type = value_type(value)
    return bytes((value_type,)), encoder(value, compress=compress)


def _encode_attributes(entries: Entries, key: bytes) -> list[bytes]:
    parts = []
    expire_at_ms = entries.expire_at_ms.get(key)
    if expire_at_ms is not None:
        parts.append(_OPCODE_INT64.pack(opcodes.EXPIRE_AT_MS, expire_at_ms))
    idle_s = entries.idle_s.get(key)
    if idle_s is not None:
        parts.append(bytes((opcodes.IDLE,)) + encode_length(idle_s))
    frequency = entries.frequency.get(key)
    if frequency is not None:
        parts.append(bytes((opcodes.FREQUENCY, frequency)))
    return parts
