"""The libraries of scripts (cjson, cmsgpack, struct, bit) beside the real server's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from tests.support.differential import RawClient
from tests.support.engine import TestEngine
from tests.support.redis import RedisServer
from vedette.resp.encode import encode_command

#: Texts for cjson.decode; what comes of each is shown by encoding it again.
JSON: Final = (
    b"1", b"-1", b"0", b"1.5", b"1e3", b"1E+3", b"1e-3", b"1.", b"01", b"-01", b"1e", b"1ee",
    b"0x10", b"0x", b"0x1.8p3", b"-0x1", b"0X1f", b"+1", b"+", b"-", b"--1", b".5", b"-.5",
    b"1.5.5", b"inf", b"Infinity", b"-inf", b"-Infinity", b"nan", b"NaN", b"-nan", b"nan(12)",
    b"nanx", b"infx", b"1e400", b"123456789012345678901234567890", b"0.1", b"3.14159265358979",
    b"1e14", b"1e15", b"true", b"false", b"null", b"tru", b"True", b"nul", b"t", b"truex", b"nulll",
    b'""', b'"abc"', b'"', b'"abc', b'"a\\', b'"a\\x"', b'"\\n\\t\\b\\f\\r\\/\\\\\\""',
    b'"\\u0041"', b'"\\u00e9\\u20ac"', b'"\\ud83d\\ude00"', b'"\\ud83d"', b'"\\ud83dx"',
    b'"\\ude00"', b'"\\u00"', b'"\\ud83d\\u0041"', b'"\\uD83D\\uDE00"', b'"\\u0000"', b'"\\u00zz"',
    b'"\x01\x7f\xff"', b'"/"', b"[]", b"{}", b"[1]", b"[1,2,3]", b"[1,]", b"[,1]", b"[", b"]",
    b"[1", b"[1 2]", b"[1,2", b"[[]]", b"[[],{}]", b"[null]", b"[null,1,null]", b"[true,false]",
    b" [ 1 , 2 ] ", b"\t\n\r[\t]\n", b"[1}", b'{"a":1}', b'{"a":1,"b":[2]}', b'{"a"}', b'{"a":}',
    b'{"a":1,}', b"{a:1}", b'{"a" 1}', b"{1:1}", b'{"a":1 "b":2}', b'{"a":1', b'{"a', b'{"a":1]',
    b'{"1":1}', b'{"":1}', b'{"a":1,"a":2}', b"{,}", b'{"a":null}', b'{null:1}', b'{"a":"b"',
    b'{"a\\q":1}', b"", b" ", b"x", b"1 x", b"1 1", b"[] []", b"\x001", b"1\x00", b"[1]\x00x",
    b"a\x00", b'"a\x00b"', b"'a'", b"/*x*/1", b"\xef\xbb\xbf1", b"[" * 1000 + b"]" * 1000,
    b"[" * 1001 + b"]" * 1001, b'{"a":' * 1000 + b"1" + b"}" * 1000, b"[1e5,1.0e-5,-2.5E10]",
    b"[1,2,3,4,5,6,7,8,9,10,11,12]", b'["' + b"x" * 300 + b'"]',
)  # fmt: skip

#: Values in Lua that are encoded by cjson and cmsgpack.
VALUES: Final = (
    b"nil", b"true", b"false", b"0", b"1", b"-1", b"1.5", b"0.1", b"1e15", b"1e14", b"1e100",
    b"-1e-7", b"123456789012345", b"12345678901234", b"2^31", b"2^53", b"2^63", b"2^64", b"-2^63",
    b"-2^31-1", b"1/0", b"-1/0", b"0/0", b"127", b"128", b"255", b"256", b"65535", b"65536",
    b"2^32-1", b"2^32", b"-32", b"-33", b"-128", b"-129", b"-32768", b"-32769", b"-2^31", b"-2^40",
    b"3.4e38", b"1e39", b"''", b"'abc'", b"'\\0\\1\\31\\127\\128\\255'",
    b"'\"\\\\/\\b\\f\\n\\r\\t'", b"('x'):rep(31)", b"('x'):rep(32)", b"('x'):rep(256)",
    b"('x'):rep(65536)", b"{}", b"{1}", b"{1,2,3}", b"{{}}", b"{nil,2}", b"{nil,nil,3}",
    b"{[10]=1}", b"{[11]=1}", b"{[1]=1,[20]=2}", b"{[0]=1}", b"{[-1]=1}", b"{[1.5]=1}",
    b"{1,2,a=3}", b"{a=1}", b"{a={b={c=1}}}", b"{[true]=1}", b"{['1']=1}", b"{[2^40]=1}",
    b"{[2^31]=1}", b"{cjson.null}", b"cjson.null", b"function() end", b"{function() end}",
    b"{a=print0}", b"{coroutine.create(function() end)}", b"{[1/0]=1}", b"{{1,2},{3,4}}",
    b"{a={},b={1}}", b"{[{}]=1}", b"{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}",
    b"{1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16}", b"{'a','b'}",
    b"(function() local t={} for i=1,70000 do t[i]=i end return t end)()", b"{bit.band}",
    b"(function() local t={} for i=1,20 do t={t} end return t end)()",
    b"(function() local t={} t[1]=t return t end)()",
    b"(function() local t={} t.a=t return t end)()",
    b"(function() local t={} for i=1,1001 do t={t} end return t end)()",
    b"setmetatable({}, {__index=function() return 1 end})",
)  # fmt: skip

SETTINGS: Final = (
    b"return {cjson.encode_sparse_array()}",
    b"return {cjson.encode_sparse_array(true)}",
    b"return cjson.encode({[1]=1,[20]=2})",
    b"return {cjson.encode_sparse_array('off', 0, 5)}",
    b"return cjson.encode({[1]=1,[20]=2})",
    b"return {cjson.encode_sparse_array(nil, 2, 10)}",
    b"return {cjson.encode_sparse_array('x')}",
    b"return {cjson.encode_sparse_array(false, -1)}",
    b"return {cjson.encode_sparse_array(false, 1, 2, 3)}",
    b"return cjson.encode_max_depth()",
    b"return cjson.encode_max_depth(2)",
    b"return cjson.encode({{{}}})",
    b"return cjson.encode({{}})",
    b"return cjson.encode_max_depth(1000)",
    b"return cjson.encode_max_depth(0)",
    b"return cjson.encode_max_depth('x')",
    b"return cjson.encode_max_depth('7')",
    b"return cjson.encode_max_depth({})",
    b"return cjson.encode_max_depth(1000.7)",
    b"return cjson.encode_max_depth(1,2)",
    b"return cjson.decode_max_depth(2)",
    b"return cjson.decode('[[[]]]')",
    b"return cjson.decode('{\"a\":[{}]}')",
    b"return cjson.decode_max_depth(100000)",
    b"return pcall(cjson.decode, ('['):rep(9000))",
    b"local t = {} for i=1,9000 do t={t} end cjson.encode_max_depth(20000) return cjson.encode(t)",
    b"local t = {} for i=1,9000 do t={a=t} end return cjson.encode(t)",
    b"return pcall(cjson.decode, ('{\"a\":'):rep(9000))",
    b"return {cjson.decode_max_depth(1000), cjson.encode_max_depth(1000)}",
    b"return cjson.encode_number_precision()",
    b"return cjson.encode_number_precision(3)",
    b"return cjson.encode(3.14159)",
    b"return cjson.encode_number_precision(15)",
    b"return cjson.encode_number_precision(14)",
    b"return cjson.encode_keep_buffer()",
    b"return cjson.encode_keep_buffer(false)",
    b"return cjson.encode({1})",
    b"return cjson.encode_keep_buffer('on')",
    b"return cjson.encode_invalid_numbers()",
    b"return cjson.encode_invalid_numbers(true)",
    b"return {cjson.encode(1/0), cjson.encode(-1/0), cjson.encode(0/0), cjson.encode({[1/0]=1})}",
    b"return cjson.encode_invalid_numbers('null')",
    b"return {cjson.encode(1/0), cjson.encode(0/0)}",
    b"return cjson.encode_invalid_numbers('x')",
    b"return cjson.encode_invalid_numbers(1)",
    b"return cjson.encode_invalid_numbers(false)",
    b"return cjson.decode_invalid_numbers()",
    b"return cjson.decode_invalid_numbers(false)",
    b"return cjson.decode('[0x10]')",
    b"return cjson.decode('nan')",
    b"return cjson.decode('-inf')",
    b"return cjson.decode('01')",
    b"return cjson.decode('+1')",
    b"return cjson.decode('0.5')",
    b"return cjson.decode('-')",
    b"return cjson.decode_invalid_numbers(true)",
    b"return cjson.decode_invalid_numbers('null')",
    b"local c = cjson.new(); c.encode_max_depth(1); return {cjson.encode_max_depth(), c.encode{}}",
    b"local c = cjson.new(); c.x = 1; return {c.x, tostring(c.null), c._NAME, c._VERSION}",
    b"cjson.x = 1",
    b"cjson.encode = nil",
    b"return {cjson._NAME, cjson._VERSION, tostring(cjson.null), type(cjson.null)}",
    b"return {cjson.decode('null') == cjson.null, cjson.decode('[null]')[1] == cjson.null}",
    b"return cjson.null",
    b"return cjson.null.x",
    b"return cjson.null + 1",
    b"return tostring(getmetatable(cjson.null))",
    b"error(cjson.null)",
    b"return {pcall(error, cjson.null)}",
    b"return redis.call('set', 'x', cjson.null)",
    b"return cjson.encode()",
    b"return cjson.encode(1, 2)",
    b"return cjson.decode()",
    b"return cjson.decode(1)",
    b"return cjson.decode(nil)",
    b"return cjson.decode({})",
    b"return cjson.decode(true)",
    b"return cjson.decode('1', '2')",
    b"return {pcall(cjson.encode)}",
    b"return {pcall(cjson.decode, '[')}",
    b"local f = cjson.encode; f()",
    b"cjson:encode()",
    b"local t = {encode=cjson.encode}; return t:encode()",
    b"local t = {decode=cjson.decode}; return t:decode('x')",
    b"\n\nlocal x = cjson.decode('{')\nreturn x",
    b"\n\nreturn cjson.decode('{')",
    b"local function f(x)\nreturn cjson.decode(x)\nend\nreturn f('{')",
    b"return {pcall(function() cjson.decode('{') end)}",
    b"return {coroutine.resume(coroutine.create(function() cjson.decode('{') end))}",
    b"return {coroutine.resume(coroutine.create(cjson.decode), '{')}",
    b"return {xpcall(function() cjson.decode('{') end, function(e) return 'h ' .. e end)}",
    b"local t={}; for k in pairs(cjson) do t[#t+1]=k end; table.sort(t); return t",
    b"local t={}; for k in pairs(cmsgpack) do t[#t+1]=k end; table.sort(t); return t",
    b"local t={}; for k in pairs(struct) do t[#t+1]=k end; table.sort(t); return t",
    b"local t={}; for k in pairs(bit) do t[#t+1]=k end; table.sort(t); return t",
    b"return {cmsgpack._NAME, cmsgpack._VERSION}",
    b"struct.x = 1",
    b"cmsgpack.pack = 1",
)

#: Bytes for cmsgpack.unpack.
PACKED: Final = (
    b"", b"\x00", b"\x7f", b"\x80", b"\x81", b"\x81\xa1a\x01", b"\x81\xc0\x01",
    b"\x81\xcb\x7f\xf8" + b"\0" * 6 + b"\x01", b"\x90", b"\x91", b"\x92\x01\x02", b"\x92\x01",
    b"\x92\xc0\x01", b"\xa0", b"\xa1", b"\xa1a", b"\xbf", b"\xc0", b"\xc1", b"\xc2", b"\xc3",
    b"\xc4\x01a", b"\xc7", b"\xca", b"\xca\x3f\xc0\0\0", b"\xcb\x3f\xf8" + b"\0" * 6, b"\xcb\x3f",
    b"\xcc\xff", b"\xcc", b"\xcd\xff\xff", b"\xcd\xff", b"\xce\xff\xff\xff\xff", b"\xce\0\0",
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", b"\xcf\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\xcf\0\x20\0\0\0\0\0\1", b"\xd0\xff", b"\xd0\x7f", b"\xd1\x80\0", b"\xd2\x80\0\0\0",
    b"\xd3\x80\0\0\0\0\0\0\0", b"\xd3\xff\xff\xff\xff\xff\xff\xff\xfe",
    b"\xd3\xff\xdf\xff\xff\xff\xff\xff\xff", b"\xd4", b"\xd9\x01a", b"\xd9\x02a", b"\xd9",
    b"\xda\0\x01a", b"\xda\0", b"\xdb\0\0\0\x01a", b"\xdb\0\0\0\x02a", b"\xdb\0\0",
    b"\xdc\0\x01\x01", b"\xdc\0", b"\xdd\0\0\0\x01\x01", b"\xdd\xff\xff\xff\xff",
    b"\xde\0\x01\x01\x02", b"\xdf\0\0\0\x01\x01\x02", b"\xdf\0", b"\xe0", b"\xff", b"\x01\x02\x03",
    b"\x01\xc1", b"\x01\xa5", b"\x91" * 16 + b"\x01", b"\x91" * 3998 + b"\x01", b"\x91" * 9000,
    b"\x81\x01" * 9000, b"\x01" * 7990,
)  # fmt: skip

MESSAGES: Final = (
    b"return cmsgpack.pack()",
    b"return cmsgpack.pack(nil)",
    b"return cmsgpack.pack(1,nil,'x',{},nil)",
    b"return cmsgpack.unpack()",
    b"return cmsgpack.unpack(nil)",
    b"return cmsgpack.unpack({})",
    b"return cmsgpack.unpack(5)",
    b"return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3))}",
    b"return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3), 1)}",
    b"return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3), 2)}",
    b"return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3), 3)}",
    b"return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3), 4)}",
    b"return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3), -1)}",
    b"return {cmsgpack.unpack_one(cmsgpack.pack(1,2,3), 'x')}",
    b"return {cmsgpack.unpack_one('\\145')}",
    b"return {cmsgpack.unpack_one()}",
    b"return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3), 2)}",
    b"return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3), 2, 1)}",
    b"return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3), 0)}",
    b"return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3), 0, 1)}",
    b"return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3), 9)}",
    b"return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3), -1)}",
    b"return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3), 1, -2)}",
    b"return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3))}",
    b"return {cmsgpack.unpack_limit(cmsgpack.pack(1,2,3), 1.9, 1.9)}",
    b"return {cmsgpack.unpack_limit('', 1)}",
    b"return {cmsgpack.unpack_limit()}",
    b"return select('#', cmsgpack.unpack(''))",
    b"return select('#', cmsgpack.unpack('\\192'))",
    b"return select('#', cmsgpack.unpack('\\192\\192'))",
    b"return {pcall(cmsgpack.unpack, '\\193')}",
    b"return {pcall(cmsgpack.unpack, ('\\1'):rep(8000))}",
    b"return select('#', cmsgpack.unpack(('\\1'):rep(7900)))",
    b"local a = cmsgpack.unpack('\\193')",
)

FORMATS: Final = (
    b"b", b"B", b"h", b"H", b"i", b"I", b"l", b"L", b"T", b"i1", b"i2", b"i3", b"i5", b"i7", b"i8",
    b"i9", b"i16", b"i32", b"i33", b"i0", b"I1", b"I3", b"I8", b"I9", b"I16", b"I32", b">b", b">h",
    b">i", b">i3", b">l", b">i9", b">I16", b"<>i2", b"f", b"d", b">f", b">d", b"x", b"xx", b"xi",
    b"!xi", b"!4xd", b"!xd", b"!16xd", b"!3xd", b"!0xd", b"!1xd", b"!2xi3", b"!8bi3", b"bhil",
    b"!bhil", b"!4 b h i l", b"c", b"c3", b"c0", b"s", b"bs", b"sb", b"ss", b"c1c2", b"bc0", b"ic0",
    b"y", b"b y", b"?", b"i99999999999", b"", b" ", b"i4294967296", b"!!b", b"b\0h",
    b"!2147483648b", b"c99",
)  # fmt: skip

NUMBERS: Final = (
    b"0", b"1", b"-1", b"127", b"128", b"255", b"256", b"-128", b"-129", b"65535", b"2^31", b"2^32",
    b"2^53", b"2^63", b"2^64", b"-2^63", b"-2^64", b"1.5", b"-1.5", b"1e300", b"1/0", b"-1/0",
    b"'5'", b"'x'", b"nil", b"'abcdef'", b"''", b"0.1", b"-0.5",
)  # fmt: skip

STRUCTS: Final = (
    b"return struct.pack()",
    b"return struct.pack(1)",
    b"return struct.pack('b')",
    b"return struct.pack('bb', 1)",
    b"return struct.pack('c4', 'abc')",
    b"return struct.pack('s')",
    b"return struct.pack('s', {})",
    b"return struct.pack('bi2', 1, 2, 3)",
    b"return struct.unpack()",
    b"return struct.unpack('b')",
    b"return struct.unpack('b', {})",
    b"return {struct.unpack('b', 'a', 0)}",
    b"return {struct.unpack('b', 'a', -1)}",
    b"return {struct.unpack('b', 'a', 1)}",
    b"return {struct.unpack('b', 'a', 2)}",
    b"return {struct.unpack('b', 'ab', 2)}",
    b"return {struct.unpack('b', 'ab', '2')}",
    b"return {struct.unpack('b', 'ab', 'x')}",
    b"return {struct.unpack('', 'ab')}",
    b"return {struct.unpack('bc0', '\\3abc')}",
    b"return {struct.unpack('bc0', '\\4abc')}",
    b"return {struct.unpack('bc0', '\\255abc')}",
    b"return {struct.unpack('c0', 'abc')}",
    b"return {struct.unpack('sc0', 'abc\\0')}",
    b"return {struct.unpack('sc0', '2\\0abc')}",
    b"return {struct.unpack('s', 'abc')}",
    b"return {struct.unpack('s', '')}",
    b"return {struct.unpack('ss', 'ab\\0cd\\0e')}",
    b"return {pcall(struct.unpack, ('b'):rep(9000), ('x'):rep(9000))}",
    b"return select('#', struct.unpack(('b'):rep(7900), ('x'):rep(7900)))",
    b"return struct.size()",
    b"return {pcall(struct.pack, 'y')}",
)

BITS: Final = (
    b"return bit.tobit(1/0)",
    b"return bit.tobit(2^52+1)",
    b"return bit.tobit(1e300)",
    b"return bit.tobit('x')",
    b"return bit.tobit('0x10')",
    b"return bit.tobit(true)",
    b"return bit.band()",
    b"return bit.band(1, {})",
    b"return bit.lshift(1)",
    b"return {pcall(bit.bor, 'x')}",
    b"local x = bit.tohex()",
)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer({}) as server:
        yield server


class Both:
    """The real server and ours, given the same scripts, one after the other."""

    def __init__(self, redis: RedisServer) -> None:
        self.client = RawClient(redis.port)
        self.engine = TestEngine()
        self.client.exchange([(b"SCRIPT", b"FLUSH")])

    def check(self, script: bytes, *arguments: bytes) -> None:
        """Have both run `script` with `arguments` and compare the bytes."""
        command = (b"EVAL", script, b"0", *arguments)
        theirs, ours = self.client.exchange([command]), self.engine.send(encode_command(command))

        assert theirs == ours, command

    def check_all(self, runs: Sequence[tuple[bytes, ...]]) -> None:
        """Have both run many scripts with their arguments; the real server gets them at once."""
        commands = [(b"EVAL", script, b"0", *arguments) for script, *arguments in runs]
        theirs = self.client.exchange(commands)
        ours = [self.engine.send(encode_command(command)) for command in commands]

        for command, reply in zip(commands, ours, strict=True):
            assert theirs.startswith(reply), (command, theirs[:200], reply)
            theirs = theirs[len(reply) :]
        assert theirs == b""


@pytest.fixture
def both(redis: RedisServer) -> Iterator[Both]:
    asked = Both(redis)
    yield asked
    asked.client.close()


def test_json_is_read_as_by_the_real_server(both: Both) -> None:
    for text in JSON:
        both.check(b"return tostring(cjson.decode(ARGV[1])):gsub('0x%x+', '')", text)
        both.check(
            b"cjson.encode_invalid_numbers(true)\nreturn cjson.encode(cjson.decode(ARGV[1]))", text
        )


def test_values_are_written_as_by_the_real_server(both: Both) -> None:
    for value in VALUES:
        both.check(b"local x = cjson.encode(%b) return x" % value)
        both.check(b"return cjson.encode(%b)" % value)
        both.check(b"local x = cmsgpack.pack(%b) return x" % value)
        both.check(b"return cmsgpack.pack(1, %b)" % value)


@pytest.mark.parametrize(
    "scripts", [SETTINGS, MESSAGES, STRUCTS, BITS], ids=["cjson", "cmsgpack", "struct", "bit"]
)
def test_options_and_refusals_are_those_of_the_real_server(
    both: Both, scripts: tuple[bytes, ...]
) -> None:
    for script in scripts:
        both.check(script)


def test_messages_are_read_as_by_the_real_server(both: Both) -> None:
    for packed in PACKED:
        both.check(b"local x = {cmsgpack.unpack(ARGV[1])} return {#x, x}", packed)
        both.check(b"return cmsgpack.pack(cmsgpack.unpack(ARGV[1]))", packed)


def test_structures_are_those_of_the_real_server(both: Both) -> None:
    data = bytes(range(250, 256)) + bytes(range(64))
    for form in FORMATS:
        runs = [
            (b"return struct.size(ARGV[1])", form),
            (b"return {struct.unpack(ARGV[1], ARGV[2])}", form, data),
            (b"return {struct.unpack(ARGV[1], ARGV[2], 3)}", form, data[:8]),
        ]
        for number in NUMBERS:
            packed = b"struct.pack(ARGV[1], %b, 'abcd', 3, 4)" % number
            runs.append((b"return " + packed, form))
            runs.append((b"return {struct.unpack(ARGV[1], %b)}" % packed, form))
        both.check_all(runs)
