"""Killing a server under load and proving what it still has: one round after another.

Four writers each keep a counter, a list and a pair of keys that only transactions change. A round
starts the server, checks what it has, lets the writers write, has it rewrite or save at times, and
ends it with SIGKILL at a random moment. What a writer was told is remembered with the time, so the
next start can be judged:

- nothing is there that was not sent, and no list has a gap or an element twice;
- both keys of a pair are of the same transaction;
- with `always`, everything that was acknowledged is there; otherwise everything that was
  acknowledged two seconds before the kill.

The kill ends the process, not the machine: what the system was given survives. So `everysec` and
`no` are judged by what the process still held, and the order of write, fsync and reply of `always`
is proved elsewhere, by tests of the file layer.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final

from tests.support.client import BlockingClient, ReplyError
from tests.support.processes import VedetteServer

POLICIES: Final = ("always", "everysec", "no")
WRITERS: Final = 4
#: What may be missing at most, unless the policy is `always`.
LOSS_MAX_S: Final = 2.0


class CrashTestError(AssertionError):
    """The server did not keep what it had to; the text says what."""


@dataclass(slots=True)
class Writer:
    """What one writer has sent and been told. All three things hold the same number."""

    index: int
    sent: int = 0
    #: The numbers acknowledged, with the time of that.
    acknowledged: list[tuple[float, int]] = field(default_factory=list)

    def write(self, client: BlockingClient) -> None:
        """Go on writing until the connection breaks."""
        index = self.index
        with contextlib.suppress(OSError):
            while True:
                number = self.sent + 1
                self.sent = number
                client.call("SET", f"counter:{index}", number)
                client.call("RPUSH", f"list:{index}", number)
                for words in (
                    ("MULTI",),
                    ("SET", f"pair:{index}:a", number),
                    ("SELECT", 1),
                    ("SET", f"pair:{index}:b", number),
                    ("SELECT", 0),
                    ("EXEC",),
                ):
                    client.call(*words)
                self.acknowledged.append((time.monotonic(), number))

    def check(self, client: BlockingClient, killed_s: float, *, is_all_safe: bool) -> None:
        """Judge what the server has after a start, and go on from there.

        Raises:
            CrashTestError: something is missing, or something is there that cannot be.
        """
        index = self.index
        counter = int(client.call("GET", f"counter:{index}") or 0)
        numbers = [int(item) for item in client.call("LRANGE", f"list:{index}", 0, -1)]
        first = int(client.call("GET", f"pair:{index}:a") or 0)
        client.call("SELECT", 1)
        second = int(client.call("GET", f"pair:{index}:b") or 0)
        client.call("SELECT", 0)
        until_s = killed_s if is_all_safe else killed_s - LOSS_MAX_S
        safe = max((number for at_s, number in self.acknowledged if at_s <= until_s), default=0)
        last = numbers[-1] if numbers else 0
        if first != second:
            raise CrashTestError(f"writer {index}: half a transaction, {first} and {second}")
        if numbers != list(range(1, last + 1)):
            raise CrashTestError(f"writer {index}: the list has a gap, or something twice")
        found = {"counter": counter, "list": last, "pair": first}
        for what, number in found.items():
            if number < safe:
                raise CrashTestError(f"writer {index}: {what} is {number}, {safe} was safe")
            if number > self.sent:
                raise CrashTestError(f"writer {index}: {what} is {number}, {self.sent} was sent")
        # What was under way when it was killed may have been done in part, command by command.
        number = max(found.values())
        for _ in range(last, number):
            last += 1
            client.call("RPUSH", f"list:{index}", last)
        self.sent = number
        self.acknowledged = [(time.monotonic(), min(number, first))]


class CrashTest:
    """A server in `directory` that is killed over and over; `seed` decides when and with what."""

    def __init__(self, directory: Path, policy: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.policy = policy
        self.kill_count = 0
        self.acknowledged_count = 0
        self._killed_s = time.monotonic()
        self._writers = [Writer(index) for index in range(WRITERS)]
        self._server = VedetteServer(
            {
                "appendonly": "yes",
                "appendfsync": policy,
                "auto-aof-rewrite-percentage": "50",
                "auto-aof-rewrite-min-size": "64kb",
                "save": "1 100",
                "hz": "50",
            },
            directory=directory,
        )

    def __enter__(self) -> CrashTest:
        self._server.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.__exit__(exc_type, exc, traceback)

    def run_round(self) -> None:
        """Write, kill, start and judge. The server must be running, and runs again afterwards.

        Raises:
            CrashTestError: the server lost what it had to keep.
            AssertionError: it did not start.
        """
        self._write_and_kill()
        self._server.config["aof-use-rdb-preamble"] = self.random.choice(("yes", "no"))
        self._server.config["aof-timestamp-enabled"] = self.random.choice(("yes", "no"))
        self._server.write_config()
        self._server.start()
        with contextlib.closing(self._server.connect()) as client:
            for writer in self._writers:
                writer.check(client, self._killed_s, is_all_safe=self.policy == "always")

    def _write_and_kill(self) -> None:
        server = self._server
        clients = [server.connect() for _ in self._writers]
        threads = [
            threading.Thread(target=writer.write, args=(client,))
            for writer, client in zip(self._writers, clients, strict=True)
        ]
        before = sum(len(writer.acknowledged) for writer in self._writers)
        for thread in threads:
            thread.start()
        try:
            time.sleep(self.random.uniform(0.02, 0.3))
            for command in self.random.sample(
                ("BGREWRITEAOF", "BGSAVE"), self.random.randint(0, 2)
            ):
                with contextlib.suppress(ReplyError):  # the other may be under way
                    server.call(command)
                time.sleep(self.random.choice((0.0, 0.002, 0.01, 0.05)))
            self._killed_s = time.monotonic()
            server.kill()
        finally:
            server.kill()
            for thread in threads:
                thread.join()
            for client in clients:
                client.close()
        self.kill_count += 1
        after = sum(len(writer.acknowledged) for writer in self._writers)
        self.acknowledged_count += after - before
