"""The command table: collection, look-up, errors, categories."""

from __future__ import annotations

from types import ModuleType

import pytest

from vedette.cmdspec import (
    CATEGORIES,
    CommandRow,
    CommandTable,
    Flag,
    categories_of,
    command,
    container,
)
from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply


def handler(ctx: object, argv: list[bytes]) -> Reply:
    return OK


def row(
    name: str,
    *,
    arity: int = 2,
    flags: int = Flag.NONE,
    group: str = "generic",
    categories: tuple[str, ...] | None = None,
    is_hidden: bool = False,
) -> CommandRow:
    """Return the row of a command that does nothing."""
    return CommandRow(
        name,
        arity=arity,
        flags=flags,
        group=group,
        since="1.0.0",
        categories=categories,
        is_hidden=is_hidden,
        handler=handler,
    )


def make_container(name: str) -> CommandRow:
    return container(name, group="server", since="1.0.0", summary="Things.")


def check_error(table: CommandTable, words: list[bytes], text: bytes) -> None:
    with pytest.raises(CommandError) as caught:
        table.find(words)
    assert caught.value.text == text


def test_rows_are_collected_from_functions_and_containers() -> None:
    """Functions that a module only imported are not its own."""
    module = ModuleType("commands")

    @command("TWO", arity=2, flags=Flag.NONE, group="generic", since="1", summary="")
    @command("ONE", arity=1, flags=Flag.NONE, group="generic", since="1", summary="")
    def own(ctx: object, argv: list[bytes]) -> Reply:
        return OK

    @command("FOREIGN", arity=1, flags=Flag.NONE, group="generic", since="1", summary="")
    def foreign(ctx: object, argv: list[bytes]) -> Reply:
        return OK

    own.__module__ = "commands"
    module.own = own  # type: ignore[attr-defined]  # modules take attributes
    module.foreign = foreign  # type: ignore[attr-defined]
    module.BOX = make_container("BOX")  # type: ignore[attr-defined]
    table = CommandTable.of([module])

    assert [found.full_name for found in table] == ["one", "two", "box"]
    assert table.find([b"One"]).handler is own


def test_tables_do_not_share_statistics() -> None:
    """Two servers in one process, as in tests, must not count each other's calls."""
    shared = row("A")
    first, second = CommandTable([shared]), CommandTable([shared])
    counted = first.find([b"A", b"x"])
    counted.durations.append(0.1)
    counted.groups.append((3, 0.2))
    counted.failed_calls += 1

    assert (counted.calls, counted.failed_calls) == (4, 1)
    for other in (shared, second.find([b"A", b"x"])):
        assert (other.calls, other.failed_calls) == (0, 0)


def test_subcommands_are_found_through_their_container() -> None:
    """In any case, whether the container comes before or after."""
    table = CommandTable([row("BOX|OPEN"), make_container("BOX"), row("PLAIN")])

    assert table.find([b"box", b"oPEN"]).full_name == "box|open"
    assert table.find([b"PLAIN", b"OPEN"]).full_name == "plain"
    assert table.named(b"BOX|open") is table.find([b"BOX", b"OPEN"])
    assert table.named(b"box|shut") is None
    assert table.named(b"plain|x") is None
    assert table.find([b"BOX"]).handler is None
    assert [found.full_name for found in table.all_rows()] == ["box|open", "plain"]
    assert [found.full_name for found in table.listed_rows()] == ["box", "box|open", "plain"]


def test_hidden_rows_run_but_are_not_listed() -> None:
    """What replicas and sentinels say among themselves is not for COMMAND."""
    table = CommandTable([row("A"), row("B", is_hidden=True)])

    assert [found.full_name for found in table.listed_rows()] == ["a"]
    assert len(table) == 1
    assert table.find([b"b"]).full_name == "b"


@pytest.mark.parametrize(
    "rows",
    [[row("A"), row("a")], [row("X|A")], [make_container("X"), row("X|A"), row("X|a")]],
)
def test_a_table_that_makes_no_sense_is_refused(rows: list[CommandRow]) -> None:
    """At start, not at the first call."""
    with pytest.raises(ValueError, match=r"two rows|no container"):
        CommandTable(rows)


def test_unknown_commands_are_quoted_up_to_a_limit() -> None:
    """Redis quotes 128 bytes of the name and about as many of the arguments."""
    table = CommandTable([make_container("BOX"), row("BOX|OPEN")])

    check_error(table, [b"FOO"], b"ERR unknown command 'FOO', with args beginning with: ")
    check_error(
        table,
        [b"FOO", b"a", b"b c"],
        b"ERR unknown command 'FOO', with args beginning with: 'a' 'b c' ",
    )
    check_error(
        table,
        [b"f\0oo", b"a\0b", b"c"],
        b"ERR unknown command 'f', with args beginning with: 'a' 'c' ",
    )
    check_error(
        table,
        [b"x" * 200, b"a" * 200, b"b"],
        b"ERR unknown command '%b', with args beginning with: '%b' " % (b"x" * 128, b"a" * 128),
    )
    check_error(
        table,
        [b"X", *[b"aa"] * 60],
        b"ERR unknown command 'X', with args beginning with: " + b"'aa' " * 26,
    )
    check_error(table, [b"box", b"x y"], b"ERR unknown subcommand 'x y'. Try BOX HELP.")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (row("GET", flags=Flag.READONLY | Flag.FAST, group="string"), "read string fast"),
        (row("DEL", flags=Flag.WRITE), "keyspace write slow"),
        (
            row("KEYS", flags=Flag.READONLY, categories=("keyspace", "dangerous")),
            "keyspace read slow dangerous",
        ),
        (row("SAVE", flags=Flag.ADMIN, group="server"), "admin slow dangerous"),
        (row("PUBLISH", flags=Flag.PUBSUB | Flag.FAST, group="pubsub"), "pubsub fast"),
        (row("BLPOP", flags=Flag.WRITE | Flag.BLOCKING, group="list"), "write list slow blocking"),
        (row("EVAL_RO", flags=Flag.READONLY, group="scripting"), "slow scripting"),
        (make_container("BOX"), "slow"),
    ],
)
def test_categories_follow_from_group_and_flags(found: CommandRow, expected: str) -> None:
    """As Redis derives them, in its order."""
    assert " ".join(categories_of(found)) == expected
    assert set(categories_of(found)) <= set(CATEGORIES)


def test_arity_bounds_the_number_of_arguments() -> None:
    """A negative arity is a minimum."""
    exact, least = row("A", arity=3), row("B", arity=-2)

    assert (exact.min_arguments, exact.max_arguments) == (3, 3)
    assert least.min_arguments == 2
    assert least.max_arguments > 10**9
