"""Long double arithmetic: digits as C prints them on x86-64 (expected values from redis-server)."""

from __future__ import annotations

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
        (b"18446744073709551617.0000000000000000001", b"18446744073709551618"),
    ],
)
def test_numbers_are_rounded_to_64_bits_and_printed_plainly(text: bytes, printed: bytes) -> None:
    """The value goes through the format once; then 17 decimals, without trailing zeros."""
    number = extended_float.parse(text)

    assert isinstance(number, extended_float.Number)
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

    assert isinstance(largest, extended_float.Number)
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


@pytest.mark.parametrize(("summand", "total"), [(1, 2**64), (3, 2**64 + 4), (-1, 2**64 - 1)])
def test_ties_go_to_even(summand: int, total: int) -> None:
    """Beyond 2**64 every second integer has no place of its own."""
    result = extended_float.add(extended_float.Number(2**64, 0), extended_float.Number(summand, 0))

    assert result is not None
    assert extended_float.render(result) == b"%d" % total


def test_the_smallest_numbers_have_fewer_bits() -> None:
    """Subnormal ones end at 2**-16445; half of that is out of range, as Redis says of it."""
    smallest = extended_float.parse(b"0x1p-16445")
    three_quarters = extended_float.parse(b"0x.cp-16445")

    assert smallest == three_quarters == extended_float.Number(1, -16445)
    assert extended_float.parse(b"0x1p-16446") is None


@pytest.mark.parametrize(("text", "product"), [(b"0.0001", 1), (b"2", 2000), (b"-0.5", -500)])
def test_products_are_rounded_up(text: bytes, product: int) -> None:
    """A wait of less than a millisecond is one of a millisecond, not one without an end."""
    number = extended_float.parse(text)

    assert isinstance(number, extended_float.Number)
    assert extended_float.ceil_product(number, 1000) == product
