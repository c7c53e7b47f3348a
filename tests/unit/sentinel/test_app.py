"""The sentinel as a process, run inside the test."""

from __future__ import annotations

import socket
from pathlib import Path

import trio

from sentinel.app import run_sentinel
from sentinel.config import World, read_config
from tests.support.client import encode
from tests.support.processes import free_port
from vedette.conf import parse_text
from vedette.types import RunId

WORLD = World(lambda: RunId("f" * 40), lambda path: False)


async def test_client_that_comes_before_the_machine_runs_is_answered(tmp_path: Path) -> None:
    """A restarted sentinel is often met by the order that somebody waited to give it."""
    port = free_port()
    text = f"bind 127.0.0.1\nport {port}\nsentinel monitor m 127.0.0.1 1 1\n"
    path = tmp_path / "sentinel.conf"
    path.write_text(text)
    config = read_config(parse_text(text, str(path)), WORLD)
    with trio.fail_after(20), socket.socket() as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_sentinel, config, str(path), str(path))
            while client.connect_ex(("127.0.0.1", port)) != 0:
                await trio.lowlevel.checkpoint()
            client.sendall(encode(("SENTINEL", "SET", "m", "auth-pass", "secret")))
            await trio.lowlevel.wait_readable(client)
            reply = client.recv(100)
            nursery.cancel_scope.cancel()

    assert reply == b"+OK\r\n"
