"""A script that takes too long, in a real server: others are answered, and it can be ended."""

from __future__ import annotations

import pytest
from hiredis import ReplyError

from tests.support.client import BlockingClient
from tests.support.processes import VedetteServer
from tests.support.waiting import wait_until

ENDLESS_LIBRARY = "#!lua name=f\nredis.register_function('f', function() while true do end end)"


def _is_busy(client: BlockingClient) -> bool:
    try:
        client.call("PING")
    except ReplyError as error:
        return str(error).startswith("BUSY")
    return False


def test_who_was_heard_together_with_a_slow_script_is_answered_too() -> None:
    """Received in the same batch, behind it: in order, before anything that comes later."""
    with (
        VedetteServer({"busy-reply-threshold": "50"}) as server,
        BlockingClient(server.port) as runner,
        BlockingClient(server.port) as other,
    ):
        server.stop_with_sigstop()
        runner.send("EVAL", "while true do end", 0)
        other.send("SET", "k", 1)
        server.resume()

        with pytest.raises(ReplyError, match="BUSY"):
            other.receive()
        assert other.call("SCRIPT", "KILL") == b"OK"
        with pytest.raises(ReplyError, match="killed by user"):
            runner.receive()
        assert other.call("EXISTS", "k") == 0


@pytest.mark.parametrize("is_function", [False, True], ids=["script", "function"])
def test_others_are_answered_while_a_script_runs_and_can_kill_it(is_function: bool) -> None:
    """The pump serves their sockets from inside of the script."""
    kind = "FUNCTION" if is_function else "SCRIPT"
    with (
        VedetteServer({"busy-reply-threshold": "50"}) as server,
        BlockingClient(server.port) as runner,
        BlockingClient(server.port) as other,
    ):
        if is_function:
            runner.call("FUNCTION", "LOAD", ENDLESS_LIBRARY)
            runner.send("FCALL", "f", 0)
        else:
            runner.send("EVAL", "while true do end", 0)
        wait_until(lambda: _is_busy(other), what="a reply of BUSY")

        assert other.call(kind, "KILL") == b"OK"
        with pytest.raises(ReplyError, match="killed by user"):
            runner.receive()
        assert other.call("PING") == b"PONG"
