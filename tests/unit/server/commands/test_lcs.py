"""LCS by rows of bits gives what the table of Redis gives, cell by cell."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.engine import TestEngine

words = st.text(alphabet="abc", max_size=40).map(str.encode)


@pytest.fixture(scope="module")
def engine() -> TestEngine:
    """Return one engine for all examples: to make it takes longer than most of them."""
    return TestEngine()


def table_of(first: bytes, second: bytes) -> list[list[int]]:
    """Return the lengths for all pairs of prefixes."""
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for row, byte in enumerate(first, start=1):
        for column, other in enumerate(second, start=1):
            table[row][column] = (
                table[row - 1][column - 1] + 1
                if byte == other
                else max(table[row - 1][column], table[row][column - 1])
            )
    return table


def answer_of(first: bytes, second: bytes) -> bytes:
    """Return the subsequence that Redis' way back through the table finds."""
    table = table_of(first, second)
    row, column, found = len(first), len(second), bytearray()
    while row and column:
        if first[row - 1] == second[column - 1]:
            found.append(first[row - 1])
            row, column = row - 1, column - 1
        elif table[row - 1][column] > table[row][column - 1]:
            row -= 1
        else:
            column -= 1
    return bytes(reversed(found))


@settings(max_examples=300)
@given(words, words)
def test_the_answer_is_the_one_redis_gives(engine: TestEngine, first: bytes, second: bytes) -> None:
    """Of several equally long ones there is one that clients see."""
    engine.call("MSET", "a", first, "b", second)

    expected = answer_of(first, second)

    assert engine.call("LCS", "a", "b") == expected
    assert engine.call("LCS", "a", "b", "LEN") == len(expected)


@settings(max_examples=200)
@given(words, words)
def test_ranges_spell_the_answer(engine: TestEngine, first: bytes, second: bytes) -> None:
    """IDX gives the last range first, and no two of them touch in both strings."""
    engine.call("MSET", "a", first, "b", second)

    _, matches, _, length = engine.call("LCS", "a", "b", "IDX", "WITHMATCHLEN")

    spelt = b"".join(first[start : end + 1] for (start, end), _, _ in reversed(matches))
    assert spelt == answer_of(first, second)
    assert length == sum(size for _, _, size in matches)
    for later, earlier in pairwise(matches):
        assert earlier[0][1] < later[0][0]
        assert earlier[1][1] < later[1][0]


def test_long_strings_take_no_long_time(engine: TestEngine) -> None:
    """A table of a hundred million cells would stop the server for minutes."""
    engine.call("MSET", "a", "abcde" * 2000, "b", "badce" * 2000)
    started = time.process_time()

    assert engine.call("LCS", "a", "b", "LEN") > 5000
    assert time.process_time() - started < 2


def test_a_table_beyond_the_limit_is_refused() -> None:
    """At the sizes at which Redis refuses it."""
    engine = TestEngine("proto-max-bulk-len 1mb")
    engine.call("MSET", "a", "x" * 511, "b", "x" * 511, "c", "x" * 512)

    assert engine.call("LCS", "a", "b", "LEN") == 511
    assert engine.error("LCS", "a", "c").startswith("ERR Insufficient memory")
