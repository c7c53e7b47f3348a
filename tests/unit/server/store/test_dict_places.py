"""Places in a dictionary: SCAN's guarantee, and draws of which every key may be the outcome."""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.store import dict_places
from server.store.database import Database

SETTINGS = settings(max_examples=100)


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


def test_a_cursor_from_nowhere_is_as_good_as_a_beginning() -> None:
    """Whatever number a client sends, the scan it goes on with comes to an end."""
    database = new_database(range(1000))

    cursor, found = database.scan(2**64 - 1, 10)

    assert cursor < 1000
    assert len(found) == 10


def test_a_scan_survives_that_the_gaps_are_closed() -> None:
    """Keys only ever move towards the beginning, which a scan comes to last."""
    database = new_database(range(4000))
    cursor, found = database.scan(0, 100)
    for number in range(3700):
        database.delete(b"key:%d" % number)
    database.close_gaps()
    lasting = set(database.values)

    while cursor:
        cursor, keys = database.scan(cursor, 10)
        found += keys

    assert lasting <= set(found)


def test_closing_gaps_gives_back_the_room_of_deleted_keys() -> None:
    """A dictionary never shrinks by itself, so that a draw would go through its holes."""
    database = new_database(range(10_000))
    for number in range(10_000):
        database.delete(b"key:%d" % number)
    database.set(b"last", b"")
    database.expire_at(b"last", 1)
    size_before = database.values.__sizeof__()

    database.close_gaps()

    assert database.values.__sizeof__() < size_before / 100
    assert (database.values, database.expires) == ({b"last": b""}, {b"last": 1})


@pytest.mark.parametrize("count", [50, 100, 350, 1100, 2500, 5000, 5400, 9000, 40_000])
def test_room_is_saved_where_a_copy_takes_half_and_lasts_for_a_while(count: int) -> None:
    """Keys that come and go make a dictionary grow to three times what they need."""
    database = new_database(range(count))
    for number in range(4 * count):
        database.set(b"new:%d" % number, b"")
        database.delete(b"new:%d" % number)
    size_before = sys.getsizeof(database.values)
    copy = dict(database.values)
    size_of_copy = sys.getsizeof(copy)
    room = 0
    while sys.getsizeof(copy) == size_of_copy:
        copy[b"%d" % room] = b""
        room += 1

    is_saved = database.save_room()

    is_worth_it = size_of_copy * 2 <= size_before + 200 and room * 8 >= count
    assert is_saved == (is_worth_it and count >= 64)
    assert sys.getsizeof(database.values) == (size_of_copy if is_saved else size_before)
    assert not database.save_room()


def test_draws_are_fair_in_a_dictionary_with_holes() -> None:
    """No key is drawn more often because its neighbours are gone."""
    database = new_database(range(300))
    for number in range(200):
        database.delete(b"key:%d" % number)
    generator = random.Random(1)

    drawn = Counter(database.random_key(generator.random) for _ in range(20_000))

    assert drawn.keys() == database.values.keys()
    assert max(drawn.values()) < 2 * min(drawn.values())


def test_an_empty_database_has_no_key_to_draw() -> None:
    """RANDOMKEY answers nil then."""
    assert new_database([]).random_key(random.random) is None


def test_this_interpreter_knows_places() -> None:
    """Else a scan is right and slow: to be noticed here, and not by its users."""
    assert dict_places.entry_at is dict_places._at_by_place


def test_counting_entries_gives_what_places_give() -> None:
    """The way of interpreters that know no places, over dictionaries without holes."""
    mapping = {b"%d" % number: None for number in range(100)}

    for place in (0, 1, 57, 99, 100):
        assert dict_places._at_by_count(mapping, place) == dict_places._at_by_place(mapping, place)
    assert dict_places._keys_by_count(mapping, 3, 20) == dict_places._keys_by_place(mapping, 3, 20)
