"""Accepting connections: how they are set up, and what goes wrong at the door."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from vedette.runtime.accepting import Accepted, Acceptor
from vedette.runtime.listening import open_unix_listener


class TroubledListener(socket.socket):
    """A listener whose `accept` fails as often as there are errors left."""

    errors: tuple[int, ...] = ()

    def accept(self) -> tuple[socket.socket, Any]:  # Any: an address of whatever family
        if self.errors:
            first, *rest = self.errors
            self.errors = tuple(rest)
            raise OSError(first, "trouble")
        return super().accept()


@pytest.fixture
def listener() -> Iterator[TroubledListener]:
    """Yield a listener on loopback."""
    with TroubledListener(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.bind(("127.0.0.1", 0))
        made.listen()
        yield made


@pytest.fixture
def connect(listener: TroubledListener) -> Iterator[Callable[[], socket.socket]]:
    """Yield a function that connects to the listener; what it returns is closed in the end."""
    made: list[socket.socket] = []

    def connect_one() -> socket.socket:
        made.append(socket.create_connection(listener.getsockname(), timeout=10))
        return made[-1]

    yield connect_one
    for connection in made:
        connection.close()


# Any: the options are the acceptor's own keyword arguments.
def accepted_from(listener: socket.socket, **options: Any) -> list[Accepted]:
    """Return what an acceptor lets in of those that wait; the caller closes the connections."""
    options = {"refusal": lambda host: None, "tcp_keepalive_s": lambda: 300} | options
    with closing(select.epoll()) as epoll:
        acceptor = Acceptor(epoll, tls_context=None, **options)
        acceptor.add([listener])
        assert epoll.poll(10)
        return list(acceptor.accept(listener.fileno()))


def tcp_option(connection: socket.socket, name: int) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, name)


def test_a_connection_is_set_up_to_be_quick_and_to_notice_a_dead_peer(
    listener: TroubledListener, connect: Callable[[], socket.socket]
) -> None:
    """As `tcp-keepalive` asks: after so many seconds, three times at a third of them."""
    peer = connect()
    [accepted] = accepted_from(listener, tcp_keepalive_s=lambda: 60)

    with accepted.connection as connection:
        assert not connection.getblocking()
        assert tcp_option(connection, socket.TCP_NODELAY)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert tcp_option(connection, socket.TCP_KEEPIDLE) == 60
        assert tcp_option(connection, socket.TCP_KEEPINTVL) == 20
        assert tcp_option(connection, socket.TCP_KEEPCNT) == 3
        host, port = peer.getsockname()
        assert (accepted.address, accepted.is_unix_socket) == (f"{host}:{port}", False)
        assert accepted.local_address == "{}:{}".format(*listener.getsockname())


def test_keepalive_may_be_off(
    listener: TroubledListener, connect: Callable[[], socket.socket]
) -> None:
    """`tcp-keepalive 0`."""
    connect()
    [accepted] = accepted_from(listener, tcp_keepalive_s=lambda: 0)

    with accepted.connection as connection:
        assert not connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_who_is_refused_is_told_why_and_not_let_in(
    listener: TroubledListener, connect: Callable[[], socket.socket]
) -> None:
    """The next one may be."""
    refusals = iter([b"-NO\r\n", None])
    peer = connect()
    connect()
    [accepted] = accepted_from(listener, refusal=lambda host: next(refusals))
    accepted.connection.close()

    assert peer.recv(100) == b"-NO\r\n"
    assert peer.recv(100) == b""


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_a_connection_waits_while_the_system_has_nothing_to_spare(
    listener: TroubledListener, connect: Callable[[], socket.socket], number: int
) -> None:
    """It is there to be accepted when another has ended."""
    connect()
    listener.errors = (number,)
    assert accepted_from(listener) == []

    [accepted] = accepted_from(listener)
    accepted.connection.close()


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EINTR])
def test_one_that_is_gone_already_does_not_keep_the_next_out(
    listener: TroubledListener, connect: Callable[[], socket.socket], number: int
) -> None:
    """Whoever hangs up in the queue is nobody's concern."""
    connect()
    listener.errors = (number,)

    [accepted] = accepted_from(listener)
    accepted.connection.close()


def test_a_listener_that_cannot_be_accepted_on_is_an_error(
    listener: TroubledListener, connect: Callable[[], socket.socket]
) -> None:
    """To go on would be to spin."""
    connect()
    listener.errors = (errno.EINVAL,)

    with pytest.raises(OSError, match="trouble"):
        accepted_from(listener)


def test_a_unix_socket_has_its_path_for_both_addresses(tmp_path: Path) -> None:
    """As CLIENT LIST shows them, with port 0; its host is empty to whoever may refuse it."""
    path = str(tmp_path / "socket")
    hosts: list[str] = []
    with (
        open_unix_listener(path, mode=0o700, backlog=5) as listener,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer,
    ):
        peer.connect(path)
        [accepted] = accepted_from(listener, refusal=hosts.append)
        accepted.connection.close()

    assert (accepted.address, accepted.local_address) == (f"{path}:0", f"{path}:0")
    assert accepted.is_unix_socket
    assert hosts == [""]
