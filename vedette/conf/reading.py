"""Reading a configuration in redis-server's order: file, standard input, command line.

Owns the rules of the command line (`[FILE] [-] [--directive value ...]`) and of `include`. Later
statements win, so what is read last decides. Follows Redis 7.0's `server.c: main` (options) and
`config.c: loadServerConfig` (files, `include` with wildcards).
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigError
from .quoting import UnbalancedQuotesError, decode_word, quote_argument, split_words
from .statements import Statement, parse_text

STANDARD_INPUT = "standard input"
COMMAND_LINE = "command line"

#: Files may include one another this deep; one that includes itself is refused, not read forever.
INCLUDE_DEPTH = 16


class ConfigFileMissingError(ConfigError):
    """A configuration file cannot be opened or read."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What a server's arguments ask for."""

    #: The configuration file as named, or None.
    file: str | None
    reads_standard_input: bool
    #: The `--directive value` options as configuration text, one directive a line.
    options: str


def parse_command_line(arguments: Sequence[str]) -> CommandLine:
    """Return the meaning of `arguments` (without the program's name).

    The first argument is the file unless it begins with `-`; a lone `-` first or last means
    standard input; `--name` begins a directive and every argument up to the next one is its value.
    An option that has no value yet takes the next argument whatever it looks like (`--port --foo`
    gives the port `--foo`), except that a bare `--save` means `--save ""`, as before 7.0.
    """
    file = None
    rest = list(arguments)
    if rest and not rest[0].startswith("-"):
        file = rest.pop(0)
    lines: list[str] = []
    reads_standard_input = False
    last = len(rest) - 1
    wants_value = False
    for index, argument in enumerate(rest):
        if argument == "-" and ((index == 0 and file is None) or index == last):
            reads_standard_input = True
        elif argument.startswith("--") and not wants_value:
            lines.append(argument[2:])
            wants_value = _has_no_value(argument)
            ends_here = index == last or rest[index + 1].startswith("--")
            if wants_value and argument.lower() == "--save" and ends_here:
                lines[-1] += ' ""'
                wants_value = False
        else:
            word = quote_argument(argument.encode("utf-8", "surrogateescape")).decode("ascii")
            lines[-1:] = [f"{lines[-1]} {word}" if lines else word]
            wants_value = False
    return CommandLine(file, reads_standard_input, "\n".join(lines))


def _has_no_value(option: str) -> bool:
    """Whether `--port` stands alone, and is not `"--port 6380"` in one argument."""
    try:
        return len(split_words(option)) == 1
    except UnbalancedQuotesError:
        return False


def read_statements(
    command_line: CommandLine, read_standard_input: Callable[[], str]
) -> list[Statement]:
    """Return all statements, in the order that decides; `include` is replaced by what it names.

    Raises:
        ConfigFileMissingError: a named file cannot be read.
        ConfigError: a line is malformed, or files include one another too deeply.
    """
    statements: list[Statement] = []
    if command_line.file is not None:
        statements += read_file(command_line.file)
    if command_line.reads_standard_input:
        statements += _expand(parse_text(read_standard_input(), STANDARD_INPUT), 0)
    statements += _expand(parse_text(command_line.options, COMMAND_LINE), 0)
    return statements


def read_file(path: str, depth: int = 0) -> list[Statement]:
    """Return the statements of the file at `path` and of those it includes.

    Raises:
        ConfigFileMissingError: it cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        reason = f"Fatal error, can't open config file '{path}': {error.strerror}"
        raise ConfigFileMissingError(reason, file=path) from error
    return _expand(parse_text(decode_word(data), path), depth)


def _expand(statements: list[Statement], depth: int) -> list[Statement]:
    expanded: list[Statement] = []
    for statement in statements:
        if statement.name != "include":
            expanded.append(statement)
            continue
        if len(statement.values) != 1:
            raise statement.error("wrong number of arguments")
        if depth >= INCLUDE_DEPTH:
            raise statement.error(f"files include one another more than {INCLUDE_DEPTH} deep")
        for path in _included_paths(statement.values[0]):
            expanded += read_file(path, depth + 1)
    return expanded


def _included_paths(pattern: str) -> list[str]:
    """Return the files an `include` names; a pattern may match none, a plain name must exist."""
    if glob.has_magic(pattern):
        return sorted(glob.glob(pattern))
    return [pattern]


def fatal_message(error: ConfigError, program: str) -> str:
    """Return what is printed to standard error when `error` stops the start.

    `program` is name and version, such as `Vedette 0.1.0`. The shape is Redis', plus the file.
    """
    lines = ["", f"*** FATAL CONFIG FILE ERROR ({program}) ***"]
    if error.line:
        lines.append(f"Reading the configuration file, at line {error.line} of {error.file}")
        lines.append(f">>> '{error.statement}'")
    lines.append(error.reason)
    return "\n".join(lines) + "\n"
