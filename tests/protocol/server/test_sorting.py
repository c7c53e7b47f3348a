"""SORT: what the comparison with the real server leaves out, and what users may read by it."""

from __future__ import annotations

import pytest

from tests.support.engine import TestEngine


def test_weights_of_text_sort_and_missing_ones_come_first() -> None:
    """Equal ones keep the order they have in the list."""
    test = TestEngine()
    test.call("RPUSH", "list", "a", "b", "c", "d")
    test.call("MSET", "w_a", "z", "w_c", "y", "w_d", "y")

    assert test.call("SORT", "list", "BY", "w_*", "ALPHA") == [b"b", b"c", b"d", b"a"]
    assert test.call("SORT", "list", "BY", "w_*", "ALPHA", "DESC") == [b"a", b"c", b"d", b"b"]


def test_a_set_has_the_same_order_wherever_it_is_not_sorted() -> None:
    """A replica that stores the result must not store another."""
    test = TestEngine()
    test.call("SADD", "set", "c", "a", "b")

    assert test.call("SORT", "set", "BY", "nosort") == [b"a", b"b", b"c"]


def test_patterns_are_for_those_who_may_read_every_key() -> None:
    """The names they lead to cannot be known beforehand."""
    test = TestEngine()
    test.call("RPUSH", "list", "1")
    test.call("ACL", "SETUSER", "some", "on", "nopass", "+@all", "%R~list")
    test.call("ACL", "SETUSER", "all", "on", "nopass", "+@all", "%R~*")
    test.call("AUTH", "some", "x")

    denied = "option of SORT denied due to insufficient ACL permissions."
    assert test.call("SORT", "list", "BY", "nosort") == [b"1"]
    assert test.error("SORT", "list", "BY", "w_*") == f"ERR BY {denied}"
    assert test.error("SORT_RO", "list", "GET", "#") == f"ERR GET {denied}"
    assert test.error("SORT", "list", "STORE", "other").startswith("NOPERM")
    test.call("AUTH", "all", "x")
    assert test.call("SORT", "list", "BY", "w_*", "GET", "#") == [b"1"]


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1e-999", "0x1p99999"])
def test_numbers_out_of_range_are_none(number: str) -> None:
    """`inf` is one only where it is said."""
    test = TestEngine()
    test.call("RPUSH", "list", "1", number)

    assert test.error("SORT", "list") == ("ERR One or more scores can't be converted into double")


def test_a_stored_result_loses_the_lifetime_of_what_it_replaces() -> None:
    """It is a new value."""
    test = TestEngine()
    test.call("RPUSH", "list", "2", "1")
    test.call("SET", "stored", "v", "EX", 100)

    assert test.call("SORT", "list", "STORE", "stored") == 2
    assert test.call("TTL", "stored") == -1
    assert test.call("LRANGE", "stored", 0, -1) == [b"1", b"2"]


def test_a_small_sorted_set_is_unpacked_by_sorting_it() -> None:
    """Redis converts it for good, also for SORT_RO; elsewhere it shows in OBJECT ENCODING alone."""
    test = TestEngine()
    test.call("ZADD", "zset", "1", "a", "2", "b")
    test.call("SADD", "set", "1")
    assert test.call("OBJECT", "ENCODING", "zset") == b"listpack"

    assert test.call("SORT_RO", "zset", "ALPHA", "DESC") == [b"b", b"a"]
    test.call("SORT", "set")

    assert test.call("OBJECT", "ENCODING", "zset") == b"skiplist"
    assert test.call("OBJECT", "ENCODING", "set") == b"intset"
    assert test.call("ZRANGE", "zset", 0, -1) == [b"a", b"b"]
