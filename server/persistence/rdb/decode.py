"""The bytes of an RDB file to records (reference: redis rdb.c: rdbLoadRioWithLoadingCtx).

`RdbDecoder` takes a file that is there as a whole, `RdbStreamDecoder` one that arrives in pieces.

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
from .errors import (
    CorruptRdbError,
    EmptyValueError,
    TruncatedRdbError,
    UnsupportedRdbTypeError,
    UnsupportedRdbVersionError,
)
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
#: position after it, and raises what `read_string` raises: where the data end early, nothing but
#: `TruncatedRdbError`, `IndexError` and `struct.error`, for the rest may be yet to arrive.
VALUE_DECODERS: Final[dict[int, ValueDecoder]] = {
    opcodes.STRING: read_string,
}

#: In place of these, for what anyone may have made up (RESTORE): decoders that check more.
STRICT_DECODERS: Final[dict[int, ValueDecoder]] = {}

_HEADER_SIZE: Final = len(opcodes.MAGIC) + 4
#: More than a string takes whose key and value both have lengths of one byte.
_SHORT_ENTRY_LIMIT: Final = 2 * ONE_BYTE_LIMIT + 3
_INT32: Final = Struct("<i")
_INT64: Final = Struct("<q")
_TRUNCATED: Final = "the data ends within what begins here"

#: What a run's keys have beside their values: `expire_at_ms`, `idle_s` and `frequency` by key.
_Attributes: TypeAlias = tuple[dict[bytes, int], dict[bytes, int], dict[bytes, int]]

#: A module's type is named by nine of these characters, packed in the upper 54 bits of its id.
_MODULE_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_MODULE_NAME_SIZE: Final = 9
_MODULE_VERSION_BITS: Final = 10


class _Decoder:
    """What both decoders are told and tell."""

    def __init__(self, position: int) -> None:
        #: The first byte of the file that no record given so far covers.
        self.position = position
        #: A run of keys is given when it takes so many bytes; 1 gives each key by itself.
        self.run_size = RUN_SIZE
        #: Whether keys with many elements are given like others. If not, an empty run is given
        #: before such a key, so that it can be decoded where that keeps nobody waiting.
        self.takes_large = True
        #: Whether such a key comes next.
        self.is_next_large = False

    def _read_record(
        self, data: RdbData, position: int, *, is_whole: bool = True
    ) -> tuple[Record, int]:
        """Return the record at `position`, which is not the end, and the position after it."""
        opcode = data[position]
        self.is_next_large = False
        if not (opcode in opcodes.VALUE_TYPES or opcode in opcodes.KEY_ATTRIBUTES):
            return _read_mark(data, position)
        entries, end = _read_entries(
            data, position, self.run_size, takes_large=self.takes_large, is_whole=is_whole
        )
        self.is_next_large = not entries.values
        return entries, end


class RdbDecoder(_Decoder):
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
        super().__init__(start)
        self._start = start
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
            if _byte_at(data, self.position) == opcodes.END_OF_FILE:
                self.position += 1
                if version >= opcodes.CHECKSUM_SINCE_VERSION:
                    with memoryview(data) as whole, whole[self._start : self.position] as covered:
                        _check_checksum(data, self.position, crc64(covered))
                    self.position += CHECKSUM_SIZE
                yield EndOfFile(self.position)
                return
            record, self.position = self._read_record(data, self.position)
            yield record


class RdbStreamDecoder(_Decoder):
    """The records of a file that arrives in pieces: None stands for "more is needed".

    `feed` what arrives, take records until there is none, and `finish` when nothing more will come.
    What is kept is what is not yet decoded: less than the largest value and two pieces. Otherwise
    as `RdbDecoder`.
    """

    def __init__(self) -> None:
        super().__init__(0)
        self._version: int | None = None
        self._window = b""
        #: Of `_window`: where what is not yet decoded begins.
        self._offset = 0
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        #: Decoding is tried again when so much is there. It doubles with each vain attempt at the
        #: same value, which else would take time with the square of its size.
        self._needed_bytes = _HEADER_SIZE
        self._is_whole = False
        self._crc = 0

    def feed(self, piece: bytes) -> None:
        """Take what has arrived."""
        assert not self._is_whole
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)

    def finish(self) -> None:
        """Note that nothing more will come: from now on missing data are an error."""
        self._is_whole = True

    def __next__(self) -> Record | None:
        """Return the next record, or None while what has arrived holds no whole one."""
        try:
            return self._next_of_window()
        except TruncatedRdbError:
            pass
        available_bytes = len(self._window) - self._offset + self._waiting_bytes
        if available_bytes < self._needed_bytes and not self._is_whole:
            return None
        self._window = b"".join((self._window[self._offset :], *self._pieces))
        self._offset = 0
        self._pieces.clear()
        self._waiting_bytes = 0
        try:
            return self._next_of_window()
        except TruncatedRdbError:
            if self._is_whole:
                raise
            self._needed_bytes = 2 * available_bytes
            return None

    def _next_of_window(self) -> Record:
        """Return the next record. Raises TruncatedRdbError if the window does not hold all of it.

        Its positions count in the window.
        """
        window, start = self._window, self._offset
        if self._version is None:
            if len(window) < _HEADER_SIZE:
                raise TruncatedRdbError(len(window), "the data ends within the signature")
            self._version = _read_version(window, 0)
            self._advance(_HEADER_SIZE)
            start = _HEADER_SIZE
        record: Record
        if _byte_at(window, start) == opcodes.END_OF_FILE:
            end = start + 1
            if self._version >= opcodes.CHECKSUM_SINCE_VERSION:
                _check_checksum(window, end, crc64(window[start:end], self._crc))
                end += CHECKSUM_SIZE
            self._advance(end)
            record = EndOfFile(self.position)
        else:
            record, end = self._read_record(window, start, is_whole=self._is_whole)
            self._advance(end)
        self._needed_bytes = 1
        return record

    def _advance(self, end: int) -> None:
        """Note that the window is decoded up to `end`."""
        with memoryview(self._window) as window, window[self._offset : end] as covered:
            self._crc = crc64(covered, self._crc)
        self.position += end - self._offset
        self._offset = end


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
        raise TruncatedRdbError(len(data), "the data ends before the end-of-file record")
    return data[position]


def _check_checksum(data: RdbData, end: int, checksum: int) -> None:
    """Compare `checksum`, of what ends at `end`, with the one that stands there."""
    stored = data[end : end + CHECKSUM_SIZE]
    if len(stored) != CHECKSUM_SIZE:
        raise TruncatedRdbError(end, "the data ends within the checksum")
    if stored == bytes(CHECKSUM_SIZE):
        return  # the writer had checksums turned off
    computed = checksum_bytes(checksum)
    if stored != computed:
        raise CorruptRdbError(
            end,
            f"RDB CRC error: the checksum is {stored.hex()}, but the data gives {computed.hex()}",
        )


def check_file(data: RdbData) -> None:
    """Say whether `data` are a whole file of a version that is read, by its checksum if it has one.

    That takes a fraction of the time of decoding it.

    Raises:
        CorruptRdbError: they are not.
        UnsupportedRdbVersionError: the version is another.
    """
    if _read_version(data, 0) < opcodes.CHECKSUM_SINCE_VERSION:
        return
    end = len(data) - CHECKSUM_SIZE
    if end <= _HEADER_SIZE or data[end - 1] != opcodes.END_OF_FILE:
        raise TruncatedRdbError(len(data), "the data ends before the end-of-file record")
    with memoryview(data) as whole, whole[:end] as covered:
        _check_checksum(data, end, crc64(covered))


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
        raise TruncatedRdbError(position, _TRUNCATED) from exc


def _read_entries(
    data: RdbData, position: int, run_size: int, *, takes_large: bool, is_whole: bool
) -> tuple[Entries, int]:
    """Return the run of entries at `position` and the position after it.

    Slices past the end come out short without an error. That is noticed where the next byte is
    read, and after the last entry by its position, which saves two comparisons for each key. Where
    more of the data may yet come (not `is_whole`), the run ends before such an entry is possible,
    and before one of the others that is not there as a whole.

    Unless `takes_large`, the run ends before a key with many elements, and may be empty.
    """
    values: dict[bytes, Value] = {}
    attributes: _Attributes = ({}, {}, {})
    string_type = opcodes.STRING
    one_byte_limit = ONE_BYTE_LIMIT
    count = 0
    run_end = position + run_size
    if not is_whole and run_end > len(data) - _SHORT_ENTRY_LIMIT:
        run_end = len(data) - _SHORT_ENTRY_LIMIT
        if run_end <= position:
            run_end = position + 1
            string_type = -1  # what is read for speed below is not checked for its size
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
                try:
                    end = _read_entry(data, position, values, attributes, takes_large=takes_large)
                except EmptyValueError as empty:
                    # As in Redis, what some Redis wrote by mistake does not spoil the rest.
                    position = empty.end
                    continue
                if end == position:
                    break
                position = end
            else:
                break
            count += 1
    except (IndexError, StructError, TruncatedRdbError) as exc:
        if isinstance(exc, TruncatedRdbError) and (is_whole or not count):
            raise
        if is_whole or not count:
            raise TruncatedRdbError(min(position, len(data)), _TRUNCATED) from exc
    if position > len(data):
        raise TruncatedRdbError(len(data), "the data ends within a value")
    if count != len(values):
        raise CorruptRdbError(position, "a key comes twice among those just before")
    expire_at_ms, idle_s, frequency = attributes
    entries = Entries(values=values, expire_at_ms=expire_at_ms, idle_s=idle_s, frequency=frequency)
    return entries, position


def _read_entry(
    data: RdbData,
    position: int,
    values: dict[bytes, Value],
    attributes: _Attributes,
    *,
    takes_large: bool,
) -> int:
    """Add the entry at `position`, of any type and with any attributes; return what follows it.

    One with many elements is left alone unless `takes_large`, and `position` returned.
    """
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
    if not takes_large and opcode in opcodes.LARGE_COUNTS:
        count, _ = read_length(data, value_position)
        if count >= opcodes.LARGE_COUNTS[opcode]:
            return start
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
