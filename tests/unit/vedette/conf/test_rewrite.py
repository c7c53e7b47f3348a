"""Rewriting of a configuration text."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from vedette.conf import SIGNATURE, ConfigLine, rewrite_text


def key_of(words: Sequence[str]) -> tuple[str, ...] | None:
    """Own `port` and `sentinel <what> <name>`; leave the rest."""
    if words[0] == "port":
        return ("port",)
    return tuple(words[:3]) if words[0] == "sentinel" else None


def line(*words: str, is_needed: bool = True) -> ConfigLine:
    """Return a line of ours."""
    key = key_of(words)
    assert key is not None
    return ConfigLine(key, words, is_needed)


def test_lines_are_replaced_in_place_and_new_ones_appended() -> None:
    """The administrator's order and comments stay theirs."""
    text = "# top\nPORT 1\n# about m\nsentinel monitor m h 1 2\nother thing\n"

    rewritten = rewrite_text(
        text,
        [
            line("port", "2"),
            line("sentinel", "monitor", "m", "h", "9", "2"),
            line("sentinel", "x", "y"),
        ],
        key_of,
    )

    expected = (
        "# top\nport 2\n# about m\nsentinel monitor m h 9 2\nother thing\n"
        f"\n{SIGNATURE}\nsentinel x y\n"
    )
    assert rewritten == expected


def test_line_no_longer_wanted_disappears_without_leaving_a_gap() -> None:
    """Replicas that are forgotten must not come back at the next start."""
    text = "a 1\n\nsentinel known-replica m h 1\n\nb 2\n"

    assert rewrite_text(text, [], key_of) == "a 1\n\nb 2\n"


def test_lines_of_one_key_keep_their_own_places() -> None:
    """Only what changed moves, so the file's history stays readable."""
    text = "sentinel r m 1\n# between\nsentinel r m 2\nsentinel r m 3\n"
    lines = [line("sentinel", "r", "m", n) for n in ("3", "4", "1")]

    rewritten = rewrite_text(text, lines, key_of)

    assert rewritten == "sentinel r m 1\n# between\nsentinel r m 4\nsentinel r m 3\n"


def test_line_given_twice_is_written_once() -> None:
    """A duplicated known-replica line makes the next start fail."""
    twice = line("sentinel", "r", "m", "1")
    text = "sentinel r m 1\nsentinel r m 1\n"

    assert rewrite_text(text, [twice, twice], key_of) == "sentinel r m 1\n"
    assert rewrite_text("", [twice, twice], key_of).count("sentinel r m 1") == 1


def test_default_replaces_a_line_but_is_not_appended() -> None:
    """Files do not fill up with settings that nobody made."""
    default = line("port", "6379", is_needed=False)

    assert rewrite_text("port 1\n", [default], key_of) == "port 6379\n"
    assert rewrite_text("x 1\n", [default], key_of) == "x 1\n"


def test_words_are_quoted_so_that_no_value_can_add_a_line() -> None:
    """A line break in a value must not become a directive (a way to run scripts)."""
    evil = line("sentinel", "auth-pass", "m", "x\nsentinel notification-script m /bin/sh")

    rewritten = rewrite_text("", [evil], key_of)

    assert rewritten.count("\n") == 2
    assert rewritten.splitlines()[1].startswith('sentinel auth-pass m "x\\nsentinel')


def test_malformed_line_of_the_file_is_kept() -> None:
    """What cannot be read is not ours to delete."""
    assert rewrite_text('port "1\n', [line("port", "2")], key_of) == (
        f'port "1\n\n{SIGNATURE}\nport 2\n'
    )


WORDS = st.sampled_from(["a", "b", "1", "2"])
LINES = st.lists(
    st.one_of(
        st.tuples(st.just("port"), WORDS),
        st.tuples(st.just("sentinel"), WORDS, WORDS, WORDS),
    ),
    max_size=8,
)


@given(
    st.lists(st.sampled_from(["# c", "", "port 1", "sentinel a b 1", "sentinel a b 2", "z 1"])),
    LINES,
)
def test_rewriting_is_complete_and_settles_at_once(
    old: list[str], wanted: list[tuple[str, ...]]
) -> None:
    """All wanted lines are there once, none other of ours, and a second run changes nothing."""
    lines = [line(*words) for words in wanted]

    once = rewrite_text("\n".join(old) + "\n", lines, key_of)

    ours = [each.split() for each in once.splitlines() if each[:1] in ("p", "s")]
    assert sorted(ours) == sorted(list(words) for words in dict.fromkeys(wanted))
    assert rewrite_text(once, lines, key_of) == once
    strangers = [each for each in old if each == "z 1"]
    assert [each for each in once.splitlines() if each == "z 1"] == strangers


def test_a_default_of_several_lines_is_written_whole_where_there_is_one() -> None:
    """Else `save ""` in a file would become the first of three save points, and no more."""
    defaults = [line("sentinel", "r", "m", word, is_needed=False) for word in "abc"]

    assert rewrite_text("sentinel r m x\n", defaults, key_of) == (
        f"sentinel r m a\n\n{SIGNATURE}\nsentinel r m b\nsentinel r m c\n"
    )
    assert rewrite_text("other 1\n", defaults, key_of) == "other 1\n"
