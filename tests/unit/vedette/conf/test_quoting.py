"""Quoting rules of configuration lines and inline commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.conf import (
    UnbalancedQuotesError,
    quote_argument,
    quote_word,
    split_arguments,
    split_words,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"", []),
        (b"  port   6379 ", [b"port", b"6379"]),
        (b'save ""', [b"save", b""]),
        (b'"a b" c', [b"a b", b"c"]),
        (rb'"\n\r\t\b\a\x41\q"', [b"\n\r\t\b\aAq"]),
        (rb'"\x4"', [b"x4"]),
        (rb"'it\'s \n'", [rb"it's \n"]),
        (b'foo"bar"', [b"foobar"]),
        (rb'"a\"b"', [b'a"b']),
        (b"a\x0bb\x0c c\td\0e", [b"a\x0bb\x0c", b"c", b"d", b"e"]),
        (b"\x0b a \x0c\x0bb", [b"a", b"b"]),
    ],
)
def test_line_is_split_by_redis_quoting_rules(line: bytes, expected: list[bytes]) -> None:
    """Configuration files written by Redis must mean the same here."""
    assert split_arguments(line) == expected


@pytest.mark.parametrize("line", [b'"a', b"'a", b'"a"b', b"'a'b", rb'"a\"', b'foo "bar"baz'])
def test_unbalanced_quotes_are_refused(line: bytes) -> None:
    """A half-quoted password must stop the start, not become a different password."""
    with pytest.raises(UnbalancedQuotesError):
        split_arguments(line)


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_quoted_arguments_are_split_back_whatever_bytes_they_hold(arguments: list[bytes]) -> None:
    """What is written into a file must be read back as the same bytes."""
    line = b" ".join(quote_argument(argument) for argument in arguments)

    assert split_arguments(line) == arguments


@given(st.binary(max_size=20))
def test_word_survives_quoting_even_when_it_is_not_utf8(data: bytes) -> None:
    """Words are text inside; bytes that are no UTF-8 still come back unchanged."""
    word = data.decode("utf-8", "surrogateescape")

    assert split_words(f"requirepass {quote_word(word)}") == ["requirepass", word]


def test_plain_word_is_written_without_quotes() -> None:
    """Rewritten files stay readable, and lines that need no quotes do not change."""
    words = ["127.0.0.1", "", "a b", "it's", "tail#1", "päß"]

    quoted = [quote_word(word) for word in words]

    expected = ["127.0.0.1", '""', '"a b"', '"it\'s"', '"tail#1"', r'"p\xc3\xa4\xc3\x9f"']
    assert quoted == expected
