"""What a sentinel answers, byte for byte beside redis-sentinel 7.0: the same lines to both.

Both watch the same master and replica, in RESP2 and RESP3. What cannot be the same (run ids, ages,
the ports of the two) is masked; what differs on purpose stands in `OURS`, with the reason.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import hiredis
import pytest

from tests.support.client import ReplyError, encode
from tests.support.processes import ServerProcess, VedetteSentinel, watching
from tests.support.redis import RedisSentinel, RedisServer, require_redis
from tests.support.waiting import wait_until

#: Ages and such, whose values depend on the moment.
MOMENTARY: Final = (
    "last-ping-sent",
    "last-ok-ping-reply",
    "last-ping-reply",
    "s-down-time",
    "o-down-time",
    "info-refresh",
    "role-reported-time",
    "last-hello-message",
    "link-pending-commands",
    "slave-repl-offset",
)
_MOMENTARY: Final = re.compile(
    rb"(\$\d+\r\n(?:%b)\r\n)\$\d+\r\n\d+\r\n" % "|".join(MOMENTARY).encode()
)
_RUN_ID: Final = re.compile(rb"[0-9a-f]{40}")


@dataclass
class Side:
    """One of the two, and a connection to it."""

    process: ServerProcess
    protocol: int

    def __post_init__(self) -> None:
        self.reader = hiredis.Reader()
        self.socket = socket.create_connection(("127.0.0.1", self.process.port), timeout=10)
        if self.protocol == 3:
            self.ask("HELLO", "3")

    def ask(self, *words: str) -> bytes:
        """Send one command; return the bytes of its reply."""
        self.socket.sendall(encode(words))
        data = b""
        while True:
            received = self.socket.recv(65536)
            if not received:
                return data + b"<closed>"
            data += received
            self.reader.feed(received)
            if self.reader.gets() is not False:
                return data

    def masked(self, *words: str) -> bytes:
        """The reply without what cannot be the same on both sides."""
        reply = _MOMENTARY.sub(rb"\1<then>\r\n", self.ask(*words))
        reply = _RUN_ID.sub(b"<run id>", reply)
        # The fellow of one is the other.
        return re.sub(rb"(port\r\n)\$5\r\n\d{5}\r\n(\$5\r\nrunid)", rb"\1<port>\r\n\2", reply)


@dataclass
class Pair:
    """Vedette's sentinel and redis-sentinel over the same nodes."""

    vedette: ServerProcess
    redis: ServerProcess
    master: RedisServer
    replica: RedisServer

    @contextlib.contextmanager
    def sides(self, protocol: int) -> Iterator[tuple[Side, Side]]:
        """Connect to both while the block lasts."""
        ours, theirs = Side(self.vedette, protocol), Side(self.redis, protocol)
        with ours.socket, theirs.socket:
            yield ours, theirs


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    require_redis("redis-server", "redis-sentinel")
    with RedisServer() as master, RedisServer() as replica:
        replica.replicate(master)
        lines = watching(master.port, quorum=1, down_after_ms=60_000)
        with VedetteSentinel(extra_lines=lines) as ours, RedisSentinel(extra_lines=lines) as theirs:

            def knows_all(sentinel: ServerProcess) -> bool:
                words = sentinel.call("SENTINEL", "MASTER", "mymaster")
                fields = dict(zip(words[::2], words[1::2], strict=True))
                counts = fields[b"num-slaves"], fields[b"num-other-sentinels"], fields[b"flags"]
                if counts != (b"1", b"1", b"master"):
                    return False
                (replica_words,) = sentinel.call("SENTINEL", "REPLICAS", "mymaster")
                return b"slave" in replica_words and b"ok" in replica_words

            wait_until(lambda: knows_all(ours) and knows_all(theirs), 30, "both to know all")
            yield Pair(ours, theirs, master, replica)


#: Lines to both sides; MPORT is the master's port. They leave behind no trace that matters.
LINES: Final = r"""
PING
PING a
PING a b
SENTINEL
SENTINEL nosuch
SENTINEL nosuch a b c
SENTINEL "no such\r\nat all"
SENTINEL HELP x
SENTINEL MASTERS
SENTINEL MASTERS x
SENTINEL MASTER mymaster
SENTINEL MASTER MYMASTER
SENTINEL MASTER
SENTINEL MASTER nope
SENTINEL MASTER a b
SENTINEL REPLICAS mymaster
SENTINEL REPLICAS
SENTINEL REPLICAS nope
SENTINEL SLAVES mymaster
SENTINEL SLAVES
SENTINEL SLAVES nope
SENTINEL SENTINELS mymaster
SENTINEL SENTINELS
SENTINEL SENTINELS nope
SENTINEL GET-MASTER-ADDR-BY-NAME mymaster
SENTINEL GET-MASTER-ADDR-BY-NAME nope
SENTINEL GET-MASTER-ADDR-BY-NAME
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 MPORT 0 *
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 *
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 0123456789012345678901234567890123456789
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x 0 *
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 x *
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0
SENTINEL IS-MASTER-DOWN-BY-ADDR localhost MPORT 0 *
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 MPORT 5 0123456789012345678901234567890123456789
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 MPORT 5 0123456789012345678901234567890123456780
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 MPORT 4 0123456789012345678901234567890123456780
SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 MPORT 5 *
SENTINEL MYID
SENTINEL MYID x
SENTINEL CKQUORUM mymaster
SENTINEL CKQUORUM
SENTINEL CKQUORUM nope
SENTINEL FAILOVER nope
SENTINEL FAILOVER
SENTINEL RESET nope
SENTINEL RESET
SENTINEL RESET a b
SENTINEL MONITOR
SENTINEL MONITOR a b c
SENTINEL MONITOR a 127.0.0.1 x 1
SENTINEL MONITOR a 127.0.0.1 1 x
SENTINEL MONITOR a 127.0.0.1 1 0
SENTINEL MONITOR a 127.0.0.1 1 -1
SENTINEL MONITOR a 127.0.0.1 x 0
SENTINEL MONITOR a nohost 1 1
SENTINEL MONITOR a localhost 1 1
SENTINEL MONITOR a "" 1 1
SENTINEL MONITOR mymaster 127.0.0.1 1 1
SENTINEL MONITOR mymaster 127.0.0.1 70000 1
SENTINEL MONITOR a 127.0.0.1 70000 1
SENTINEL MONITOR a 127.0.0.1 -1 1
SENTINEL MONITOR a 127.0.0.1 99999999999999999999 1
SENTINEL MONITOR a 127.0.0.1 1 99999999999999999999
SENTINEL MONITOR a 127.0.0.1 1 1
SENTINEL MONITOR a 127.0.0.1 1 1
SENTINEL CKQUORUM a
SENTINEL SET a quorum 5
SENTINEL CKQUORUM a
SENTINEL REPLICAS a
SENTINEL SENTINELS a
SENTINEL FAILOVER a
SENTINEL RESET a
SENTINEL RESET [a]
SENTINEL REMOVE
SENTINEL REMOVE nope
SENTINEL REMOVE a
SENTINEL REMOVE a
SENTINEL MONITOR b ::1 1 1
SENTINEL GET-MASTER-ADDR-BY-NAME b
SENTINEL REMOVE b
SENTINEL SET
SENTINEL SET mymaster
SENTINEL SET mymaster quorum
SENTINEL SET nope quorum 1
SENTINEL SET nope quorum
SENTINEL SET mymaster quorum x
SENTINEL SET mymaster quorum 0
SENTINEL SET mymaster quorum -1
SENTINEL SET mymaster QUORUM 1.5
SENTINEL SET mymaster quorum " 1"
SENTINEL SET mymaster quorum "1 "
SENTINEL SET mymaster quorum 01
SENTINEL SET mymaster quorum +1
SENTINEL SET mymaster quorum 1 down-after-milliseconds
SENTINEL SET mymaster nosuch 1
SENTINEL SET mymaster NoSuch 1
SENTINEL SET mymaster quorum 1 nosuch
SENTINEL SET mymaster quorum 1 quorum 1
SENTINEL SET mymaster down-after-milliseconds 60000 failover-timeout x
SENTINEL SET mymaster down-after-milliseconds 0
SENTINEL SET mymaster failover-timeout 0
SENTINEL SET mymaster parallel-syncs 0
SENTINEL SET mymaster notification-script /bin/true
SENTINEL SET mymaster notification-script ""
SENTINEL SET mymaster client-reconfig-script /bin/true
SENTINEL SET mymaster rename-command a
SENTINEL SET mymaster rename-command "" b
SENTINEL SET mymaster rename-command b ""
SENTINEL SET mymaster rename-command "" ""
SENTINEL SET mymaster rename-command foo bar
SENTINEL SET mymaster rename-command foo foo
SENTINEL SET mymaster rename-command foo FOO
SENTINEL SET mymaster master-reboot-down-after-period -1
SENTINEL SET mymaster master-reboot-down-after-period x
SENTINEL SET mymaster master-reboot-down-after-period 0
SENTINEL CONFIG
SENTINEL CONFIG GET nosuch
SENTINEL CONFIG GET ANNOUNCE-*
SENTINEL CONFIG GET sentinel-pass
SENTINEL CONFIG SET nosuch 1
SENTINEL CONFIG SET announce-port x
SENTINEL CONFIG SET announce-port 70000
SENTINEL CONFIG SET announce-port -1
SENTINEL CONFIG SET resolve-hostnames maybe
SENTINEL CONFIG SET Resolve-Hostnames NO
SENTINEL CONFIG SET announce-ip ""
SENTINEL FLUSHCONFIG
SENTINEL FLUSHCONFIG x
SENTINEL INFO-CACHE
SENTINEL INFO-CACHE nope
SENTINEL PENDING-SCRIPTS
SENTINEL PENDING-SCRIPTS x
SENTINEL SIMULATE-FAILURE
SENTINEL SIMULATE-FAILURE help
SENTINEL SIMULATE-FAILURE crash-after-election HELP
SENTINEL SIMULATE-FAILURE nosuch
SENTINEL DEBUG x
SENTINEL DEBUG x y
SENTINEL DEBUG info-period
SENTINEL DEBUG info-period 0
SENTINEL DEBUG info-period -1
SENTINEL DEBUG info-period x
SENTINEL DEBUG INFO-PERIOD x
SENTINEL DEBUG info-period 10000 ping-period x
SENTINEL DEBUG info-period 10000 ping-period
SENTINEL DEBUG default-down-after 29999 default-failover-timeout 179999 TILT-trigger 1999
SENTINEL DEBUG tilt-period 29999 slave-reconf-timeout 9999 election-timeout 9999
SENTINEL DEBUG min-link-reconnect-period 14999 script-max-runtime 59999 script-retry-delay 2999
SENTINEL DEBUG info-period 9999 ping-period 999 ask-period 998 publish-period 1997
SENTINEL DEBUG
SENTINEL MONITOR d 127.0.0.1 1 1
SENTINEL REMOVE d
ROLE
ROLE x
PUBLISH
PUBLISH a
PUBLISH a b
PUBLISH a b c
PUBLISH __sentinel__:hello x
PUBLISH __SENTINEL__:hello x
HELLO x
HELLO 4
HELLO 3 SETNAME
HELLO 3 foo
AUTH
AUTH a
AUTH nosuch b
AUTH a b c
CLIENT
CLIENT nosuch
CLIENT ID x
CLIENT GETNAME
CLIENT SETNAME "a b"
CLIENT SETNAME foo
CLIENT GETNAME
CLIENT SETNAME
CLIENT SETNAME ""
CLIENT GETREDIR
CLIENT GETREDIR x
CLIENT REPLY
CLIENT REPLY x
CLIENT REPLY ON
CLIENT NO-EVICT x
CLIENT NO-EVICT on
CLIENT NO-EVICT off
CLIENT CACHING
CLIENT CACHING x
CLIENT CACHING yes
CLIENT TRACKING
CLIENT TRACKING x
CLIENT TRACKINGINFO
CLIENT TRACKING on
CLIENT CACHING x
CLIENT TRACKINGINFO
CLIENT GETREDIR
CLIENT TRACKING on bcast prefix a
CLIENT TRACKING off
CLIENT TRACKING on bcast prefix b
CLIENT TRACKING on bcast prefix a
CLIENT TRACKING on bcast prefix ab
CLIENT TRACKING on bcast prefix c prefix cd
CLIENT TRACKINGINFO
CLIENT TRACKING on
CLIENT TRACKING off
CLIENT TRACKING on bcast
CLIENT TRACKINGINFO
CLIENT TRACKING off
CLIENT TRACKING on prefix a
CLIENT TRACKING on prefix
CLIENT TRACKING on optin
CLIENT CACHING no
CLIENT CACHING yes
CLIENT ID x
CLIENT TRACKINGINFO
PING
CLIENT TRACKINGINFO
CLIENT TRACKING on optout
CLIENT TRACKING off
CLIENT TRACKING on optout
CLIENT CACHING yes
CLIENT CACHING no
CLIENT TRACKINGINFO
CLIENT TRACKING off
CLIENT TRACKING on optin optout
CLIENT TRACKING on optin bcast
CLIENT TRACKING on redirect 1234567
CLIENT TRACKING on redirect x
CLIENT TRACKING on noloop
CLIENT TRACKINGINFO
CLIENT TRACKING off
CLIENT TRACKING on nosuch
CLIENT KILL
CLIENT KILL 1.2.3.4:5
CLIENT KILL ID x
CLIENT KILL ID 0
CLIENT KILL ID 99999
CLIENT KILL TYPE x
CLIENT KILL TYPE normal SKIPME x
CLIENT KILL USER nosuch
CLIENT KILL USER default SKIPME
CLIENT KILL a b
CLIENT KILL a b c
CLIENT LIST TYPE x
CLIENT LIST TYPE
CLIENT LIST ID x
CLIENT LIST ID 99999
CLIENT LIST TYPE pubsub
CLIENT LIST x y
CLIENT PAUSE
CLIENT PAUSE x
CLIENT PAUSE -1
CLIENT PAUSE 1 x
CLIENT PAUSE 1 WRITE
CLIENT PAUSE 1 WRITE x
CLIENT UNPAUSE
CLIENT UNPAUSE x
CLIENT UNBLOCK
CLIENT UNBLOCK x
CLIENT UNBLOCK 999999
CLIENT UNBLOCK 999999 x
CLIENT NO-TOUCH on
COMMAND x
COMMAND COUNT x
COMMAND LIST x
COMMAND LIST FILTERBY x y
COMMAND LIST FILTERBY ACLCAT nosuch
COMMAND LIST FILTERBY MODULE x
COMMAND GETKEYS
COMMAND GETKEYS GET a
COMMAND GETKEYS SENTINEL a
COMMAND GETKEYSANDFLAGS
COMMAND INFO get
COMMAND DOCS get
COMMAND DOCS nosuch
SUBSCRIBE
PSUBSCRIBE
SUBSCRIBE a
PING
PING a
UNSUBSCRIBE nosuch
PSUBSCRIBE b*
UNSUBSCRIBE a
PUNSUBSCRIBE b*
UNSUBSCRIBE
PSUBSCRIBE a*
PUNSUBSCRIBE a*
PUNSUBSCRIBE
ECHO a
RESET
GET a
SET a b
CONFIG GET *
MULTI
SELECT 0
PUBSUB CHANNELS
SSUBSCRIBE a
SPUBLISH a b
MONITOR
DEBUG SLEEP 0
EVAL "return 1" 0
nosuch "a b" c
nosuch "a\r\nb"
LATENCY HELP
SLOWLOG GET
INFO nosuch
INFO replication
SHUTDOWN x
SHUTDOWN abort
SHUTDOWN save nosave
SHUTDOWN abort now
"""

#: Orders, each of which is announced.
ORDERS: Final = """
SENTINEL MONITOR noted 127.0.0.1 1 3
SENTINEL SET noted Quorum 2
SENTINEL SET noted auth-pass secret auth-user somebody
SENTINEL SET noted rename-command PING PONG
SENTINEL RESET not*
SENTINEL REMOVE noted
"""

LAST_MESSAGE: Final = b"-monitor\r\n$24\r\nmaster noted 127.0.0.1 1\r\n"

#: What differs on purpose: line -> (our reply, why).
OURS: Final = {
    "SENTINEL CONFIG GET": (
        b"-ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> "
        b"[<param> <value> ...] are supported.\r\n",
        "7.2 takes several parameters",
    ),
    "SENTINEL CONFIG SET announce-ip": (
        b"-ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> "
        b"[<param> <value> ...] are supported.\r\n",
        "7.2 takes several parameters",
    ),
    "SENTINEL CONFIG SET announce-ip 1.2.3.4 announce-port": (
        b"-ERR Missing argument 'announce-port' value\r\n",
        "7.2 takes several parameters",
    ),
    "SENTINEL CONFIG SET announce-ip 1.2.3.4 Announce-IP 1.2.3.5": (
        b"-ERR Duplicate argument 'Announce-IP' to SENTINEL CONFIG SET\r\n",
        "7.2 takes several parameters",
    ),
    "SENTINEL CONFIG SET announce-ip 1.2.3.4 loglevel loud": (
        b"-ERR Invalid value 'loud' to SENTINEL CONFIG SET 'loglevel'\r\n",
        "7.2 takes several parameters, and loglevel",
    ),
    "COMMAND GETKEYS PING": (b"-ERR The command has no key arguments\r\n", "arity of 7.2"),
    "CLIENT SETINFO lib-name x": (b"+OK\r\n", "of 7.2"),
    "QUIT": (b"+OK\r\n", "clients take leave by it; unknown to a redis-sentinel of 7.0"),
}


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_redis_sentinels_byte_for_byte(pair: Pair, protocol: int) -> None:
    """Every subcommand, its errors and its arity; one after the other on one connection."""
    with pair.sides(protocol) as (ours, theirs):
        for line in LINES.strip().splitlines():
            words = shlex.split(line.replace("MPORT", str(pair.master.port)))

            assert (line, ours.masked(*words)) == (line, theirs.masked(*words))


@pytest.mark.parametrize("protocol", [2, 3])
def test_orders_are_announced_byte_for_byte(pair: Pair, protocol: int) -> None:
    """Channel, payload and shape of every message; a password is not told."""
    heard = []
    for process in (pair.vedette, pair.redis):
        with Side(process, protocol).socket as orders, Side(process, protocol).socket as listener:
            listener.sendall(encode(("PSUBSCRIBE", "?monitor", "+set", "+reset-master")))
            data = _receive_until(listener, b"+reset-master\r\n:3\r\n")
            for line in ORDERS.strip().splitlines():
                orders.sendall(encode(tuple(line.split())))
                assert orders.recv(65536)[:1] in b"+:"
            heard.append(data + _receive_until(listener, LAST_MESSAGE))

    assert heard[0] == heard[1]
    assert b"secret" not in heard[0]


def _receive_until(connection: socket.socket, end: bytes) -> bytes:
    """Receive up to `end`, which must come."""
    data = b""
    while not data.endswith(end):
        received = connection.recv(65536)
        assert received, data
        data += received
    return data


def test_differences_are_those_that_are_listed(pair: Pair) -> None:
    """A difference that is gone must go from the list, too."""
    with pair.sides(2) as (ours, theirs):
        for line, (reply, reason) in OURS.items():
            assert (line, ours.ask(*shlex.split(line))) == (line, reply)
            assert theirs.ask(*shlex.split(line)) != reply, reason


def test_config_set_changes_all_or_nothing(pair: Pair) -> None:
    """A wrong pair behind a right one leaves that undone."""
    with pytest.raises(ReplyError, match="Invalid value 'x' to SENTINEL CONFIG SET"):
        pair.vedette.call(
            "SENTINEL", "CONFIG", "SET", "announce-ip", "1.2.3.4", "announce-port", "x"
        )

    assert pair.vedette.call("SENTINEL", "CONFIG", "GET", "announce-ip") == [b"announce-ip", b""]


def test_info_has_redis_sentinels_fields_in_its_order(pair: Pair) -> None:
    """Whole, and by section; what is ours alone stands where nothing else is moved by it."""

    def fields_of(side: ServerProcess, *sections: str) -> list[str]:
        lines: list[str] = side.call("INFO", *sections).decode().split("\r\n")
        names = [line.partition(":")[0] for line in lines]
        of_7_2 = "acl_access_denied_.*|total_blocking_keys.*"
        added = re.compile(f"vedette_version|sentinel_total_tilt|{of_7_2}")
        return [name for name in names if not added.fullmatch(name)]

    for sections in ([], ["all"], ["server", "nosuch", "SENTINEL"], ["cpu"], ["stats", "clients"]):
        assert fields_of(pair.vedette, *sections) == fields_of(pair.redis, *sections)


def test_info_cache_is_the_text_of_the_nodes(pair: Pair) -> None:
    """The master's first, both with their age."""
    shapes = []
    for side in (pair.vedette, pair.redis):
        name, infos = side.call("SENTINEL", "INFO-CACHE", "mymaster")
        ages, texts = zip(*infos, strict=True)
        assert all(0 <= age < 60_000 for age in ages)
        ports = [re.findall(rb"tcp_port:(\d+)", text) for text in texts]
        shapes.append((name, ports))

    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("filters", [[], ["PATTERN", "s*"], ["ACLCAT", "dangerous"]])
def test_command_list_names_what_redis_sentinel_lists(pair: Pair, filters: list[str]) -> None:
    """With what 7.2 added."""
    arguments = ["FILTERBY", *filters] if filters else []
    ours = pair.vedette.call("COMMAND", "LIST", *arguments)
    theirs = pair.redis.call("COMMAND", "LIST", *arguments)

    assert sorted(each for each in ours if each not in ADDED) == sorted(theirs)


def test_command_list_names_what_7_2_added(pair: Pair) -> None:
    """Clients look there whether they may tell their library's name."""
    assert set(pair.vedette.call("COMMAND", "LIST")) >= ADDED


#: New in Redis 7.2, which is followed here.
ADDED: Final = {b"client|setinfo"}
#: Of another arity there.
CHANGED: Final = {b"command|getkeys", b"command|getkeysandflags", b"sentinel|failover"}


def test_command_info_is_redis_sentinels(pair: Pair) -> None:
    """Arity, flags, categories, tips and subcommands of every command."""

    def rows_of(side: ServerProcess) -> dict[bytes, object]:
        rows = list(side.call("COMMAND"))
        found: dict[bytes, object] = {}
        while rows:
            name, arity, flags, first, last, step, categories, tips, specs, subcommands = rows.pop()
            rows += subcommands
            if name not in CHANGED | ADDED:
                found[name] = (
                    arity,
                    frozenset(flags),
                    (first, last, step),
                    frozenset(categories),
                    frozenset(tips),
                    specs,
                )
        return found

    ours, theirs = rows_of(pair.vedette), rows_of(pair.redis)
    assert ours.keys() == theirs.keys()
    assert ours == theirs


def test_additions_are_described_when_they_are_named(pair: Pair) -> None:
    """COMMAND does not list them, but knows them."""
    (row,) = pair.vedette.call("COMMAND", "INFO", "sentinel|explain")

    assert row[:2] == [b"sentinel|explain", 3]
