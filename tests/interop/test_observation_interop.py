"""Tracking, monitors, shard channels and Unix sockets on real processes, beside redis-server."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest

from tests.support.client import BlockingClient, encode
from tests.support.processes import ServerProcess, VedetteServer
from tests.support.redis import RedisServer

END = b"$3\r\nend\r\n"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Yield one server of each kind."""
    with VedetteServer() as ours, RedisServer() as theirs:
        yield ours, theirs


class Peer:
    """A raw connection that keeps all it is sent."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.answers = b""
        self._reader = hiredis.Reader(encoding=None)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.socket.close()

    def ask(self, *words: str) -> None:
        """Send a request and take everything up to its reply, messages before it included."""
        self.socket.sendall(encode(words))
        while True:
            reply = self._reader.gets()
            if reply is False:
                data = self.socket.recv(65536)
                self.answers += data
                self._reader.feed(data)
            elif not isinstance(reply, hiredis.PushNotification):
                return

    def take(self) -> None:
        """Take all that has been sent, up to the reply to a last request."""
        self.socket.sendall(encode(("ECHO", "end")))
        while not self.answers.endswith(END):
            self.answers += self.socket.recv(65536)


def a_session(seed: int) -> list[tuple[int, list[str]]]:
    """Return which of three clients asks what, at random."""
    draw = random.Random(seed)
    options = ["", "NOLOOP", "BCAST", "BCAST PREFIX a PREFIX b NOLOOP", "OPTIN", "OPTOUT NOLOOP"]
    keys = ["a1", "a2", "b1", "c"]
    steps = []
    for client in (0, 1):
        steps.append((client, ["HELLO", "3"]))
        steps.append((client, f"CLIENT TRACKING ON {draw.choice(options)}".split()))
    makers = [
        lambda: ["GET", draw.choice(keys)],
        lambda: ["MGET", *draw.sample(keys, 2)],
        lambda: ["SET", draw.choice(keys), "1"],
        lambda: ["INCR", draw.choice(keys)],
        lambda: ["DEL", *draw.sample(keys, 2)],
        lambda: ["RENAME", *draw.sample(keys, 2)],
        lambda: ["EXPIRE", draw.choice(keys), "100"],
        lambda: ["APPEND", draw.choice(keys), "1"],
        lambda: ["GETDEL", draw.choice(keys)],
        lambda: ["COPY", *draw.sample(keys, 2)],
        lambda: ["CLIENT", "CACHING", draw.choice(["YES", "NO"])],
        lambda: ["CLIENT", "TRACKINGINFO"],
        lambda: ["MULTI"],
        lambda: ["EXEC"],
        lambda: ["EVAL", "return redis.call('get', KEYS[1])", "1", draw.choice(keys)],
        lambda: [draw.choice(["FLUSHALL", "FLUSHDB"])],
        lambda: ["CLIENT", "TRACKING", "OFF"],
    ]
    weights = [8, 4, 6, 4, 3, 2, 2, 2, 1, 1, 4, 1, 2, 3, 3, 1, 0.3]
    steps += [(draw.randrange(3), draw.choices(makers, weights)[0]()) for _ in range(60)]
    return steps


def answers_of(
    server: ServerProcess, steps: list[tuple[int, list[str]]], *, are_replies_pushed: bool = False
) -> list[bytes]:
    """Return all bytes that each of the clients is sent."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(BlockingClient(server.port)).call("FLUSHALL")
        peers = [stack.enter_context(Peer(server.port)) for _ in range(3)]
        for client, words in steps:
            if are_replies_pushed:
                peers[client].socket.sendall(encode(tuple(words)))
                peers[client].take()
                peers[client].answers += b"|"
            else:
                peers[client].ask(*words)
            if words[0] == "HELLO":
                peers[client].answers = b""  # of versions and ids
        for peer in peers:
            if not are_replies_pushed:
                peer.ask("DISCARD")
            peer.take()
        return [peer.answers for peer in peers]


@pytest.mark.parametrize("seed", range(12))
def test_clients_that_track_are_told_the_same_as_by_redis(
    servers: tuple[ServerProcess, ServerProcess], seed: int
) -> None:
    """Byte for byte, and in the same order beside the replies."""
    steps = a_session(seed)
    ours, theirs = (answers_of(server, steps) for server in servers)

    assert ours == theirs


def masked(lines: bytes) -> list[bytes]:
    """Return the lines that a monitor was sent, without times and ports."""
    return re.sub(rb"^\+[0-9.]+ |(?<=127\.0\.0\.1:)\d+", b"", lines, flags=re.M).splitlines()


def test_monitors_are_shown_the_same_as_by_redis(
    servers: tuple[ServerProcess, ServerProcess],
) -> None:
    """Order, database, quoting, and what is left out."""
    requests = [
        ("SELECT", "2"),
        ("set", "k", 'a"\\\n\x00\x7f'),
        ("CONFIG", "GET", "maxmemory"),
        ("AUTH", "x", "hush"),
        ("HELLO", "2", "AUTH", "default", "hush"),
        ("MULTI",),
        ("INCR", "n"),
        ("GET",),
        ("EXEC",),
        ("MULTI",),
        ("INCR", "n"),
        ("LRANGE", "k", "0", "1"),
        ("EXEC",),
        ("EVAL", "redis.call('set','x',1) return redis.call('get','x')", "0"),
        ("BLPOP", "k2", "0.01"),
        ("SLOWLOG", "LEN"),
        ("SUBSCRIBE", "c"),
        ("PING",),
    ]
    shown = []
    for server in servers:
        with Peer(server.port) as watcher, Peer(server.port) as client:
            lines = watched(watcher, client, requests)
        shown.append(masked(lines))

    assert shown[0] == shown[1]


def watched(watcher: Peer, client: Peer, requests: list[tuple[str, ...]]) -> bytes:
    """Return what `watcher` is shown of the requests of `client`."""
    watcher.socket.sendall(encode(("MONITOR",)))
    assert watcher.socket.recv(5) == b"+OK\r\n"
    for words in requests:
        client.socket.sendall(encode(words))
    client.socket.sendall(encode(("PING", "last")))
    lines = b""
    while b'"last"' not in lines:
        lines += watcher.socket.recv(65536)
    return lines


def test_shard_channels_answer_as_by_redis(servers: tuple[ServerProcess, ServerProcess]) -> None:
    """Confirmations, messages, counts and what is refused."""
    steps = [
        (0, ["HELLO", "3"]),
        (0, ["SSUBSCRIBE", "a", "b", "a"]),
        (0, ["SUBSCRIBE", "a"]),
        (1, ["SPUBLISH", "a", "m"]),
        (1, ["PUBLISH", "a", "m"]),
        (1, ["PUBSUB", "SHARDNUMSUB", "a", "x"]),
        (1, ["PUBSUB", "SHARDCHANNELS", "[b-z]"]),
        (1, ["PUBSUB", "NUMSUB", "a", "b"]),
        (0, ["SUNSUBSCRIBE", "b"]),
        (0, ["SUNSUBSCRIBE"]),
        (0, ["SUNSUBSCRIBE", "q"]),
        (0, ["RESET"]),
    ]
    ours, theirs = (answers_of(server, steps, are_replies_pushed=True) for server in servers)

    assert ours == theirs


def test_a_unix_socket_is_served_and_removed_at_the_end(tmp_path: Path) -> None:
    """With its permissions; its clients are of this machine, and shown by its path."""
    path = tmp_path / "socket"
    config = {"unixsocket": str(path), "unixsocketperm": "600", "enable-debug-command": "local"}
    with VedetteServer(config) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as connection, BlockingClient(server.port) as client:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(encode(("DEBUG", "SLEEP", "0")))
            assert connection.recv(100) == b"+OK\r\n"
            lines = client.call("CLIENT", "LIST").splitlines()
            (shown,) = [line for line in lines if b" flags=U " in line]
            assert f" addr={path}:0 laddr={path}:0 ".encode() in shown
            with Peer(server.port) as watcher:
                watcher.ask("MONITOR")
                connection.sendall(encode(("PING",)))
                assert b"[0 unix:%b] " % str(path).encode() in watcher.socket.recv(1000)
        server.stop()
        assert not path.exists()
