"""Order of reading: file, standard input, command line, and `include`."""

from __future__ import annotations

from pathlib import Path

import pytest

from vedette.conf import (
    CommandLine,
    ConfigFileMissingError,
    fatal_message,
    parse_command_line,
    read_statements,
)
from vedette.errors import ConfigError


def read(*arguments: str, standard_input: str = "") -> list[tuple[str, ...]]:
    """Return the words of all statements that these arguments lead to."""
    statements = read_statements(parse_command_line(arguments), lambda: standard_input)
    return [statement.words for statement in statements]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], []),
        (["--port", "6380"], [("port", "6380")]),
        (["--port 6380", "--hz", "5"], [("port", "6380"), ("hz", "5")]),
        (["--bind", "127.0.0.1", "::1"], [("bind", "127.0.0.1", "::1")]),
        (["--save", "", "--port", "1"], [("save", ""), ("port", "1")]),
        (["--save", "--port", "1"], [("save", ""), ("port", "1")]),
        (["--port", "1", "--save"], [("port", "1"), ("save", "")]),
        (["--port", "--hz", "1"], [("port", "--hz", "1")]),
        (["--requirepass", "a b"], [("requirepass", "a b")]),
        (["-x"], [("-x",)]),
    ],
)
def test_options_mean_what_redis_7_0_takes_them_for(
    arguments: list[str], expected: list[tuple[str, ...]]
) -> None:
    """People start us with redis-server's arguments."""
    assert read(*arguments) == expected


def test_lone_dash_asks_for_standard_input_and_is_no_option() -> None:
    """`-` counts first or last only, as in redis-server."""
    assert parse_command_line(["-"]) == CommandLine(None, True, "")
    assert parse_command_line(["x.conf", "--port", "1", "-"]) == CommandLine(
        "x.conf", True, 'port "1"'
    )


def test_file_then_standard_input_then_options_are_read(tmp_path: Path) -> None:
    """Later statements win, so options override input, and input overrides the file."""
    path = tmp_path / "node.conf"
    path.write_text("port 1\n")

    words = read(str(path), "--port", "3", "-", standard_input="port 2\n")

    assert words == [("port", "1"), ("port", "2"), ("port", "3")]


def test_include_is_replaced_by_the_files_its_pattern_names(tmp_path: Path) -> None:
    """Included lines stand where the include stood; a pattern without a match is no error."""
    (tmp_path / "b.part").write_text("hz 2\n")
    (tmp_path / "a.part").write_text("hz 1\n")
    path = tmp_path / "node.conf"
    path.write_text(f"port 1\ninclude {tmp_path}/*.part\ninclude {tmp_path}/missing*\nport 2\n")

    assert read(str(path)) == [("port", "1"), ("hz", "1"), ("hz", "2"), ("port", "2")]


def test_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    """A loop of includes must end in an error, not in exhausted memory."""
    path = tmp_path / "loop.conf"
    path.write_text(f"include {path}\n")

    with pytest.raises(ConfigError, match="include one another more than 16 deep"):
        read(str(path))


def test_missing_file_is_reported_as_redis_reports_it(tmp_path: Path) -> None:
    """Scripts look for this text."""
    missing = tmp_path / "none.conf"

    with pytest.raises(ConfigFileMissingError) as caught:
        read(str(missing))

    expected = f"Fatal error, can't open config file '{missing}': No such file or directory"
    assert caught.value.reason == expected


def test_fatal_message_has_redis_shape_and_the_file() -> None:
    """What stops the start says file, line, the line and the reason."""
    error = ConfigError("wrong number", file="/etc/x.conf", line=3, statement="port 1 2")

    message = fatal_message(error, "Vedette 1.0")

    expected = (
        "\n*** FATAL CONFIG FILE ERROR (Vedette 1.0) ***\n"
        "Reading the configuration file, at line 3 of /etc/x.conf\n"
        ">>> 'port 1 2'\n"
        "wrong number\n"
    )
    assert message == expected
