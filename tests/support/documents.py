"""The parts of docs/ that follow from the program: made here, compared by tests/meta.

`python -m tests.support.documents` writes them anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import sentinel.commands
import server.commands
from vedette.cmdspec import CommandRow, CommandTable

__all__ = ["COMMANDS_PAGE", "DIRECTIVES_PAGE", "ROOT", "blocks_of", "rendered_blocks", "table_rows"]

ROOT: Final = Path(__file__).parents[2]
COMMANDS_PAGE: Final = ROOT / "docs" / "commands.md"
DIRECTIVES_PAGE: Final = ROOT / "docs" / "directives.md"

_BLOCK: Final = re.compile(r"(<!-- made of (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

_SOURCES: Final[dict[str, Callable[[], CommandTable]]] = {
    "the server's command table": server.commands.command_table,
    "the sentinel's command table": sentinel.commands.command_table,
}


def blocks_of(text: str) -> dict[str, str]:
    """Return the generated blocks of a page by what they are made of."""
    return {match[2]: match[3] for match in _BLOCK.finditer(text)}


def rendered_blocks() -> dict[str, str]:
    """Return what the blocks of docs/commands.md must hold."""
    return {name: _command_tables(make()) for name, make in _SOURCES.items()}


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the Markdown tables in `text`, headings left out."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| ")
    ]


def _command_tables(table: CommandTable) -> str:
    groups: dict[str, list[CommandRow]] = {}
    for row in _listed(table):
        groups.setdefault(row.group, []).append(row)
    return "\n" + "\n".join(_group_table(group, groups[group]) for group in sorted(groups)) + "\n"


def _listed(table: CommandTable) -> Iterable[CommandRow]:
    for row in table:
        if row.handler is not None:
            yield row
        yield from (sub for sub in row.subcommands.values() if not sub.is_hidden)


def _group_table(group: str, rows: list[CommandRow]) -> str:
    lines = [f"### {group}", "", "| Command | Arity | Since | What it does |", "|---|---|---|---|"]
    for row in sorted(rows, key=lambda each: each.full_name):
        name = row.full_name.replace("|", " ").upper()
        lines.append(f"| `{name}` | {row.arity} | {row.since} | {row.summary} |")
    return "\n".join(lines) + "\n"


def _write() -> None:
    blocks = rendered_blocks()
    text = COMMANDS_PAGE.read_text()
    COMMANDS_PAGE.write_text(_BLOCK.sub(lambda m: m[1] + blocks[m[2]] + m[4], text))


if __name__ == "__main__":
    _write()
