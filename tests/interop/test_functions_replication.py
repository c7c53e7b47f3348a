"""Functions beyond one process: stream, snapshots and files, redis-server at the other end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import ServerProcess, VedetteServer, replicate
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(60)


def library(name: str, reply: int) -> str:
    """Return the text of a library with one function, of the same name."""
    return f"#!lua name={name}\nredis.register_function('{name}', function() return {reply} end)"


def listed(server: ServerProcess) -> object:
    return server.call("FUNCTION", "LIST", "WITHCODE")


@pytest.mark.parametrize("is_ours_the_master", [True, False], ids=["from-us", "to-us"])
def test_replicas_have_the_functions_of_their_master(is_ours_the_master: bool) -> None:
    """By the snapshot first, and then by the stream; what the replica had itself is gone."""
    with RedisServer() as redis, VedetteServer({}) as ours:
        master, replica = (ours, redis) if is_ours_the_master else (redis, ours)
        master.call("FUNCTION", "LOAD", library("one", 1))
        replica.call("FUNCTION", "LOAD", library("own", 0))
        replicate(replica, master)
        assert listed(replica) == listed(master)

        master.call("FUNCTION", "LOAD", library("two", 2))
        master.call("FUNCTION", "LOAD", "REPLACE", library("two", 3))
        payload = master.call("FUNCTION", "DUMP")
        master.call("FUNCTION", "FLUSH")
        assert isinstance(payload, bytes)
        master.call("FUNCTION", "RESTORE", payload)
        master.call("FUNCTION", "DELETE", "one")

        wait_until(lambda: listed(replica) == listed(master), 20, "the replica to follow")
        assert replica.call("FUNCTION", "DUMP") == master.call("FUNCTION", "DUMP")


@pytest.mark.parametrize("is_ours_the_first", [True, False], ids=["from-us", "to-us"])
def test_a_file_with_functions_starts_either_server(
    is_ours_the_first: bool, tmp_path: Path
) -> None:
    text = library("one", 1)
    settings = {"dir": str(tmp_path)}
    with VedetteServer(settings) if is_ours_the_first else RedisServer(settings) as first:
        first.call("FUNCTION", "LOAD", text)
        first.call("SAVE")

    with RedisServer(settings) if is_ours_the_first else VedetteServer(settings) as second:
        assert second.call("FCALL", "one", "0") == 1
