"""The helpers other tests stand on: real processes that start, freeze, die and report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.client import ReplyError
from tests.support.processes import free_port, members_of_session, watching
from tests.support.redis import RedisSentinel, RedisServer, require_redis
from tests.support.waiting import wait_until, wait_until_async


def test_a_started_server_answers_and_keeps_its_directory(redis_server: RedisServer) -> None:
    assert redis_server.call("PING") == b"PONG"
    assert redis_server.info("server")["tcp_port"] == str(redis_server.port)
    with pytest.raises(ReplyError, match="unknown command"):
        redis_server.call("NO-SUCH-COMMAND")
    assert redis_server.call("PING") == b"PONG"


def test_a_killed_server_can_be_started_again(redis_server: RedisServer) -> None:
    first_pid = redis_server.process.pid
    redis_server.kill()

    with pytest.raises(OSError, match="refused"):
        redis_server.call("PING")
    redis_server.start()

    assert redis_server.process.pid != first_pid
    assert redis_server.call("PING") == b"PONG"


def test_a_password_is_used_by_call() -> None:
    with RedisServer({"requirepass": "sesame"}) as server:
        assert server.call("PING") == b"PONG"


def test_a_failed_start_shows_the_output() -> None:
    with pytest.raises(AssertionError, match="Bad directive"), RedisServer({"no-such": "1"}):
        pytest.fail("a server with an unknown directive must not start")


def test_a_frozen_server_goes_on_when_resumed(redis_server: RedisServer) -> None:
    redis_server.stop_with_sigstop()
    with redis_server.connect(timeout_s=0.1) as client, pytest.raises(TimeoutError):
        client.call("PING")
    redis_server.resume()

    assert redis_server.call("PING") == b"PONG"


def test_a_sentinel_watches_the_master_it_is_given(redis_server: RedisServer) -> None:
    with RedisSentinel(extra_lines=watching(redis_server.port, quorum=1)) as sentinel:
        address = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster")

        assert address == [b"127.0.0.1", str(redis_server.port).encode()]


def test_ports_are_never_handed_out_twice() -> None:
    ports = [free_port() for _ in range(50)]

    assert len(set(ports)) == 50


def test_a_missing_program_skips_or_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A skip nobody may take: where Redis was promised, its absence is a failure."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("VEDETTE_REQUIRE_REDIS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs a real redis-server"):
        require_redis()
    monkeypatch.setenv("VEDETTE_REQUIRE_REDIS", "1")
    with pytest.raises(pytest.fail.Exception, match="forbids skipping"):
        require_redis()


def test_waiting_gives_the_value_or_says_what_was_missing() -> None:
    answers = iter([0, 0, 7])
    assert wait_until(lambda: next(answers), 5.0, "a seven") == 7
    with pytest.raises(AssertionError, match=r"waited 0\.05 s for a miracle; it gave \[\]"):
        wait_until(list, 0.05, "a miracle")


async def test_async_waiting_takes_plain_and_async_conditions() -> None:
    answers = iter([False, True])

    async def ask() -> bool:
        return next(answers)

    assert await wait_until_async(ask, 5.0, "the second answer")
    assert await wait_until_async(lambda: 3, 5.0, "three") == 3
    with pytest.raises(AssertionError, match="waited"):
        await wait_until_async(lambda: None, 0.05, "nothing")


def test_children_of_a_server_end_with_it(tmp_path: Path) -> None:
    """One that still writes into the directory would keep it from being removed."""
    with RedisServer({"rdb-key-save-delay": "1000000"}, directory=tmp_path) as server:
        for number in range(50):
            server.call("SET", f"key:{number}", "value")
        server.call("BGSAVE")
        leader = server.process.pid
        assert len(members_of_session(leader)) == 2

    assert members_of_session(leader) == []
