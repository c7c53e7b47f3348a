"""The bytes of an RDB file to records (reference: redis rdb.c: rdbLoadRioWithLoadingCtx).

Only `RdbError`s come out of it, whatever goes in, and nothing is allocated on the word of a
length that the data does not bear out. The loop over plain strings is written for speed: about
half a microsecond for each key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import Struct
from struct import error as StructError
from typing import Final, TypeAlias

from . import opcodes
from .checksum import CHECKSUM_SIZE, checksum_bytes, crc64
from .errors import CorruptRdbError, UnsupportedRdbTypeError, UnsupportedRdbVersionError
from .lengths import ONE_BYTE_LIMIT, RdbData, read_length
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
from .strings import read_string

#: A run of entries ends at the first key after so many bytes; it is what a reader gets to handle
#: at a time, between which it may do other things.
RUN_SIZE: Final = 1 << 18

ValueDecoder: TypeAlias = Callable[[RdbData, int], tuple[Value, int]]

#: For each RDB type the server has: `decoder(data, position)`, which gives the value and the
#: position after it, and raises what `read_string` raises.
VALUE_DECODERS: Final[dict[int, ValueDecoder]] = {
    opcodes.STRING: read_string,
}

_HEADER_SIZE: Final = len(opcodes.MAGIC) + 4
_INT32: Final = Struct("<i")
_INT64: Final = Struct("<q")
_TRUNCATED: Final = "the data ends within what begins here"

#: What a run's keys have beside their values: `expire_at_ms`, `idle_s` and `frequency` by key.
_Attributes: TypeAlias = tuple[dict[bytes, int], dict[bytes, int], dict[bytes, int]]

#: A module's type is named by nine of these characters, packed in the upper 54 bits of its id.
_MODULE_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MODULE_NAME_SIZE: Final = 9
_MODULE_VERSION_BITS: Final = 10


class RdbDecoder:
    """An iterator over the records of the file that begins at `start`, EndOfFile last.

    The checksum covers the whole file and so is judged at its end: what came before may have been
    wrong, and must not be put to use until EndOfFile was given. Bytes after the end are left
    alone. After an error the iteration is over.

    Raises:
        CorruptRdbError: the data is no RDB file, is cut short or fails its checksum.
        UnsupportedRdbVersionError: the file's version is not 1 to 11.
        UnsupportedRdbTypeError: the file holds what the server does not have.
    """

    def __init__(self, data: RdbData, start: int = 0) -> None:
        self._start = start
        #: The first byte that no record given so far covers.
        self.position = start
        self._records = self._decode(data)

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        return next(self._records)

    def _decode(self, data: RdbData) -> Iterator[Record]:
        version = _read_version(data, self._start)
        self.position += _HEADER_SIZE
        while True:
            record: Record
            opcode = _byte_at(data, self.position)
            if opcode == opcodes.END_OF_FILE:
                self.position += 1
                if version >= opcodes.CHECKSUM_SINCE_VERSION:
                    _check_checksum(data, self._start, self.position)
                    self.position += CHECKSUM_SIZE
                yield EndOfFile(self.position)
                return
            if opcode in opcodes.VALUE_TYPES or opcode in opcodes.KEY_ATTRIBUTES:
                record, self.position = _read_entries(data, self.position)
            else:
                record, self.position = _read_mark(data, self.position)
            yield record


def _read_version(data: RdbData, start: int) -> int:
    header = data[start : start + _HEADER_SIZE]
    digits = header[len(opcodes.MAGIC) :]
    if not header.startswith(opcodes.MAGIC) or len(digits) != 4 or not digits.isdigit():
        raise CorruptRdbError(start, "the signature of an RDB file is missing")
    version = int(digits)
    if not opcodes.OLDEST_VERSION <= version <= opcodes.NEWEST_VERSION:
        raise UnsupportedRdbVersionError(version, opcodes.NEWEST_VERSION)
    return version


def _byte_at(data: RdbData, position: int) -> int:
    if position >= len(data):
        raise CorruptRdbError(len(data), "the data ends before the end-of-file record")
    return data[position]


def _check_checksum(data: RdbData, start: int, end: int) -> None:
    stored = data[end : end + CHECKSUM_SIZE]
    if len(stored) != CHECKSUM_SIZE:
        raise CorruptRdbError(end, "the data ends within the checksum")
    if stored == bytes(CHECKSUM_SIZE):
        return  # the writer had checksums turned off
    with memoryview(data) as whole, whole[start:end] as covered:
        computed = checksum_bytes(crc64(covered))
    if stored != computed:
        raise CorruptRdbError(
            end, f"the checksum is {stored.hex()}, but the data gives {computed.hex()}"
        )


def _read_mark(data: RdbData, position: int) -> tuple[Record, int]:
    """Return the record at `position`, which is no key, and the position after it."""
    opcode = data[position]
    after = position + 1
    try:
        match opcode:
            case opcodes.AUX:
                name, after = read_string(data, after)
                value, after = read_string(data, after)
                return Aux(name, value), after
            case opcodes.SELECT_DB:
                index, after = read_length(data, after)
                return SelectDb(index), after
            case opcodes.RESIZE_DB:
                key_count, after = read_length(data, after)
                expire_count, after = read_length(data, after)
                return ResizeDb(key_count, expire_count), after
            case opcodes.SLOT_INFO:
                slot, after = read_length(data, after)
                key_count, after = read_length(data, after)
                expire_count, after = read_length(data, after)
                return SlotInfo(slot, key_count, expire_count), after
            case opcodes.FUNCTION:
                code, after = read_string(data, after)
                return FunctionLibrary(code), after
            case opcodes.FUNCTION_PRE_RELEASE:
                raise UnsupportedRdbTypeError(
                    "a function of a Redis 7 release candidate", "FUNCTION_PRE_GA", None, position
                )
            case opcodes.MODULE_AUX:
                name_of_module = _read_module_name(data, after)
                raise UnsupportedRdbTypeError(
                    f"auxiliary data of module {name_of_module}", "MODULE_AUX", None, position
                )
            case _:
                raise CorruptRdbError(position, f"no record begins with byte 0x{opcode:02x}")
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(position, _TRUNCATED) from exc


def _read_entries(data: RdbData, position: int) -> tuple[Entries, int]:
    """Return the run of entries at `position` and the position after it.

    Slices past the end come out short without an error. That is noticed where the next byte is
    read, and after the last entry by its position, which saves two comparisons for each key.
    """
    values: dict[bytes, Value] = {}
    attributes: _Attributes = ({}, {}, {})
    string_type = opcodes.STRING
    one_byte_limit = ONE_BYTE_LIMIT
    count = 0
    run_end = position + RUN_SIZE
    try:
        while position < run_end:
            opcode = data[position]
            if opcode == string_type:
                size = data[position + 1]
                if size < one_byte_limit:
                    start = position + 2
                    end = start + size
                    key = data[start:end]
                else:
                    key, end = read_string(data, position + 1)
                size = data[end]
                if size < one_byte_limit:
                    start = end + 1
                    end = start + size
                    values[key] = data[start:end]
                else:
                    values[key], end = read_string(data, end)
                position = end
            elif opcode in opcodes.VALUE_TYPES or opcode in opcodes.KEY_ATTRIBUTES:
                position = _read_entry(data, position, values, attributes)
            else:
                break
            count += 1
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(min(position, len(data)), _TRUNCATED) from exc
    if position > len(data):
        raise CorruptRdbError(len(data), "the data ends within a value")
    if count != len(values):
        raise CorruptRdbError(position, "a key comes twice among those just before")
    expire_at_ms, idle_s, frequency = attributes
    entries = Entries(values=values, expire_at_ms=expire_at_ms, idle_s=idle_s, frequency=frequency)
    return entries, position


def _read_entry(
    data: RdbData, position: int, values: dict[bytes, Value], attributes: _Attributes
) -> int:
    """Add the entry at `position`, of any type and with any attributes; return what follows it."""
    start = position
    expire_at_ms = idle_s = frequency = None
    while (opcode := data[position]) in opcodes.KEY_ATTRIBUTES:
        if opcode == opcodes.EXPIRE_AT_MS:
            (expire_at_ms,) = _INT64.unpack_from(data, position + 1)
            position += 9
        elif opcode == opcodes.EXPIRE_AT_S:
            expire_at_ms = _INT32.unpack_from(data, position + 1)[0] * 1000
            position += 5
        elif opcode == opcodes.FREQUENCY:
            frequency = data[position + 1]
            position += 2
        else:
            idle_s, position = read_length(data, position + 1)
    if opcode not in opcodes.VALUE_TYPES:
        raise CorruptRdbError(start, "an expiry or the like is followed by no key")
    key, value_position = read_string(data, position + 1)
    decode_value = value_decoder(opcode, data, value_position, key)
    values[key], position = decode_value(data, value_position)
    if expire_at_ms is not None:
        attributes[0][key] = expire_at_ms
    if idle_s is not None:
        attributes[1][key] = idle_s
    if frequency is not None:
        attributes[2][key] = frequency
    return position


def value_decoder(
    value_type: int, data: RdbData, value_position: int, key: bytes | None
) -> ValueDecoder:
    """Return the decoder of `value_type`. The other arguments serve the error that there is none.

    Raises:
        UnsupportedRdbTypeError: the type is known, but the server does not have it.
        CorruptRdbError: no Redis knows such a type.
    """
    decoder = VALUE_DECODERS.get(value_type)
    if decoder is not None:
        return decoder
    known = opcodes.VALUE_TYPES.get(value_type)
    if known is None:
        raise CorruptRdbError(value_position, f"no value has the type {value_type}")
    name = known.name
    if value_type == opcodes.MODULE:
        name = f"module type {_read_module_name(data, value_position)}"
    raise UnsupportedRdbTypeError(name, known.encoding, key, value_position)


def _read_module_name(data: RdbData, position: int) -> str:
    module_id, _ = read_length(data, position)
    packed_name = module_id >> _MODULE_VERSION_BITS
    return "".join(
        _MODULE_ALPHABET[packed_name >> 6 * place & 0x3F]
        for place in reversed(range(_MODULE_NAME_SIZE))
    )
