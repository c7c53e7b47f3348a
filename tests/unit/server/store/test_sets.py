"""Sets: encodings as Redis converts them, and members whatever the encoding."""

from __future__ import annotations

import random
import sys

import pytest

from server.store.encoding_limits import EncodingLimits
from server.store.sets import Set

DEFAULTS = EncodingLimits()
AS_7_2 = EncodingLimits(set_max_listpack_entries=3, set_max_listpack_value=5)


def set_of(members: list[bytes], limits: EncodingLimits = DEFAULTS) -> Set:
    value = Set()
    for member in members:
        value.add(member, limits)
    return value


@pytest.mark.parametrize(
    ("members", "limits", "encoding"),
    [
        ([b"1", b"-5", b"9223372036854775807"], DEFAULTS, b"intset"),
        ([b"1", b"9223372036854775808"], DEFAULTS, b"hashtable"),
        ([b"1", b"01"], DEFAULTS, b"hashtable"),
        ([b"a"], DEFAULTS, b"hashtable"),
        ([b"%d" % number for number in range(512)], DEFAULTS, b"intset"),
        ([b"%d" % number for number in range(513)], DEFAULTS, b"hashtable"),
        ([b"1", b"b", b"c"], AS_7_2, b"listpack"),
        ([b"a", b"b", b"c", b"d"], AS_7_2, b"hashtable"),
        ([b"a", b"sixsix"], AS_7_2, b"hashtable"),
    ],
)
def test_encoding_follows_the_limits(
    members: list[bytes], limits: EncodingLimits, encoding: bytes
) -> None:
    """Added one by one, and adopted whole as a snapshot or a union gives them."""
    assert set_of(members, limits).encoding() == encoding
    assert Set(set(members), limits).encoding() == encoding


def test_conversion_goes_one_way() -> None:
    """Redis never converts back, even when what forced it is gone."""
    value = set_of([b"1", b"a"])

    assert value.remove(b"a")
    assert not value.remove(b"a")
    assert value.encoding() == value.copy().encoding() == b"hashtable"


def test_intset_is_listed_in_the_order_of_its_numbers() -> None:
    """As it is stored in Redis; copies share nothing."""
    value = set_of([b"10", b"9", b"-100"])
    twin = value.copy()
    twin.remove(b"9")

    assert value.listed() == list(value) == [b"-100", b"9", b"10"]
    assert twin.listed() == [b"-100", b"10"]


def test_popping_empties_a_set_that_changes_meanwhile() -> None:
    """The sampler is kept up to date by every way of changing the set."""
    generator = random.Random(7)
    value = set_of([b"%d" % number for number in range(100)])
    popped = {value.pop(generator) for _ in range(40)}
    gone = value.random_member(generator)
    value.remove(gone)
    value.add(b"new", DEFAULTS)
    rest = {value.pop(generator) for _ in range(60)}

    assert len(value) == 0
    assert popped | rest | {gone} == {b"%d" % number for number in range(100)} | {b"new"}


@pytest.mark.parametrize("is_popped", [True, False])
def test_a_set_gives_back_what_many_removals_left_empty(is_popped: bool) -> None:
    """Python's sets never do, and going through what is left would take as long as ever."""
    generator = random.Random(11)
    value = Set({b"m%d" % number for number in range(50_000)})
    full_bytes = sys.getsizeof(value.members)
    for number in range(49_000):
        if is_popped:
            value.pop(generator)
        else:
            value.remove(b"m%d" % number)

    assert sys.getsizeof(value.members) < full_bytes / 10
    assert len(set(value.random_members(generator, 1000))) == 1000
