"""CPU of vedette-server beside redis-server, command by command, on small and on large values.

    python -m benchmarks.commands [--seconds S] [--only xadd,lrange] [--json FILE]

Each command is sent over ten connections, sixteen at a time; a row's figures are the server's CPU,
user and system, for one of them: receiving, running and answering. Several joined by `;` are
measured together, where one undoes what the other does. Most are measured with values of 10
elements of 16 bytes and again of 1000. Exit code 2: redis-server is missing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from hashlib import sha1
from typing import Final

from .loads import Command, Load, Row, drive
from .processes import require, write_json
from .server import running_servers

CONNECTIONS: Final = 10
PIPELINE: Final = 16
SIZES: Final = (10, 1000)

#: Commands on values of some size, which is what `#` stands for. `@` is an element in the middle,
#: `%` half the size, `|` a space within a word. What the keys are is told by `_values`.
_SIZED: Final = """
    LRANGE l# 0 -1          LRANGE l# % -1          LINDEX l# %             LSET l# % v
    LPOS l# @               LLEN l#                 LREM l# 1 nothing       LMOVE l# l# LEFT RIGHT
    LINSERT l# BEFORE @ w;LREM l# 1 w               LPUSH l# w;LPOP l#      RPUSH l# w;RPOP l#
    RPUSH l# a b c d e;LTRIM l# 0 -6                RPUSH l# a b c;RPOP l# 3
    SORT l# ALPHA           SORT l# BY nosort GET key:*                     COPY l# c REPLACE
    LMPOP 1 l# LEFT;RPUSH l# w                      SORT l# ALPHA LIMIT 0 5
    DUMP l#
    SMEMBERS s#             SISMEMBER s# @          SMISMEMBER s# @ x       SCARD s#
    SADD s# x;SREM s# x     SRANDMEMBER s#          SRANDMEMBER s# 5        SSCAN s# 0
    SINTER s# t#            SINTERCARD 2 s# t#      SUNION s# t#            SDIFF s# i#
    SUNIONSTORE c s# t#     SINTERSTORE c s# t#     SDIFFSTORE c s# i#      SMEMBERS i#
    SPOP s#;SADD s# a       SMOVE s# t# @           SADD i# 7777;SREM i# 7777
    SISMEMBER i# 5          SORT i#                 SORT i# LIMIT 0 5 DESC  COPY s# c REPLACE
    HGETALL h#              HGET h# @               HSET h# @ v             HMGET h# @ x
    HKEYS h#                HVALS h#                HLEN h#                 HEXISTS h# @
    HSTRLEN h# @            HSET h# x v;HDEL h# x   HINCRBY h# number 1     HSETNX h# @ v
    HINCRBYFLOAT h# f 1.5   HRANDFIELD h#           HRANDFIELD h# 5 WITHVALUES
    HSCAN h# 0              HMSET h# @ v            DUMP h#                 COPY h# c REPLACE
    ZRANGE z# 0 -1          ZRANGE z# 0 -1 WITHSCORES                       ZRANGE z# 0 9
    ZREVRANGE z# 0 9 WITHSCORES                     ZRANGEBYSCORE z# 2 7    ZCOUNT z# 2 7
    ZRANGE z# (2 7 BYSCORE LIMIT 0 5                ZRANGE z# - + BYLEX LIMIT 0 5
    ZLEXCOUNT z# - +        ZSCORE z# @             ZMSCORE z# @ x          ZRANK z# @
    ZCARD z#                ZREVRANK z# @           ZADD z# 5 @             ZADD z# 5 x;ZREM z# x
    ZINCRBY z# 1 @          ZADD z# GT CH 5 @       ZADD z# -1 x;ZPOPMIN z#  ZRANDMEMBER z#
    ZADD z# -5 x;ZREMRANGEBYSCORE z# -5 -5          ZADD z# 9999 x;ZREMRANGEBYRANK z# -1 -1
    ZSCAN z# 0              ZUNION 2 z# y#          ZDIFF 2 z# y#           ZINTERCARD 2 z# y#
    ZINTER 2 z# y# WITHSCORES                       ZUNIONSTORE c 2 z# y# WEIGHTS 2 3
    ZRANGESTORE c z# 0 -1   ZINTERSTORE c 2 z# y#   DUMP z#                 COPY z# c REPLACE
    ZMPOP 1 z# MIN;ZADD z# -1 w                     ZDIFFSTORE c 2 z# y#    ZRANDMEMBER z# 5
    GEOPOS g# @             GEODIST g# @ @          GEOHASH g# @            GEOADD g# 13 38 @
    GEOSEARCH g# FROMLONLAT 15 37 BYRADIUS 100 km   GEORADIUS g# 15 37 100 km COUNT 5
    GEOSEARCH g# FROMMEMBER @ BYBOX 50 50 km ASC    GEOSEARCHSTORE c g# FROMMEMBER @ BYRADIUS 9 km
    PFCOUNT p#              PFADD p# @              PFMERGE c p#            PFCOUNT p# s
    XRANGE x# - +           XRANGE x# - + COUNT 1   XREVRANGE x# + - COUNT 10
    XREAD STREAMS x# %      XREAD COUNT 10 STREAMS x# 0
    XREAD COUNT 1 STREAMS x# %
    XLEN x#                 XADD x# MAXLEN # * f v  XADD x# MAXLEN ~ # * f v
    XADD x# MAXLEN # * f v g w h x                  XADD x# * f v           XPENDING x# g - + 10
    XREADGROUP GROUP r c COUNT 1 STREAMS x# >;XADD x# MAXLEN # * f v        XPENDING x# g
    XREADGROUP GROUP g c STREAMS x# 0               XREADGROUP GROUP g c COUNT 10 STREAMS x# 0
    XGROUP SETID x# n 0;XREADGROUP GROUP n c NOACK COUNT 10 STREAMS x# >
    XCLAIM x# g c 0 5-0 FORCE;XACK x# g 5-0         XCLAIM x# g c 0 3-0 4-0  XACK x# g 9999-0
    XAUTOCLAIM x# g d 0 0 COUNT 5                   XINFO STREAM x#         XINFO GROUPS x#
    XADD x# 9999-* f v;XDEL x# 9999-0               XTRIM x# MAXLEN #       XINFO CONSUMERS x# g
    OBJECT ENCODING h#      MEMORY USAGE h#         DUMP s#                 DUMP x#
"""
#: Commands that have nothing to do with sizes.
_OTHER: Final = """
    PING                    ECHO hello              GET key                 SET key value
    SET key value EX 100    SET key value XX GET    SETEX key 100 value     SETNX key value
    GETSET key value        GETEX key               GETEX key EX 100        STRLEN key
    SET k v;GETDEL k        APPEND grown v;SET grown 12                     GETRANGE long 10 20
    GETRANGE long 0 -1      SETRANGE long 10 abc    MGET key number key k   MSET a 1 b 2 c 3
    MSETNX key 1 b 2        INCR number             INCRBY number 5         DECR number
    INCRBYFLOAT float 1.5   LCS key long            LCS key key LEN         SUBSTR long 0 9
    GETBIT long 77          SETBIT long 77 1        BITCOUNT long           BITPOS long 1
    BITOP AND c long key    BITFIELD long GET u8 8  BITFIELD long INCRBY i5 40 1
    EXISTS key              TYPE key                TTL key                 PTTL key
    EXPIRE key 1000         PEXPIRE key 100000 GT   PERSIST key             EXPIRETIME key
    TOUCH key               SET k v;DEL k           SET k v;UNLINK k        SET k v;RENAME k w
    COPY key c REPLACE      RANDOMKEY               SCAN 0                  SCAN 0 MATCH k* COUNT 20
    OBJECT ENCODING key     DBSIZE                  TIME                    DUMP key
    MULTI;EXEC              MULTI;SET key value;GET key;EXEC                WATCH key;UNWATCH
    SELECT 0                PUBLISH channel message  CLIENT ID               CLIENT INFO
    CLIENT SETNAME n        COMMAND COUNT           COMMAND INFO get        COMMAND GETKEYS get a
    CONFIG GET maxmemory    ROLE                    INFO                    INFO clients
    ACL WHOAMI              SLOWLOG LEN             MEMORY USAGE key        LASTSAVE
    PUBSUB CHANNELS         HELLO                   EVAL return|1 0         EVALSHA {one} 0
    EVALSHA {get} 1 key     EVALSHA {set} 1 key v   EVALSHA {both} 1 key v  EVALSHA {loop} 0
    EVALSHA {json} 0        EVALSHA {table} 0       EVALSHA {all} 1 h10     FCALL get 1 key
    SCRIPT EXISTS {one}     SET key *star           SET key >more           SET key +plus
    GEOADD places 13.361389 38.115556 Palermo       PUBSUB NUMSUB channel
"""
_KEYS: Final = """
    SET key value           SET number 1            SET float 1             SETRANGE long 999 v
    PFADD s a b c
"""
_SCRIPTS: Final = {
    "one": b"return 1",
    "get": b"return redis.call('GET', KEYS[1])",
    "set": b"return redis.call('SET', KEYS[1], ARGV[1])",
    "both": b"redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])",
    "loop": b"local n = 0 for i = 1, 1000 do n = n + i % 7 end return n",
    "json": b"""return cjson.encode(cjson.decode('{"a":[1,2,3],"b":"text"}'))""",
    "table": b"return {1, 2, {'a', 'b'}, 'text'}",
    "all": b"return redis.call('HGETALL', KEYS[1])",
}
_LIBRARY: Final = b"""#!lua name=library
redis.register_function('get', function(keys) return redis.call('GET', keys[1]) end)"""


def _values(size: int) -> Iterator[Command]:
    """Yield the commands that make the values of `size` elements."""
    count = b"%d" % size
    members = [b"m%015d" % number for number in range(size)]
    numbers = [b"%d" % number for number in range(size)]
    yield (b"RPUSH", b"l" + count, *members)
    yield (b"SADD", b"s" + count, *members)
    yield (b"SADD", b"t" + count, *members)
    yield (b"SADD", b"i" + count, *numbers)
    yield (b"HSET", b"h" + count, *_in_turn(members, members))
    yield (b"ZADD", b"z" + count, *_in_turn(numbers, members))
    yield (b"ZADD", b"y" + count, *_in_turn([number + b".5" for number in numbers], members))
    yield (b"PFADD", b"p" + count, *members)
    yield (b"MSET", *_in_turn([b"key:" + member for member in members], members))
    for number, member in enumerate(members):
        place = (b"%d.%03d" % (13 + number % 5, number), b"%d.5" % (36 + number % 3))
        yield (b"GEOADD", b"g" + count, *place, member)
        yield (b"XADD", b"x" + count, b"%d-0" % (number + 1), b"field", member)
    for group, start in (("g", "0"), ("r", "$"), ("n", "0")):
        yield _words(f"XGROUP CREATE x{size} {group} {start}")
    yield _words(f"XREADGROUP GROUP g c STREAMS x{size} >")


def _in_turn(firsts: Iterable[bytes], seconds: Iterable[bytes]) -> Iterator[bytes]:
    return (word for pair in zip(firsts, seconds, strict=True) for word in pair)


def _words(command: str) -> Command:
    return tuple(word.replace("|", " ").encode() for word in command.split())


def _entries(table: str) -> list[str]:
    """Return what stands in `table`, where two spaces or more are between entries."""
    return [entry.strip() for line in table.splitlines() for entry in line.split("  ") if entry]


def _preparation() -> list[Command]:
    """Return what is sent to a server, whatever it holds, before a row is measured."""
    commands: list[Command] = [(b"FLUSHALL",), (b"FUNCTION", b"LOAD", b"REPLACE", _LIBRARY)]
    commands += [(b"SCRIPT", b"LOAD", script) for script in _SCRIPTS.values()]
    commands += map(_words, filter(None, _entries(_KEYS)))
    for size in SIZES:
        commands += _values(size)
    return commands


def loads_of(only: set[str]) -> Iterator[tuple[str, Load]]:
    """Yield what is to be measured, by name; with `only`, what has one of these words in it."""
    preparation = _preparation()
    sized = [entry.replace("#", str(size)) for size in SIZES for entry in _entries(_SIZED)]
    for name in filter(None, [*sized, *_entries(_OTHER)]):
        if only and only.isdisjoint(name.lower().replace(";", " ").split()):
            continue
        size = 1000 if "1000" in name else 10
        text = name.replace("@", f"m{size // 2:015d}").replace("%", str(size // 2))
        for script, source in _SCRIPTS.items():
            text = text.replace(f"{{{script}}}", sha1(source).hexdigest())
        commands = [_words(command) for command in text.split(";")]
        requests = commands * (PIPELINE // len(commands))
        yield name, Load(requests=requests, connections=CONNECTIONS, preparation=preparation)


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description="vedette-server beside redis-server, by command")
    parser.add_argument("--seconds", type=float, default=0.4, help="for each row and server")
    parser.add_argument("--only", default="", help="commands to measure, separated by commas")
    parser.add_argument("--json", help="write the rows to this file")
    options = parser.parse_args()
    require("redis-server")
    rows = []
    only = set(filter(None, options.only.lower().split(",")))
    with tempfile.TemporaryDirectory() as directory, running_servers(directory) as servers:
        for name, load in loads_of(only):
            ours_us, theirs_us = (drive(server, load, options.seconds) for server in servers)
            rows.append(Row(name, ours_us / theirs_us, ours_us, theirs_us))
            print(rows[-1], flush=True)
    write_json(options.json, [asdict(row) for row in rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
