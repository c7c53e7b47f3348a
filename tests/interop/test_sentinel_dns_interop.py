"""A name server that never answers, beside a real sentinel: it holds up nothing but its own names.

The sentinel's process is given a resolver that blocks, as the system's does, while a pipe exists
that nobody writes to.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from sentinel.runtime.resolver import DEADLINE_S
from tests.support.client import ReplyError
from tests.support.processes import VedetteSentinel, free_port, watching
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

#: Imported by every Python that starts with this in its path.
RESOLVER = """
import os, socket
resolve = socket.getaddrinfo
def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    if str(host).endswith(".test") and not flags & socket.AI_NUMERICHOST:
        if os.path.exists({pipe!r}):
            open({pipe!r}).read()
        host = "127.0.0.1"
    return resolve(host, port, family, type, proto, flags)
socket.getaddrinfo = getaddrinfo
"""
REPLICAS = ("SENTINEL", "REPLICAS", "mymaster")
WAIT_S = 20.0


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the pipe: while it exists names that end with `.test` are not resolved."""
    path = tmp_path / "pipe"
    (tmp_path / "sitecustomize.py").write_text(RESOLVER.format(pipe=str(path)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return path


def test_name_server_that_hangs_holds_up_neither_clients_nor_failovers_nor_the_end(
    pipe: Path,
) -> None:
    """redis-sentinel answers nobody while it looks a name up."""
    with RedisServer() as named, RedisServer() as master, RedisServer() as replica:
        replica.replicate(master)
        lines = [
            "sentinel resolve-hostnames yes",
            f"sentinel monitor named db.test {named.port} 1",
            *watching(master.port, quorum=1, down_after_ms=500),
        ]
        with VedetteSentinel(extra_lines=lines) as sentinel:

            def is_well() -> bool:
                status = sentinel.info("sentinel")
                masters = [text for key, text in status.items() if key.startswith("master")]
                return len(masters) == 2 and all("status=ok" in text for text in masters)

            wait_until(is_well, WAIT_S, "both masters to be well")
            wait_until(
                lambda: any(b"ok" in entry for entry in sentinel.call(*REPLICAS)),
                WAIT_S,
                "the replica to be known",
            )
            os.mkfifo(pipe)
            with sentinel.connect() as asking, sentinel.connect() as examining:
                asking.send("SENTINEL", "MONITOR", "other", "x.test", 6379, 1)
                examining.send("SENTINEL", "DOCTOR", "named")
                master.kill()
                longest_s = 0.0

                def is_switched() -> bool:
                    nonlocal longest_s
                    asked_s = time.monotonic()
                    words = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")
                    longest_s = max(longest_s, time.monotonic() - asked_s)
                    return int(words[1]) == replica.port

                wait_until(is_switched, WAIT_S, "the replica to be master")
                with pytest.raises(ReplyError, match="Invalid IP address or hostname specified"):
                    asking.receive()
                findings = [
                    dict(zip(entry[::2], entry[1::2], strict=True)) for entry in examining.receive()
                ]
            assert (b"dns", b"db.test", b"does not resolve") in [
                (entry[b"check"], entry[b"subject"], entry[b"finding"]) for entry in findings
            ]
            assert longest_s < DEADLINE_S, "an answer waited for a look-up to be given up"
            assert sentinel.stop(timeout_s=2.0) == 0  # though threads of it wait for ever


def test_doctor_that_asks_for_names_in_vain_leaves_the_disk_its_thread(pipe: Path) -> None:
    """Threads that wait for a name cannot be ended; a vote has to be saved none the less."""
    with RedisServer() as master:
        lines = [
            "sentinel resolve-hostnames yes",
            *watching(master.port, quorum=1, down_after_ms=60_000),
            *(
                f"sentinel known-replica mymaster db{number}.test {free_port()}"
                for number in range(20)
            ),
        ]
        os.mkfifo(pipe)
        with VedetteSentinel(extra_lines=lines) as sentinel, contextlib.ExitStack() as stack:
            for _ in range(4):
                stack.enter_context(sentinel.connect()).send("SENTINEL", "DOCTOR", "mymaster")
            asked_s = time.monotonic()
            while time.monotonic() - asked_s < 1.0:  # its questions do not all come at once
                assert sentinel.call("PING") == b"PONG"

            with sentinel.connect(timeout_s=2.0) as saving:
                assert saving.call("SENTINEL", "FLUSHCONFIG") == b"OK"
