"""A server's engine without process or sockets: requests in, replies out, time by hand."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import hiredis

from server.commands import command_table
from server.config import Configuration, load_configuration
from server.engine import ServerEngine
from server.engine.datasets import saved_databases
from server.engine.host import CollectorPauses, ProcessFacts, SaveInProgress, ShutdownRequest
from server.persistence.rdb.encode import encode_records
from server.persistence.snapshot import SnapshotAux, snapshot_records
from server.replication.propagation import EffectStream
from vedette.clients import Session
from vedette.conf import parse_text
from vedette.resp.encode import encode_command

__all__ = ["FakeHost", "RecordingSink", "TestEngine"]

START_MS = 1_700_000_000_000


class FakeAclFile:
    """An ACL file in memory; `text` None: there is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.text: bytes | None = None
        self.error: OSError | None = None

    def read(self) -> bytes:
        if self.text is None:
            raise FileNotFoundError(2, "No such file or directory")
        return self.text

    def write(self, text: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.text = text


class FakeHost:
    """A process in which nothing happens but what a test sets; it keeps what was asked of it."""

    def __init__(self, seed: int = 0) -> None:
        self.asked: list[str] = []
        self.shutdowns: list[ShutdownRequest] = []
        self.save_error: Exception | None = None
        self.is_saving = False
        self.rewritten_error: OSError | None = None
        self.acl_files: dict[str, FakeAclFile] = {}
        self.memory_bytes = 30_000_000
        #: What is saved, and the snapshot last made of it.
        self.engine: ServerEngine | None = None
        self.saved: bytes | None = None
        self._random = random.Random(seed)

    def save(self) -> None:
        self.asked.append("save")
        if self.is_saving:
            raise SaveInProgress
        if self.save_error is not None:
            raise self.save_error
        if self.engine is not None:
            aux = SnapshotAux(redis_version="7.2.4", created_at_s=0, used_memory_bytes=0)
            codes = self.engine.scripting.functions.libraries.codes
            records = snapshot_records(aux, saved_databases(self.engine), codes)
            self.saved = b"".join(encode_records(records))

    def read_snapshot(self) -> bytes:
        if self.saved is None:
            raise FileNotFoundError(2, "No such file or directory")
        return self.saved

    def start_background_save(self) -> None:
        self.asked.append("bgsave")
        if self.is_saving:
            raise SaveInProgress
        if self.save_error is not None:
            raise self.save_error
        self.is_saving = True

    def abort_background_save(self) -> None:
        self.asked.append("abort bgsave")
        self.is_saving = False

    def request_shutdown(self, request: ShutdownRequest) -> None:
        self.shutdowns.append(request)
        if self.save_error is not None and not request.is_forced:
            raise self.save_error

    def abort_shutdown(self) -> bool:
        return bool(self.shutdowns)

    def sleep(self, seconds: float) -> None:
        self.asked.append(f"sleep {seconds}")

    def crash(self) -> None:
        self.asked.append("crash")

    def acl_file(self, path: str) -> FakeAclFile:
        return self.acl_files.setdefault(path, FakeAclFile(path))

    def random_hex(self, size: int) -> str:
        return f"{self._random.getrandbits(size * 4):0{size}x}"

    def resident_bytes(self) -> int:
        return self.program_bytes() + self.memory_bytes

    def used_bytes(self) -> int:
        return self.memory_bytes

    def large_bytes(self) -> int:
        return self.program_bytes() + self.memory_bytes

    def program_bytes(self) -> int:
        return 25_000_000

    def held_bytes(self) -> int:
        return self.program_bytes() + self.memory_bytes + 1_000_000

    def allocator_report(self) -> str:
        return "report"

    def collector_pauses(self) -> CollectorPauses:
        return CollectorPauses(count=3, total_s=0.002, longest_s=0.001)

    def release_memory(self) -> None:
        self.asked.append("release")

    def cpu_seconds(self) -> tuple[float, float, float, float]:
        return (1.5, 2.25, 0.125, 0.5)

    def thread_cpu_seconds(self) -> tuple[float, float]:
        return (1.25, 2.0)

    def adjust_oom_score(self, child_pid: int | None = None) -> None:
        self.asked.append(f"oom score of {child_pid or 'server'}")

    def rewrite_configuration(self, *, is_complete: bool = False) -> None:
        self.asked.append("rewrite")
        if self.rewritten_error is not None:
            raise self.rewritten_error


class RecordingSink(EffectStream):
    """Takes what replicas would be sent: one list of (database, command) for each unit."""

    def __init__(self) -> None:
        super().__init__()
        self.units: list[list[tuple[int, list[bytes]]]] = []

    def append(self, effects: Sequence[tuple[int, bytes]]) -> None:
        self.units.append([(database, _decoded(command)) for database, command in effects])

    def take_commands(self) -> list[list[bytes]]:
        """Return the commands that came since the last call, units joined."""
        commands = [command for unit in self.units for _, command in unit]
        self.units = []
        return commands


def _decoded(command: bytes) -> list[bytes]:
    reader = hiredis.Reader()
    reader.feed(command)
    arguments: list[bytes] = reader.gets()
    return arguments


class TestEngine:
    """An engine with clients that talk to it in bytes."""

    __test__ = False  # a helper, whatever its name suggests to pytest

    def __init__(self, config: str = "", *, now_ms: int = START_MS) -> None:
        self.host = FakeHost()
        self.configuration: Configuration = load_configuration(parse_text(config, "test"))
        self.engine = ServerEngine(
            command_table(self.configuration.renames),
            self.host,
            configuration=self.configuration,
            facts=ProcessFacts(pid=1, started_ms=now_ms, executable="/bin/vedette-server"),
        )
        self.host.engine = self.engine
        self.sink = RecordingSink()
        self.engine.sinks.append(self.sink)
        self.now_ms = now_ms
        self.engine.begin_batch(now_ms)
        self.session = self.connect()

    def connect(self) -> Session:
        """Open one more client."""
        return self.engine.open_client(
            address="127.0.0.1:40000", local_address="127.0.0.1:6379", now_ms=self.now_ms
        )

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now_ms += milliseconds
        self.engine.begin_batch(self.now_ms)

    def send(self, data: bytes, session: Session | None = None) -> bytes:
        """Have `data` arrive from a client, and return the bytes it is owed afterwards."""
        client = session or self.session
        self.engine.receive(client, data)
        self.engine.end_batch()
        output = b"".join(client.outbox)
        client.outbox.clear()
        return output

    # Any: the decoded reply is whatever the command answers.
    def call(self, *words: bytes | str | int, session: Session | None = None) -> Any:
        """Run one command and return its reply decoded; errors come as `hiredis.ReplyError`."""
        reader = hiredis.Reader(encoding=None)
        reader.feed(self.send(encode_command(_encode(words)), session))
        return reader.gets()

    def raw(self, *words: bytes | str | int, session: Session | None = None) -> bytes:
        """Run one command and return the bytes of its reply."""
        return self.send(encode_command(_encode(words)), session)

    def error(self, *words: bytes | str | int, session: Session | None = None) -> str:
        """Run one command that must fail, and return its error's text."""
        reply = self.call(*words, session=session)
        assert isinstance(reply, hiredis.ReplyError), reply
        return str(reply)


def _encode(words: Iterable[bytes | str | int]) -> list[bytes]:
    return [word if isinstance(word, bytes) else str(word).encode() for word in words]
