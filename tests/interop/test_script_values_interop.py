"""Random values of scripts on their way out, and replies of commands on theirs in and out again.

Each through both protocols on either side, beside the real server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.differential import SETTINGS, RawClient
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer
from vedette.resp.encode import encode_command

TEXTS: Final = st.sampled_from(
    ["", "a", "OK", "ERR x", "x y", "-x", "a\\r\\nb", "\\0", "\\255", "1", "-MY err", " ", "txt"]
).map(lambda text: f"'{text}'")
NUMBERS: Final = st.sampled_from(
    [
        "0",
        "1",
        "-1",
        "3.99",
        "-3.99",
        "0.5",
        "1e15",
        "2^31",
        "2^53",
        "-2^53",
        "1e300",
        "1/0",
        "-0.1",
    ]
)
SCALARS: Final = st.one_of(TEXTS, NUMBERS, st.sampled_from(["nil", "true", "false", "{}"]))
KEYS: Final = st.one_of(TEXTS.filter(lambda text: text != "''"), st.sampled_from(["1", "2", "0.5"]))


def _tables(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    lists = st.lists(values, max_size=4)
    pairs = st.dictionaries(KEYS, values, max_size=3)
    fields = pairs.map(lambda items: ",".join(f"[{key}]={item}" for key, item in items.items()))
    return st.one_of(
        lists.map(lambda items: f"{{{','.join(items)}}}"),
        values.map(lambda value: f"{{ok={value}}}"),
        values.map(lambda value: f"{{err={value}}}"),
        values.map(lambda value: f"{{double={value}}}"),
        values.map(lambda value: f"{{big_number={value}}}"),
        fields.map(lambda items: f"{{map={{{items}}}}}"),
        fields.map(lambda items: f"{{set={{{items}}}}}"),
        st.tuples(values, values).map(
            lambda pair: f"{{verbatim_string={{format={pair[0]},string={pair[1]}}}}}"
        ),
        st.tuples(values, values).map(lambda pair: f"{{1,{pair[0]},x={pair[1]},ok=5}}"),
    )


VALUES: Final = st.recursive(SCALARS, _tables, max_leaves=8)

#: Calls whose replies are of every kind; what each leaves is there for the next.
CALLS: Final = (
    "'del','s','l','h','z','set','i','g','n'",
    "'set','s','x'",
    "'set','s','y','get'",
    "'set','s','y','nx'",
    "'get','s'",
    "'get','n'",
    "'mget','s','n'",
    "'incr','i'",
    "'incrbyfloat','i','0.5'",
    "'rpush','l','a','b'",
    "'lrange','l',0,-1",
    "'lrange','n',0,-1",
    "'lpop','n'",
    "'lpop','n',2",
    "'lmpop',1,'n','left'",
    "'blmpop',0,1,'n','left'",
    "'blpop','n',0",
    "'hset','h','f','v'",
    "'hgetall','h'",
    "'hgetall','n'",
    "'hrandfield','h',1,'withvalues'",
    "'hmget','h','f','x'",
    "'config','get','maxmemory-policy'",
    "'zadd','z',1.5,'a',2,'b'",
    "'zadd','z','incr',1,'a'",
    "'zadd','z','nx','incr',1,'a'",
    "'zscore','z','a'",
    "'zmscore','z','a','x'",
    "'zrange','z',0,-1,'withscores'",
    "'zpopmin','z'",
    "'zrank','z','x'",
    "'sadd','set','m'",
    "'smembers','set'",
    "'smembers','n'",
    "'sismember','set','m'",
    "'srandmember','n'",
    "'geoadd','g',1,2,'p'",
    "'geopos','g','p','x'",
    "'exists','s','n'",
    "'type','s'",
    "'ttl','s'",
    "'object','encoding','s'",
    "'object','encoding','n'",
    "'echo','\\r\\n'",
    "'ping'",
    "'ping','x'",
    "'scan',0,'match','nosuch'",
    "'sort','l','alpha'",
    "'bitfield','s','get','u8',0,'overflow','fail','incrby','u1',0,5",
    "'publish','c','m'",
    "'lcs','s','i','idx'",
    "'command','getkeys','get','x'",
    "'latency','history','nosuch'",
    "'client','getname'",
    "'debug','protocol','attrib'",
    "'debug','protocol','verbatim'",
    "'debug','protocol','true'",
    "'debug','protocol','false'",
    *(
        f"'debug','protocol','{kind}'"
        for kind in [
            "string",
            "integer",
            "double",
            "bignum",
            "null",
            "array",
            "set",
            "map",
            "verbatim",
            "true",
            "false",
        ]
    ),
)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer({}) as server:
        yield server


@pytest.fixture
def client(redis: RedisServer) -> Iterator[RawClient]:
    with closing(RawClient(redis.port)) as client:
        yield client


@pytest.mark.parametrize("protocol", [2, 3])
def test_values_of_scripts_are_written_as_by_the_real_server(
    client: RawClient, protocol: int
) -> None:
    engine = TestEngine()
    hello = (b"HELLO", b"%d" % protocol)
    client.exchange([hello])
    engine.raw(*hello)

    @settings(SETTINGS, max_examples=300)
    @given(VALUES, st.sampled_from([2, 3]))
    def compare(value: str, script_protocol: int) -> None:
        script = f"redis.setresp({script_protocol}) return {value}".encode("latin-1")
        command = (b"EVAL", script, b"0")

        assert client.exchange([command]) == engine.send(encode_command(command)), script

    compare()


#: Shows a value of Lua down to the types and the order of its fields.
SHOW: Final = (
    "local function show(v)"
    " if type(v) ~= 'table' then return type(v) .. ':' .. tostring(v) end"
    " local parts = {}"
    " for k, item in pairs(v) do parts[#parts + 1] = show(k) .. '=' .. show(item) end"
    " table.sort(parts) return '{' .. table.concat(parts, ',') .. '}' end "
)


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_of_commands_reach_scripts_as_in_the_real_server(
    client: RawClient, protocol: int
) -> None:
    engine = TestEngine("enable-debug-command yes")
    for command in (
        (b"HELLO", b"%d" % protocol),
        (b"FLUSHALL",),
        (b"DEBUG", b"SET-DISABLE-DENY-SCRIPTS", b"1"),
    ):
        client.exchange([command])
        engine.raw(*command)
    for script_protocol in (2, 3):
        for call in CALLS:
            head = f"redis.setresp({script_protocol}) local v = redis.pcall({call}) "
            for rest in ("return v", SHOW + "return show(v)"):
                command = (b"EVAL", (head + rest).encode(), b"0")

                theirs = client.exchange([command])
                assert theirs == engine.send(encode_command(command)), (call, script_protocol)
    client.exchange([(b"DEBUG", b"SET-DISABLE-DENY-SCRIPTS", b"0")])
