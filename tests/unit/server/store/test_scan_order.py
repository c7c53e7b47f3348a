"""SCAN's guarantee: what is there from the first call to the last is returned, whatever else is."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from server.store.database import Database
from server.store.scan_order import ScanOrder

SETTINGS = settings(derandomize=True, deadline=None, database=None, max_examples=100)


def new_database(keys: range | list[bytes]) -> Database:
    database = Database(0, lambda database, key: None)
    for key in keys:
        database.set(key if isinstance(key, bytes) else b"key:%d" % key, b"value")
    return database


def scan_all(
    database: Database, count: int, between: Callable[[], None] = lambda: None
) -> list[bytes]:
    """Scan to the end, calling `between` after each step; fail rather than go on for ever."""
    cursor, found = database.scan(0, count)
    for _ in range(10_000):
        if cursor == 0:
            return found
        between()
        cursor, keys = database.scan(cursor, count)
        found += keys
    raise AssertionError("the scan does not end")


@SETTINGS
@given(st.integers(0, 2000), st.integers(1, 300))
def test_a_scan_returns_every_key_once(key_count: int, count: int) -> None:
    """While nothing changes, no key is missing and none comes twice."""
    database = new_database(range(key_count))

    found = scan_all(database, count)

    assert sorted(found) == sorted(database.values)


@SETTINGS
@given(st.integers(50, 500), st.integers(1, 60))
def test_keys_that_stay_are_returned_while_others_come_and_go(key_count: int, count: int) -> None:
    """Keys that were there all along are returned although the dictionary is turned over."""
    database = new_database(range(key_count))
    lasting = {b"key:%d" % number for number in range(0, key_count, 2)}
    turn = 0

    def change() -> None:
        nonlocal turn
        turn += 1
        database.delete(b"key:%d" % (2 * turn + 1))
        for number in range(20):
            database.set(b"new:%d:%d" % (turn, number), b"")

    found = scan_all(database, count, change)

    assert lasting <= set(found)


def test_a_scan_goes_on_when_another_has_begun_and_ended() -> None:
    """Two clients scan one database: the second's beginning must not lose the first's place."""
    database = new_database(range(1000))
    cursor, found = database.scan(0, 100)
    scan_all(database, 333)

    while cursor:
        cursor, keys = database.scan(cursor, 100)
        found += keys

    assert sorted(found) == sorted(database.values)


def test_a_scan_goes_on_after_the_dataset_was_replaced() -> None:
    """A replica may load a snapshot in the middle of a scan; keys in both are still returned."""
    database = new_database(range(500))
    cursor, found = database.scan(0, 50)
    database.adopt(dict(database.values), {})

    while cursor:
        cursor, keys = database.scan(cursor, 50)
        found += keys

    assert set(found) == set(database.values)


def test_deleted_keys_are_not_returned() -> None:
    """The order may be old, what is returned must not be."""
    database = new_database(range(1000))
    cursor, found = database.scan(0, 10)
    for key in list(database.values):
        if key not in found:
            database.delete(key)

    while cursor:
        cursor, keys = database.scan(cursor, 10)
        assert keys == []


def test_keys_of_one_place_come_together() -> None:
    """A cursor names a place, so it can only stand between places."""

    class SameHash(bytes):
        def __hash__(self) -> int:
            return 7

    order = ScanOrder({SameHash(b"%d" % number): b"" for number in range(30)})

    cursor, keys = order.step(0, 10)

    assert (cursor, len(keys)) == (0, 30)


def test_a_cursor_from_nowhere_ends_the_scan() -> None:
    """Whatever number a client sends is a place, perhaps one behind all keys."""
    database = new_database(range(1000))

    assert database.scan(2**64 - 1, 10) == (0, [])
