"""One value as DUMP gives it and RESTORE takes it, and function libraries likewise.

A payload is the value's type byte, the value (or a record for each library), the RDB version in two
little-endian bytes and the checksum of all that. Reference: redis cluster.c, functions.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import error as StructError
from typing import Final

from . import opcodes
from .checksum import CHECKSUM_SIZE, checksum_bytes, crc64
from .decode import STRICT_DECODERS, value_decoder
from .encode import encode_value
from .errors import CorruptRdbError, DumpFooterError
from .records import Value
from .strings import encode_string, read_string

_VERSION_SIZE: Final = 2
_FOOTER_SIZE: Final = _VERSION_SIZE + CHECKSUM_SIZE


def dump_payload(value: Value, *, compress: bool = True) -> bytes:
    """Return `value` as DUMP answers it."""
    type_byte, parts = encode_value(value, compress=compress)
    return _with_footer((type_byte, *parts))


def dump_libraries(codes: Iterable[bytes], *, compress: bool = True) -> bytes:
    """Return the texts of function libraries as FUNCTION DUMP answers them."""
    opcode = bytes((opcodes.FUNCTION,))
    return _with_footer(
        part for code in codes for part in (opcode, *encode_string(code, compress=compress))
    )


def _with_footer(parts: Iterable[bytes]) -> bytes:
    version = opcodes.WRITTEN_VERSION.to_bytes(_VERSION_SIZE, "little")
    body = b"".join((*parts, version))
    return body + checksum_bytes(crc64(body))


def restore_payload(data: bytes, *, is_checked: bool = True) -> Value:
    """Return the value in a DUMP payload; without `is_checked` whatever its checksum is.

    Raises:
        DumpFooterError: the version is too new or the checksum wrong, or there is no footer.
        UnsupportedRdbTypeError: the value is of a known type that the server does not have.
        CorruptRdbError: the footer is right, but what it covers is no value.
    """
    body = _without_footer(data, is_checked=is_checked)
    value_end = len(body)
    if not value_end:
        raise DumpFooterError(0, "the payload is shorter than its footer and a type")
    try:
        decoder = STRICT_DECODERS.get(body[0]) or value_decoder(body[0], body, 1, None)
        value, position = decoder(body, 1)
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(value_end, "the payload ends within its value") from exc
    if position != value_end:
        raise CorruptRdbError(position, "bytes follow the payload's value")
    return value


def restore_libraries(data: bytes, *, is_checked: bool = True) -> Iterator[bytes]:
    """Yield the texts of the function libraries in a payload of FUNCTION DUMP.

    Raises:
        DumpFooterError: the version is too new or the checksum wrong; before anything is yielded.
        CorruptRdbError: what comes next is no library; its `reason` is as Redis words it.
    """
    body = _without_footer(data, is_checked=is_checked)
    position = 0
    while position < len(body):
        if body[position] != opcodes.FUNCTION:
            raise CorruptRdbError(position, "given type is not a function")
        try:
            code, position = read_string(body, position + 1)
        except (IndexError, StructError, CorruptRdbError) as exc:
            raise CorruptRdbError(position, "Failed loading library payload") from exc
        yield code


def _without_footer(data: bytes, *, is_checked: bool) -> bytes:
    """Return what stands before the version and the checksum.

    Raises:
        DumpFooterError: the version is too new, or the checksum `is_checked` and wrong.
    """
    value_end = len(data) - _FOOTER_SIZE
    if value_end < 0:
        raise DumpFooterError(0, "the payload is shorter than its footer")
    version_end = value_end + _VERSION_SIZE
    version = int.from_bytes(data[value_end:version_end], "little")
    if version > opcodes.NEWEST_VERSION:
        raise DumpFooterError(value_end, f"the payload has RDB version {version}")
    if is_checked and data[version_end:] != checksum_bytes(crc64(data[:version_end])):
        raise DumpFooterError(version_end, "the payload's checksum does not match")
    return data[:value_end]
