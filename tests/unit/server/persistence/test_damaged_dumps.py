"""Damaged snapshots and payloads: errors, and neither a crash, a hang nor a giant allocation.

Real ones are changed at random, and their checksums made right again, so that nothing but the
decoders stands in the way. What still is a value must be one that commands can work with.
"""

from __future__ import annotations

import random
import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.listpack import listpack_of, text_entry
from server.persistence.rdb import opcodes
from server.persistence.rdb.checksum import CHECKSUM_SIZE, checksum_bytes, crc64
from server.persistence.rdb.encode import encode_records
from server.persistence.rdb.errors import RdbError
from server.persistence.rdb.payload import dump_payload
from server.persistence.rdb.records import Entries
from server.persistence.snapshot import LoadedKeyspace, SnapshotLoad
from tests.support.engine import TestEngine
from tests.support.random_writes import random_write

#: A damaged kilobyte may not cost more than this.
MEMORY_LIMIT_BYTES = 64 * 1024 * 1024
SETTINGS = settings(max_examples=150)


def dataset() -> dict[bytes, bytes]:
    """Return the bodies of payloads, of every type and encoding that is written and some old."""
    engine = TestEngine()
    rng = random.Random(4)
    for _ in range(400):
        engine.raw(*random_write(rng))
        engine.advance(2)
        engine.engine.expire_waits()
    values = engine.engine.keyspace.databases[0].values
    bodies = {
        key: dump_payload(value)[:-10]
        for key, value in values.items()
        if len(dump_payload(value)) < 2000
    }
    ziplist = struct.pack("<IIH", 21, 18, 4) + b"\x00\x01a\x03\xf2\x02\x01b\x03\xf3\xff"
    intset = bytes.fromhex("0200000003000000010002000300")
    zipmap = b"\x02\x01a\x01\x00b\x03key\x05\x00value\xff"
    listpack = listpack_of([text_entry(text) for text in (b"a", b"1", b"b", b"2")])
    for value_type, packed in (
        *((number, ziplist) for number in (10, 12, 13)),
        (11, intset),
        (9, zipmap),
        *((number, listpack) for number in (16, 17, 20)),
    ):
        bodies[b"packed %d" % value_type] = bytes((value_type, len(packed))) + packed
    bodies[b"quicklist"] = bytes((14, 1, len(ziplist))) + ziplist
    bodies[b"list"] = bytes((1, 2, 1)) + b"a" + bytes((1,)) + b"b"
    bodies[b"old zset"] = bytes((3, 2, 1)) + b"a" + bytes((3,)) + b"1.5" + bytes((1,)) + b"b\xfe"
    return bodies


BODIES = dataset()
NAMES = sorted(BODIES)
FILE = b"".join(
    encode_records([Entries(values={b"key": b"value", b"n": b"17", b"long": bytes(range(200))})])
)


def damage(data: bytes, rng: random.Random) -> bytes:
    """Return `data` with a few bytes changed, left out, put in or repeated."""
    damaged = bytearray(data)
    for _ in range(rng.randrange(1, 4)):
        place = rng.randrange(len(damaged)) if damaged else 0
        match rng.randrange(5):
            case 0:
                damaged[place : place + 1] = bytes((rng.randrange(256),))
            case 1:
                damaged[place : place + 1] = rng.choice(
                    [b"\xff", b"\x00", b"\x80", b"\xc3", b"\x81"]
                )
            case 2:
                del damaged[place : place + rng.randrange(1, 9)]
            case 3:
                damaged[place:place] = rng.randbytes(rng.randrange(1, 9))
            case _:
                end = place + rng.randrange(1, 30)
                damaged[place:place] = damaged[place:end]
    return bytes(damaged)


def with_footer(body: bytes) -> bytes:
    """Return a payload around `body` whose version and checksum are right."""
    covered = body + opcodes.WRITTEN_VERSION.to_bytes(2, "little")
    return covered + checksum_bytes(crc64(covered))


def test_the_bodies_are_good_before_they_are_damaged() -> None:
    """Else nothing would be tested."""
    engine = TestEngine()
    for name, body in BODIES.items():
        assert engine.call("RESTORE", name, 0, with_footer(body)) == b"OK", name
    assert {body[0] for body in BODIES.values()} >= {
        0,
        2,
        4,
        5,
        9,
        10,
        11,
        12,
        13,
        14,
        16,
        17,
        18,
        19,
    }


@SETTINGS
@given(st.sampled_from(NAMES), st.integers(0, 2**32))
def test_restore_takes_what_is_a_value_and_refuses_the_rest(name: bytes, seed: int) -> None:
    """A value that came through can be read, dumped, changed and deleted."""
    engine = TestEngine("enable-debug-command yes")
    payload = with_footer(damage(BODIES[name], random.Random(seed)))
    tracemalloc.start()
    try:
        reply = engine.raw("RESTORE", "key", 0, payload)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < MEMORY_LIMIT_BYTES
    if reply != b"+OK\r\n":
        assert reply.startswith((b"-ERR Bad data format", b"-ERR DUMP payload")), reply
        return
    assert engine.call("DUMP", "key")[0] in opcodes.VALUE_TYPES
    engine.call("DEBUG", "DIGEST")
    engine.call("DEBUG", "RELOAD")
    kind = engine.call("TYPE", "key").decode()
    use = {
        "string": ["APPEND", "key", "x"],
        "list": ["LPOP", "key"],
        "hash": ["HGETALL", "key"],
        "set": ["SPOP", "key"],
        "zset": ["ZPOPMAX", "key"],
        "stream": ["XRANGE", "key", "-", "+"],
    }
    engine.call(*use[kind])
    engine.call("DEL", "key")


@SETTINGS
@given(st.integers(0, 2**32))
def test_a_damaged_file_is_refused_or_whole(seed: int) -> None:
    """Its checksum made right, or the mark for "no checksum" in its place."""
    rng = random.Random(seed)
    body = damage(FILE[:-CHECKSUM_SIZE], rng)
    footer = checksum_bytes(crc64(body)) if rng.random() < 0.5 else bytes(CHECKSUM_SIZE)
    load = SnapshotLoad(body + footer, LoadedKeyspace())
    try:
        load.run()
    except RdbError:
        return

    assert load.is_finished


@pytest.mark.parametrize("name", NAMES)
def test_every_beginning_of_a_payload_is_refused(name: bytes) -> None:
    """What is cut short is no value, unless what is left is one by chance (a shorter string)."""
    engine = TestEngine()
    body = BODIES[name]
    for size in range(1, min(len(body), 300)):
        reply = engine.raw("RESTORE", "key", 0, with_footer(body[:size]), "REPLACE")
        assert reply == b"-ERR Bad data format\r\n", size
