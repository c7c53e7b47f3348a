"""A server in this process and a replica or master played byte by byte, for tests in trio.

`serving()` runs a real engine, pump and replication on a free port of 127.0.0.1 in the test's own
event loop, so a test can look at and meddle with its state; `Peer` is a raw connection that says
and expects bytes.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import trio

from server.commands import command_table
from server.config import load_configuration
from server.engine import ServerEngine
from server.persistence.rdb.encode import encode_records
from server.persistence.snapshot import SavedDatabase, SnapshotAux, snapshot_records
from server.replication.replconf import SnapshotContent
from server.replication.state import Replication
from server.runtime.child_progress import SharedProgress
from server.runtime.replication import ReplicationRuntime
from server.runtime.snapshots import SnapshotKeeper
from tests.support.engine import FakeHost
from vedette.conf import parse_text
from vedette.resp.encode import encode_command
from vedette.runtime.background import open_background_nursery
from vedette.runtime.listening import open_listeners
from vedette.runtime.pump import Pump

__all__ = ["InProcessServer", "Peer", "listening", "serving"]

TIMEOUT_S = 10.0


class RandomHost(FakeHost):
    """A fake process that saves, and whose random digits are random: replication IDs must differ
    between servers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.snapshots: SnapshotKeeper | None = None

    def random_hex(self, size: int) -> str:
        return secrets.token_hex(size // 2)

    def start_background_save(self) -> None:
        assert self.snapshots is not None
        self.snapshots.start()

    def abort_background_save(self) -> None:
        assert self.snapshots is not None
        self.snapshots.abort()


@dataclass
class InProcessServer:
    """The parts of a running server. `snapshot` may be replaced to make saving fail or wait."""

    engine: ServerEngine
    pump: Pump
    port: int
    snapshot: Callable[[], Iterable[bytes]]
    #: Where the server keeps its own snapshot.
    snapshot_file: Path
    #: What was asked for of each snapshot, in turn.
    contents: list[SnapshotContent] = field(default_factory=list)

    def take_snapshot(self, content: SnapshotContent) -> Iterable[bytes]:
        """Return what replicas are sent that asked for `content`."""
        self.contents.append(content)
        return self.snapshot()

    @property
    def replication(self) -> Replication:
        return self.engine.replication

    def write(self, key: str, value: str | bytes) -> None:
        """Set a key as a client would, and let it go to the replicas."""
        self.engine.begin_batch(self.engine.context.now_ms + 1)
        session = self.engine.clients.open(address="127.0.0.1:1", local_address="", now_ms=0)
        data = value if isinstance(value, bytes) else value.encode()
        self.engine.receive(session, encode_command([b"SET", key.encode(), data]))
        assert session.outbox == [b"+OK\r\n"]
        self.engine.disconnect(session)
        self.pump.settle()

    def values(self) -> dict[bytes, object]:
        """Return what database 0 holds."""
        return dict(self.engine.keyspace.databases[0].values)


def _snapshot_of(engine: ServerEngine) -> Iterator[bytes]:
    aux = SnapshotAux(redis_version="7.2.4", created_at_s=0, used_memory_bytes=0)
    databases: Iterable[SavedDatabase] = [
        SavedDatabase(database.index, database.values, database.expires)
        for database in engine.keyspace.databases
    ]
    return encode_records(snapshot_records(aux, databases))


@asynccontextmanager
async def serving(config: str = "") -> AsyncIterator[InProcessServer]:
    """Run a server with the given configuration lines until the block ends."""
    listeners = open_listeners(["127.0.0.1"], 0, 16)
    directory = tempfile.mkdtemp(prefix="vedette-test-")
    try:
        port = listeners[0].getsockname()[1]
        lines = f"port {port}\nrepl-diskless-sync-delay 0\n{config}"
        host = RandomHost()
        engine = ServerEngine(
            command_table(),
            host,
            configuration=load_configuration(parse_text(lines, "test")),
        )

        def after_batch() -> None:
            runtime.after_batch()

        pump = Pump(engine, before_send=after_batch)
        path = Path(directory, "dump.rdb")
        server = InProcessServer(engine, pump, port, lambda: _snapshot_of(engine), path)
        saves = SnapshotKeeper(
            engine, lambda progress: server.snapshot(), lambda: str(path), SharedProgress
        )
        host.snapshots = saves
        runtime = ReplicationRuntime(
            engine,
            pump,
            saves=saves,
            snapshot=lambda progress, content: server.take_snapshot(content),
            snapshot_path=lambda: str(path),
        )
        async with open_background_nursery() as nursery:
            await nursery.start(pump.serve, listeners)
            nursery.start_soon(runtime.run)
            nursery.start_soon(saves.run)
            yield server
    finally:
        for listener in listeners:
            listener.close()
        shutil.rmtree(directory)


class Peer:
    """A raw connection to a server under test, or one that it made to the test."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.buffer = b""

    @classmethod
    async def connect(cls, port: int) -> Peer:
        """Connect to a server."""
        return cls(await trio.open_tcp_stream("127.0.0.1", port))

    async def close(self) -> None:
        await self.stream.aclose()

    async def say(self, *words: bytes | str | int) -> None:
        """Send a command."""
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        await self.stream.send_all(encode_command(encoded))

    async def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        await self.stream.send_all(data)

    async def _fill(self) -> None:
        with trio.fail_after(TIMEOUT_S):
            data = await self.stream.receive_some(65536)
        if not data:
            raise ConnectionResetError("the other side closed the connection")
        self.buffer += data

    async def line(self) -> bytes:
        """Return the next line without its end; empty ones (keepalives) are left out."""
        while True:
            self.buffer = self.buffer.lstrip(b"\n")
            line, end, rest = self.buffer.partition(b"\r\n")
            if end:
                self.buffer = rest
                return line
            await self._fill()

    async def take(self, size_bytes: int) -> bytes:
        """Return the next bytes."""
        while len(self.buffer) < size_bytes:
            await self._fill()
        data, self.buffer = self.buffer[:size_bytes], self.buffer[size_bytes:]
        return data

    async def until(self, mark: bytes) -> bytes:
        """Return everything up to and including `mark`."""
        while mark not in self.buffer:
            await self._fill()
        end = self.buffer.index(mark) + len(mark)
        return await self.take(end)

    async def command(self) -> list[bytes]:
        """Return the next command the other side sends."""
        count = int((await self.line()).removeprefix(b"*"))
        arguments = []
        for _ in range(count):
            size = int((await self.line()).removeprefix(b"$"))
            arguments.append((await self.take(size + 2))[:-2])
        return arguments

    async def is_closed(self) -> bool:
        """Wait until the other side closes, passing over what it still sends; True when it has."""
        try:
            while True:
                await self._fill()
        except (ConnectionResetError, trio.BrokenResourceError):
            return True

    async def synchronise(self, *, knows_eof: bool = True) -> tuple[int, bytes]:
        """Ask a master for everything as a replica does; return the offset and the snapshot."""
        await self.say("REPLCONF", "listening-port", 1234)
        assert await self.line() == b"+OK"
        await self.say("REPLCONF", *(["capa", "eof"] if knows_eof else []), "capa", "psync2")
        assert await self.line() == b"+OK"
        await self.say("PSYNC", "?", -1)
        word, _, offset = (await self.line()).split(b" ")
        assert word == b"+FULLRESYNC"
        header = await self.line()
        if header.startswith(b"$EOF:"):
            mark = header.removeprefix(b"$EOF:")
            return int(offset), (await self.until(mark)).removesuffix(mark)
        return int(offset), await self.take(int(header.removeprefix(b"$")))

    async def acknowledge(self, offset: int) -> None:
        """Send what a replica sends each second."""
        await self.say("REPLCONF", "ACK", offset)


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[int, Callable[[], Awaitable[Peer]]]]:
    """Listen on a free port; yield it and an async function that accepts a `Peer`."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with closing(listeners[0].socket):

        async def accept() -> Peer:
            with trio.fail_after(TIMEOUT_S):
                return Peer(await listeners[0].accept())

        yield listeners[0].socket.getsockname()[1], accept
