"""PING, ECHO, HELLO, AUTH, RESET and QUIT, bytes in and bytes out."""

from __future__ import annotations

import pytest

from tests.support.kernel import KernelEngine

PONG = b"+PONG\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
WRONGPASS = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
HELLO_NEEDS_AUTH = (
    b"-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH"
    b" <user> <pass> option can be used to authenticate the client and select the RESP protocol"
    b" version at the same time\r\n"
)
NO_PASSWORD = (
    b"-ERR AUTH <password> called without any password configured for the default user."
    b" Are you sure your configuration is correct?\r\n"
)
BAD_NAME = b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n"


def fields(protocol: int, client_id: int) -> bytes:
    """Return what HELLO answers, without the header of the map."""
    return (
        b"$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.4\r\n$5\r\nproto\r\n:%d\r\n"
        b"$2\r\nid\r\n:%d\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$7\r\nmodules\r\n*0\r\n"
        % (protocol, client_id)
    )


def test_ping_and_echo_are_answered_before_anything_else() -> None:
    """What every client sends first."""
    engine = KernelEngine()

    assert engine.send(engine.client(), ("PING",), ("PING", "hi"), ("ECHO", b"\r\n")) == (
        PONG + b"$2\r\nhi\r\n$2\r\n\r\n\r\n"
    )
    assert engine.send(engine.client(), ("PING", "a", "b")) == (
        b"-ERR wrong number of arguments for 'ping' command\r\n"
    )


def test_hello_answers_a_real_map_in_resp3_only() -> None:
    """The reply is already in the protocol that was asked for."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.send(client, ("HELLO",)) == b"*12\r\n" + fields(2, client.id)
    assert engine.send(client, ("HELLO", "3")) == b"%6\r\n" + fields(3, client.id)
    assert engine.send(client, ("FETCH", "none")) == b"_\r\n"
    assert engine.send(client, ("HELLO", "2")) == b"*12\r\n" + fields(2, client.id)
    assert engine.send(client, ("FETCH", "none")) == b"$-1\r\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("HELLO", "4"), b"-NOPROTO unsupported protocol version\r\n"),
        (("HELLO", "1"), b"-NOPROTO unsupported protocol version\r\n"),
        (("HELLO", "x"), b"-ERR Protocol version is not an integer or out of range\r\n"),
        (("HELLO", "3", "FOO"), b"-ERR Syntax error in HELLO option 'FOO'\r\n"),
        (("HELLO", "3", "SETNAME"), b"-ERR Syntax error in HELLO option 'SETNAME'\r\n"),
        (("HELLO", "3", "AUTH", "x"), b"-ERR Syntax error in HELLO option 'AUTH'\r\n"),
        (("HELLO", "3", "SETNAME", "a b"), BAD_NAME),
        (("HELLO", "3", "AUTH", "nobody", "x"), WRONGPASS),
    ],
)
def test_a_hello_that_fails_changes_nothing(words: tuple[str, ...], error: bytes) -> None:
    """A client that falls back to RESP2 after an error must find RESP2."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.send(client, words, ("FETCH", "none"), ("CLIENT", "GETNAME")) == (
        error + b"$-1\r\n$-1\r\n"
    )


def test_hello_authenticates_and_names_in_one_go() -> None:
    """redis-py and go-redis open their connections like this."""
    engine = KernelEngine(password=b"secret")
    client = engine.client()
    hello = ("HELLO", "3", "AUTH", "default", "secret", "SETNAME", "worker")

    assert engine.send(client, hello, ("CLIENT", "GETNAME")) == (
        b"%6\r\n" + fields(3, client.id) + b"$6\r\nworker\r\n"
    )


@pytest.mark.parametrize("words", [("HELLO",), ("HELLO", "3"), ("HELLO", "3", "SETNAME", "x")])
def test_hello_does_not_let_strangers_in(words: tuple[str, ...]) -> None:
    """Not even the version of the server is for them."""
    engine = KernelEngine(password=b"secret")
    client = engine.client()

    assert engine.send(client, words, ("PING",)) == HELLO_NEEDS_AUTH + NOAUTH
    assert (client.protocol, client.name) == (2, b"")


def test_auth_takes_the_password_with_or_without_the_user() -> None:
    """The old form means the default user."""
    for words in (("AUTH", "secret"), ("AUTH", "default", "secret")):
        engine = KernelEngine(password=b"secret")

        assert (
            engine.send(engine.client(), ("PING",), words, ("PING",)) == NOAUTH + b"+OK\r\n" + PONG
        )


def test_a_wrong_password_neither_admits_nor_expels() -> None:
    """Who is in stays in, as in Redis."""
    engine = KernelEngine(password=b"secret")
    client = engine.client()
    wrong = ("AUTH", "wrong")

    assert engine.send(client, wrong, ("PING",)) == WRONGPASS + NOAUTH
    assert engine.send(client, ("AUTH", "default", "wrong")) == WRONGPASS
    assert engine.send(client, ("AUTH", "nobody", "secret")) == WRONGPASS
    assert (
        engine.send(client, ("AUTH", "secret"), wrong, ("PING",)) == b"+OK\r\n" + WRONGPASS + PONG
    )


def test_auth_without_a_password_configured() -> None:
    """The old form is told that it makes no sense; the default user takes any password."""
    engine = KernelEngine()

    assert engine.send(
        engine.client(),
        ("AUTH", "x"),
        ("AUTH", "default", "x"),
        ("AUTH", "a", "b"),
        ("AUTH", "a", "b", "c"),
    ) == (NO_PASSWORD + b"+OK\r\n" + WRONGPASS + b"-ERR syntax error\r\n")


def test_reset_makes_the_connection_new() -> None:
    """Pools hand connections on after RESET: nothing of the last user may be left."""
    engine = KernelEngine()
    client = engine.client()
    engine.send(
        client, ("HELLO", "3", "SETNAME", "x"), ("SUBSCRIBE", "a"), ("CLIENT", "NO-EVICT", "on")
    )
    engine.send(client, ("MULTI",), ("STORE", "k", "v"))

    assert engine.send(client, ("RESET",), ("FETCH", "k"), ("CLIENT", "GETNAME")) == (
        b"+RESET\r\n$-1\r\n$-1\r\n"
    )
    assert engine.pubsub.channels() == []
    assert not client.needs_care
    assert not client.is_no_evict


def test_reset_ends_silence() -> None:
    """CLIENT REPLY OFF belongs to what is forgotten."""
    engine = KernelEngine()
    client = engine.client()

    assert engine.send(client, ("CLIENT", "REPLY", "OFF"), ("PING",), ("RESET",)) == b"+RESET\r\n"


def test_reset_asks_for_the_password_again() -> None:
    """Where one is required."""
    engine = KernelEngine(password=b"secret")

    assert engine.send(engine.client(), ("AUTH", "secret"), ("RESET",), ("PING",)) == (
        b"+OK\r\n+RESET\r\n" + NOAUTH
    )


def test_quit_is_granted_to_anyone_at_any_time() -> None:
    """Inside MULTI, subscribed, or before authentication."""
    for password, before in ((b"secret", ()), (b"", (("MULTI",),)), (b"", (("SUBSCRIBE", "a"),))):
        engine = KernelEngine(password=password)
        client = engine.client()
        engine.send(client, *before)

        assert engine.send(client, ("QUIT", "now"), ("PING",)) == b"+OK\r\n"
        assert client.is_close_requested
