"""MIGRATE between real processes, ours and Redis'."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from tests.support.client import BlockingClient, ReplyError
from tests.support.processes import VedetteServer
from tests.support.redis import RedisServer
from tests.support.waiting import wait_until
from vedette.info import parse_info


@pytest.fixture(scope="module")
def vedette() -> Iterator[VedetteServer]:
    """Yield one of ours."""
    with VedetteServer() as server:
        yield server


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    """Yield a real server that wants a password."""
    with RedisServer({"requirepass": "secret"}) as server:
        yield server


@pytest.fixture
def client(vedette: VedetteServer) -> Iterator[BlockingClient]:
    """Yield a client of ours, whose dataset is empty."""
    with BlockingClient(vedette.port) as client:
        client.call("FLUSHALL")
        yield client


def error_of(client: BlockingClient, *words: str | int) -> str:
    """Return the error that a request is answered with."""
    with pytest.raises(ReplyError) as caught:
        client.call(*words)
    return str(caught.value)


def info(client: BlockingClient, section: str) -> dict[str, str]:
    """Return the fields of a section of INFO."""
    return parse_info(client.call("INFO", section))


def target_call(redis: RedisServer, *words: str | int) -> object:
    with BlockingClient(redis.port) as target:
        target.call("AUTH", "secret")
        return target.call(*words)


def test_values_of_every_type_move_to_redis(client: BlockingClient, redis: RedisServer) -> None:
    """With what is left of their lifetime, and only those that are there."""
    target_call(redis, "FLUSHALL")
    client.call("SET", "string", "v", "PX", 100_000)
    client.call("RPUSH", "list", "a", "b")
    client.call("HSET", "hash", "f", "v")
    client.call("ZADD", "zset", 1.5, "m")
    client.call("SADD", "set", 1, 2, "three")
    keys = ("string", "list", "hash", "zset", "set", "missing")

    moved = client.call(
        "MIGRATE", "127.0.0.1", redis.port, "", 3, 5000, "AUTH", "secret", "KEYS", *keys
    )

    assert moved == b"OK"
    assert client.call("DBSIZE") == 0
    with BlockingClient(redis.port) as target:
        target.call("AUTH", "secret")
        target.call("SELECT", 3)
        assert target.call("DBSIZE") == 5
        assert target.call("LRANGE", "list", 0, -1) == [b"a", b"b"]
        assert 90_000 < target.call("PTTL", "string") <= 100_000
        assert target.call("PTTL", "list") == -1
    assert info(client, "stats")["migrate_cached_sockets"] == "1"


def test_copy_leaves_and_replace_overwrites(client: BlockingClient, redis: RedisServer) -> None:
    """Without REPLACE the target's refusal is passed on, and nothing is deleted."""
    target_call(redis, "FLUSHALL")
    target_call(redis, "SET", "k", "old")
    client.call("SET", "k", "new")
    place = ("127.0.0.1", redis.port, "k", 0, 5000)
    words = ("AUTH2", "default", "secret")

    assert error_of(client, "MIGRATE", *place, *words) == (
        "ERR Target instance replied with error: BUSYKEY Target key name already exists."
    )
    assert client.call("MIGRATE", *place, "COPY", "REPLACE", *words) == b"OK"
    assert client.call("GET", "k") == b"new"
    assert target_call(redis, "GET", "k") == b"new"
    assert "NOAUTH" in error_of(client, "MIGRATE", "localhost", redis.port, "k", 0, 5000)


def test_transactions_and_scripts_move_keys_as_well(
    client: BlockingClient, redis: RedisServer
) -> None:
    """There nothing may come between, so everybody waits."""
    target_call(redis, "FLUSHALL")
    client.call("MSET", "a", 1, "b", 2)
    words = ("AUTH", "secret")
    client.call("MULTI")
    client.call("MIGRATE", "127.0.0.1", redis.port, "a", 0, 5000, *words)
    client.call("EXISTS", "a")
    assert client.call("EXEC") == [b"OK", 0]
    script = (
        "return redis.call('MIGRATE', '127.0.0.1', ARGV[1], KEYS[1], 0, 5000, 'AUTH', 'secret')"
    )
    assert client.call("EVAL", script, 1, "b", redis.port) == b"OK"
    assert target_call(redis, "DBSIZE") == 2


def test_redis_moves_keys_to_us(
    client: BlockingClient, vedette: VedetteServer, redis: RedisServer
) -> None:
    """The other way round."""
    target_call(redis, "FLUSHALL")
    target_call(redis, "SET", "k", "v")

    assert target_call(redis, "MIGRATE", "127.0.0.1", vedette.port, "k", 0, 5000) == b"OK"
    assert client.call("GET", "k") == b"v"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("127.0.0.1", 1, "none", 0, 100), b"NOKEY"),
        (("127.0.0.1", 1, "", 0, 100, "KEYS", "none", "none"), b"NOKEY"),
    ],
)
def test_nothing_to_move_is_no_error(
    client: BlockingClient, words: tuple[str | int, ...], answer: bytes
) -> None:
    """Nobody is even connected to."""
    assert client.call("MIGRATE", *words) == answer


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("127.0.0.1", 1, "k", 0, 100), "IOERR error or timeout writing to target instance"),
        (("no.host.invalid", 1, "k", 0, 100), "IOERR error or timeout connecting to the client"),
        (("127.0.0.1", 1, "k", 0, 100, "AUTH"), "ERR syntax error"),
        (("127.0.0.1", 1, "k", 0, 100, "AUTH2", "u"), "ERR syntax error"),
        (("127.0.0.1", 1, "k", "x", 100), "ERR value is not an integer or out of range"),
        (
            ("127.0.0.1", 1, "k", 0, 100, "KEYS", "a"),
            "ERR When using MIGRATE KEYS option, the key argument must be set to the empty string",
        ),
    ],
)
def test_errors_are_worded_as_by_redis(
    client: BlockingClient, redis: RedisServer, words: tuple[str | int, ...], error: str
) -> None:
    """And nothing is lost by them."""
    client.call("SET", "k", "v")
    target_call(redis, "SET", "k", "v")

    assert error_of(client, "MIGRATE", *words) == error
    with BlockingClient(redis.port) as target:
        target.call("AUTH", "secret")
        assert error_of(target, "MIGRATE", *words) == error
    assert client.call("GET", "k") == b"v"


def test_reads_go_on_and_writes_wait_while_the_target_is_silent(
    client: BlockingClient, vedette: VedetteServer
) -> None:
    """A server that hangs must not take ours along; what is sent must not change meanwhile."""
    client.call("MSET", "k", "v", "other", "v")
    errors: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        def move() -> None:
            with BlockingClient(vedette.port) as mover:
                errors.append(error_of(mover, "MIGRATE", "127.0.0.1", port, "k", 0, 2000))

        mover = threading.Thread(target=move)
        mover.start()
        wait_until(lambda: info(client, "clients")["blocked_clients"] == "1")
        assert client.call("GET", "k") == b"v"
        assert not errors

        assert client.call("SET", "k", "newer") == b"OK"  # once the transfer was given up
        mover.join(20)
    assert errors == ["IOERR error or timeout reading to target instance"]
    assert client.call("GET", "k") == b"newer"


def test_a_connection_that_has_died_is_made_anew(
    client: BlockingClient, redis: RedisServer
) -> None:
    """It is kept for a while, and the target may close it meanwhile."""
    target_call(redis, "FLUSHALL")
    client.call("MSET", "a", 1, "b", 2)
    for key in ("a", "b"):
        words = ("MIGRATE", "127.0.0.1", redis.port, key, 0, 5000, "AUTH", "secret")
        assert client.call(*words) == b"OK"
        target_call(redis, "CLIENT", "KILL", "TYPE", "normal")
    assert target_call(redis, "DBSIZE") == 2
