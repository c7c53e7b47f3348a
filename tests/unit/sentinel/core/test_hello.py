"""The hello message is Redis' eight fields, and nothing else is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.hello import Hello, format_hello, parse_hello
from vedette.types import Address, RunId

HELLO = Hello(
    address=Address("10.0.1.1", 26379),
    run_id=RunId("a" * 40),
    current_epoch=7,
    master_name="mymaster",
    master_address=Address("10.0.0.1", 6379),
    config_epoch=6,
)
TEXT = b"10.0.1.1,26379," + b"a" * 40 + b",7,mymaster,10.0.0.1,6379,6"


def test_hello_is_written_as_redis_writes_it() -> None:
    """Stock sentinels read it by position."""
    assert format_hello(HELLO) == TEXT


def test_hello_is_read_back() -> None:
    """The same text from a stock sentinel."""
    assert parse_hello(TEXT) == HELLO


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"1,2,3",
        TEXT + b",extra",
        TEXT.replace(b"6379", b"x"),
        TEXT.replace(b"6379", b"-1"),
        TEXT.replace(b"26379", b"0"),
        TEXT.replace(b",7,", b",99999999999999999999,"),
        TEXT.replace(b"mymaster", b""),
        TEXT.replace(b"a" * 40, b"zz"),
        TEXT.replace(b"a" * 40, b"a" * 41),
        TEXT.replace(b"a" * 40, b"a" * 39 + b"-"),
        TEXT.replace(b"10.0.0.1", b"10.0.0.1\nsentinel myid x"),
        TEXT.replace(b"mymaster", b"\xff\xfe"),
        TEXT.replace(b",7,", ",٧,".encode()),  # noqa: RUF001 (a digit, but none of ASCII)
    ],
)
def test_anything_else_is_passed_over(payload: bytes) -> None:
    """The channel is open to everybody; garbage must neither raise nor reach the state file."""
    assert parse_hello(payload) is None


@given(st.binary(max_size=80))
def test_no_bytes_raise(payload: bytes) -> None:
    """Whatever is published."""
    parse_hello(payload)


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.integers(1, 65535))
def test_numbers_survive_the_way(current: int, config: int, port: int) -> None:
    """Epochs are 64 bit."""
    hello = Hello(
        address=Address("::1", port),
        run_id=RunId("b" * 40),
        current_epoch=current,
        master_name="m",
        master_address=Address("host.example", port),
        config_epoch=config,
    )

    assert parse_hello(format_hello(hello)) == hello
