"""SHUTDOWN and signals on a master with a replica that is behind: the end waits until it is not."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.client import ReplyError
from tests.support.processes import ServerProcess, VedetteServer, replicate
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(60)

#: So long that no test comes to see it pass.
FOR_EVER_S = 600


@contextmanager
def master_and_frozen_replica(
    program: type[ServerProcess],
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Yield a master and its replica, which is frozen and lacks the last write."""
    with program({"shutdown-timeout": str(FOR_EVER_S)}) as master, VedetteServer() as replica:
        replicate(replica, master)
        master.call("SET", "key", "1")
        assert master.call("WAIT", 1, 5000) == 1
        replica.stop_with_sigstop()
        try:
            master.call("INCR", "key")
            yield master, replica
        finally:
            replica.resume()


def remaining_ms(master: ServerProcess) -> int:
    return int(master.info("server").get("shutdown_in_milliseconds", 0))


def wait_until_waiting(master: ServerProcess, client_count: int) -> None:
    """Wait until the shutdown waits for the replica, and so many clients with it."""
    wait_until(
        lambda: (
            0 < remaining_ms(master) <= FOR_EVER_S * 1000
            and master.info("clients")["blocked_clients"] == str(client_count)
        ),
        what="the shutdown to wait",
    )


@pytest.mark.parametrize("program", [VedetteServer, RedisServer])
def test_shutdown_can_be_aborted_while_it_waits_for_the_replica(
    program: type[ServerProcess],
) -> None:
    """Reads go on and writes wait meanwhile; whoever asked is told that nothing came of it."""
    with (
        master_and_frozen_replica(program) as (master, replica),
        master.connect() as first,
        master.connect() as second,
        master.connect() as writer,
    ):
        first.send("SHUTDOWN")
        wait_until_waiting(master, 1)
        second.send("SHUTDOWN", "NOSAVE")
        writer.send("SET", "key", "3")
        wait_until_waiting(master, 3)
        assert master.call("GET", "key") == b"2"

        assert master.call("SHUTDOWN", "ABORT") == b"OK"

        for client in (first, second):
            with pytest.raises(ReplyError, match="Errors trying to SHUTDOWN"):
                client.receive()
        assert writer.receive() == b"OK"
        with pytest.raises(ReplyError, match="No shutdown in progress"):
            master.call("SHUTDOWN", "ABORT")

        # And when the replica is there again, the end comes once it has everything.
        first.close()
        second.close()
        master.process.terminate()
        wait_until_waiting(master, 0)
        master.close_client()
        replica.resume()
        assert master.process.wait(10) == 0
        wait_until(lambda: replica.call("GET", "key") == b"3", what="the last write")


def test_a_second_sigint_ends_the_wait() -> None:
    """Who presses Ctrl-C twice does not want to wait; all else is done as for the first."""
    with master_and_frozen_replica(VedetteServer) as (master, _):
        master.process.send_signal(signal.SIGINT)
        wait_until_waiting(master, 0)

        master.process.send_signal(signal.SIGINT)

        assert master.process.wait(10) == 0
        assert "replica.lags_at_shutdown" in master.log()
        assert "server.stopped" in master.log()


@pytest.mark.parametrize("program", [VedetteServer, RedisServer])
def test_whoever_sees_the_end_is_refused_at_once(program: type[ServerProcess]) -> None:
    """A client that connects anew is not to hang in the port of a process that is about to go."""
    for _ in range(3):
        with program() as server:
            with server.connect() as client, pytest.raises(OSError, match=r"closed|reset"):
                client.call("SHUTDOWN", "NOSAVE")

            with pytest.raises(ConnectionRefusedError):
                server.connect()
