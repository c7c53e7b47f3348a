"""Random commands to a real redis-server and to our engine: the same bytes, and the same stream.

Sequences are drawn at random (the same ones in every run) over few keys, so that they meet. Replies
are compared as raw bytes; datasets through DEBUG DIGEST; and what replicas are sent through a
replica attached to the real server. That one is to have `rdbcompression no`: what LZF makes of a
value is the compressor's affair, and DUMP is compared without it.
"""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from server.replication.propagation import StreamEncoder
from tests.support.engine import TestEngine
from vedette.resp.encode import encode_command
from vedette.resp.requests import RequestParser

__all__ = [
    "FAR_MS",
    "Command",
    "RawClient",
    "Replica",
    "check_same_replies",
    "check_same_streams",
    "with_options",
    "words",
]

Command = tuple[bytes, ...]

MARK = b"end-of-example"
FAR_MS = 99_999_999_999_999
#: How far apart two clocks may be when an absolute time follows from a relative one.
CLOCK_TOLERANCE_MS = 60_000

SETTINGS = settings(
    derandomize=True,
    deadline=None,
    max_examples=300,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


class RawClient:
    """A connection to the real server on which replies stay bytes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)

    def exchange(self, commands: Sequence[Command]) -> bytes:
        """Send `commands` and ECHO of the mark; return what came before the mark."""
        end = b"$%d\r\n%b\r\n" % (len(MARK), MARK)
        self.socket.sendall(b"".join(map(encode_command, [*commands, (b"ECHO", MARK)])))
        received = b""
        while not received.endswith(end):
            data = self.socket.recv(1 << 16)
            assert data, "the server closed the connection"
            received += data
        return received[: -len(end)]

    def close(self) -> None:
        self.socket.close()


def words(*parts: bytes | st.SearchStrategy[bytes]) -> st.SearchStrategy[Command]:
    """Draw a command whose words are fixed or drawn."""
    return st.tuples(*(st.just(part) if isinstance(part, bytes) else part for part in parts))


def with_options(
    head: st.SearchStrategy[Command], *options: st.SearchStrategy[Command], most: int = 3
) -> st.SearchStrategy[Command]:
    """Draw a command followed by up to `most` of the options, valid together or not."""
    tail = st.lists(st.one_of(*options), max_size=most)
    return st.tuples(head, tail).map(lambda pair: sum(pair[1], pair[0]))


#: What brings both servers back to where an example begins, and what shows where it ended.
BEGIN: list[Command] = [(b"SELECT", b"0"), (b"FLUSHALL",)]
END: list[Command] = [(b"EXEC",), (b"UNWATCH",), (b"DEBUG", b"DIGEST")]


def run_ours(engine: TestEngine, commands: Sequence[Command]) -> bytes:
    """Return the bytes our engine answers."""
    engine.advance(int(time.time() * 1000) - engine.now_ms)
    return engine.send(b"".join(map(encode_command, commands)))


def check_same(port: int, protocol: int, sequence: Sequence[Command], config: str = "") -> None:
    """Run a sequence on both servers and compare the bytes."""
    engine = TestEngine(f"enable-debug-command yes\nrdbcompression no\n{config}")
    hello = (b"HELLO", b"%d" % protocol)
    engine.raw(*hello)
    client = RawClient(port)
    try:
        client.exchange([hello, *BEGIN])
        commands = [*sequence, *END]
        theirs = client.exchange(commands)
        ours = run_ours(engine, commands)
    finally:
        client.close()

    assert ours == theirs


def check_same_replies(
    port: int,
    protocol: int,
    sequences: st.SearchStrategy[list[Command]],
    count: int = 500,
    *,
    config: str = "",
) -> None:
    """Compare what both servers answer to `count` of the sequences in RESP version `protocol`.

    `config` is what our engine's configuration has to say for both to be alike.
    """

    @settings(SETTINGS, max_examples=count)
    @given(sequences)
    def compare(sequence: list[Command]) -> None:
        check_same(port, protocol, sequence, config)

    compare()


class Replica:
    """A replica of the real server that only listens."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.parser = RequestParser()
        self.socket.sendall(b"SYNC\r\n")
        data = b""
        while not (header := re.search(rb"\$(\d+)\r\n", data)):
            data += self.socket.recv(1 << 16)
        missing = header.end() + int(header[1]) - len(data)
        while missing > 0:
            missing -= len(self.socket.recv(missing))
        self.waiting = data[header.end() + int(header[1]) :]

    def commands_until(self, last: list[bytes]) -> list[list[bytes]]:
        """Return the commands of the stream before `last`, pings left out."""
        received: list[list[bytes]] = []
        data, self.waiting = self.waiting, b""
        while not received or received[-1] != last:
            commands, error = self.parser.parse(data)
            assert error is None
            received += [command for command in commands if command[0].upper() != b"PING"]
            if not received or received[-1] != last:
                data = self.socket.recv(1 << 16)
                assert data, "the server closed the connection"
        return received[:-1]

    def close(self) -> None:
        self.socket.close()


def stream_of(engine: TestEngine) -> list[list[bytes]]:
    """Return the commands that our engine's effects make in the stream."""
    encoder = StreamEncoder()
    data = b"".join(
        encoder.encode_transaction([(index, encode_command(argv)) for index, argv in unit])
        for unit in engine.sink.units
    )
    commands, error = RequestParser().parse(data)
    assert error is None
    return commands


def is_same_word(ours: bytes, theirs: bytes) -> bool:
    """Compare two words; absolute times may differ as the two clocks do."""
    if ours == theirs:
        return True
    if not (ours.isdigit() and theirs.isdigit() and len(ours) == len(theirs) >= 13):
        return False
    return abs(int(ours) - int(theirs)) < CLOCK_TOLERANCE_MS


def check_same_streams(
    port: int,
    replica: Replica,
    sequences: st.SearchStrategy[list[Command]],
    count: int = 500,
    *,
    config: str = "",
) -> None:
    """Compare what both servers send to replicas for `count` of the sequences."""
    number = 0

    @settings(SETTINGS, max_examples=count)
    @given(sequences)
    def compare(sequence: list[Command]) -> None:
        nonlocal number
        number += 1
        mark = [b"PUBLISH", MARK, b"%d" % number]
        client = RawClient(port)
        client.exchange([*BEGIN, (b"SELECT", b"3"), tuple(mark)])
        replica.commands_until(mark)
        engine = TestEngine(config)
        engine.raw(b"SELECT", b"3")
        run_ours(engine, [*sequence, *END[:2], (b"SELECT", b"3"), (b"SET", b"mark", b"1")])
        client.exchange([*sequence, *END[:2], (b"SELECT", b"3"), (b"SET", b"mark", b"1")])
        client.close()
        theirs = replica.commands_until([b"SET", b"mark", b"1"])
        ours = stream_of(engine)[:-1]
        theirs, ours = (without_selects_before_mark(each) for each in (theirs, ours))

        assert len(ours) == len(theirs), (ours, theirs)
        for our_command, their_command in zip(ours, theirs, strict=True):
            assert len(our_command) == len(their_command), (our_command, their_command)
            assert all(map(is_same_word, our_command, their_command)), (our_command, their_command)

    compare()


def without_selects_before_mark(commands: list[list[bytes]]) -> list[list[bytes]]:
    """Leave out SELECTs at both ends: where the stream was before an example is its own affair."""
    kept = list(commands)
    while kept and kept[0][0].upper() == b"SELECT":
        kept.pop(0)
    while kept and kept[-1][0].upper() == b"SELECT":
        kept.pop()
    return kept
