"""Scripts beside the real server: what they return, and what they are told goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.differential import Command, RawClient
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer
from vedette.resp.encode import encode_command

#: Each is run with the key `k` and the argument `a`; what one leaves the next may find.
SCRIPTS: Final = (
    b"return 1",
    b"return 'x'",
    b"return {1,2,{3,'x',nil,4}}",
    b"return redis.call('set',KEYS[1],'v')",
    b"return redis.call('get',KEYS[1])",
    b"return redis.call('get','nokey')",
    b"return {redis.call('get','nokey'), true, false, 3.99, -3.99, 1e300, 0/0}",
    b"redis.setresp(3); return {true,false}",
    b"redis.setresp(3); return redis.call('get','nokey')",
    b"return redis.call('nosuch')",
    b"return redis.call('get')",
    b"return redis.pcall('get')",
    b"return redis.call('incr',KEYS[1])",
    b"local x = redis.pcall('incr',KEYS[1]); return x.err",
    b"redis.call('incr',KEYS[1])",
    b"return redis.call()",
    b"return redis.call({})",
    b"return redis.pcall(nil)",
    b"x = 1",
    b"return nosuchvar",
    b"return _G.nosuch",
    b"_G.foo = 1",
    b"redis.call = function() end",
    b"rawset(redis,'x',1)",
    b"setmetatable(_G, {})",
    b"getmetatable(_G).__index = function() end",
    b"return type(getmetatable(_G))",
    b"table.insert(redis, 1)",
    b"table.insert(_G, 1)",
    b"return redis.error_reply('My Err')",
    b"return redis.error_reply('-My Err')",
    b"return redis.error_reply('Err')",
    b"return redis.error_reply(1)",
    b"return redis.status_reply('fine')",
    b"return {err='x y'}",
    b"return {ok='x y'}",
    b"return {double=3.14}",
    b"return {big_number='123'}",
    b"return {map={a=1}}",
    b"return {set={a=true}}",
    b"return {verbatim_string={format='txt',string='abc'}}",
    b"error('boom')",
    b"error({err='boom'})",
    b"error({err='MY boom'})",
    b"return error('boom', 0)",
    b"local ok,e = pcall(function() redis.call('incr',KEYS[1]) end); return {type(e), e.err}",
    b"local ok,e = pcall(redis.call,'incr',KEYS[1]); return {tostring(ok), type(e), e.err}",
    b"local ok,e = pcall(error,{err='x'}); return {tostring(ok), type(e)}",
    b"return pcall(function() return 1,2 end)",
    b"return select('#', pcall(function() return 1,2 end))",
    b"local a = {} return a.b.c",
    b"return {KEYS[1],ARGV[1],#KEYS,#ARGV}",
    b"syntax error here",
    b"return redis.sha1hex('x')",
    b"return redis.sha1hex()",
    b"return redis.log()",
    b"return redis.log('a','b')",
    b"return redis.log(10,'b')",
    b"return redis.setresp(4)",
    b"return redis.setresp()",
    b"return type(redis.REPL_ALL)",
    b"return redis.set_repl(77)",
    b"return redis.set_repl()",
    b"return redis.acl_check_cmd('get','x')",
    b"return redis.acl_check_cmd('nosuch','x')",
    b"return redis.acl_check_cmd()",
    b"print('x')",
    b"return os",
    b"return io",
    b"return require",
    b"return dofile",
    b"return debug",
    b"return type(loadstring('return 1'))",
    b"return loadstring('return 1')()",
    b"return loadstring(string.dump(function() return 1 end))",
    b"return tostring(loadstring('x y'))",
    b"return redis.call('subscribe','x')",
    b"return redis.call('eval','return 1',0)",
    b"return redis.call('blpop','nolist',0)",
    b"return redis.call('select',2)",
    b"return redis.call('ping')",
    b"return redis.call('echo',12.5)",
    b"return redis.call('echo',1e20)",
    b"return redis.call('echo',2^53)",
    b"return redis.call('echo',0.1)",
    b"redis.call('del','h'); redis.call('hset','h','f','v'); return redis.call('hgetall','h')",
    b"redis.setresp(3); return redis.call('hgetall','h')",
    b"redis.setresp(3); return redis.call('hgetall','h').map.f",
    b"redis.call('zadd','z',1.5,'a'); redis.setresp(3); return redis.call('zscore','z','a')",
    b"redis.setresp(3); return redis.call('zscore','z','a').double*2",
    b"return redis.call('zscore','z','a')",
    b"redis.call('sadd','s','a'); redis.setresp(3); return redis.call('smembers','s')",
    b"return pairs(redis) ~= nil",
    b"local n=0; for k,v in pairs(redis) do n=n+1 end; return n",
    b"local t={}; for k,v in pairs(redis) do t[#t+1]=k end; table.sort(t); return t",
    b"local t={}; for k,v in pairs(string) do t[#t+1]=k end; table.sort(t); return t",
    b"local t={}; for k,v in pairs(math) do t[#t+1]=k end; table.sort(t); return t",
    b"local t={}; for k,v in pairs(coroutine) do t[#t+1]=k end; table.sort(t); return t",
    b"local t={}; for k,v in pairs(table) do t[#t+1]=k end; table.sort(t); return t",
    b"return ('x'):rep(3)",
    b"local co = coroutine.wrap(function() coroutine.yield(1) return 2 end); return {co(),co()}",
    b"local co = coroutine.wrap(function() redis.call('nosuch') end); return {co(),co()}",
    b"return table.concat({1,2,3},',')",
    b"local t = {3,1,2}; table.sort(t); return t",
    b"table.insert(nil, 3)",
    b"pairs(nil)",
    b"return string.format('%d', 3.7)",
    b"return tonumber('0x10')",
    b"return math.random(1,1)",
    b"#!lua\nreturn 1",
    b"#!lua flags=no-writes\nreturn redis.call('set','x','y')",
    b"#!lua flags=no-writes,bad\nreturn 1",
    b"#!lua name=x\nreturn 1",
    b"#!lua\nreturn nosuch",
    b"#!python\nreturn 1",
    b"#!lua",
    b"local t = {} ; t[1]=t ; return #t",
    b"return {1,2,3,foo='bar'}",
    b"return {false,true,nil,1}",
    b"return {err='a\\r\\nb'}",
    b"return {ok='a\\r\\nb'}",
    b"return function() end",
    b"return getfenv(0) == _G",
    b"return getfenv(1) == _G",
    b"return getfenv(print or pairs) == _G",
    b"setfenv(0, {})",
    b"setfenv(1, {}); x = 1; return x",
    b"return rawget(_G, 'nosuch')",
    b"return rawequal(_G, _G)",
    b"return next({})",
    b"return _VERSION",
    b"return redis.call('hello')",
    b"return redis.replicate_commands()",
    b"return redis.breakpoint()",
    b"return tostring(nil) .. type(_G) .. type(redis)",
    b"getmetatable('').__index = nil",
    b"return type(getmetatable('').__index)",
    b"local function f() return 1 + f() end return f()",
    b"return string.rep('x', -1)",
    b"error(nil)",
    b"error()",
    b"return redis.call('publish','x','y')",
    b"return xpcall(function() error('x') end, function(e) return e end)",
    b"return {xpcall(function() error('x') end, function(e) return 'handled ' .. e end)}",
    b"redis.call('set', 'a')\nreturn 1",
    b"redis.call('lpush', KEYS[1], 1)\nreturn 1",
    b"return {pcall(redis.call, 'lpush', KEYS[1], 1)}",
    b"return {redis.pcall('lpush', KEYS[1], 1)}",
    b"return newproxy and 1",
    b"return collectgarbage('count') > 0",
    b"return unpack({1,2,3})",
    b"return {unpack({1,2,3})}",
    b"return {1, {err='in a table'}, {ok='fine'}}",
)

COMMANDS: Final = (
    (b"EVAL_RO", b'return redis.call("set","x","y")', b"0"),
    (b"EVAL_RO", b"#!lua\nreturn 1", b"0"),
    (b"EVAL_RO", b"#!lua flags=no-writes\nreturn 1", b"0"),
    (b"EVAL", b"return 1", b"x"),
    (b"EVAL", b"return 1", b"3", b"a"),
    (b"EVAL", b"return 1", b"-1"),
    (b"EVALSHA", b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", b"0"),
    (b"EVALSHA", b"x", b"0"),
    (b"SCRIPT", b"LOAD", b"return 1"),
    (b"EVALSHA", b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db", b"0"),
    (b"EVALSHA", b"E0E1F9FABFC9D4800C877A703B823AC0578FF8DB", b"0"),
    (
        b"SCRIPT",
        b"EXISTS",
        b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
        b"E0E1F9FABFC9D4800C877A703B823AC0578FF8DB",
        b"a",
    ),
    (b"SCRIPT", b"LOAD", b"x y"),
    (b"SCRIPT", b"KILL"),
    (b"SCRIPT", b"FLUSH", b"X"),
    (b"SCRIPT", b"FLUSH", b"SYNC", b"X"),
    (b"SCRIPT", b"DEBUG", b"X"),
    (b"SCRIPT", b"X"),
)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer({}) as server:
        yield server


def _requests() -> list[Command]:
    scripts = [(b"EVAL", script, b"1", b"k", b"a") for script in SCRIPTS]
    return [(b"FLUSHALL",), (b"SCRIPT", b"FLUSH"), *scripts, *COMMANDS]


@pytest.mark.parametrize("protocol", [b"2", b"3"])
def test_scripts_answer_as_the_real_servers(redis: RedisServer, protocol: bytes) -> None:
    """Conversions both ways, the sandbox's refusals, and where an error says that it arose."""
    client = RawClient(redis.port)
    engine = TestEngine()
    engine.call("HELLO", protocol)
    client.exchange([(b"HELLO", protocol)])
    for request in _requests():
        expected = client.exchange([request])

        assert expected == engine.send(encode_command(request)), request
    client.close()
