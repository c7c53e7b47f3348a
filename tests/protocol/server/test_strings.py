"""Strings on the wire, bytes in and bytes out; the real server agrees (tests/interop)."""

from __future__ import annotations

import pytest

from tests.support.engine import START_MS, TestEngine
from tests.support.transcripts import check_transcript


def test_set_and_get_answer_in_their_plain_forms_and_with_null() -> None:
    """The plain forms, and those that reply null."""
    check_transcript(r"""
        > SET k v
        < +OK\r\n
        > GET k
        < $1\r\nv\r\n
        > GET missing
        < $-1\r\n
        > set k w NX
        < $-1\r\n
        > SET k w XX GET
        < $1\r\nv\r\n
        > SET n 1 XX
        < $-1\r\n
        > SET n 1 NX GET
        < $-1\r\n
        > GET n
        < $1\r\n1\r\n
    """)


def test_options_that_exclude_each_other_are_refused() -> None:
    """Nothing may be set when the options make no sense."""
    check_transcript(r"""
        > SET k v NX XX
        < -ERR syntax error\r\n
        > SET k v EX 10 KEEPTTL
        < -ERR syntax error\r\n
        > SET k v EX 10 PX 10
        < -ERR syntax error\r\n
        > SET k v EX
        < -ERR syntax error\r\n
        > SET k v PERSIST
        < -ERR syntax error\r\n
        > GETEX k KEEPTTL
        < -ERR syntax error\r\n
        > SET k v EX 0
        < -ERR invalid expire time in 'set' command\r\n
        > SET k v PX x
        < -ERR value is not an integer or out of range\r\n
        > SETEX k -1 v
        < -ERR invalid expire time in 'setex' command\r\n
        > EXISTS k
        < :0\r\n
    """)


def test_lifetimes_end() -> None:
    """A value lives until its time, and not a millisecond longer."""
    check_transcript(r"""
        > SET k v PX 100
        < +OK\r\n
        + 99
        > GET k
        < $1\r\nv\r\n
        > PTTL k
        < :1\r\n
        + 1
        > GET k
        < $-1\r\n
        > TTL k
        < :-2\r\n
        > SET k v EX 10
        < +OK\r\n
        > SET k w KEEPTTL
        < +OK\r\n
        > TTL k
        < :10\r\n
        > SET k x
        < +OK\r\n
        > TTL k
        < :-1\r\n
    """)


def test_getex_changes_the_lifetime_and_getdel_ends_it() -> None:
    """Both answer the value as GET does."""
    check_transcript(rf"""
        > SET k v
        < +OK\r\n
        > GETEX k PXAT {START_MS + 5000}
        < $1\r\nv\r\n
        > PTTL k
        < :5000\r\n
        > GETEX k PERSIST
        < $1\r\nv\r\n
        > TTL k
        < :-1\r\n
        > GETEX k EXAT 1
        < $1\r\nv\r\n
        > EXISTS k
        < :0\r\n
        > SET k v
        < +OK\r\n
        > GETDEL k
        < $1\r\nv\r\n
        > GETDEL k
        < $-1\r\n
    """)


def test_several_keys_at_once() -> None:
    """MSET overwrites, MSETNX sets all or none."""
    check_transcript(r"""
        > MSET a 1 b 2
        < +OK\r\n
        > MSETNX b 3 c 4
        < :0\r\n
        > MGET a b c
        < *3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n
        > MSETNX c 3 d 4
        < :1\r\n
        > MSET a 1 b
        < -ERR wrong number of arguments for 'mset' command\r\n
        > GETSET a 9
        < $1\r\n1\r\n
        > SETNX a 1
        < :0\r\n
    """)


def test_counters_are_integers_of_64_bits() -> None:
    """Integers are canonical and of 64 bits; what does not fit is refused and changes nothing."""
    check_transcript(r"""
        > INCR n
        < :1\r\n
        > DECRBY n 3
        < :-2\r\n
        > SET n 9223372036854775807
        < +OK\r\n
        > INCR n
        < -ERR increment or decrement would overflow\r\n
        > DECRBY n -9223372036854775808
        < -ERR decrement would overflow\r\n
        > SET n 007
        < +OK\r\n
        > INCR n
        < -ERR value is not an integer or out of range\r\n
        > INCRBY n 1_0
        < -ERR value is not an integer or out of range\r\n
        > GET n
        < $3\r\n007\r\n
    """)


def test_decimal_counters_print_as_redis_does() -> None:
    """Long double arithmetic, 17 decimals, no trailing zeros, no exponent."""
    check_transcript(r"""
        > INCRBYFLOAT f 0.1
        < $3\r\n0.1\r\n
        > INCRBYFLOAT f 0.2
        < $3\r\n0.3\r\n
        > INCRBYFLOAT f 1e3
        < $22\r\n1000.29999999999999999\r\n
        > INCRBYFLOAT f nan
        < -ERR value is not a valid float\r\n
        > INCRBYFLOAT f inf
        < -ERR increment would produce NaN or Infinity\r\n
    """)


def test_positions_in_strings_count_from_either_end() -> None:
    """Positions count from either end and are cut to what is there."""
    check_transcript(r"""
        > APPEND s Hello
        < :5\r\n
        > APPEND s " World"
        < :11\r\n
        > GETRANGE s -5 -1
        < $5\r\nWorld\r\n
        > SUBSTR s 0 4
        < $5\r\nHello\r\n
        > GETRANGE s 5 3
        < $0\r\n\r\n
        > GETRANGE s -100 100
        < $11\r\nHello World\r\n
        > SETRANGE s 6 Redis
        < :11\r\n
        > SETRANGE gap 3 x
        < :4\r\n
        > GET gap
        < $4\r\n\x00\x00\x00x\r\n
        > SETRANGE none 0 ""
        < :0\r\n
        > EXISTS none
        < :0\r\n
        > SETRANGE s -1 x
        < -ERR offset is out of range\r\n
        > STRLEN s
        < :11\r\n
    """)


def test_strings_beyond_the_limit_are_refused() -> None:
    """proto-max-bulk-len bounds what commands build, not only what clients send."""
    engine = TestEngine("proto-max-bulk-len 1mb")
    refusal = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"

    assert engine.error("SETRANGE", "s", 1024 * 1024, "x") == refusal
    assert engine.call("SETRANGE", "s", 1024 * 1024 - 1, "x") == 1024 * 1024
    assert engine.error("APPEND", "s", "x") == refusal


@pytest.mark.parametrize(
    ("options", "reply"),
    [
        ("", rb"$6\r\nmytext\r\n"),
        ("LEN", rb":6\r\n"),
        (
            "IDX",
            rb"*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n"
            rb"*2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n",
        ),
        (
            "IDX MINMATCHLEN 4 WITHMATCHLEN",
            rb"*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n"
            rb"$3\r\nlen\r\n:6\r\n",
        ),
        (
            "LEN IDX",
            rb"-ERR If you want both the length and indexes, please just use IDX.\r\n",
        ),
    ],
)
def test_lcs_answers_the_example_of_redis_documentation(options: str, reply: bytes) -> None:
    """The worked example of Redis' documentation, in all of its forms."""
    check_transcript(f"""
        > MSET key1 ohmytext key2 mynewtext
        < +OK\\r\\n
        > LCS key1 key2 {options}
        < {reply.decode()}
    """)


@pytest.mark.parametrize("bit", [0, 1])
def test_the_first_bit_is_found_wherever_it_is(bit: int) -> None:
    """At the ends of the pieces in which a string is looked at, too, and behind a start in it."""
    engine = TestEngine()
    fill, other = (b"\xff", 0xFE) if bit == 0 else (b"\0", 0x01)
    for place in (0, 1, 127, 128, 129, 1151, 1152, 1153, 9999):
        value = bytearray(fill * 10_000)
        value[place] = other  # its last bit
        engine.raw(b"SET", b"k", bytes(value))

        for start in {0, place // 2, place}:
            assert engine.call("BITPOS", "k", bit, start) == place * 8 + 7
        assert engine.call("BITPOS", "k", bit, place + 1) == (
            80_000 if bit == 0 and place < 9999 else -1
        )
