"""Where keys stand among arguments."""

from __future__ import annotations

import pytest

from vedette.cmdspec import Keys, KeySpec


def words(text: str) -> list[bytes]:
    return text.encode().split()


@pytest.mark.parametrize(
    ("keys", "request_", "expected"),
    [
        (Keys(), "PING x", ""),
        (Keys(1, 1, 1), "SET a b", "a"),
        (Keys(1, -1, 1), "DEL a b c", "a b c"),
        (Keys(1, -1, 2), "MSET a 1 b 2", "a b"),
        (Keys(1, -1, 2), "MSET a 1 b", "a b"),
        (Keys(1, 2, 1), "LCS a b IDX", "a b"),
        (Keys(1, -2, 1), "BLPOP a b 0", "a b"),
        (Keys(keynum_index=2), "EVAL script 2 a b x", "a b"),
        (Keys(keynum_index=2), "EVAL script 0 x", ""),
        (Keys(keynum_index=2), "EVAL script x a", ""),
        (Keys(keynum_index=2), "EVAL script -1 a", ""),
        (Keys(keynum_index=2), "EVAL script", ""),
        (Keys(keynum_index=2), "EVAL script 2 a", ""),
        (Keys(1, 1, 1), "GET", ""),
        (Keys(1, 2, 1), "RENAME a", ""),
        (
            Keys(1, 1, 1, groups=(KeySpec(1), KeySpec(2, is_counted=True))),
            "ZUNIONSTORE to 2 a b WEIGHTS 1 2",
            "to a b",
        ),
    ],
)
def test_keys_are_picked_out_of_requests(keys: Keys, request_: str, expected: str) -> None:
    """WATCH, COMMAND GETKEYS and later cluster slots all ask this."""
    assert keys.of(words(request_)) == words(expected)


def test_a_huge_key_count_costs_nothing() -> None:
    """The count is the client's word; the arguments are what there is."""
    keys = Keys(keynum_index=1)

    assert keys.of([b"X", b"9" * 18, b"a"]) == []


def test_a_range_of_keys_is_relative_in_its_specification() -> None:
    """COMMAND shows the last key as a distance from the first, in old form as an index."""
    [spec] = Keys(1, 2, 1, ("RO", "ACCESS")).specs

    assert (spec.index, spec.last, spec.step) == (1, 1, 1)
    [spec] = Keys(2, -1, 2).specs
    assert (spec.index, spec.last, spec.step) == (2, -1, 2)


def test_groups_say_what_happens_to_each_key() -> None:
    """RENAME takes one key away and overwrites another."""
    keys = Keys(1, 2, 1, groups=(KeySpec(1, ("RW", "DELETE")), KeySpec(2, ("OW", "UPDATE"))))

    assert [(key, spec.access) for key, spec in keys.accesses(words("RENAME a b"))] == [
        (b"a", ("RW", "DELETE")),
        (b"b", ("OW", "UPDATE")),
    ]
