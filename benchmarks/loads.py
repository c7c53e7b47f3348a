"""CPU of vedette-server beside redis-server under loads that redis-benchmark's tests do not show.

    python -m benchmarks.loads [--rounds N] [--seconds S] [--loads get,transaction] [--json FILE]

Each connection sends the same bytes again as soon as they have all been answered. Both servers run
on loopback and are loaded in turn; a row's ratio is the median over the pairs of the server's CPU,
user and system, per command. Exit code 2: redis-server is missing.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import hiredis

from vedette.resp.encode import encode_command

from .processes import cpu_seconds, require, write_json
from .server import Server, running_servers

Command = tuple[bytes, ...]

_RECEIVE_BYTES: Final = 256 * 1024
_STALL_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What each of `connections` sends, and what one connection sends before all that, once."""

    requests: Sequence[Command]
    connections: int = 50
    preparation: Sequence[Command] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """CPU of a command, microseconds, and the ratio Vedette / Redis."""

    load: str
    cpu_ratio: float
    vedette_us: float
    redis_us: float

    def __str__(self) -> str:
        """Return the line that is printed of it."""
        figures = f"vedette {self.vedette_us:7.2f} us, redis {self.redis_us:7.2f} us"
        return f"{self.load:16s} cpu {self.cpu_ratio:5.2f}   ({figures})"


_SET: Final[Command] = (b"SET", b"key", b"x" * 32)
_MULTI: Final[Command] = (b"MULTI",)
_EXEC: Final[Command] = (b"EXEC",)
_LOADED: Final = [_SET, (b"RPUSH", b"list", *[b"x" * 3] * 100)]


def _keyed(name: bytes, count: int, *rest: bytes) -> list[Command]:
    return [(name, b"key:%012d" % number, *rest) for number in range(count)]


def _counted(count: int) -> list[Command]:
    return [(b"INCR", b"counter:%012d" % number) for number in range(count)]


LOADS: Final[dict[str, Load]] = {
    "get-one-client": Load(requests=[(b"GET", b"key")], connections=1, preparation=_LOADED),
    "get": Load(requests=[(b"GET", b"key")], preparation=_LOADED),
    "mset-10": Load(
        requests=[(b"MSET", *(word for pair in _keyed(b"", 10, b"xxx") for word in pair[1:]))]
    ),
    "gets-16": Load(requests=_keyed(b"GET", 16), preparation=_keyed(b"SET", 16, b"xxx")),
    "sets-16": Load(requests=_keyed(b"SET", 16, b"xxx")),
    "incrs-16": Load(requests=_counted(16)),
    "pushes-16": Load(
        requests=[(b"RPUSH", b"list", b"xxx")] * 8 + [(b"LPOP", b"list")] * 8,
        preparation=_LOADED,
    ),
    "mixed-16": Load(
        requests=[
            command
            for number in range(4)
            for command in (
                (b"SET", b"key:%d" % number, b"xxx"),
                (b"GET", b"key:%d" % number),
                (b"INCR", b"counter:%d" % number),
                (b"EXPIRE", b"key:%d" % number, b"100"),
            )
        ]
    ),
    "gets-400": Load(requests=_keyed(b"GET", 400), preparation=_keyed(b"SET", 400, b"xxx")),
    "sets-400": Load(requests=_keyed(b"SET", 400, b"xxx")),
    "incrs-400": Load(requests=_counted(400)),
    "lrange-100": Load(requests=[(b"LRANGE", b"list", b"0", b"99")], preparation=_LOADED),
    "transaction": Load(
        requests=[_MULTI, _SET, (b"GET", b"key"), (b"INCR", b"counter"), _EXEC],
    ),
}


class _Client:
    """A connection, and how many replies it still has to get."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _STALL_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = hiredis.Reader()
        self.missing = 0

    def send(self, data: bytes, count: int) -> None:
        """Send `count` requests; blocks while the server takes none."""
        self.missing = count
        self.socket.sendall(data)

    def receive(self) -> None:
        """Take what has come of the replies; raises ConnectionError when the server is gone."""
        data = self.socket.recv(_RECEIVE_BYTES)
        if not data:
            raise ConnectionError("the server has closed the connection")
        self.reader.feed(data)
        while self.missing and (reply := self.reader.gets()) is not False:
            if isinstance(reply, hiredis.ReplyError):
                raise reply
            self.missing -= 1


def drive(server: Server, load: Load, seconds: float) -> float:
    """Put `load` on `server` for so long, and return its CPU per command in microseconds."""
    if load.preparation:
        preparing = _Client(server.port)
        preparing.send(b"".join(map(encode_command, load.preparation)), len(load.preparation))
        while preparing.missing:
            preparing.receive()
        preparing.socket.close()
    data = b"".join(map(encode_command, load.requests))
    count = len(load.requests)
    clients = [_Client(server.port) for _ in range(load.connections)]
    answered = 0
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        before_s = cpu_seconds(server.process)
        ends_s = time.monotonic() + seconds
        for client in clients:
            client.send(data, count)
        waiting = len(clients)
        while waiting:
            events = selector.select(_STALL_S)
            if not events:
                raise TimeoutError(f"{server.name} has stopped to answer")
            is_over = time.monotonic() >= ends_s
            for key, _ in events:
                client = key.data
                client.receive()
                if client.missing:
                    continue
                answered += count
                if is_over:
                    waiting -= 1
                else:
                    client.send(data, count)
        cpu_us = (cpu_seconds(server.process) - before_s) / answered * 1e6
    for client in clients:
        client.socket.close()
    return cpu_us


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="vedette-server beside redis-server, by load")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--loads", default=",".join(LOADS))
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    require("redis-server")
    rows = []
    with tempfile.TemporaryDirectory() as directory, running_servers(directory) as (ours, theirs):
        for name in options.loads.split(","):
            pairs = [
                (
                    drive(ours, LOADS[name], options.seconds),
                    drive(theirs, LOADS[name], options.seconds),
                )
                for _ in range(options.rounds)
            ]
            row = Row(
                name,
                statistics.median(ours_us / theirs_us for ours_us, theirs_us in pairs),
                statistics.median(ours_us for ours_us, _ in pairs),
                statistics.median(theirs_us for _, theirs_us in pairs),
            )
            rows.append(row)
            print(row, flush=True)
    write_json(options.json, [asdict(row) for row in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
