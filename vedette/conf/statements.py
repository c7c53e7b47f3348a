"""Configuration text as statements: what a line says, and where it stands.

Owns the line syntax only (comments, blank lines, case of the directive's name); it knows no
directive. Follows Redis' `config.c: loadServerConfigFromString`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ConfigError
from .quoting import UnbalancedQuotesError, split_words

_BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of configuration that is neither blank nor a comment."""

    #: Path of the file, `standard input` or `command line`; for people only.
    file: str
    #: 1-based.
    line: int
    #: At least one; `words[0]` is the directive's name in lower case.
    words: tuple[str, ...]
    #: The line as written, without the blanks around it.
    raw: str

    @property
    def name(self) -> str:
        """The directive's name, in lower case."""
        return self.words[0]

    @property
    def values(self) -> tuple[str, ...]:
        """The words after the name."""
        return self.words[1:]

    def error(self, reason: str) -> ConfigError:
        """Return the error that stops the start because of this statement."""
        return ConfigError(reason, file=self.file, line=self.line, statement=self.raw)


def parse_text(text: str, file: str) -> list[Statement]:
    """Return the statements of `text`, in order.

    Raises:
        ConfigError: quotes do not match on a line.
    """
    statements = []
    for number, line in enumerate(text.split("\n"), start=1):
        statement = parse_line(line, file, number)
        if statement is not None:
            statements.append(statement)
    return statements


def parse_line(line: str, file: str, number: int) -> Statement | None:
    """Return what `line` says, or None when it is blank or a comment.

    Raises:
        ConfigError: its quotes do not match.
    """
    raw = line.strip(_BLANKS)
    if not raw or raw.startswith("#"):
        return None
    try:
        words = split_words(raw)
    except UnbalancedQuotesError as error:
        raise ConfigError(
            "Unbalanced quotes in configuration line", file=file, line=number, statement=raw
        ) from error
    if not words:
        return None
    return Statement(file, number, (words[0].lower(), *words[1:]), raw)
