"""The short form of `make crash`: a few kills with each policy, other ones at each run."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from tests.crash.rounds import POLICIES, CrashTest
from tests.support.processes import VedetteServer


@pytest.mark.parametrize("policy", POLICIES)
def test_a_killed_server_keeps_what_it_promised(policy: str, tmp_path: Path) -> None:
    """Under load, with rewrites and saves at times; nothing is there in part, or twice."""
    seed = random.randrange(1 << 32)
    with CrashTest(tmp_path, policy, seed) as test:
        for _ in range(2):
            try:
                test.run_round()
            except AssertionError as error:
                error.add_note(f"python -m tests.crash --policy {policy} --seed {seed} --kills 2")
                raise
        assert test.acknowledged_count


def test_a_killed_server_has_given_its_replicas_what_it_acknowledged() -> None:
    """Though it sends what follows closely together: the system has it before the client hears."""
    with (
        VedetteServer({"repl-diskless-sync-delay": "0"}) as server,
        socket.create_connection(("127.0.0.1", server.port), 20) as replica,
    ):
        replica.sendall(b"PSYNC ? -1\r\n")
        received = b""
        while b"REDIS" not in received:
            received += replica.recv(65536)
        for number in range(300):
            server.call("SET", "key", f"value {number}")
        server.kill()
        while data := replica.recv(65536):
            received += data

    assert received.endswith(b"$9\r\nvalue 299\r\n")
