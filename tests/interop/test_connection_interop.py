"""Connection commands compared with a real redis-server, byte by byte, in RESP2 and in RESP3.

The same requests go to both, each time on a new connection that ends with QUIT; ours is an engine
without sockets. What differs on purpose is listed with its reason.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from typing import Any

import hiredis
import pytest

from tests.support.client import encode
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer

Commands = tuple[tuple[str | bytes, ...], ...]

QUIT = encode(("QUIT",))
HELLO_3 = ("HELLO", "3")
SKIP = ("CLIENT", "REPLY", "SKIP")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield one real server for all comparisons; skips where there is none."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def redis_with_password() -> Iterator[RedisServer]:
    """Yield a real server that wants `secret`."""
    with RedisServer({"requirepass": "secret"}) as server:
        yield server


def ask_redis(server: RedisServer, data: bytes) -> bytes:
    """Send `data` and QUIT on a new connection and return all that comes until it is closed.

    Closing our half instead would make Redis drop what it has not sent yet.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(data + QUIT)
        received = bytearray()
        while piece := connection.recv(65536):
            received += piece
    return bytes(received)


def ask_ours(data: bytes, config: str = "") -> bytes:
    """Return what a new server of ours answers to `data` and QUIT."""
    return TestEngine(config).send(data + QUIT)


def normalized(reply: bytes) -> bytes:
    """Return `reply` without what must differ: our version, the client's id."""
    reply = re.sub(rb"\$\d\r\n7\.\d+\.\d+\r\n", b"<version>", reply)
    return re.sub(rb"(\$2\r\nid\r\n):\d+", rb"\1:<id>", reply)


def check_alike(server: RedisServer, commands: Commands, config: str = "") -> None:
    """Assert that both servers answer `commands` with the same bytes."""
    data = b"".join(encode(words) for words in commands)
    expected = ask_redis(server, data)

    assert expected.endswith(b"+OK\r\n")  # QUIT's: the comparison went to the end
    assert normalized(ask_ours(data, config)) == normalized(expected)


SEQUENCES: dict[str, Commands] = {
    "ping": (("PING",), ("PING", "x"), ("PING", "a", "b"), ("ECHO", "x"), ("ECHO",)),
    "unknown commands": (
        ("FOO", "a", b"b\r\nc"),
        (b"f\0o", b"a\0b", "c"),
        ("F" * 300, "a" * 200, "b"),
        ("X", *["aa"] * 60),
        ("",),
        ("CLIENT", "FOO"),
        ("CLIENT",),
        ("CLIENT", b"x\r\ny"),
        ("client", "id", "x"),
    ),
    "names": (
        ("CLIENT", "GETNAME"),
        ("CLIENT", "SETNAME", "ab"),
        ("CLIENT", "GETNAME"),
        ("CLIENT", "SETNAME", "a b"),
        ("CLIENT", "SETNAME", "a\n"),
        ("CLIENT", "SETNAME", ""),
        ("CLIENT", "GETNAME"),
    ),
    "hello": (
        ("HELLO",),
        ("HELLO", "2"),
        ("HELLO", "3", "SETNAME", "me"),
        ("HELLO", "3", "AUTH", "default", "any"),
        ("HELLO", "3", "SETNAME", "a b"),
        ("HELLO", "3", "SETNAME"),
        ("HELLO", "3", "FOO"),
        ("HELLO", "3", "AUTH", "u", "x"),
        ("HELLO", "3", "AUTH", "x"),
        ("HELLO", "4"),
        ("HELLO", "x"),
        ("CLIENT", "GETNAME"),
    ),
    "auth without password": (
        ("AUTH", "x"),
        ("AUTH", "default", "x"),
        ("AUTH", "a", "b"),
        ("AUTH",),
        ("AUTH", "a", "b", "c"),
    ),
    "reset": (HELLO_3, ("MULTI",), ("RESET",), ("EXEC",), ("PING",), ("RESET", "1")),
    "kill": (
        ("CLIENT", "KILL"),
        ("CLIENT", "KILL", "1.1.1.1:1"),
        ("CLIENT", "KILL", "ID"),
        ("CLIENT", "KILL", "ID", "x"),
        ("CLIENT", "KILL", "ID", "0"),
        ("CLIENT", "KILL", "ID", "99999999"),
        ("CLIENT", "KILL", "FOO", "1"),
        ("CLIENT", "KILL", "TYPE", "x"),
        ("CLIENT", "KILL", "TYPE", "slave"),
        ("CLIENT", "KILL", "USER", "x"),
        ("CLIENT", "KILL", "USER", "default", "ID", "99999999"),
        ("CLIENT", "KILL", "SKIPME", "x"),
        ("CLIENT", "KILL", "SKIPME", "yes", "ID", "99999999"),
        ("CLIENT", "KILL", "ID", "1", "ADDR"),
        ("CLIENT", "KILL", "ID", "x", "ADDR"),
        ("CLIENT", "KILL", "MAXAGE", "10"),
    ),
    "list": (
        ("CLIENT", "LIST", "TYPE", "x"),
        ("CLIENT", "LIST", "TYPE"),
        ("CLIENT", "LIST", "FOO"),
        ("CLIENT", "LIST", "TYPE", "master"),
        ("CLIENT", "LIST", "ID"),
        ("CLIENT", "LIST", "ID", "x"),
        ("CLIENT", "LIST", "ID", "99999999"),
        ("CLIENT", "LIST", "TYPE", "normal", "ID", "1"),
    ),
    "pause": (
        ("CLIENT", "PAUSE", "x"),
        ("CLIENT", "PAUSE", "-1"),
        ("CLIENT", "PAUSE", "0"),
        ("CLIENT", "PAUSE", "1", "FOO"),
        ("CLIENT", "PAUSE", "1", "WRITE", "X"),
        ("CLIENT", "PAUSE", "99999999999999999999"),
        ("CLIENT", "UNPAUSE"),
    ),
    "unblock": (
        ("CLIENT", "UNBLOCK", "x"),
        ("CLIENT", "UNBLOCK", "99999999"),
        ("CLIENT", "UNBLOCK", "1", "FOO"),
        ("CLIENT", "UNBLOCK", "99999999", "ERROR"),
        ("CLIENT", "UNBLOCK", "1", "ERROR", "x"),
    ),
    "switches": (
        ("CLIENT", "NO-EVICT", "x"),
        ("CLIENT", "NO-EVICT", "on"),
        ("CLIENT", "NO-EVICT", "OFF"),
        ("CLIENT", "GETREDIR"),
        ("CLIENT", "HELP", "x"),
    ),
    "replies off": (
        ("CLIENT", "REPLY", "x"),
        ("CLIENT", "REPLY", "OFF"),
        ("PING",),
        ("FOO",),
        ("CLIENT", "REPLY", "FOO"),
        SKIP,
        ("CLIENT", "REPLY", "ON"),
        ("PING",),
    ),
    "replies skipped": (
        *(SKIP, ("PING",), ("ECHO", "1"), SKIP, ("FOO",), ("ECHO", "2"), SKIP, SKIP, ("ECHO", "3")),
        *(
            ("ECHO", "4"),
            SKIP,
            ("CLIENT", "ID", "x"),
            ("ECHO", "5"),
            SKIP,
            ("CLIENT", "REPLY", "ON"),
        ),
        *(SKIP, ("SUBSCRIBE", "a"), ("UNSUBSCRIBE", "a"), ("ECHO", "6")),
    ),
    "subscriptions": (
        ("SUBSCRIBE", "a", "b", "a"),
        ("PSUBSCRIBE", "a*"),
        ("PING",),
        ("PING", "x"),
        ("GET", "x"),
        ("CLIENT", "GETNAME"),
        ("PUBSUB", "NUMPAT"),
        ("FOO",),
        ("GET",),
        ("UNSUBSCRIBE", "b"),
        ("UNSUBSCRIBE",),
        ("PUNSUBSCRIBE",),
        ("UNSUBSCRIBE",),
        ("UNSUBSCRIBE", "x", "y"),
        ("PUNSUBSCRIBE", "x"),
        ("SUBSCRIBE",),
        ("PING",),
    ),
    "EXEC with a word too many": (("MULTI",), ("EXEC", "1"), ("EXEC",), ("EXEC", "1")),
    "subscribing in a transaction": (("MULTI",), ("SUBSCRIBE", "a"), ("EXEC",), ("RESET",)),
    "pubsub": (
        ("PUBSUB", "CHANNELS"),
        ("PUBSUB", "CHANNELS", "x*"),
        ("PUBSUB", "NUMSUB"),
        ("PUBSUB", "NUMSUB", "a", "b"),
        ("PUBSUB", "NUMPAT"),
        ("PUBSUB", "FOO"),
        ("PUBSUB", "CHANNELS", "a", "b"),
        ("PUBSUB", "NUMPAT", "x"),
        ("PUBSUB",),
        ("PUBLISH", "a"),
        ("PUBLISH", "a", "b"),
    ),
    "transactions": (
        *(("MULTI",), ("HELLO", "3"), ("EXEC",), ("MULTI",), ("AUTH", "x"), ("EXEC",)),
        *(
            ("MULTI",),
            ("FOO",),
            ("EXEC",),
            ("MULTI",),
            SKIP,
            ("ECHO", "1"),
            ("EXEC",),
            ("ECHO", "2"),
        ),
    ),
    "commands": (
        ("COMMAND", "FOO"),
        ("COMMAND", "COUNT", "x"),
        ("COMMAND", "INFO", "foo", "GET", "client|id", "client|foo", "get|x", "mset", "ping"),
        ("COMMAND", "LIST", "FILTERBY", "x", "y"),
        ("COMMAND", "LIST", "x"),
        ("COMMAND", "LIST", "FILTERBY", "ACLCAT", "nope"),
        ("COMMAND", "LIST", "FILTERBY", "MODULE", "nope"),
        ("COMMAND", "LIST", "FILTERBY", "PATTERN", "mu*I"),
        ("COMMAND", "LIST", "FILTERBY", "PATTERN", "x*", "x"),
        ("COMMAND", "GETKEYS"),
        ("COMMAND", "GETKEYS", "GET", "a"),
        ("COMMAND", "GETKEYS", "MSET", "a", "b", "c", "d"),
        ("COMMAND", "GETKEYS", "CLIENT", "ID"),
        ("COMMAND", "GETKEYS", "CLIENT", "foo"),
        ("COMMAND", "GETKEYS", "RENAME", "a", "b"),
        ("COMMAND", "GETKEYSANDFLAGS", "GET", "a"),
        ("COMMAND", "GETKEYSANDFLAGS", "RENAME", "a", "b"),
        ("COMMAND", "GETKEYSANDFLAGS", "MSET", "a", "b", "c", "d"),
    ),
}

STRANGER_SEQUENCES: dict[str, Commands] = {
    "refused": (
        *(("PING",), ("FOO",), ("GET",), ("CLIENT", "FOO"), ("CLIENT", "ID"), ("CLIENT",)),
        *(("MULTI",), ("EXEC",), ("RESET",)),
    ),
    "hello": (
        ("HELLO",),
        ("HELLO", "3"),
        ("HELLO", "3", "SETNAME", "x"),
        ("HELLO", "3", "AUTH", "default", "x"),
        ("HELLO", "9"),
        ("HELLO", "9", "AUTH", "default", "secret"),
        ("HELLO", "3", "FOO"),
        ("HELLO", "3", "SETNAME", "a b"),
        ("PING",),
    ),
    "auth": (
        *(("AUTH", "x"), ("AUTH", "secret"), ("PING",), ("AUTH", "x"), ("PING",), ("RESET",)),
        *(("PING",), ("AUTH", "default", "secret"), ("PING",)),
    ),
    "hello with auth": (
        ("HELLO", "3", "AUTH", "default", "secret", "SETNAME", "me"),
        ("CLIENT", "GETNAME"),
        ("RESET",),
        ("PING",),
        ("HELLO", "3", "AUTH", "default", "secret", "FOO"),
        ("PING",),
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_replies_are_those_of_redis(redis: RedisServer, name: str) -> None:
    """In RESP2, which every client begins with."""
    check_alike(redis, SEQUENCES[name])


@pytest.mark.parametrize("name", SEQUENCES)
def test_replies_are_those_of_redis_in_resp3(redis: RedisServer, name: str) -> None:
    """Maps, sets, pushes and nulls stand where Redis has them."""
    check_alike(redis, (HELLO_3, *SEQUENCES[name]))


@pytest.mark.parametrize("name", STRANGER_SEQUENCES)
def test_strangers_are_treated_as_by_redis(redis_with_password: RedisServer, name: str) -> None:
    """Before authentication."""
    check_alike(redis_with_password, STRANGER_SEQUENCES[name], "requirepass secret")


@pytest.mark.parametrize(
    "data",
    [
        b"*x\r\n",
        b"*01\r\n",
        b"*2147483648\r\n",
        b"*1\r\n+PING\r\n",
        b"*2\r\n$4\r\nECHO\r\n:1\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$04\r\nPING\r\n",
        b"*1\r\n$536870913\r\n",
        b'ECHO "a\r\n',
        b"ECHO 'a'b\r\n",
        b"*-1\r\n*0\r\n\r\nPING\r\n",
        b"PING \"a\\x41b\"\r\n'PING' x\nPING\r\n",
        b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
        b"*1\r\n$4\r\nPING\r\n%1\r\n~1\r\n>1\r\n:0\r\n",
        b"*1\r\n$4\r\nPING\r\n*1\r\n=8\r\ntxt:PING\r\n",
        b"POST / HTTP/1.1\r\nPING\r\n",
        b"PING\r\nHost: x\r\nPING\r\n",
        bytes(range(128, 256)) + b"\r\n",
    ],
)
def test_bad_input_is_answered_as_by_redis(redis: RedisServer, data: bytes) -> None:
    """The same protocol errors, and the same leniency where Redis is lenient."""
    assert ask_ours(data) == ask_redis(redis, data)


# --- COMMAND -------------------------------------------------------------------------------------

#: What COMMAND INFO shows differently, and why.
KNOWN_DIFFERENCES = {
    ("command|getkeys", "arity"): "7.2 takes commands without arguments too",
    ("command|getkeysandflags", "arity"): "7.2 takes commands without arguments too",
    ("zrank", "arity"): "7.2 takes WITHSCORE",
    ("zrevrank", "arity"): "7.2 takes WITHSCORE",
    ("client|setinfo", "row"): "new in 7.2",
    ("client|no-touch", "row"): "new in 7.2",
    ("waitaof", "row"): "unknown to Redis 7.0",
    ("cluster|myshardid", "row"): "unknown to Redis 7.0",
}
ELEMENTS = ("name", "arity", "flags", "first", "last", "step", "categories", "tips", "keys")


def rows_of(reply: bytes) -> dict[str, list[Any]]:
    """Return the rows of COMMAND by name, subcommands included, without their notes."""
    reader = hiredis.Reader(encoding="utf-8")
    reader.feed(reply)
    rows: dict[str, list[Any]] = {}
    waiting = list(reader.gets())
    while waiting:
        row = waiting.pop()
        waiting += row[9]
        for spec in row[8]:
            spec.pop("notes", None)
        rows[row[0]] = row[:9]
    return rows


def test_our_rows_say_of_commands_what_redis_says(redis: RedisServer) -> None:
    """Client libraries route, retry and check permissions by these."""
    both = (encode(HELLO_3), encode(("COMMAND",)))
    ours = rows_of(ask_ours(b"".join(both)).partition(b"*0\r\n")[2])
    theirs = rows_of(ask_redis(redis, b"".join(both)).partition(b"*0\r\n")[2])
    differences: dict[tuple[str, str], object] = {}
    for name, row in ours.items():
        if name not in theirs:
            differences[name, "row"] = "unknown to Redis 7.0"
            continue
        for element, own, real in zip(ELEMENTS, row, theirs[name], strict=True):
            if own != real:
                differences[name, element] = (own, real)

    unexplained = {key: value for key, value in differences.items() if key not in KNOWN_DIFFERENCES}
    assert unexplained == {}
    assert sorted(KNOWN_DIFFERENCES.keys() - differences.keys()) == []


def test_the_fields_of_a_client_are_those_of_redis(redis: RedisServer) -> None:
    """All of 7.0 in its order, then what 7.2 added."""
    request = encode(("CLIENT", "INFO"))

    def names(reply: bytes) -> list[str]:
        line = reply.decode().splitlines()[1]
        return [field.partition("=")[0] for field in line.split(" ")]

    assert names(ask_ours(request)) == [
        *names(ask_redis(redis, request)),
        "lib-name",
        "lib-ver",
    ]


def test_globs_match_what_redis_matches(redis: RedisServer) -> None:
    """Asked through KEYS; the oddities of Redis' own matcher are compat, not bugs."""
    keys = [
        "",
        "a",
        "b",
        "ab",
        "abc",
        "a]",
        "]",
        "-",
        "^",
        "[",
        "*",
        "\\",
        "aXb",
        "a*b",
        "é",
        "aab",
    ]
    patterns = [
        *(
            "*",
            "a*",
            "*b",
            "?",
            "??",
            "[ab]",
            "[^a]",
            "[^ab]*",
            "[a-c]",
            "[c-a]",
            "[a-]",
            "[]",
            "[^]",
        ),
        *("[a", "a[", "[\\]]", "\\*", "\\", "a\\*b", "**a**b", "*a*a*b", "[b-]*", "[^-]", "[--a]"),
    ]
    sets = tuple(("SET", key, "1") for key in keys)
    asked = tuple(("KEYS", pattern) for pattern in patterns)
    data = b"".join(encode(words) for words in (*sets, *asked))
    found = []
    for reply in (ask_ours(data), ask_redis(redis, data)):
        reader = hiredis.Reader(encoding="utf-8")
        reader.feed(reply)
        replies = [reader.gets() for _ in (*sets, *asked)][len(sets) :]
        found.append({pattern: sorted(got) for pattern, got in zip(patterns, replies, strict=True)})

    assert found[0] == found[1]
