"""The sentinel's pages say what the sentinel does, and the page on compatibility what is left out.

Events, commands, fields, options, statements and directives are compared with where the program
defines them, both ways: what is missing and what is stale fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

import sentinel.commands.administration
import sentinel.commands.instances
import sentinel.commands.options
import sentinel.directives
import server.commands
from sentinel.commands import command_table
from sentinel.core.actions import Level
from sentinel.core.notices import LEVELS
from sentinel.core.options import GlobalOptions, MasterOptions
from sentinel.statements import GLOBAL_STATEMENTS, MASTER_STATEMENTS
from tests.support.documents import DIRECTIVES_PAGE, ROOT, table_rows
from tests.support.redis import RedisServer
from vedette.cmdspec import CommandRow

EVENTS_PAGE = ROOT / "docs" / "events.md"
SENTINEL_PAGE = ROOT / "docs" / "sentinel.md"
COMPAT_PAGE = ROOT / "docs" / "compat.md"
PAGES = [EVENTS_PAGE, SENTINEL_PAGE, COMPAT_PAGE]


def section(page: Path, title: str) -> str:
    """Return the text of a page below a heading, up to the next one of its level or above."""
    match = re.search(rf"^(#+) {re.escape(title)}\n", page.read_text(), re.M)
    assert match is not None, f"{page} has no {title!r}"
    rest = page.read_text()[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", rest, re.M)
    return rest[: end.start()] if end else rest


def in_backticks(texts: Iterable[str], pattern: str = "[^`]+") -> set[str]:
    """Return what stands between backticks and matches `pattern`."""
    return {found for text in texts for found in re.findall(f"`({pattern})`", text)}


def first_cells(text: str) -> list[str]:
    return [row[0] for row in table_rows(text)]


# --- events ---------------------------------------------------------------------------------------


def events_of_the_runtime() -> set[str]:
    """Return the events that the machine knows nothing of: those about scripts."""
    sources = (ROOT / "sentinel" / "runtime").glob("*.py")
    pattern = re.compile(r'_publish\(\s*b"([+-][a-z-]+)"')
    return {event for source in sources for event in pattern.findall(source.read_text())}


def test_every_event_is_described_with_its_level() -> None:
    """Each has a payload, a level and an occasion; none is described that does not exist."""
    expected = {event: level.value for event, level in LEVELS.items()}
    expected |= dict.fromkeys(events_of_the_runtime(), Level.WARNING.value)
    rows = [row for row in table_rows(EVENTS_PAGE.read_text()) if re.match("`[+-]", row[0])]

    assert {row[0].strip("`"): row[2] for row in rows} == expected
    assert len(rows) == len(expected)
    assert all(row[1] and row[3] for row in rows)


# --- commands -------------------------------------------------------------------------------------


def container_of(name: bytes) -> CommandRow:
    row = command_table().named(name)
    assert row is not None
    return row


def sentinel_subcommands() -> list[CommandRow]:
    return list(container_of(b"sentinel").subcommands.values())


def spelled(row: CommandRow) -> str:
    return row.full_name.replace("|", " ").upper()


def test_every_subcommand_of_sentinel_is_described() -> None:
    """In the table; the other names of some are mentioned below it."""
    text = section(SENTINEL_PAGE, "SENTINEL")
    described = in_backticks(first_cells(text), "SENTINEL [^`]*")
    names = {each.split(" <")[0] for each in described}
    names = {"SENTINEL CONFIG" if each.startswith("SENTINEL CONFIG ") else each for each in names}

    assert {spelled(row) for row in sentinel_subcommands() if not row.is_hidden} == names
    mentioned = in_backticks([text], "SENTINEL [A-Z-]+")
    assert {spelled(row) for row in sentinel_subcommands() if row.is_hidden} <= mentioned


def test_every_other_command_is_described() -> None:
    """And all subcommands of CLIENT and COMMAND."""
    rows = table_rows(section(SENTINEL_PAGE, "Others"))[1:]
    described = {word for row in rows for word in in_backticks([row[0]], "[A-Z]+")}
    described |= {"PUBLISH", "INFO"}  # which are shown with their arguments

    assert {spelled(row) for row in command_table()} - {"SENTINEL"} == described
    for row in rows:
        if row[0] in ("`CLIENT`", "`COMMAND`"):
            container = container_of(row[0].strip("`").lower().encode())
            names = {spelled(each).split()[1] for each in container.subcommands.values()}
            assert in_backticks([row[1]], "[A-Z-]+") == names


def test_every_field_of_the_maps_is_described() -> None:
    """Whatever SENTINEL MASTER, REPLICAS and SENTINELS may show."""
    source = Path(sentinel.commands.instances.__file__).read_text()
    fields = set(re.findall(r'yield "([a-z-]+)"', source))

    assert in_backticks(first_cells(section(SENTINEL_PAGE, "Fields"))) == fields


def test_every_option_of_sentinel_set_is_described() -> None:
    """And every parameter of SENTINEL CONFIG."""
    options = {name.decode() for name in sentinel.commands.options._PARSERS}
    parameters = {name.decode() for name in sentinel.commands.administration._GLOBAL_NAMES}
    described = in_backticks(first_cells(section(SENTINEL_PAGE, "Options of SENTINEL SET")))
    sentence = re.search(r"SENTINEL CONFIG knows (.*?) \(", SENTINEL_PAGE.read_text(), re.S)

    assert described == options
    assert sentence is not None
    assert in_backticks([sentence[1]]) == parameters


# --- the file -------------------------------------------------------------------------------------


def statement_rows() -> dict[str, list[str]]:
    """Return the rows about `sentinel ...` statements by the statement's name."""
    rows = table_rows(section(SENTINEL_PAGE, "sentinel.conf"))
    return {row[0].split()[1]: row for row in rows if row[0].startswith("`sentinel ")}


def test_every_statement_of_the_file_is_described() -> None:
    """What one writes into it, and what the sentinel writes."""
    assert set(statement_rows()) == GLOBAL_STATEMENTS | set(MASTER_STATEMENTS)


@pytest.mark.parametrize(
    ("statement", "default"),
    [
        ("down-after-milliseconds", MasterOptions(quorum=1).down_after_ms),
        ("failover-timeout", MasterOptions(quorum=1).failover_timeout_ms),
        ("parallel-syncs", MasterOptions(quorum=1).parallel_syncs),
        ("master-reboot-down-after-period", MasterOptions(quorum=1).reboot_down_after_ms),
        ("refused-after-milliseconds", MasterOptions(quorum=1).refused_after_ms),
        ("resolve-hostnames", GlobalOptions(announce_port=1).resolve_hostnames),
        ("announce-hostnames", GlobalOptions(announce_port=1).announce_hostnames),
    ],
)
def test_defaults_of_statements_are_those_of_the_program(
    statement: str, default: int | bool
) -> None:
    """A default that changes must change on the page."""
    shown = {True: "yes", False: "no"}[default] if isinstance(default, bool) else str(default)

    assert statement_rows()[statement][1] == f"`{shown}`"


def test_every_directive_of_the_sentinel_is_described() -> None:
    """On the page of all directives, to which the sentinel's leads."""
    described = in_backticks(
        cell
        for title in ("directives that do something", "directives accepted without effect")
        for cell in first_cells(section(DIRECTIVES_PAGE, f"sentinel.conf: {title}"))
    )
    names = {
        name for each in sentinel.directives.TABLE.directives for name in (each.name, *each.aliases)
    }

    assert described == names
    assert "(directives.md)" in section(SENTINEL_PAGE, "sentinel.conf")


# --- compatibility --------------------------------------------------------------------------------

#: Groups of commands that are left out whole, and how the page calls them.
GROUPS_LEFT_OUT = {
    "cluster": "Cluster mode",
}


def unknown_by_the_page() -> set[str]:
    """Return the commands of which the page says that they are unknown."""
    names: set[str] = set()
    for row in table_rows(section(COMPAT_PAGE, "The server: what is left out")):
        for cells in (row[0], row[1]):
            match = re.search("unknown", row[1], re.IGNORECASE)
            if match is None:
                continue
            said = cells[: match.start()] if cells is row[1] else cells
            names |= in_backticks([said], "[A-Z][A-Z_ -]+")
    return names


def server_command_names() -> set[str]:
    """Return the names of all commands and subcommands of the server."""
    names = set()
    for row in server.commands.command_table():
        names.add(spelled(row))
        names |= {spelled(each) for each in row.subcommands.values()}
    return names


def test_what_is_said_to_be_unknown_is_unknown() -> None:
    """Whoever adds a command takes it off this page."""
    assert unknown_by_the_page() & server_command_names() == set()


def test_every_command_of_redis_that_is_left_out_is_told() -> None:
    """Each command of a real redis-server is there, or is named, or its group is."""
    text = section(COMPAT_PAGE, "The server: what is left out")
    present, told = server_command_names(), unknown_by_the_page()
    with RedisServer() as redis:
        infos = redis.call("COMMAND")
        docs = redis.call("COMMAND", "DOCS")
    groups = {
        name.decode(): dict(zip(fields[::2], fields[1::2], strict=True))[b"group"].decode()
        for name, fields in zip(docs[::2], docs[1::2], strict=True)
    }
    untold = set()
    for info in infos:
        parent = info[0].decode()
        if groups[parent] in GROUPS_LEFT_OUT:
            assert GROUPS_LEFT_OUT[groups[parent]] in text
            continue
        for name in (parent, *(each[0].decode() for each in info[9])):
            spelling = name.replace("|", " ").upper()
            if spelling not in present and not told & {spelling, parent.upper()}:
                untold.add(spelling)

    assert untold == set()


# --- the pages themselves -------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """To a page that is there, and to a heading of it."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())

    assert targets
    for target in targets:
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target
