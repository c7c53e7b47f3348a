"""The debugger of scripts beside the real server's, in real processes, and what it leaves alone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hiredis import ReplyError

from tests.support.client import BlockingClient
from tests.support.processes import ServerProcess, VedetteServer
from tests.support.redis import RedisServer, require_redis
from tests.support.waiting import wait_until

SCRIPT = r"""local a = 1
local t = {1,2,{x='y'}}
local s = "he\"llo\n"
local function f(n)
  local inner = n
  redis.debug(inner, t, s, nil, true, 1.5)
  return inner
end
redis.call('set', KEYS[1], ARGV[1])
local v = f(7)
redis.breakpoint()
local r = redis.call('get', KEYS[1])
redis.pcall('lpush', KEYS[1], 'x')
redis.pcall('nosuch')
for i=1,3 do
  a = a + i
end
return {a, r, redis.call('mget', KEYS[1], 'none')}
"""
#: A command of the debugger a line.
TYPED = f"""
s|n|step|p|p a|p t|print s|p KEYS|p ARGV|p nope|l|list 2|l 3 1|w|b|b 5|b|b 5|b 99|b x|b -7|foo
c|t|trace|p|p n|p t|b -5|e 1+1|e local x = 3; return x*2|e return|e this is bad(|e error('boom')
r get k|redis lpush l 1 2|r lrange l 0 -1|r incr|r nosuch|r hset h f v|r hgetall h|r mget k none
m|m 70|r set big {"x" * 300}|r get big|m 10|m 0|r get big|e string.rep('y', 300)|l 0|l -3 2
r zadd z 1 2 3 4 5 6 7 8 9 10 11 12|e {{1,2,nil,4}}|e {{a=1}}|e {"{" * 12}1{"}" * 12}
s|s|s|c|t|p a|p s|s|s|s|s|s|p i|s|s|e KEYS[1]|e '\a\b\t\\'..string.char(0,200)|b 0|c
"""


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def vedette() -> Iterator[VedetteServer]:
    with VedetteServer({"busy-reply-threshold": "100"}) as server:
        yield server


# Any: whatever comes.
def _received(client: BlockingClient) -> Any:
    try:
        return client.receive()
    except ReplyError as error:
        return repr(error)
    except ConnectionResetError:
        return "closed"


def _session(server: ServerProcess, mode: str, script: str, commands: list[str]) -> list[Any]:
    """Return all that a session shows, the addresses of functions left out."""
    with BlockingClient(server.port) as client:
        client.call("FLUSHALL")
        assert client.call("SCRIPT", "DEBUG", mode) == b"OK"
        client.send("EVAL", script, 1, "k", "v1")
        shown = [_received(client)]
        for command in commands:
            client.send(*_words(command))
            shown.append((command, _received(client)))
        while shown[-1] != "closed":
            shown.append(_received(client))
    return [re.sub(r"@0x[0-9a-f]+", "@", repr(each)) for each in shown]


def _words(command: str) -> list[str]:
    name, _, rest = command.partition(" ")
    return [name, rest] if name == "e" else command.split()


@pytest.mark.parametrize("mode", ["yes", "sync"])
def test_sessions_show_what_the_real_server_shows(
    redis: RedisServer, vedette: VedetteServer, mode: str
) -> None:
    """redis-cli --ldb takes these lines apart."""
    commands = TYPED.strip().replace("\n", "|").split("|")

    assert _session(vedette, mode, SCRIPT, commands) == _session(redis, mode, SCRIPT, commands)


@pytest.mark.parametrize("script", ["return {", "#!lua flags=no-writes\nreturn 1", "error('x')"])
def test_short_sessions_end_alike(redis: RedisServer, vedette: VedetteServer, script: str) -> None:
    """With the error of a script that cannot begin, or fails, after the end of the session."""
    for commands in ([], ["a"]) if script != "return {" else ([],):
        if not commands and script != "return {":
            commands = ["c"]
        theirs = _session(redis, "sync", script, commands)

        assert _session(vedette, "sync", script, commands) == theirs


def test_what_a_forked_session_writes_is_gone_with_it(vedette: VedetteServer) -> None:
    """And the server answers others meanwhile; a synchronous one keeps what it wrote."""
    script = "redis.call('set', KEYS[1], 'x')\nreturn 1"
    with BlockingClient(vedette.port) as user, BlockingClient(vedette.port) as other:
        other.call("DEL", "k")
        user.call("SCRIPT", "DEBUG", "YES")
        user.send("EVAL", script, 1, "k")
        user.receive()
        assert other.call("PING") == b"PONG"
        user.send("s")
        assert user.receive()[0] == b"<redis> set k x"
        assert other.call("EXISTS", "k") == 0
        user.send("c")
        assert user.receive() == [b"<endsession>"]
        assert user.receive() == 1
        assert other.call("EXISTS", "k") == 0

    _session(vedette, "sync", script, ["c"])
    assert vedette.call("GET", "k") == b"x"


def test_a_session_ends_with_its_user_and_with_the_server() -> None:
    """A script without end is ended when nobody is there to stop it, its process with it."""
    with VedetteServer({"busy-reply-threshold": "50"}) as server:
        for is_kept in (False, True):
            with BlockingClient(server.port) as user:
                user.call("SCRIPT", "DEBUG", "YES")
                user.send("EVAL", "while true do end", 0)
                user.receive()
                pid = int(re.findall(r"child_pid=(\d+)", server.log())[-1])
                if is_kept:
                    assert server.stop() == 0
            wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), what="its end")


def test_a_loop_without_end_stops_by_itself(vedette: VedetteServer) -> None:
    """As if there were a breakpoint, after `busy-reply-threshold`."""
    with BlockingClient(vedette.port) as user:
        user.call("SCRIPT", "DEBUG", "YES")
        user.send("EVAL", "local a = 1\nwhile true do end", 0)
        user.receive()
        user.send("c")
        assert b"timeout reached" in user.receive()[0]
        user.send("a")
        assert user.receive() == [b"<endsession>"]
        with pytest.raises(ReplyError, match="aborted for user request"):
            user.receive()


def test_what_cannot_be_debugged_is_refused(vedette: VedetteServer) -> None:
    """Where the connection could not be handed over without a loss."""
    with BlockingClient(vedette.port) as user:
        user.socket.sendall(b"PING\r\nSCRIPT DEBUG YES\r\n")
        assert user.receive() == b"PONG"
        assert "outside a pipeline" in _received(user)
        user.call("SCRIPT", "DEBUG", "SYNC")
        with pytest.raises(ReplyError, match="EVAL instead of EVALSHA"):
            user.call("EVALSHA", "a" * 40, 0)
        user.call("MULTI")
        user.call("EVAL", "return 1", 0)
        assert isinstance(user.call("EXEC")[0], ReplyError)
        user.call("SCRIPT", "DEBUG", "NO")
        assert user.call("EVAL", "return redis.breakpoint()", 0) is None


def test_redis_cli_debugs(vedette: VedetteServer, tmp_path: Path) -> None:
    """Unmodified, with its own commands."""
    require_redis("redis-cli")
    script = tmp_path / "script.lua"
    script.write_text("local a = tonumber(ARGV[1])\nreturn a + 1\n")
    done = subprocess.run(
        ["redis-cli", "-p", str(vedette.port), "--ldb", "--eval", str(script), ",", "41"],
        input="s\np\nc\nquit\n",
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )

    assert "<value> a = 41" in done.stdout
    assert "(integer) 42" in done.stdout
    assert "dataset changes rolled back" in done.stdout
