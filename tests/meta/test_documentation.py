"""The documentation says what the program does: no command and no directive is missing or stale."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import sentinel.directives
import server.directives
from server.config import load_configuration
from server.directives.inert import ONLY_DEFAULT, WITHOUT_EFFECT
from tests.support.documents import (
    COMMANDS_PAGE,
    DIRECTIVES_PAGE,
    ROOT,
    blocks_of,
    rendered_blocks,
    table_rows,
)
from vedette.conf import Directive, parse_text

SERVER_EFFECTIVE = [
    each for each in server.directives.TABLE.directives if each not in ONLY_DEFAULT + WITHOUT_EFFECT
]

#: Set by their own directives only, or not something a file should show as if it were usual.
NOT_IN_THE_FILE = {"bind-source-addr"}


def test_command_tables_are_those_of_the_programs() -> None:
    """`python -m tests.support.documents` was run after the last change of a row."""
    assert rendered_blocks() == blocks_of(COMMANDS_PAGE.read_text())


def section(title: str) -> str:
    """Return the text of docs/directives.md below the heading `title`."""
    match = re.search(
        rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", DIRECTIVES_PAGE.read_text(), re.S | re.M
    )
    assert match is not None, title
    return match[1]


# Any: a directive of whatever type.
def expected_cells(directive: Directive[Any]) -> tuple[str, str]:
    """Return the first two cells of a directive's row."""
    names = ", ".join(f"`{name}`" for name in (directive.name, *directive.aliases))
    default = directive.render(directive.default)
    return names, f"`{default}`" if default else ""


@pytest.mark.parametrize(
    ("title", "directives"),
    [
        ("vedette.conf: directives that do something", SERVER_EFFECTIVE),
        ("vedette.conf: directives accepted without effect", WITHOUT_EFFECT),
        ("vedette.conf: directives accepted with their default only", ONLY_DEFAULT),
    ],
)
def test_every_directive_of_the_server_is_described(
    title: str, directives: list[Directive[Any]]
) -> None:
    """Names, aliases, defaults and order are the table's, and each has a description."""
    rows = table_rows(section(title))[1:]

    assert [expected_cells(each) for each in directives] == [(row[0], row[1]) for row in rows]
    assert all(row[2] for row in rows)


def test_every_directive_of_the_sentinel_is_described() -> None:
    """Both of the sentinel's tables together name every directive it takes, with its default."""
    rows = [
        row
        for title in ("directives that do something", "directives accepted without effect")
        for row in table_rows(section(f"sentinel.conf: {title}"))[1:]
    ]
    described = {(row[0], row[1]) for row in rows if row[2]}

    ignored = sentinel.directives.OF_A_DATASTORE
    expected = {
        expected_cells(each)
        for each in sentinel.directives.TABLE.directives
        if each.name not in ignored
    }
    expected.add((", ".join(f"`{name}`" for name in ignored), ""))
    assert described == expected


def test_vedette_conf_starts_a_server_with_the_defaults() -> None:
    """The annotated file says that all its values are the defaults; only `dir` has none to show."""
    text = (ROOT / "vedette.conf").read_text()
    settings = load_configuration(parse_text(text, "vedette.conf")).settings
    changed = [name for name in settings.table.directives if not settings.is_default(name.name)]

    assert changed == [server.directives.DIRECTORY]


def test_vedette_conf_mentions_every_directive_that_does_something() -> None:
    """Whoever reads the file knows what can be set, in use or commented out."""
    text = (ROOT / "vedette.conf").read_text()
    mentioned = set(re.findall(r"^(?:# )?([a-z][a-z0-9-]+)(?= )", text, re.M))

    assert {each.name for each in SERVER_EFFECTIVE} - NOT_IN_THE_FILE <= mentioned


def test_decisions_have_numbers_of_their_own() -> None:
    """Each record's file is numbered as its title is, and no number is given twice."""
    files = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [int(path.name[:4]) for path in files]
    titles = [path.read_text().splitlines()[0] for path in files]

    assert numbers == list(range(1, len(files) + 1))
    assert [title.split(".")[0] for title in titles] == [f"# {number}" for number in numbers]


def anchors_of(page: Path) -> set[str]:
    """Return what links can name of a page: its headings, spelt as GitHub does."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def test_links_lead_somewhere() -> None:
    """Pages are moved and headings reworded, and nobody follows every link."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    links = [
        (page, *link.split("#"))
        for page in pages
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if not link.startswith("http")
    ]
    lost = []
    for page, path, *anchor in links:
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor[0] not in anchors_of(target)):
            lost.append(f"{page.name}: {path}#{'#'.join(anchor)}")

    assert len(links) > 100
    assert lost == []
