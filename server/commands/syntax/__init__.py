"""What COMMAND DOCS tells of every command beside its row.

The arguments are in the notation of `vedette.cmdspec.syntax`: each name stands at the beginning of
a line, its arguments after it or indented below.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import documents, ordered, server, strings_and_lists


def syntax_by_name() -> dict[str, str]:
    """Return the arguments by a command's full name."""
    found: dict[str, str] = {}
    name = ""
    for module in (strings_and_lists, ordered, server):
        for line in module.SYNTAX.splitlines():
            text = line.strip()
            if line[0] != " ":
                name, _, text = line.partition(" ")
            found[name] = f"{found.get(name, '')} {text}".strip()
    return found


def complexity_by_name() -> dict[str, str]:
    """Return how much work a command is, by its full name."""
    return {
        name: sentence
        for sentence, lines in _indented_below(documents.COMPLEXITIES)
        for line in lines
        for name in line.split()
    }


def history_by_name() -> dict[str, tuple[tuple[str, str], ...]]:
    """Return the versions that changed a command, and how, by its full name."""
    found = {}
    for name, lines in _indented_below(documents.HISTORY):
        parts = (line.partition(" ") for line in lines)
        found[name] = tuple((version, sentence) for version, _, sentence in parts)
    return found


def _indented_below(text: str) -> Iterator[tuple[str, list[str]]]:
    """Iterate over the lines of `text` that are not indented, each with those below it that are."""
    heading, lines = "", list[str]()
    for line in text.splitlines():
        if line[0] == " ":
            lines.append(line.strip())
            continue
        if heading:
            yield heading, lines
        heading, lines = line, []
    yield heading, lines
