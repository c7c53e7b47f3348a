"""A script that takes too long, in a real server: others are answered, and it can be ended."""

from __future__ import annotations

from tests.support.client import BlockingClient
from tests.support.processes import VedetteServer
from tests.support.waiting import wait_until


def test_others_are_answered_while_a_script_runs_and_can_kill_it() -> None:
    """The pump serves their sockets from inside of the script."""
    with (
        VedetteServer({"busy-reply-threshold": "50"}) as server,
        BlockingClient(server.port) as runner,
        BlockingClient(server.port) as other,
    ):
        runner.send("EVAL", "while true do end", 0)
        wait_until(lambda: "BUSY" in str(other.call("PING")), what="a reply of BUSY")

        assert other.call("SCRIPT", "KILL") == b"OK"
        assert "killed by user" in str(runner.receive())
        assert other.call("PING") == b"PONG"
