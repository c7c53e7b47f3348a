"""Databases and watches: who notices what."""

from __future__ import annotations

import pytest

from server.store.keyspace import Keyspace
from vedette.clients import Session

NOW_MS = 1_000_000


@pytest.fixture
def keyspace() -> Keyspace:
    """Return two databases; `live` and `stale` are in the first, the latter expired."""
    keyspace = Keyspace(2)
    database = keyspace.databases[0]
    database.set(b"live", b"1")
    database.set(b"stale", b"1")
    database.expire_at(b"stale", NOW_MS - 1)
    return keyspace


def watch(keyspace: Keyspace, key: bytes, index: int = 0) -> Session:
    """Return a session that has just sent WATCH."""
    session = Session(1)
    database = keyspace.databases[index]
    keyspace.watch(session, database, key, is_expired=database.is_expired(key, NOW_MS))
    return session


def test_a_change_breaks_the_watch_of_that_key_only(keyspace: Keyspace) -> None:
    """WATCH is about keys, not about databases."""
    watched, other = watch(keyspace, b"live"), watch(keyspace, b"absent")

    keyspace.databases[0].set(b"live", b"2")

    assert (watched.watch_is_broken, other.watch_is_broken) == (True, False)


@pytest.mark.parametrize("method", ["set", "replace"])
def test_making_a_key_breaks_its_watch(keyspace: Keyspace, method: str) -> None:
    """A key may be watched before it exists."""
    session = watch(keyspace, b"absent")

    getattr(keyspace.databases[0], method)(b"absent", b"")

    assert session.watch_is_broken


def test_deleting_and_expiring_break_a_watch(keyspace: Keyspace) -> None:
    """Both change what a reader of the key would see."""
    database = keyspace.databases[0]
    first = watch(keyspace, b"live")
    database.expire_at(b"live", NOW_MS + 5)
    second = watch(keyspace, b"live")
    database.delete(b"live")

    assert (first.watch_is_broken, second.watch_is_broken) == (True, True)


def test_deleting_a_key_that_had_expired_breaks_no_watch(keyspace: Keyspace) -> None:
    """To its watcher the key was gone already; whether it is still in memory is no change."""
    session = watch(keyspace, b"stale")

    keyspace.databases[0].delete(b"stale")

    assert not session.watch_is_broken
    keyspace.databases[0].set(b"stale", b"2")
    assert session.watch_is_broken


def test_a_key_that_expires_under_a_watch_is_noticed_at_exec(keyspace: Keyspace) -> None:
    """Nobody may have touched it, yet it is not what it was."""
    keyspace.databases[0].expire_at(b"live", NOW_MS + 5)
    live, stale = watch(keyspace, b"live"), watch(keyspace, b"stale")

    assert not keyspace.has_watched_key_expired(live, NOW_MS)
    assert keyspace.has_watched_key_expired(live, NOW_MS + 6)
    assert not keyspace.has_watched_key_expired(stale, NOW_MS + 6)


def test_unwatching_forgets_everything(keyspace: Keyspace) -> None:
    """A later transaction starts without the watches of an earlier one."""
    session = watch(keyspace, b"live")
    keyspace.databases[0].set(b"live", b"2")

    keyspace.unwatch(session)
    keyspace.databases[0].set(b"live", b"3")

    assert not session.watch_is_broken
    assert keyspace.databases[0].observed == set()


def test_flushing_breaks_watches_of_keys_that_were_there(keyspace: Keyspace) -> None:
    """FLUSHDB changes nothing for whoever watches a key that did not exist or had expired."""
    live, absent, stale = (watch(keyspace, key) for key in (b"live", b"absent", b"stale"))

    assert keyspace.clear() == 2
    assert [each.watch_is_broken for each in (live, absent, stale)] == [True, False, False]


def test_swapping_databases_breaks_watches_that_notice(keyspace: Keyspace) -> None:
    """A watch is of a name in a numbered database; SWAPDB puts another value under it, or none."""
    there, from_other, absent, stale = (
        watch(keyspace, b"live", 0),
        watch(keyspace, b"live", 1),
        watch(keyspace, b"absent", 0),
        watch(keyspace, b"stale", 1),
    )

    first, second = keyspace.databases
    keyspace.swap(first, second, NOW_MS)

    assert there.watch_is_broken
    assert from_other.watch_is_broken
    assert not absent.watch_is_broken
    assert not stale.watch_is_broken, "not there before, expired now: gone either way"
    assert list(keyspace.databases[1].values) == [b"live", b"stale"]


def test_adopting_a_dataset_breaks_watches_of_what_was_or_is_there(keyspace: Keyspace) -> None:
    """A replica's full synchronisation replaces everything under its clients."""
    live, coming, absent = (watch(keyspace, key) for key in (b"live", b"coming", b"absent"))

    keyspace.databases[0].adopt({b"coming": b"1"}, {})

    assert [each.watch_is_broken for each in (live, coming, absent)] == [True, True, False]


def test_awaited_key_is_told_once_it_exists() -> None:
    """Deleting what a client waits for gives it nothing."""
    told: list[object] = []
    keyspace = Keyspace(2, told.append)
    keyspace.await_change((1, b"k"))
    keyspace.databases[0].set(b"k", b"elsewhere")
    keyspace.databases[1].set(b"k", b"v")
    keyspace.databases[1].delete(b"k")

    assert told == [(1, b"k")]

    keyspace.await_change_no_more((1, b"k"))
    keyspace.databases[1].set(b"k", b"v")

    assert told == [(1, b"k")]
    assert keyspace.databases[1].observed == set()


def test_awaited_key_may_come_with_a_swap() -> None:
    """SWAPDB brings keys in without setting them."""
    told: list[object] = []
    keyspace = Keyspace(2, told.append)
    keyspace.databases[0].set(b"k", b"v")
    keyspace.await_change((1, b"k"))
    first, second = keyspace.databases
    keyspace.swap(first, second, NOW_MS)

    assert told == [(1, b"k")]


def test_a_watch_outlives_a_wait_for_the_same_key() -> None:
    """Both hang on the same set of observed keys."""
    keyspace = Keyspace(1)
    session = watch(keyspace, b"k")
    keyspace.await_change((0, b"k"))
    keyspace.await_change_no_more((0, b"k"))
    keyspace.databases[0].set(b"k", b"v")

    assert session.watch_is_broken
