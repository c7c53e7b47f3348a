"""Functions beside the real server: what is loaded, called, listed and refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.differential import Command, RawClient
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer
from vedette.resp.encode import encode_command

_HEAD: Final = b"#!lua name=lib\n"
_F: Final = b"redis.register_function('f', function() return 1 end)"

#: Texts of libraries, loaded one after the other, each in place of the one before.
LIBRARIES: Final = (
    _HEAD + _F,
    _HEAD + b"redis.register_function{function_name='f', callback=function() return 1 end}",
    _HEAD + b"redis.register_function{FUNCTION_NAME='f', Callback=function() end,"
    b" description='what it does', flags={'NO-WRITES'}}",
    _HEAD + b"redis.register_function{function_name=5, callback=redis.log, description=1.5}",
    _HEAD + b"redis.register_function{function_name='f', callback=function() end, flags={}}",
    _HEAD + b"redis.register_function{function_name='f', callback=function() end, flags={'x'}}",
    _HEAD + b"redis.register_function{function_name='f', callback=function() end, flags={{}}}",
    _HEAD + b"redis.register_function{function_name='f', callback=function() end, flags='x'}",
    _HEAD + b"redis.register_function{function_name='f', callback='x'}",
    _HEAD + b"redis.register_function{function_name='f'}",
    _HEAD + b"redis.register_function{callback=function() end}",
    _HEAD + b"redis.register_function{function_name={}, callback=function() end}",
    _HEAD + b"redis.register_function{description={}}",
    _HEAD + b"redis.register_function{unknown=1}",
    _HEAD + b"redis.register_function{'a'}",
    _HEAD + b"redis.register_function{[{}]=1}",
    _HEAD + b"redis.register_function()",
    _HEAD + b"redis.register_function('f')",
    _HEAD + b"redis.register_function('f', 1)",
    _HEAD + b"redis.register_function({}, function() end)",
    _HEAD + b"redis.register_function(1, function() end)",
    _HEAD + b"redis.register_function('f', function() end, 3)",
    _HEAD + b"redis.register_function('', function() end)",
    _HEAD + b"redis.register_function('a b', function() end)",
    _HEAD + b"redis.register_function('a\\0b', function() end)",
    _HEAD + _F + b" " + _F,
    _HEAD + b"return 1",
    _HEAD,
    _HEAD + b"bad code",
    _HEAD + b"x = 1",
    _HEAD + b"return x",
    _HEAD + b"return _G",
    _HEAD + b"return getmetatable",
    _HEAD + b"return pcall",
    _HEAD + b"return ('x'):rep(3)",
    _HEAD + b"local x = nil; x.y()",
    _HEAD + b"redis.call('ping')",
    _HEAD + b"redis.setresp(3)",
    _HEAD + b"redis.x = 1",
    _HEAD + b"redis.log()",
    _HEAD + b"redis.log('x', 'y')",
    _HEAD + b"redis.log(redis.LOG_DEBUG, 'y') " + _F,
    _HEAD + b"return redis.REPL_ALL",
    _HEAD + b"local function f() return 1 + f() end f()",
    b"",
    b"return 1",
    b"#!lua name=lib",
    b"#!lua\n" + _F,
    b"#!\n" + _F,
    b"#! name=lib\n" + _F,
    b"#!LUA NAME=lib\n" + _F,
    b'#!lua name="lib"\n' + _F,
    b"#!lua name='lib\n" + _F,
    b"#!lua name=\n" + _F,
    b"#!lua name=l-b\n" + _F,
    b"#!lua name=lib name=lib\n" + _F,
    b"#!lua name=lib flags=x\n" + _F,
    b"#!js name=lib\n" + _F,
    b"#!lua\tname=lib\r\n" + _F,
    b"#!lua name=other\n" + _F,
)

#: Bodies of functions, called with the key `k` and the argument `a`.
BODIES: Final = (
    b"return {KEYS[1], ARGV[1], #KEYS, #ARGV}",
    b"return redis.call('set', KEYS[1], 'v')",
    b"return redis.call('lpush', KEYS[1], 'v')",
    b"return redis.pcall('lpush', KEYS[1], 'v')",
    b"return redis.call('nosuch')",
    b"\nreturn {err='MY error'}",
    b"\nerror('boom')",
    b"\nerror({err='MY error'})",
    b"\nerror()",
    b"return nosuch",
    b"x = 1",
    b"return redis.register_function",
    b"return redis.register_function('g', function() end)",
    b"return lib.register_function('g', function() end)",
    b"lib.x = 1",
    b"return pcall(lib.register_function)",
    b"mt = getmetatable(_G)",
    b"local mt = getmetatable(_G); mt.__index.redis = 1",
    b"local mt = getmetatable(_G); return type(mt.__index)",
    b"return type(getmetatable(lib))",
    b"_G.x = 1",
    b"return _G.redis.call == redis.call",
    b"rawset(_G, 'x', 1)",
    b"return loadstring('return redis.call(\"ping\")')()",
    b"return loadstring('y = 1')()",
    b"return redis.sha1hex('x')",
    b"redis.setresp(3); return redis.call('hello')[1] == nil",
    b"return redis.setresp(4)",
    b"redis.setresp(3); return {double=1.5}",
    b"return math.random(1,1)",
    b"return redis.acl_check_cmd('set', 'x')",
    b"return type(redis.REPL_ALL)",
    b"local t = {}; for k in pairs(redis) do t[#t+1] = k end; table.sort(t); return t",
    b"local t = {}; for k in pairs(lib) do t[#t+1] = k end; table.sort(t); return t",
    b"return select('#', ...)",
    b"return bit.band(7, 3)",
)

#: What is asked around libraries.
COMMANDS: Final[tuple[Command, ...]] = (
    (b"FUNCTION", b"FLUSH"),
    (b"FUNCTION", b"LIST"),
    (b"FUNCTION", b"STATS"),
    (
        b"FUNCTION",
        b"LOAD",
        b"#!lua name=one\nredis.register_function('f', function() return 1 end)",
    ),
    (
        b"FUNCTION",
        b"LOAD",
        b"#!lua name=one\nredis.register_function('g', function() return 1 end)",
    ),
    (
        b"FUNCTION",
        b"LOAD",
        b"#!lua name=two\nredis.register_function('F', function() return 1 end)",
    ),
    (b"FUNCTION", b"LOAD", b"REPLACE", b"#!lua name=two\nredis.register_function('f', redis.log)"),
    (b"FUNCTION", b"STATS"),
    (b"FUNCTION", b"LIST"),
    (b"FUNCTION", b"LIST", b"WITHCODE"),
    (b"FUNCTION", b"LIST", b"withcode", b"withcode"),
    (b"FUNCTION", b"LIST", b"libraryname", b"O*"),
    (b"FUNCTION", b"LIST", b"libraryname", b"x*", b"withcode"),
    (b"FUNCTION", b"LIST", b"libraryname"),
    (b"FUNCTION", b"LIST", b"libraryname", b"a", b"libraryname", b"b"),
    (b"FUNCTION", b"LIST", b"x"),
    (b"FUNCTION", b"DUMP"),
    (b"FUNCTION", b"LOAD"),
    (b"FUNCTION", b"LOAD", b"x"),
    (b"FUNCTION", b"LOAD", b"x", b"y"),
    (b"FUNCTION", b"LOAD", b"replace", b"replace", b"x"),
    (b"FCALL", b"f", b"0"),
    (b"FCALL", b"F", b"0"),
    (b"FCALL", b"g", b"0"),
    (b"FCALL", b"f", b"x"),
    (b"FCALL", b"f", b"-1"),
    (b"FCALL", b"f", b"2", b"a"),
    (b"FCALL", b"f"),
    (b"FCALL_RO", b"f", b"0"),
    (b"FCALL_RO", b"g", b"0"),
    (b"EVAL", b"return redis.call('fcall', 'f', 0)", b"0"),
    (b"EVAL", b"return redis.call('function', 'list')", b"0"),
    (b"FUNCTION", b"DELETE", b"x"),
    (b"FUNCTION", b"DELETE", b"ONE"),
    (b"FUNCTION", b"DELETE", b"one"),
    (b"FUNCTION", b"DELETE", b"one"),
    (b"FCALL", b"f", b"0"),
    (b"FUNCTION", b"RESTORE", b"x"),
    (b"FUNCTION", b"RESTORE", b""),
    (b"FUNCTION", b"RESTORE", b"x", b"y"),
    (b"FUNCTION", b"RESTORE", b"x", b"y", b"z"),
    (b"FUNCTION", b"KILL"),
    (b"FUNCTION", b"FLUSH", b"x"),
    (b"FUNCTION", b"FLUSH", b"sync", b"x"),
    (b"FUNCTION", b"FLUSH", b"async"),
    (b"FUNCTION", b"NOSUCH"),
    (b"FUNCTION",),
    (b"FLUSHALL",),
    (b"FCALL", b"f", b"0"),
    (b"COMMAND", b"GETKEYS", b"FCALL", b"f", b"1", b"k", b"a"),
)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer({"rdbcompression": "no"}) as server:
        yield server


class Both:
    """The real server and ours, asked the same."""

    def __init__(self, redis: RedisServer, protocol: bytes) -> None:
        self.client = RawClient(redis.port)
        self.engine = TestEngine("rdbcompression no")
        for command in ((b"HELLO", protocol), (b"FLUSHALL",), (b"FUNCTION", b"FLUSH")):
            self.client.exchange([command])
            self.engine.send(encode_command(command))

    def check(self, *command: bytes) -> bytes:
        """Have both run `command`, compare the bytes and return them."""
        theirs, ours = self.client.exchange([command]), self.engine.send(encode_command(command))

        assert theirs == ours, command
        return theirs


@pytest.fixture(params=[b"2", b"3"], ids=["RESP2", "RESP3"])
def both(redis: RedisServer, request: pytest.FixtureRequest) -> Iterator[Both]:
    asked = Both(redis, request.param)
    yield asked
    asked.client.close()


def test_libraries_are_loaded_or_refused_as_by_the_real_server(both: Both) -> None:
    for text in LIBRARIES:
        both.check(b"FUNCTION", b"LOAD", b"REPLACE", text)
        both.check(b"FUNCTION", b"LIST", b"WITHCODE")


def test_functions_run_as_in_the_real_server(both: Both) -> None:
    for body in BODIES:
        text = (
            b"#!lua name=lib\nlocal lib = redis\n"
            b"redis.register_function('f', function(KEYS, ARGV, ...) %b end)" % body
        )
        both.check(b"FUNCTION", b"LOAD", b"REPLACE", text)
        for command in (b"FCALL", b"FCALL_RO"):
            both.check(command, b"f", b"1", b"k", b"a")
            both.check(b"DEL", b"k")


@pytest.mark.parametrize("flag", ["no-writes", "allow-oom", "allow-stale", "no-cluster"])
def test_flags_of_functions_mean_what_they_mean_there(both: Both, flag: str) -> None:
    for body in (
        b"return 1",
        b"return redis.call('set', 'x', 1)",
        b"return redis.call('get', 'x')",
    ):
        both.check(
            b"FUNCTION",
            b"LOAD",
            b"REPLACE",
            b"#!lua name=lib\nredis.register_function{function_name='f', flags={'%b'},"
            b"callback=function() %b end}" % (flag.encode(), body),
        )
        both.check(b"FUNCTION", b"LIST")
        both.check(b"FCALL", b"f", b"0")
        both.check(b"FCALL_RO", b"f", b"0")
        both.check(b"EVAL", b"#!lua flags=%b\n%b" % (flag.encode(), body), b"0")
        both.check(b"EVAL_RO", b"#!lua flags=%b\n%b" % (flag.encode(), body), b"0")


def test_libraries_are_asked_after_as_in_the_real_server(both: Both) -> None:
    for command in COMMANDS:
        both.check(*command)


def test_dumps_are_restored_by_either(both: Both) -> None:
    texts = [
        b"#!lua name=lib%d\nredis.register_function('f%d', function() return 1 end)" % (n, n)
        for n in range(2)
    ]
    both.check(b"FUNCTION", b"LOAD", texts[0])
    payload = both.check(b"FUNCTION", b"DUMP").split(b"\r\n", 1)[1][:-2]
    both.check(b"FUNCTION", b"RESTORE", payload)
    both.check(b"FUNCTION", b"RESTORE", payload, b"replace")
    both.check(b"FUNCTION", b"LOAD", texts[1])
    both.check(b"FUNCTION", b"RESTORE", payload, b"FLUSH")
    both.check(b"FUNCTION", b"LIST", b"WITHCODE")
    both.check(b"FUNCTION", b"FLUSH")
    both.check(b"FUNCTION", b"LOAD", b"#!lua name=x\nredis.register_function('F0', function() end)")
    both.check(b"FUNCTION", b"RESTORE", payload)
    both.check(b"FUNCTION", b"RESTORE", payload, b"REPLACE")
    both.check(b"SET", b"k", b"v")
    value = both.check(b"DUMP", b"k").split(b"\r\n", 1)[1][:-2]
    both.check(b"FUNCTION", b"RESTORE", value)
    both.check(b"RESTORE", b"k2", b"0", payload)
    both.check(b"FUNCTION", b"LIST")
