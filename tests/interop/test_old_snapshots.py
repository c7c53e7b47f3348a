"""Snapshots that Redis 2.x to 6.x wrote are read as redis-server reads them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.old_snapshots import VERSIONS, snapshot
from tests.support.processes import ServerProcess, VedetteServer
from tests.support.redis import RedisServer

pytestmark = pytest.mark.timeout(60)

SEEDS = range(3)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Yield ours and Redis, which load what is put into their directories when told to."""
    config = {"enable-debug-command": "yes", "save": '""'}
    with ExitStack() as stack:
        yield (
            stack.enter_context(VedetteServer(config)),
            stack.enter_context(RedisServer(config)),
        )


def loaded(server: ServerProcess, data: bytes) -> dict[object, object]:
    """Return what `server` makes of a snapshot: a digest of all, and of each key what it holds."""
    Path(server.directory, "dump.rdb").write_bytes(data)
    server.call("DEBUG", "RELOAD", "NOSAVE")
    found: dict[object, object] = {"all": server.call("DEBUG", "DIGEST")}
    with server.connect() as client:
        for database in (0, 3):
            client.call("SELECT", database)
            for key in client.call("KEYS", "*"):
                found[database, key] = (
                    client.call("TYPE", key),
                    client.call("DEBUG", "DIGEST-VALUE", key),
                    client.call("PEXPIRETIME", key),
                )
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_snapshot_is_read_as_by_redis(
    servers: tuple[ServerProcess, ServerProcess], version: int
) -> None:
    """Every type and encoding that a Redis of that version could write."""
    for seed in SEEDS:
        data = snapshot(version, random.Random(f"{version} {seed}"))

        ours, theirs = (loaded(server, data) for server in servers)

        assert ours == theirs, f"version {version} seed {seed}"
        assert len(theirs) > 20
