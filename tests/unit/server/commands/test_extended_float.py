"""Long double arithmetic: digits as C prints them on x86-64 (expected values from redis-server)."""

from __future__ import annotations

from fractions import Fraction

import pytest

from server.commands import extended_float


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (b"3.0", b"3"),
        (b"-0", b"0"),
        (b"0.1", b"0.1"),
        (b"1000.3", b"1000.29999999999999999"),
        (b"1e17", b"100000000000000000"),
        (b"1e-17", b"0.00000000000000001"),
        (b"1e-18", b"0"),
        (b"0x1p-3", b"0.125"),
        (b"0XAp0", b"10"),
        (b".5", b"0.5"),
        (b"5.", b"5"),
        (b"+7e+2", b"700"),
        (b"18446744073709551617", b"18446744073709551616"),
    ],
)
def test_numbers_are_rounded_to_64_bits_and_printed_plainly(text: bytes, printed: bytes) -> None:
    """The value goes through the format once; then 17 decimals, without trailing zeros."""
    number = extended_float.parse(text)

    assert isinstance(number, Fraction)
    assert extended_float.render(number) == printed


@pytest.mark.parametrize(
    "text",
    [*b"| 1|1 |x|1e|1e5000|1e-5000|nan|0x|.|1_0|--1|1e99999999999".split(b"|"), b"9" * 5120],
)
def test_what_is_no_number_is_refused(text: bytes) -> None:
    """Only what C's strtold takes to the last byte, within its range."""
    assert extended_float.parse(text) is None


@pytest.mark.parametrize("text", [b"inf", b"-Infinity", b"INF"])
def test_infinity_is_a_number_that_cannot_be_added(text: bytes) -> None:
    """Redis takes it and then refuses the result."""
    number = extended_float.parse(text)

    assert number in ("inf", "-inf")
    assert extended_float.add(extended_float.ZERO, number) is None


def test_the_largest_number_has_thousands_of_digits() -> None:
    """More than Python turns into text by itself."""
    largest = extended_float.parse(b"1.18973149535723176502e+4932")

    assert isinstance(largest, Fraction)
    assert len(extended_float.render(largest)) == 4933
    assert extended_float.add(largest, largest) is None
    assert extended_float.parse(b"9" * 4932) is not None


def test_sums_are_rounded_once() -> None:
    """0.1 + 0.2 is 0.3 in this precision, where doubles give another digit."""
    tenth, fifth = extended_float.parse(b"0.1"), extended_float.parse(b"0.2")
    assert tenth is not None
    assert fifth is not None

    total = extended_float.add(tenth, fifth)

    assert total is not None
    assert extended_float.render(total) == b"0.3"
    assert extended_float.add(Fraction(2**64), Fraction(1)) == 2**64, "ties go to even"
    assert extended_float.add(Fraction(2**64), Fraction(3)) == 2**64 + 4
