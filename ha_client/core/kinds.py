"""What repeating a command would do, and which commands cannot share a connection.

Owns the tables only. A command that is in none of them is a `WRITE`: repeating an unknown command
is never assumed to be safe. `READ` are the commands with Redis 7.2's `readonly` flag, and those
which only ask about the server.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Final

from .blocking import wait_of


class Kind(enum.Enum):
    """What it means if a command is executed twice."""

    #: Changes nothing.
    READ = "read"
    #: Sets something to what the command says, with the same reply each time. Twice in a row is as
    #: once; but a repetition overwrites what others wrote after the first.
    LAST_WINS = "last wins"
    #: Twice is not once: counters, lists, anything conditional, scripts.
    WRITE = "write"


_READ: Final = frozenset(
    b"""
    bitcount bitfield_ro bitpos dbsize dump echo eval_ro evalsha_ro exists expiretime fcall_ro
    geodist geohash geopos georadius_ro georadiusbymember_ro geosearch get getbit getrange
    hexists hget hgetall hkeys hlen hmget hrandfield hscan hstrlen hvals info keys lastsave lcs
    lindex llen lolwut lpos lrange mget pexpiretime pfcount ping pttl randomkey role scan scard
    sdiff sinter sintercard sismember smembers smismember sort_ro srandmember sscan strlen substr
    sunion time touch ttl type xinfo xlen xpending xrange xread xrevrange zcard zcount zdiff zinter
    zintercard zlexcount zmscore zrandmember zrange zrangebylex zrangebyscore zrank zrevrange
    zrevrangebylex zrevrangebyscore zrevrank zscan zscore zunion
    """.split()
)

#: Families whose sub-command decides.
_READ_SUBCOMMANDS: Final = {
    b"object": frozenset([b"encoding", b"freq", b"idletime", b"refcount", b"help"]),
    b"memory": frozenset([b"usage", b"doctor", b"stats", b"malloc-stats", b"help"]),
    b"command": frozenset([b"count", b"docs", b"getkeys", b"getkeysandflags", b"info", b"list"]),
    b"config": frozenset([b"get", b"help"]),
    b"latency": frozenset([b"doctor", b"graph", b"histogram", b"history", b"latest", b"help"]),
    b"slowlog": frozenset([b"get", b"len", b"help"]),
    b"pubsub": frozenset([b"channels", b"numsub", b"numpat", b"shardchannels", b"shardnumsub"]),
    b"script": frozenset([b"exists", b"help"]),
    b"function": frozenset([b"dump", b"list", b"stats", b"help"]),
    b"acl": frozenset([b"cat", b"dryrun", b"getuser", b"list", b"users", b"whoami", b"help"]),
    b"client": frozenset([b"getname", b"id", b"info", b"list", b"help"]),
}

_LAST_WINS: Final = frozenset(b"mset setex psetex hmset expireat pexpireat".split())
#: Arguments of SET and the EXPIRE family that make the outcome depend on what was there.
_CONDITIONS: Final = frozenset([b"nx", b"xx", b"get", b"gt", b"lt"])

#: They ask about what their own connection wrote.
_ABOUT_CONNECTION: Final = frozenset([b"wait", b"waitaof"])
_MODE: Final = frozenset(
    b"""
    subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe monitor sync psync
    replconf select auth hello reset quit multi exec discard watch unwatch asking readonly readwrite
    """.split()
)
_CLIENT_MODES: Final = frozenset(
    [b"reply", b"tracking", b"caching", b"no-evict", b"no-touch", b"setname", b"setinfo"]
)


def kind_of(argv: Sequence[bytes]) -> Kind:
    """Return the kind of a command that is not empty."""
    name = argv[0].lower()
    if name in _READ:
        return Kind.READ
    if name in _READ_SUBCOMMANDS:
        is_read = len(argv) < 2 or argv[1].lower() in _READ_SUBCOMMANDS[name]
        return Kind.READ if is_read else Kind.WRITE
    if name == b"set" or name in _LAST_WINS:
        options = argv[3:] if name in (b"set", b"expireat", b"pexpireat") else ()
        is_conditional = any(option.lower() in _CONDITIONS for option in options)
        return Kind.WRITE if is_conditional else Kind.LAST_WINS
    return Kind.WRITE


def reason_not_to_share(argv: Sequence[bytes]) -> str | None:
    """Return why a command cannot run on a connection that other tasks use, or None if it can."""
    name = argv[0].lower()
    if name in _MODE or (name == b"client" and len(argv) > 1 and argv[1].lower() in _CLIENT_MODES):
        return "would change the connection that all tasks of this client share"
    if name in _ABOUT_CONNECTION or wait_of(argv) is not None:
        return "would block the connection that all tasks of this client share"
    return None
