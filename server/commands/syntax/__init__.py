"""The arguments of every command, in the notation of `vedette.cmdspec.syntax`.

Each name stands at the beginning of a line, its arguments after it or indented below.
"""

from __future__ import annotations

from . import ordered, server, strings_and_lists


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
