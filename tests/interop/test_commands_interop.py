"""The same commands to a real redis-server and to our engine: the same bytes, and the same stream.

Sequences are drawn at random (the same ones in every run) over few keys, so that they meet. Replies
are compared as raw bytes, in RESP2 and in RESP3; datasets through DEBUG DIGEST; and what replicas
are sent through a replica attached to the real server.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import strategies as st

from tests.support.differential import (
    FAR_MS,
    Replica,
    check_same_replies,
    check_same_streams,
    with_options,
    words,
)
from tests.support.redis import RedisServer


@pytest.fixture(scope="module")
def redis_port() -> Iterator[int]:
    """Yield the port of a real server that deletes expired keys only when they are touched."""
    with RedisServer() as server:
        server.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        # What LZF makes of a string is the compressor's affair; DUMP is compared without it.
        server.call("CONFIG", "SET", "rdbcompression", "no")
        yield server.port


keys = st.sampled_from([b"a", b"b", b"c", b"\x00\r\n"])
integers = st.sampled_from(
    b"0|1|-1|7|10|-3|9223372036854775807|-9223372036854775808|9223372036854775808|007|+1| 1|1 "
    b"||x|1_0|1e3|3.0".split(b"|")
)
offsets = st.sampled_from([b"0", b"1", b"-1", b"2", b"-2", b"5", b"-100", b"100", b"x"])
floats = st.sampled_from(
    b"0.1|0.2|-1.5|3|1e5|1e-7|5e+3|inf|-inf|nan|0x1p-3|1.|.5|-0|1e4000|1e5000|1e-20|x|| 1|3.0e"
    b"|12345678.9".split(b"|")
)
values = st.one_of(
    integers,
    floats,
    st.sampled_from([b"", b"foobar", b"ohmytext", b"mynewtext", b"a\0b", b"x" * 19]),
)
seconds = st.sampled_from([b"100", b"0", b"-1", b"x", b"9223372036854775807", b"1000000000"])
absolute = st.sampled_from(
    [b"1", b"0", b"-5", b"4102444800", b"%d" % FAR_MS, b"9223372036854775807", b"x"]
)


lifetimes = (
    words(st.sampled_from([b"EX", b"px"]), seconds),
    words(st.sampled_from([b"EXAT", b"PXAT"]), absolute),
    words(st.sampled_from([b"KEEPTTL", b"PERSIST", b"EX", b"bogus"])),
)

strings = st.one_of(
    words(b"GET", keys),
    words(b"set", keys, values),
    with_options(
        words(b"SET", keys, values),
        *lifetimes,
        words(st.sampled_from([b"NX", b"xx", b"GET"])),
    ),
    words(b"SETNX", keys, values),
    words(b"SETEX", keys, seconds, values),
    words(b"PSETEX", keys, seconds, values),
    words(b"GETSET", keys, values),
    words(b"GETDEL", keys),
    with_options(words(b"GETEX", keys), *lifetimes, most=2),
    words(b"MGET", keys, keys),
    words(b"MSET", keys, values, keys, values),
    words(b"MSET", keys, values, keys),
    words(b"MSETNX", keys, values, keys, values),
    words(b"APPEND", keys, values),
    words(b"STRLEN", keys),
    words(st.sampled_from([b"INCR", b"DECR"]), keys),
    words(st.sampled_from([b"INCRBY", b"DECRBY"]), keys, integers),
    words(b"INCRBYFLOAT", keys, floats),
    words(st.sampled_from([b"GETRANGE", b"SUBSTR"]), keys, offsets, offsets),
    words(b"SETRANGE", keys, offsets, values),
    with_options(
        words(b"LCS", keys, keys),
        words(st.sampled_from([b"LEN", b"IDX", b"WITHMATCHLEN"])),
        words(b"MINMATCHLEN", offsets),
    ),
)

bit_offsets = st.sampled_from(
    b"0|1|2|7|8|9|63|64|100|-1|-2|-9|-100|#1|x|4294967296|9223372036854775807".split(b"|")
)
field_types = st.sampled_from(b"u1|u8|i5|i8|u16|i64|u63|u64|i65|i0|x".split(b"|"))
bits = st.one_of(
    words(b"SETBIT", keys, bit_offsets, st.sampled_from([b"0", b"1", b"1", b"2"])),
    words(b"GETBIT", keys, bit_offsets),
    words(b"BITCOUNT", keys),
    with_options(
        words(b"BITCOUNT", keys, bit_offsets, bit_offsets),
        words(st.sampled_from([b"BIT", b"byte", b"x"])),
        most=2,
    ),
    with_options(
        words(b"BITPOS", keys, st.sampled_from([b"0", b"1", b"2"])), words(bit_offsets), most=2
    ),
    words(
        *(b"BITPOS", keys, st.sampled_from([b"0", b"1"]), bit_offsets, bit_offsets),
        st.sampled_from([b"BIT", b"byte", b"x"]),
    ),
    words(b"BITOP", st.sampled_from([b"AND", b"or", b"XOR", b"x"]), keys, keys, keys),
    words(b"BITOP", b"NOT", keys, keys),
    with_options(
        words(st.sampled_from([b"BITFIELD", b"bitfield", b"BITFIELD_RO"]), keys),
        words(b"GET", field_types, bit_offsets),
        words(b"SET", field_types, bit_offsets, integers),
        words(b"INCRBY", field_types, bit_offsets, integers),
        words(b"OVERFLOW", st.sampled_from([b"WRAP", b"sat", b"FAIL", b"x"])),
    ),
    with_options(words(b"PFADD", keys), words(values), words(integers)),
    words(b"PFCOUNT", keys),
    words(b"PFCOUNT", keys, keys),
    words(b"PFMERGE", keys, keys, keys),
    words(b"PFDEBUG", st.sampled_from([b"ENCODING", b"DECODE", b"TODENSE", b"x"]), keys),
)

keyspace = st.one_of(
    words(st.sampled_from([b"DEL", b"UNLINK", b"EXISTS", b"TOUCH"]), keys, keys),
    words(b"TYPE", keys),
    words(b"RENAME", keys, keys),
    words(b"RENAMENX", keys, keys),
    with_options(
        words(b"COPY", keys, keys), words(b"REPLACE"), words(b"DB", offsets), words(b"x"), most=2
    ),
    words(b"MOVE", keys, offsets),
    words(b"SELECT", st.sampled_from([b"0", b"1", b"16", b"-1", b"x", b"99999999999"])),
    words(b"SWAPDB", offsets, offsets),
    words(b"DBSIZE"),
    words(st.sampled_from([b"FLUSHDB", b"FLUSHALL"])),
    words(b"FLUSHALL", st.sampled_from([b"ASYNC", b"x"])),
    words(b"DUMP", keys),
    with_options(
        words(
            b"RESTORE",
            keys,
            st.sampled_from([b"0", b"1", b"-1", b"100000", b"%d" % FAR_MS]),
            st.sampled_from(
                [b"", b"\x00\x03foo\n\x00junk", b"\x00\xc0*\n\x00n\x9fZ\x19E\xdd\xcai"]
            ),
        ),
        words(st.sampled_from([b"REPLACE", b"ABSTTL", b"x", b"FREQ"])),
        words(b"IDLETIME", offsets),
        words(b"FREQ", offsets),
    ),
    words(b"SCAN", st.sampled_from([b"x", b"-", b"1x"])),
    words(b"KEYS", st.sampled_from([b"nothing", b"[", b"z*"])),
)

times = st.one_of(
    with_options(
        words(st.sampled_from([b"EXPIRE", b"PEXPIRE"]), keys, seconds),
        words(st.sampled_from([b"NX", b"xx", b"GT", b"LT", b"AB"])),
        most=2,
    ),
    with_options(
        words(st.sampled_from([b"EXPIREAT", b"PEXPIREAT"]), keys, absolute),
        words(st.sampled_from([b"NX", b"xx", b"GT", b"LT", b"AB"])),
        most=2,
    ),
    words(st.sampled_from([b"TTL", b"PERSIST"]), keys),
)

transactions = st.one_of(
    words(st.sampled_from([b"MULTI", b"EXEC", b"DISCARD", b"UNWATCH"])),
    words(b"WATCH", keys, keys),
    words(b"nosuch", keys),
    words(b"GET"),
)

anything = st.one_of(strings, strings, bits, keyspace, times, transactions)
sequences = st.lists(anything, min_size=10, max_size=40)


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_and_datasets_are_those_of_redis(redis_port: int, protocol: int) -> None:
    """What a client sees, errors included, must not depend on which server it talks to."""
    check_same_replies(redis_port, protocol, sequences)


#: What makes strings short and long, of digits and of others, and moves them on. A change in place
#: never makes one of a byte or none: Python has but one of each, of which nothing can be noted.
string_makers = st.one_of(
    words(
        b"SET",
        keys,
        st.sampled_from([b"1234", b"ab", b"x" * 44, b"x" * 45, b"12345678901234567890"]),
    ),
    words(b"APPEND", keys, st.sampled_from([b"56", b"y" * 20])),
    words(b"SETRANGE", keys, st.sampled_from([b"1", b"3"]), st.sampled_from([b"", b"9", b"ab"])),
    words(b"SETBIT", keys, st.sampled_from([b"8", b"15", b"20"]), st.sampled_from([b"0", b"1"])),
    words(b"BITOP", b"OR", keys, keys, keys),
    words(b"BITFIELD", keys, b"SET", b"u8", st.sampled_from([b"8", b"20"]), b"49"),
    words(b"INCR", keys),
    words(b"PFADD", keys, b"a"),
    words(b"RENAME", keys, keys),
    words(b"COPY", keys, keys, b"REPLACE"),
    words(b"DEL", keys),
)


@pytest.mark.parametrize("protocol", [2, 3])
def test_strings_changed_in_place_are_raw(redis_port: int, protocol: int) -> None:
    """Wherever they go, until the key is set anew."""
    looks = words(b"OBJECT", b"ENCODING", keys)

    check_same_replies(
        redis_port,
        protocol,
        st.lists(st.one_of(string_makers, string_makers, looks), min_size=10, max_size=40),
        300,
    )


@pytest.fixture(scope="module")
def replica(redis_port: int) -> Iterator[Replica]:
    """Yield a listening replica of the real server."""
    listener = Replica(redis_port)
    yield listener
    listener.close()


def test_replicas_are_told_what_redis_tells_them(redis_port: int, replica: Replica) -> None:
    """A replica of either server must be sent the same commands, absolute times and all."""
    check_same_streams(redis_port, replica, sequences)
