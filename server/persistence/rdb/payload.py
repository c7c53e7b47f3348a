"""One value as DUMP gives it and RESTORE takes it (reference: redis cluster.c).

A payload is the value's type byte, the value, the RDB version in two little-endian bytes and the
checksum of all that.
"""

from __future__ import annotations

from struct import error as StructError
from typing import Final

from . import opcodes
from .checksum import CHECKSUM_SIZE, checksum_bytes, crc64
from .decode import value_decoder
from .encode import encode_value
from .errors import CorruptRdbError, DumpFooterError
from .records import Value

_VERSION_SIZE: Final = 2
_FOOTER_SIZE: Final = _VERSION_SIZE + CHECKSUM_SIZE


def dump_payload(value: Value, *, compress: bool = True) -> bytes:
    """Return `value` as DUMP answers it."""
    type_byte, parts = encode_value(value, compress=compress)
    version = opcodes.WRITTEN_VERSION.to_bytes(_VERSION_SIZE, "little")
    body = b"".join((type_byte, *parts, version))
    return body + checksum_bytes(crc64(body))


def restore_payload(data: bytes) -> Value:
    """Return the value in a DUMP payload.

    Raises:
        DumpFooterError: the version is too new or the checksum wrong.
        UnsupportedRdbTypeError: the value is of a known type that the server does not have.
        CorruptRdbError: the footer is right, but what it covers is no value.
    """
    value_end = len(data) - _FOOTER_SIZE
    if value_end < 1:
        raise DumpFooterError(0, "the payload is shorter than its footer and a type")
    version_end = value_end + _VERSION_SIZE
    version = int.from_bytes(data[value_end:version_end], "little")
    if version > opcodes.NEWEST_VERSION:
        raise DumpFooterError(value_end, f"the payload has RDB version {version}")
    if data[version_end:] != checksum_bytes(crc64(data[:version_end])):
        raise DumpFooterError(version_end, "the payload's checksum does not match")
    body = data[:value_end]
    try:
        value, position = value_decoder(body[0], body, 1, None)(body, 1)
    except (IndexError, StructError) as exc:
        raise CorruptRdbError(value_end, "the payload ends within its value") from exc
    if position != value_end:
        raise CorruptRdbError(position, "bytes follow the payload's value")
    return value
