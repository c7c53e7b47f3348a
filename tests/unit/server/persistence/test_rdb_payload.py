"""DUMP payloads: the real server's own bytes, and every way one can be wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.persistence.rdb import lzf
from server.persistence.rdb.checksum import checksum_bytes, crc64
from server.persistence.rdb.errors import (
    CorruptRdbError,
    DumpFooterError,
    RdbError,
    UnsupportedRdbTypeError,
)
from server.persistence.rdb.payload import dump_payload, restore_payload

needs_lzf = pytest.mark.skipif(lzf.compress is None, reason="the extra lzf is not installed")


def sealed(body: bytes, version: int = 10) -> bytes:
    """Return `body` with a right footer."""
    data = body + version.to_bytes(2, "little")
    return data + checksum_bytes(crc64(data))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"hello", "000568656c6c6f0a006372df766534200a"),
        (b"12345", "00c139300a009d94ea2793fc08b9"),
        pytest.param(
            b"a" * 100, "00c3094064016161e057000161610a00e8a3b507b06df271", marks=needs_lzf
        ),
        (b"1099511627776", "000d313039393531313632373737360a00dcd5c1feb95f4c57"),
    ],
)
def test_payload_is_what_redis_answers(value: bytes, expected: str) -> None:
    """Recorded from redis-server 7.0.15: payloads travel between the two."""
    assert dump_payload(value).hex() == expected
    assert restore_payload(bytes.fromhex(expected)) == value


@given(st.binary(max_size=300), st.booleans())
def test_any_value_survives_the_round_trip(value: bytes, compress: bool) -> None:
    """MIGRATE would otherwise change what it moves."""
    assert restore_payload(dump_payload(value, compress=compress)) == value


def test_payload_of_a_newer_redis_is_refused_by_its_footer() -> None:
    """RESTORE answers other words for that than for a bad value."""
    assert restore_payload(sealed(b"\x00\x01v", version=11)) == b"v"
    with pytest.raises(DumpFooterError, match="RDB version 12"):
        restore_payload(sealed(b"\x00\x01v", version=12))


@pytest.mark.parametrize("position", range(len(dump_payload(b"hello"))))
def test_any_flipped_bit_fails_the_footer(position: int) -> None:
    """RESTORE takes bytes from clients."""
    damaged = bytearray(dump_payload(b"hello"))
    damaged[position] ^= 0x40

    with pytest.raises(DumpFooterError):
        restore_payload(bytes(damaged))


@pytest.mark.parametrize("data", [b"", b"\x00", bytes(10)])
def test_payload_shorter_than_its_footer_is_refused(data: bytes) -> None:
    """Nothing must be read from before its start."""
    with pytest.raises(DumpFooterError, match="shorter"):
        restore_payload(data)


def test_known_type_is_refused_by_name() -> None:
    """A RESTORE of what belongs to a module says to which."""
    with pytest.raises(UnsupportedRdbTypeError) as caught:
        restore_payload(sealed(b"\x07\x81" + bytes(8)))

    assert (caught.value.type_name, caught.value.encoding) == ("module type AAAAAAAAA", "MODULE_2")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x00\x05hell", "runs past the end"),
        (b"\x00\x40", "ends within its value"),
        (b"\x00", "ends within its value"),
        (b"\x00\x01vv", "bytes follow"),
        (b"\x63\x01v", "no value has the type 99"),
        (b"\x07", "ends within its value"),
        (b"\x12\x01\x01\x00", "kind 1 makes no sense"),  # an empty element by itself
    ],
)
def test_right_footer_around_a_wrong_value_is_corruption(body: bytes, reason: str) -> None:
    """Anyone can compute a checksum, so the value must be judged for itself."""
    with pytest.raises(CorruptRdbError, match=reason) as caught:
        restore_payload(sealed(body))

    assert not isinstance(caught.value, DumpFooterError)


@given(st.binary(max_size=40))
def test_garbage_raises_only_rdb_errors(body: bytes) -> None:
    """With the right footer or without."""
    for data in (body, sealed(body)):
        try:
            value = restore_payload(data)
        except RdbError:
            continue
        assert dump_payload(value)[:1] == data[:1]
