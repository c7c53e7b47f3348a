"""COMMAND, bytes in and bytes out."""

from __future__ import annotations

import hiredis
import pytest

from tests.support.engine import TestEngine
from tests.support.kernel import KernelEngine

GET_ROW = (
    b"*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n"
    b"*3\r\n+@read\r\n+@string\r\n+@fast\r\n*0\r\n"
    b"*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n"
    b"$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n"
    b"*2\r\n$5\r\nindex\r\n:1\r\n"
    b"$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n"
    b"*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n"
)


def check_error(server: TestEngine, text: str, *words: str) -> None:
    assert server.error("COMMAND", *words) == text


def test_a_row_has_the_shape_that_redis_gives_it() -> None:
    """These bytes are redis-server's 7.0.15; unknown names are nulls in their places."""
    server = TestEngine()

    assert server.raw("COMMAND", "INFO", "foo", "GET", "get|x") == (
        b"*3\r\n$-1\r\n" + GET_ROW + b"$-1\r\n"
    )


def test_resp3_has_sets_and_maps_in_it() -> None:
    """Client libraries in RESP3 expect just these types."""
    server = TestEngine()
    server.raw("HELLO", "3")
    row = server.raw("COMMAND", "INFO", "get")

    assert row.startswith(b"*1\r\n*10\r\n$3\r\nget\r\n:2\r\n~2\r\n+readonly\r\n+fast\r\n")
    assert b"~1\r\n%3\r\n$5\r\nflags\r\n~2\r\n+RO\r\n" in row
    assert row.endswith(b"~0\r\n")


def test_each_protocol_is_told_in_its_own_types_whoever_asked_first() -> None:
    """What is told is encoded once and kept; each version of the protocol has its own."""
    server = TestEngine()
    modern = server.connect()
    server.raw("HELLO", "3", session=modern)
    once = [server.raw("COMMAND", "INFO", "get", session=each) for each in (modern, None)]
    again = [server.raw("COMMAND", "INFO", "get", session=each) for each in (modern, None)]

    assert again == once
    assert once[1] == b"*1\r\n" + GET_ROW
    assert b"~2\r\n+readonly" in once[0]
    docs = [server.call("COMMAND", "DOCS", "get") for _ in range(2)]
    assert docs[0] == docs[1] == [b"get", docs[0][1]]
    assert docs[0][1][0] == b"summary"


def test_a_script_is_told_of_commands_as_of_anything() -> None:
    """It gets tables, the first time and later."""
    server = TestEngine()
    script = "local row = redis.call('command', 'info', 'get')[1]; return {row[1], row[3][1].ok}"

    assert server.call("EVAL", script, 0) == server.call("EVAL", script, 0) == [b"get", b"readonly"]


def test_all_rows_are_given_without_a_name() -> None:
    """COMMAND and COMMAND INFO are the same then, and COUNT counts them."""
    server = TestEngine()
    everything = server.call("COMMAND")

    assert everything == server.call("COMMAND", "INFO")
    assert len(everything) == server.call("COMMAND", "COUNT")
    names = [row[0] for row in everything]
    assert {b"get", b"client", b"multi", b"publish", b"command"} <= set(names)
    assert not [name for name in names if b"|" in name]


def test_subcommands_stand_in_their_container() -> None:
    """Named `container|subcommand`, and described alike."""
    server = TestEngine()
    [row] = server.call("COMMAND", "INFO", "client")
    subcommands = {sub[0]: sub for sub in row[9]}

    assert row[:7] == [b"client", -2, [], 0, 0, 0, [b"@slow"]]
    assert subcommands[b"client|id"] == server.call("COMMAND", "INFO", "CLIENT|ID")[0]
    assert subcommands[b"client|kill"][1:3] == [-3, [b"admin", b"noscript", b"loading", b"stale"]]
    assert subcommands[b"client|kill"][6] == [b"@admin", b"@slow", b"@dangerous", b"@connection"]


def test_the_list_of_names_may_be_filtered() -> None:
    """Subcommands are listed too; there are no modules."""
    server = TestEngine()

    assert server.call("COMMAND", "LIST", "FILTERBY", "PATTERN", "CLIENT|i*") == [
        b"client|id",
        b"client|info",
    ]
    connection = server.call("COMMAND", "LIST", "FILTERBY", "ACLCAT", "Connection")
    assert {b"ping", b"client|id", b"command|count", b"select"} <= set(connection)
    assert b"get" not in connection
    assert server.call("COMMAND", "LIST", "filterby", "aclcat", "nonsense") == []
    assert server.call("COMMAND", "LIST", "FILTERBY", "MODULE", "m") == []
    assert set(connection) < set(server.call("COMMAND", "LIST"))


@pytest.mark.parametrize(
    "words",
    [("x",), ("FILTERBY", "x", "y"), ("FILTERBY", "PATTERN"), ("FILTERBY", "PATTERN", "a", "b")],
)
def test_a_senseless_filter_is_a_syntax_error(words: tuple[str, ...]) -> None:
    """As in Redis."""
    check_error(TestEngine(), "ERR syntax error", "LIST", *words)


def test_keys_are_found_among_arguments() -> None:
    """Proxies route by this."""
    server = TestEngine()

    assert server.call("COMMAND", "GETKEYS", "GET", "a") == [b"a"]
    assert server.call("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2") == [b"a", b"b"]
    assert server.call("COMMAND", "GETKEYS", "DEL", "a", "b") == [b"a", b"b"]
    assert server.call("COMMAND", "GETKEYSANDFLAGS", "RENAME", "a", "b") == [
        [b"a", [b"RW", b"access", b"delete"]],
        [b"b", [b"OW", b"update"]],
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("foo",), "ERR Invalid command specified"),
        (("CLIENT", "foo"), "ERR Invalid command specified"),
        (("PING",), "ERR The command has no key arguments"),
        (("CLIENT", "ID"), "ERR The command has no key arguments"),
        (("GET",), "ERR Invalid number of arguments specified for command"),
        (("GET", "a", "b"), "ERR Invalid number of arguments specified for command"),
    ],
)
def test_keys_of_what_cannot_be_called_are_refused(words: tuple[str, ...], text: str) -> None:
    """In Redis' words."""
    check_error(TestEngine(), text, "GETKEYS", *words)


def test_docs_are_maps_by_name() -> None:
    """redis-cli asks for all of them to give hints; unknown names are left out."""
    server = TestEngine()
    reader = hiredis.Reader(encoding="utf-8")
    server.raw("HELLO", "3")
    reader.feed(server.raw("COMMAND", "DOCS", "ping", "nope", "client"))
    docs = reader.gets()

    assert list(docs) == ["ping", "client"]
    assert docs["ping"]["since"] == "1.0.0"
    assert docs["ping"]["group"] == "connection"
    assert docs["ping"]["summary"]
    assert docs["client"]["subcommands"]["client|id"]["complexity"] == "O(1)"


def test_every_command_is_documented() -> None:
    """A row without a summary would be a gap in the docs."""
    server = TestEngine()
    undocumented = [row.full_name for row in server.engine.table.listed_rows() if not row.summary]

    assert undocumented == []


def test_unknown_subcommands_are_refused_though_bare_command_is_allowed() -> None:
    """COMMAND is the one container that also runs by itself."""
    server = TestEngine()

    check_error(server, "ERR unknown subcommand 'FOO'. Try COMMAND HELP.", "FOO")
    check_error(server, "ERR wrong number of arguments for 'command|count' command", "COUNT", "x")


def test_help_lists_every_subcommand() -> None:
    """What is not in the help is not found."""
    engine = KernelEngine()
    text = engine.send(engine.client(), ("COMMAND", "HELP")).decode()
    row = engine.table.named(b"COMMAND")

    assert row is not None
    for name in row.subcommands:
        assert f"\r\n+{name.decode()}" in text
