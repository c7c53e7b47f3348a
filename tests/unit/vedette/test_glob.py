"""Glob patterns as Redis matches them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.glob import glob_matcher, matches_glob


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        (b"*", [b"", b"anything\r\n\xff"], []),
        (b"", [b""], [b"a"]),
        (b"h?llo", [b"hello", b"h\nllo"], [b"hllo", b"heello"]),
        (b"h*llo", [b"hllo", b"heeeello"], [b"hell"]),
        (b"h[ae]llo", [b"hallo", b"hello"], [b"hillo", b"hllo"]),
        (b"h[^e]llo", [b"hallo"], [b"hello", b"hllo"]),
        (b"h[a-b]llo", [b"hallo", b"hbllo"], [b"hcllo"]),
        (b"h[b-a]llo", [b"hallo", b"hbllo"], [b"hcllo"]),
        (b"[a-]", [b"a", b"]", b"^"], [b"-", b"b"]),
        (b"[abc", [b"a", b"c"], [b"d", b"[abc"]),
        (b"[\\]]", [b"]"], [b"\\"]),
        (b"[]", [], [b"", b"]", b"a"]),
        (b"[^]", [b"a"], [b""]),
        (b"\\*", [b"*"], [b"a"]),
        (b"a\\", [b"a\\"], [b"a"]),
        (b"a.c", [b"a.c"], [b"abc"]),
        (b"(a|b)+$", [b"(a|b)+$"], [b"a"]),
        (b"news.*.it", [b"news.art.it", b"news..it"], [b"news.it"]),
        (b"**a**b", [b"ab", b"xaxb"], [b"ba"]),
    ],
)
def test_patterns_match_what_redis_matches(
    pattern: bytes, matching: list[bytes], others: list[bytes]
) -> None:
    """PSUBSCRIBE, KEYS and CONFIG GET all rest on these rules."""
    assert [text for text in matching if not matches_glob(pattern, text)] == []
    assert [text for text in others if matches_glob(pattern, text)] == []
    assert list(filter(glob_matcher(pattern), [*matching, *others])) == matching


def test_case_may_be_ignored() -> None:
    """CONFIG GET and COMMAND LIST match names in any case."""
    assert matches_glob(b"MAX[a-c]*", b"maxclients", ignore_case=True)
    assert not matches_glob(b"MAX*", b"maxclients")


def test_many_stars_cannot_stop_the_server() -> None:
    """With plain backtracking this pattern takes longer than anyone would wait."""
    started = time.process_time()

    assert not matches_glob(b"a*" * 30 + b"b", b"a" * 10_000)
    assert time.process_time() - started < 1


def reference(pattern: bytes, text: bytes) -> bool:
    """Match stars and question marks by trying everything."""
    if not pattern:
        return not text
    if pattern[:1] == b"*":
        return any(reference(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[:1] in (b"?", text[:1]) and reference(pattern[1:], text[1:])


@given(
    st.lists(st.sampled_from([b"a", b"b", b"*", b"?"]), max_size=8).map(b"".join),
    st.lists(st.sampled_from([b"a", b"b"]), max_size=8).map(b"".join),
)
def test_stars_match_as_if_everything_were_tried(pattern: bytes, text: bytes) -> None:
    """Taking the earliest match of each piece loses none."""
    assert matches_glob(pattern, text) == reference(pattern, text)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_any_bytes_are_a_pattern(pattern: bytes, text: bytes) -> None:
    """No pattern a client sends may raise, and every text matches itself when escaped."""
    matches_glob(pattern, text)
    escaped = b"".join(b"\\" + bytes([byte]) for byte in text)

    assert matches_glob(escaped, text)
