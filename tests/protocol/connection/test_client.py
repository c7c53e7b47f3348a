"""CLIENT, bytes in and bytes out."""

from __future__ import annotations

import pytest

from tests.support.kernel import KernelEngine

PONG = b"+PONG\r\n"
OK = b"+OK\r\n"
SYNTAX = b"-ERR syntax error\r\n"
BAD_ID = b"-ERR client-id should be greater than 0\r\n"
BAD_NAME = b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"

#: Every field of Redis 7.0.15 in its order, then those of 7.2.
FIELDS = (
    *("id", "addr", "laddr", "fd", "name", "age", "idle", "flags", "db", "sub", "psub", "ssub"),
    *("multi", "qbuf", "qbuf-free", "argv-mem", "multi-mem", "rbs", "rbp", "obl", "oll", "omem"),
    *("tot-mem", "events", "cmd", "user", "redir", "resp", "lib-name", "lib-ver"),
)


def parse_lines(reply: bytes) -> list[dict[str, str]]:
    """Return the fields of each line of a bulk reply of CLIENT LIST or INFO."""
    header, _, body = reply.partition(b"\r\n")
    assert header == b"$%d" % (len(body) - 2)
    lines = body.decode().removesuffix("\r\n").splitlines()
    return [dict(field.split("=", 1) for field in line.split(" ")) for line in lines]


def listed(engine: KernelEngine, *options: str) -> list[int]:
    """Return the ids that CLIENT LIST gives a new client, its own left out."""
    client = engine.client()
    lines = parse_lines(engine.send(client, ("CLIENT", "LIST", *options)))
    engine.disconnect(client)
    return [int(line["id"]) for line in lines if int(line["id"]) != client.id]


def check_error(error: bytes, *words: str) -> None:
    """Assert that a new client is answered `error`."""
    engine = KernelEngine()

    assert engine.send(engine.client(), ("CLIENT", *words)) == error


def test_a_name_is_kept_until_an_empty_one_is_set() -> None:
    """A name is forgotten by setting an empty one."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.send(
        client,
        ("CLIENT", "ID"),
        ("CLIENT", "GETNAME"),
        ("CLIENT", "SETNAME", "ab"),
        ("CLIENT", "GETNAME"),
        ("CLIENT", "SETNAME", ""),
        ("CLIENT", "GETNAME"),
        ("CLIENT", "SETNAME", "a b"),
    ) == (b":%d\r\n$-1\r\n+OK\r\n$2\r\nab\r\n+OK\r\n$-1\r\n" % client.id + BAD_NAME)


def test_libraries_tell_their_names() -> None:
    """redis-py 5 sends these two on each connection."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.send(
        client,
        ("CLIENT", "SETINFO", "LIB-NAME", "redis-py"),
        ("CLIENT", "SETINFO", "lib-ver", "5.0"),
        ("CLIENT", "SETINFO", "Lib-Name", "a b"),
        ("CLIENT", "SETINFO", "x", "y"),
    ) == (
        OK * 2
        + b"-ERR Lib-Name cannot contain spaces, newlines or special characters.\r\n"
        + b"-ERR Unrecognized option 'x'\r\n"
    )
    [line] = parse_lines(engine.send(client, ("CLIENT", "INFO")))
    assert (line["lib-name"], line["lib-ver"]) == ("redis-py", "5.0")


def test_info_has_every_field_in_redis_order() -> None:
    """Scripts cut these lines by position."""
    engine = KernelEngine()
    client = engine.client(file_descriptor=9)
    engine.send(client, ("CLIENT", "SETNAME", "me"))
    engine.advance(5_000)
    [line] = parse_lines(engine.send(client, ("CLIENT", "INFO")))

    assert tuple(line) == FIELDS
    assert line["id"] == str(client.id)
    assert line["addr"] == client.address
    assert line["laddr"] == client.local_address
    assert (line["fd"], line["events"], line["name"]) == ("9", "r", "me")
    assert (line["age"], line["idle"]) == ("5", "0")
    assert (line["flags"], line["multi"], line["cmd"]) == ("N", "-1", "client|info")
    assert (line["user"], line["redir"], line["resp"]) == ("default", "-1", "2")


def test_info_is_verbatim_text_in_resp3() -> None:
    """As all texts for people."""
    engine = KernelEngine()

    assert engine.send(engine.client(protocol=3), ("CLIENT", "INFO")).startswith(b"=")


def test_the_list_tells_what_each_client_is_at() -> None:
    """Flags and counters are what one looks for when something is stuck."""
    engine = KernelEngine()
    subscriber, queueing, waiting, other = (engine.client() for _ in range(4))
    engine.send(subscriber, ("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "p*"))
    engine.send(queueing, ("MULTI",), ("STORE", "key", "value"))
    engine.send(waiting, ("HOLD",), ("PING",))
    engine.arrive(other, b"*2\r\n$3\r\nGET")
    other.is_no_evict = other.is_no_touch = True
    other.watch_is_broken = True
    lines = parse_lines(engine.send(engine.client(), ("CLIENT", "LIST")))
    shown = [
        [line[name] for name in ("flags", "sub", "psub", "multi", "cmd", "qbuf")] for line in lines
    ]

    assert shown == [
        ["P", "2", "1", "-1", "psubscribe", "0"],
        ["x", "0", "0", "1", "store", "0"],
        ["b", "0", "0", "-1", "hold", "4"],
        ["deT", "0", "0", "-1", "NULL", "3"],
        ["N", "0", "0", "-1", "client|list", "26"],
    ]
    assert int(lines[1]["multi-mem"]) > len("STOREkeyvalue")


def test_the_list_may_be_narrowed() -> None:
    """By type or by ids; a subscribed client is of type pubsub, no longer normal."""
    engine = KernelEngine()
    plain, subscriber = engine.client(), engine.client()
    engine.send(subscriber, ("SUBSCRIBE", "a"))

    assert listed(engine) == [plain.id, subscriber.id]
    assert listed(engine, "TYPE", "normal") == [plain.id]
    assert listed(engine, "TYPE", "PubSub") == [subscriber.id]
    assert listed(engine, "TYPE", "replica") == []
    assert listed(engine, "ID", "999", str(subscriber.id), str(plain.id)) == [
        subscriber.id,
        plain.id,
    ]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("LIST", "TYPE", "x"), b"-ERR Unknown client type 'x'\r\n"),
        (("LIST", "TYPE"), SYNTAX),
        (("LIST", "FOO"), SYNTAX),
        (("LIST", "ID"), SYNTAX),
        (("LIST", "ID", "x"), b"-ERR Invalid client ID\r\n"),
        (("LIST", "TYPE", "normal", "ID", "1"), SYNTAX),
        (("KILL", "1.1.1.1:1"), b"-ERR No such client\r\n"),
        (("KILL", "ID", "x"), BAD_ID),
        (("KILL", "ID", "0"), BAD_ID),
        (("KILL", "ID", "-1"), BAD_ID),
        (("KILL", "ID", "1", "ADDR"), SYNTAX),
        (("KILL", "ID", "x", "ADDR"), BAD_ID),
        (("KILL", "FOO", "1"), SYNTAX),
        (("KILL", "TYPE", "x"), b"-ERR Unknown client type 'x'\r\n"),
        (("KILL", "USER", "x"), b"-ERR No such user 'x'\r\n"),
        (("KILL", "SKIPME", "x"), SYNTAX),
        (("KILL", "MAXAGE", "10"), SYNTAX),
        (("PAUSE", "x"), b"-ERR timeout is not an integer or out of range\r\n"),
        (("PAUSE", "-1"), b"-ERR timeout is negative\r\n"),
        (("PAUSE", "1", "FOO"), b"-ERR CLIENT PAUSE mode must be WRITE or ALL\r\n"),
        (
            ("PAUSE", "1", "WRITE", "X"),
            b"-ERR unknown subcommand or wrong number of arguments for 'PAUSE'."
            b" Try CLIENT HELP.\r\n",
        ),
        (("UNBLOCK", "x"), b"-ERR value is not an integer or out of range\r\n"),
        (
            ("UNBLOCK", "1", "FOO"),
            b"-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n",
        ),
        (("REPLY", "x"), SYNTAX),
        (("NO-EVICT", "x"), SYNTAX),
        (("NO-TOUCH", "x"), SYNTAX),
    ],
)
def test_errors_are_worded_as_by_redis(words: tuple[str, ...], error: bytes) -> None:
    """Each was compared with redis-server 7.0.15."""
    check_error(error, *words)


def test_kill_by_address_takes_the_old_form() -> None:
    """It answers OK rather than a number, and may hit the caller."""
    engine = KernelEngine()
    caller, other = engine.client(), engine.client()

    assert engine.send(caller, ("CLIENT", "KILL", other.address)) == OK
    assert other.is_leaving
    assert engine.send(caller, ("CLIENT", "KILL", caller.address), ("PING",)) == OK
    assert caller.is_close_requested


def test_kill_needs_all_conditions_met() -> None:
    """Filters narrow one another."""
    engine = KernelEngine()
    caller, plain, subscriber = (engine.client() for _ in range(3))
    engine.send(subscriber, ("SUBSCRIBE", "a"))

    def kill(*words: str) -> bytes:
        return engine.send(caller, ("CLIENT", "KILL", *words))

    assert kill("TYPE", "pubsub", "ID", str(plain.id)) == b":0\r\n"
    assert kill("LADDR", "127.0.0.1:1") == b":0\r\n"
    assert not plain.is_close_requested
    assert kill("TYPE", "pubsub", "LADDR", "127.0.0.1:6379", "USER", "default") == b":1\r\n"
    assert subscriber.is_leaving
    assert kill("ADDR", plain.address, "SKIPME", "no") == b":1\r\n"
    assert plain.is_leaving
    assert kill("LADDR", "127.0.0.1:6379") == b":0\r\n"  # they are gone already, and we are spared


def test_kill_drops_what_the_victim_was_owed() -> None:
    """A client that does not read must not keep its connection by that."""
    engine = KernelEngine()
    caller, victim = engine.client(), engine.client()
    victim.backlog.append(b"much")
    victim.outbox.append(b"more")

    engine.send(caller, ("CLIENT", "KILL", "ID", victim.id))

    assert victim.is_leaving
    assert not victim.has_output


def test_who_kills_itself_gets_the_reply_and_nothing_more() -> None:
    """The count first, then the end."""
    engine = KernelEngine()
    caller = engine.client()

    assert engine.send(caller, ("CLIENT", "KILL", "SKIPME", "no"), ("PING",)) == b":1\r\n"
    assert caller.is_close_requested


def test_replies_may_be_switched_off_and_on() -> None:
    """OFF is not answered, ON is; errors are left out as well."""
    engine = KernelEngine()

    assert engine.send(
        engine.client(),
        ("CLIENT", "REPLY", "OFF"),
        ("PING",),
        ("NOPE",),
        ("CLIENT", "REPLY", "x"),
        ("CLIENT", "REPLY", "SKIP"),
        ("PING",),
        ("STORE", "k", "v"),
        ("CLIENT", "REPLY", "ON"),
        ("FETCH", "k"),
    ) == (OK + b"$1\r\nv\r\n")


@pytest.mark.parametrize("skipped", [("PING",), ("NOPE",), ("FETCH",), ("CLIENT", "ID")])
def test_skip_leaves_out_one_reply(skipped: tuple[str, ...]) -> None:
    """Whatever it would have been."""
    engine = KernelEngine()

    assert engine.send(
        engine.client(), ("CLIENT", "REPLY", "SKIP"), skipped, ("ECHO", "1"), ("ECHO", "2")
    ) == (b"$1\r\n1\r\n$1\r\n2\r\n")


def test_skip_may_be_repeated_or_taken_back() -> None:
    """As observed of redis-server 7.0.15."""
    engine = KernelEngine()
    client = engine.client()
    skip = ("CLIENT", "REPLY", "SKIP")

    assert engine.send(client, skip, skip, ("ECHO", "1"), ("ECHO", "2")) == b"$1\r\n2\r\n"
    assert (
        engine.send(client, skip, ("CLIENT", "REPLY", "ON"), ("ECHO", "1")) == OK + b"$1\r\n1\r\n"
    )


def test_skip_holds_for_a_reply_that_comes_later() -> None:
    """The command that waits is the one that was meant, however long it takes."""
    engine = KernelEngine()
    client = engine.client()
    engine.send(client, ("CLIENT", "REPLY", "SKIP"), ("HOLD",), ("PING",))
    engine.release(1)

    assert engine.sent_to(client) == PONG
    assert not client.needs_care


def test_unblock_ends_a_wait_as_by_its_timeout_or_with_an_error() -> None:
    """Nobody who does not wait is disturbed."""
    engine = KernelEngine()
    caller, waiting = engine.client(), engine.client()
    engine.send(waiting, ("HOLD",), ("PING",))

    assert engine.send(caller, ("CLIENT", "UNBLOCK", waiting.id)) == b":1\r\n"
    assert engine.sent_to(waiting) == b"*-1\r\n" + PONG
    assert engine.send(caller, ("CLIENT", "UNBLOCK", waiting.id)) == b":0\r\n"

    engine.send(waiting, ("HOLD",))
    assert engine.send(caller, ("CLIENT", "UNBLOCK", waiting.id, "error")) == b":1\r\n"
    assert engine.sent_to(waiting) == b"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"
    assert engine.send(caller, ("CLIENT", "UNBLOCK", -5)) == b":0\r\n"


def test_unblock_leaves_a_paused_client_alone() -> None:
    """redis-server 7.0.15 crashes on this; 7.2 answers 0."""
    engine = KernelEngine()
    caller, paused = engine.client(), engine.client()
    engine.send(caller, ("CLIENT", "PAUSE", 1000, "WRITE"))
    engine.send(paused, ("STORE", "k", "v"))

    assert engine.send(caller, ("CLIENT", "UNBLOCK", paused.id)) == b":0\r\n"
    assert engine.send(caller, ("CLIENT", "UNPAUSE")) == OK
    assert engine.sent_to(paused) == OK


def test_help_lists_every_subcommand() -> None:
    """What is not in the help is not found."""
    engine = KernelEngine()
    text = engine.send(engine.client(), ("CLIENT", "HELP")).decode()
    container = engine.table.named(b"CLIENT")

    assert container is not None
    for name in container.subcommands:
        assert f"\r\n+{name.decode()}" in text
