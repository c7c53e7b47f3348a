"""The short notation of arguments."""

from __future__ import annotations

import pytest

from vedette.cmdspec.syntax import describe_arguments
from vedette.resp.replies import MapReply, SetReply, SimpleString


def test_everything_about_an_argument_is_told() -> None:
    """In the order in which Redis tells it."""
    assert describe_arguments("ip:port:key@1=AT^2.0.0!3.0.0?*+") == [
        MapReply(
            [
                (b"name", b"ip:port"),
                (b"type", b"key"),
                (b"key_spec_index", 1),
                (b"token", b"AT"),
                (b"since", b"2.0.0"),
                (b"deprecated_since", b"3.0.0"),
                (
                    b"flags",
                    SetReply(
                        [
                            SimpleString(b"optional"),
                            SimpleString(b"multiple"),
                            SimpleString(b"multiple_token"),
                        ]
                    ),
                ),
            ]
        )
    ]


def test_parts_stand_in_parentheses_and_odd_words_in_quotes() -> None:
    """A word such as `*` would else be taken for a flag."""
    (argument,) = describe_arguments("id:oneof( auto:pure-token='*' like:pure-token=~ )")

    assert isinstance(argument, MapReply)
    parts = dict(argument.pairs)[b"arguments"]
    assert [dict(part.pairs)[b"token"] for part in parts] == [b"*", b"~"]  # type: ignore[union-attr]


@pytest.mark.parametrize("syntax", ["name", "name:colour", "name:key @1"])
def test_a_wrong_notation_is_refused(syntax: str) -> None:
    """It is the program's own, so a test of all commands finds it."""
    with pytest.raises(ValueError, match="describes no argument"):
        describe_arguments(syntax)
