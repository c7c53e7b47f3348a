"""Lines of a configuration text."""

from __future__ import annotations

import pytest

from vedette.conf import Statement, parse_text
from vedette.errors import ConfigError


def test_statements_keep_line_numbers_and_lower_only_the_name() -> None:
    """Errors name the line, so blank lines and comments count; values keep their case."""
    text = '# comment\n\n  PORT 6379\r\n\t\nDir "/A b"\n'

    statements = parse_text(text, "x.conf")

    expected = [
        Statement("x.conf", 3, ("port", "6379"), "PORT 6379"),
        Statement("x.conf", 5, ("dir", "/A b"), 'Dir "/A b"'),
    ]
    assert statements == expected


def test_hash_inside_a_line_is_part_of_a_word() -> None:
    """Redis knows no trailing comments; a password may hold a `#`."""
    (statement,) = parse_text("requirepass a#b # c", "x.conf")

    assert statement.values == ("a#b", "#", "c")


def test_unbalanced_quotes_name_file_line_and_text() -> None:
    """The administrator must find the line without searching."""
    with pytest.raises(ConfigError) as caught:
        parse_text('port 1\nsave "900\n', "x.conf")

    error = caught.value
    assert (error.file, error.line, error.statement) == ("x.conf", 2, 'save "900')
    assert error.reason == "Unbalanced quotes in configuration line"
