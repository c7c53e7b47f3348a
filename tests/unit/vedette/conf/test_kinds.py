"""Values of directives: what is accepted, what is refused and with which words."""

from __future__ import annotations

from typing import Any

import pytest

from vedette.conf import (
    BadValueError,
    BufferLimit,
    BufferLimits,
    Choice,
    Integer,
    Kind,
    Memory,
    Octal,
    SavePoint,
    SavePoints,
    Text,
    WordList,
    Words,
    YesNo,
)
from vedette.conf.kinds import ClientClass

POLICY = Choice("noeviction", "allkeys-lru", synonyms={"none": "noeviction"})


@pytest.mark.parametrize(
    ("kind", "words", "value"),
    [
        (YesNo(), ["YES"], True),
        (YesNo(), ["no"], False),
        (Integer(-10, 10), ["-3"], -3),
        (Octal(), ["755"], 0o755),
        (Memory(), ["1k"], 1000),
        (Memory(), ["1KB"], 1024),
        (Memory(), ["2mb"], 2 * 1024**2),
        (Memory(), ["3g"], 3 * 1000**3),
        (Memory(), ["7b"], 7),
        (Memory(), [""], 0),
        (Memory(), ["MB"], 0),
        (Memory(allows_percent=True), ["5%"], -5),
        (Text(), ["any thing"], "any thing"),
        (POLICY, ["ALLKEYS-lru"], "allkeys-lru"),
        (POLICY, ["none"], "noeviction"),
        (WordList(), ["127.0.0.1", "::1"], ("127.0.0.1", "::1")),
        (WordList(), [""], ()),
        (Words(2), ["127.0.0.1", "6379"], ("127.0.0.1", "6379")),
        (SavePoints(), ["900", "1", "300", "10"], (SavePoint(900, 1), SavePoint(300, 10))),
        (SavePoints(), [""], ()),
        (BufferLimits(), [""], {}),
        (
            BufferLimits(),
            ["replica", "256mb", "64mb", "60"],
            {ClientClass.REPLICA: BufferLimit(256 * 1024**2, 64 * 1024**2, 60)},
        ),
    ],
)
def test_value_is_parsed(kind: Kind[Any], words: list[str], value: object) -> None:
    """One table serves files, options and CONFIG SET."""
    assert kind.parse(words) == value


@pytest.mark.parametrize(
    ("kind", "words", "reason"),
    [
        (YesNo(), ["maybe"], "argument must be 'yes' or 'no'"),
        (YesNo(), ["yes", "no"], "wrong number of arguments"),
        (Integer(), ["abc"], "argument couldn't be parsed into an integer"),
        (Integer(), ["01"], "argument couldn't be parsed into an integer"),
        (Integer(), ["1_0"], "argument couldn't be parsed into an integer"),
        (Integer(), ["٣"], "argument couldn't be parsed into an integer"),
        (Integer(), ["9" * 20], "argument couldn't be parsed into an integer"),
        (Integer(0, 65535), ["65536"], "argument must be between 0 and 65535 inclusive"),
        (Octal(), ["8"], "argument couldn't be parsed as an octal number"),
        (Memory(), ["12zb"], "argument must be a memory value"),
        (Memory(), ["-1"], "argument must be a memory value"),
        (Memory(), ["1.5gb"], "argument must be a memory value"),
        (Memory(allows_percent=True), ["x%"], "argument must be a memory or percent value"),
        (
            Memory(allows_percent=True),
            ["120%"],
            "percentage argument must be less or equal to 100",
        ),
        (
            POLICY,
            ["foo"],
            "argument(s) must be one of the following: noeviction, allkeys-lru, none",
        ),
        (Words(2), ["a"], "wrong number of arguments"),
        (SavePoints(), ["900"], "Invalid save parameters"),
        (SavePoints(), ["0", "1"], "Invalid save parameters"),
        (
            BufferLimits(),
            ["foo", "0", "0", "0"],
            "Invalid client class specified in buffer limit configuration.",
        ),
        (
            BufferLimits(),
            ["normal", "0", "0"],
            "Wrong number of arguments in buffer limit configuration.",
        ),
        (
            BufferLimits(),
            ["normal", "x", "0", "0"],
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
        ),
    ],
)
def test_refusal_has_redis_wording(kind: Kind[Any], words: list[str], reason: str) -> None:
    """Tools and people match these texts."""
    with pytest.raises(BadValueError) as caught:
        kind.parse(words)

    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (YesNo(), ["yes"]),
        (Integer(), ["12"]),
        (Octal(), ["700"]),
        (Memory(), ["100"]),
        (Memory(allows_percent=True), ["5%"]),
        (Text(), ["a b"]),
        (WordList(), ["a", "b"]),
        (SavePoints(), ["900", "1", "300", "10"]),
        (BufferLimits(), ["slave", "100", "50", "60"]),
    ],
)
def test_rendered_words_parse_to_the_same_value(kind: Kind[Any], words: list[str]) -> None:
    """CONFIG REWRITE must not change what a configuration means."""
    value = kind.parse(words)

    assert kind.parse(kind.render(value)) == value
    assert all(line for line in kind.render_lines(value))
