"""Access control beside the real thing: the same lines to both, byte for byte, RESP2 and RESP3.

A line begins with the connection it is sent on (`a:`); each connection is opened at its first use,
and reads the end of its stream as `<closed>`. What Redis orders by chance (single commands in a
description) is sorted.
"""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import Iterator
from typing import Final

import hiredis
import pytest

from tests.support.client import encode
from tests.support.processes import ServerProcess, VedetteSentinel, VedetteServer
from tests.support.redis import RedisSentinel, RedisServer, require_redis

_DIGEST: Final = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of `x`
_GREETING: Final = re.compile(rb"(version\r\n)\$\d\r\n[0-9.]+|(id\r\n):\d+")
_RULES: Final = re.compile(rb"([+-]@all(?: [+-]@[a-z]+)*)((?: [+-][a-z|0-9-]+)+)")


def comparable(reply: bytes) -> bytes:
    """Return `reply` with single commands in the order of their names, without what HELLO tells."""
    reply = _GREETING.sub(rb"\1\2<own>", reply)
    return _RULES.sub(lambda m: m[1] + b" " + b" ".join(sorted(m[2].split())), reply)


class Side:
    """One of the two programs, and connections to it by name."""

    def __init__(self, process: ServerProcess, protocol: int) -> None:
        self.port = process.port
        self.protocol = protocol
        self.connections: dict[str, tuple[socket.socket, hiredis.Reader]] = {}

    def connect(self, name: str) -> tuple[socket.socket, hiredis.Reader]:
        found = self.connections.get(name)
        if found is None:
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            found = self.connections[name] = (connection, hiredis.Reader())
            if self.protocol == 3:
                self.ask(f"{name}: HELLO 3")
        return found

    def ask(self, line: str) -> bytes:
        """Send one line; return the bytes of its reply."""
        name, _, request = line.partition(":")
        connection, reader = self.connect(name)
        data = b""
        try:
            if request.strip():
                connection.sendall(encode(tuple(shlex.split(request))))
            while True:
                received = connection.recv(65536)
                if not received:
                    return data + b"<closed>"
                data += received
                reader.feed(received)
                if reader.gets() is not False:
                    return data
        except (ConnectionResetError, BrokenPipeError):
            return data + b"<closed>"
        except TimeoutError:
            return data + b"<silence>"

    def close(self) -> None:
        for connection, _ in self.connections.values():
            connection.close()


def check_same(ours: ServerProcess, theirs: ServerProcess, protocol: int, lines: str) -> None:
    """Send `lines` to both; every reply must be the same."""
    sides = Side(ours, protocol), Side(theirs, protocol)
    differences = []
    try:
        for line in filter(None, lines.splitlines()):
            our_reply, their_reply = (comparable(side.ask(line)) for side in sides)
            if our_reply != their_reply:
                differences.append((line, our_reply, their_reply))
            assert b"<silence>" not in our_reply, line
    finally:
        for side in sides:
            side.close()

    assert differences == []


#: Who may what, and how it is described: no line needs a dataset.
USERS: Final = rf"""
a: ACL WHOAMI
a: ACL USERS
a: ACL LIST
a: ACL GETUSER default
a: ACL GETUSER nobody
a: ACL
a: ACL NOSUCH
a: ACL CAT
a: ACL CAT nosuch
a: ACL CAT STRING x
a: ACL SETUSER
a: ACL SETUSER "a b"
a: ACL SETUSER "a\tb"
a: ACL SETUSER ""
a: ACL DELUSER ""
a: ACL SETUSER u
a: ACL GETUSER u
a: ACL LIST
a: ACL SETUSER u on >x <y
a: ACL SETUSER u ON >x >x >y
a: ACL GETUSER u
a: ACL SETUSER u <y
a: ACL SETUSER u <y
a: ACL SETUSER u !{_DIGEST} #{_DIGEST}
a: ACL SETUSER u #{_DIGEST.upper()}
a: ACL SETUSER u #12
a: ACL SETUSER u !12
a: ACL SETUSER u #
a: ACL SETUSER u >
a: ACL GETUSER u
a: ACL SETUSER u resetpass nopass
a: ACL GETUSER u
a: ACL SETUSER u >x sanitize-payload
a: ACL SETUSER u skip-sanitize-payload
a: ACL LIST
a: ACL SETUSER u ~a ~b %R~c %w~d %RW~e %Wr~f
a: ACL LIST
a: ACL SETUSER u %R~a %R~d
a: ACL LIST
a: ACL SETUSER u %RR~a
a: ACL SETUSER u %X~a
a: ACL SETUSER u "~a b"
a: ACL SETUSER u allkeys ~x
a: ACL SETUSER u allkeys
a: ACL SETUSER u %R~x
a: ACL SETUSER u resetkeys ~x
a: ACL SETUSER u %R
a: ACL LIST
a: ACL SETUSER u &a &b &a
a: ACL SETUSER u "&a b"
a: ACL SETUSER u allchannels
a: ACL SETUSER u &x
a: ACL LIST
a: ACL SETUSER u resetchannels resetkeys ~x &y
a: ACL GETUSER u
a: ACL SETUSER u +ping +acl +client|id -nosuch
a: ACL SETUSER u +PING +acl +Client|ID
a: ACL LIST
a: ACL SETUSER u -acl +acl|whoami
a: ACL LIST
a: ACL SETUSER u +acl -acl|list
a: ACL LIST
a: ACL SETUSER u +@all
a: ACL SETUSER u -client
a: ACL LIST
a: ACL SETUSER u allcommands
a: ACL LIST
a: ACL SETUSER u -@connection
a: ACL LIST
a: ACL SETUSER u nocommands +@pubsub
a: ACL LIST
a: ACL SETUSER u -@all +@connection -client|kill
a: ACL LIST
a: ACL SETUSER u +@nosuch
a: ACL SETUSER u -@nosuch
a: ACL SETUSER u +client|nosuch
a: ACL SETUSER u +client|
a: ACL SETUSER u +nosuch|x
a: ACL SETUSER u -client|nosuch
a: ACL SETUSER u +client|id|x
a: ACL SETUSER u +ping|x|y
a: ACL SETUSER u +ping|
a: ACL SETUSER u -ping|x
a: ACL SETUSER u -@all +publish|x +publish|X +publish|y
a: ACL LIST
a: ACL SETUSER u +publish
a: ACL LIST
a: ACL SETUSER u +
a: ACL SETUSER u nonsense
a: ACL SETUSER u reset
a: ACL LIST
a: ACL SETUSER u "(+ping ~a)" "(%R~b &c)" ~root
a: ACL LIST
a: ACL GETUSER u
a: ACL SETUSER u ( +ping ~z )
a: ACL SETUSER u (+ping ~y +publish)
a: ACL GETUSER u
a: ACL SETUSER u (+ping
a: ACL SETUSER u +ping)
a: ACL SETUSER u (+ping (~x +ping)
a: ACL SETUSER u "(on)"
a: ACL SETUSER u "(+nosuch)"
a: ACL SETUSER u "(clearselectors)"
a: ACL SETUSER u ()
a: ACL LIST
a: ACL SETUSER u clearselectors
a: ACL LIST
a: ACL SETUSER v +ping nonsense
a: ACL GETUSER v
a: ACL SETUSER u on nopass "" +ping
a: ACL LIST
a: ACL DELUSER default
a: ACL DELUSER nobody
a: ACL DELUSER u default
a: ACL SETUSER w
a: ACL DELUSER u w nobody
a: ACL USERS
a: ACL GENPASS -1
a: ACL GENPASS 0
a: ACL GENPASS 4097
a: ACL GENPASS x
a: ACL GENPASS 1 2
a: ACL LOG x
a: ACL LOG 1 2
a: ACL LOG -1
a: ACL LOG RESET
a: ACL LOG
a: ACL LOAD
a: ACL SAVE
a: ACL LOAD x
a: ACL HELP x
a: ACL DRYRUN nobody PING
a: ACL DRYRUN default
a: ACL DRYRUN default NOSUCH
a: ACL DRYRUN default CLIENT NOSUCH
a: ACL DRYRUN default PUBLISH x
a: ACL DRYRUN default PING
a: ACL SETUSER d resetchannels &chan:* ~k +publish +subscribe +psubscribe +unsubscribe
a: ACL DRYRUN d PING
a: ACL DRYRUN d AUTH x
a: ACL DRYRUN d PUBLISH chan:1 m
a: ACL DRYRUN d PUBLISH other m
a: ACL DRYRUN d SUBSCRIBE chan:1 chan:2 other
a: ACL DRYRUN d PSUBSCRIBE chan:*
a: ACL DRYRUN d PSUBSCRIBE chan:1
a: ACL DRYRUN d UNSUBSCRIBE other
a: ACL DELUSER d
"""

#: Logging in, being refused, and what changes mean for those connected.
SESSIONS: Final = """
a: ACL SETUSER root on nopass ~* &* +@all
a: AUTH x
a: AUTH default x
a: AUTH nobody x
a: AUTH a b c
a: AUTH
a: ACL SETUSER u >pw +@connection +acl|whoami +publish
b: AUTH u pw
a: ACL SETUSER u on
b: AUTH u wrong
b: AUTH u pw
b: ACL WHOAMI
b: ACL LIST
b: PING
b: PUBLISH c m
b: NOSUCH
b: INFO
b: SUBSCRIBE c
b: CLIENT
b: CLIENT NOSUCH
a: ACL SETUSER u +subscribe +psubscribe &c &d*
b: SUBSCRIBE c e
b: PSUBSCRIBE d
b: PSUBSCRIBE d*
a: ACL SETUSER u &more
b: PING
a: ACL SETUSER u resetchannels &c
b:
a: ACL SETUSER u +client resetchannels &c
c: AUTH u pw
c: SUBSCRIBE c
a: ACL SETUSER u allchannels
c: PING
a: ACL SETUSER u resetchannels &c
c: PING
d: AUTH u pw
d: PING
a: ACL SETUSER u -ping
d: PING
d: HELLO 3 AUTH u wrong
d: HELLO 2 AUTH u pw
a: ACL SETUSER u off
d: ACL WHOAMI
d: AUTH u pw
a: ACL DELUSER u
d:
a: ACL SETUSER self on nopass +@all
e: AUTH self x
e: ACL DELUSER self
e: PING
a: ACL SETUSER default >pw
a: PING
f: PING
f: HELLO 3
f: AUTH pw
f: PING
g: PING
a: ACL SETUSER default nopass
g: PING
a: ACL SETUSER default off
g: PING
h: PING
h: AUTH x
h: AUTH default x
a: ACL SETUSER default on
h: PING
a: ACL SETUSER default -@all
a: ACL LIST
i: PING
i: HELLO 2
i: AUTH default x
a: CLIENT KILL USER nobody
"""

#: Keys, and what needs a dataset.
KEYS: Final = """
a: ACL SETUSER root on nopass ~* &* +@all
a: ACL SETUSER u on nopass ~r:* %R~ro:* %W~wo:* +@all
b: AUTH u x
b: SET r:1 x
b: GET r:1
b: GET none
b: GET ro:1
b: SET ro:1 x
b: SET wo:1 x
b: GET wo:1
b: SET wo:1 x GET
b: APPEND wo:1 x
b: SET wo:1 x EX 100
b: GETDEL wo:1
b: GETEX ro:1
b: INCR ro:1
b: MGET r:1 ro:1 wo:1
b: MSET r:1 a wo:2 b
b: MSET r:1 a ro:2 b
b: DEL wo:1 wo:2
b: DEL wo:1 ro:1
b: EXISTS ro:1 wo:1
b: EXISTS other
b: TYPE wo:1
b: TYPE other
b: OBJECT ENCODING wo:1
b: OBJECT ENCODING other
b: RENAME r:1 wo:1
b: RENAME wo:1 r:1
b: RENAME ro:1 wo:1
b: COPY ro:1 wo:1
b: COPY wo:1 r:1
b: EXPIRE wo:1 100
b: TTL ro:1
b: TTL wo:1
b: KEYS *
b: SCAN 0
b: RANDOMKEY
b: DBSIZE
b: STRLEN ro:none
b: STRLEN wo:1
b: WATCH ro:1
b: UNWATCH
b: PUBLISH c m
a: ACL SETUSER u resetkeys (+get ~g:*) (%W~s:* +set) -@all +ping
b: GET g:1
b: GET s:1
b: SET s:1 x
b: SET g:1 x
b: STRLEN g:1
b: PING
a: ACL DRYRUN u GET g:1
a: ACL DRYRUN u GET s:1
a: ACL DRYRUN u SET s:1 x GET
a: ACL DRYRUN u MGET s:1
a: ACL SETUSER u clearselectors ~* +@all
b: MULTI
b: SET a 1
b: PUBLISH c m
b: INCR a
b: EXEC
b: MULTI
b: SET a 1
b: INCR k
b: GET k
a: ACL SETUSER u -incr resetkeys ~a ~k
b: EXEC
b: MULTI
b: SET a 1
b: GET k
a: ACL SETUSER u resetkeys ~a
b: EXEC
b: MULTI
b: INCR a
b: GET other
b: EXEC
a: ACL SETUSER u -exec
b: MULTI
b: SET a 1
b: EXEC
b: PING
b: DISCARD
a: ACL SETUSER u -@all +select|0 +multi +exec allkeys
b: SELECT 0
b: SELECT 1
b: MULTI
b: SELECT 1
b: EXEC
a: ACL LIST
a: ACL SETUSER u +@all -@string
a: ACL LIST
b: GET a
b: TTL a
a: ACL SETUSER u -@all +@string
a: ACL LIST
a: ACL SETUSER u +@all -set -get
a: ACL LIST
a: ACL SETUSER u -@all +get
a: ACL LIST
a: ACL SETUSER u +@all -@transaction
a: ACL LIST
b: CONFIG GET nosuch
a: ACL SETUSER u -config|get
b: CONFIG GET nosuch
b: COMMAND GETKEYSANDFLAGS SET a b
b: COMMAND GETKEYSANDFLAGS SET a b GET
a: CONFIG SET requirepass secret
c: PING
c: AUTH secret
a: ACL GETUSER default
a: CONFIG GET requirepass
a: CONFIG SET requirepass ""
a: ACL GETUSER default
a: CONFIG SET acl-pubsub-default allchannels
a: ACL SETUSER all
a: ACL SETUSER all &x
a: ACL LIST
a: ACL SETUSER all reset
a: ACL LIST
a: ACL SETUSER all "(+get)"
a: ACL LIST
a: CONFIG SET acl-pubsub-default resetchannels
a: ACL SETUSER all reset
a: ACL LIST
a: CONFIG GET aclfile
a: CONFIG GET acllog-max-len
a: CONFIG GET acl-pubsub-default
"""


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[ServerProcess, ServerProcess]]:
    require_redis("redis-server")
    with VedetteServer() as ours, RedisServer() as theirs:
        yield ours, theirs


@pytest.fixture(scope="module")
def sentinels() -> Iterator[tuple[ServerProcess, ServerProcess]]:
    require_redis("redis-sentinel")
    with VedetteSentinel() as ours, RedisSentinel() as theirs:
        yield ours, theirs


#: The users are those of the start again.
ENDING: Final = """
z: AUTH root x
z: ACL SETUSER default reset on nopass +@all ~* &*
y: ACL LOG RESET
y: ACL DELUSER root u v self all
y: ACL LIST
"""


@pytest.mark.parametrize("protocol", [2, 3])
def test_rules_are_taken_and_told_as_by_redis(
    servers: tuple[ServerProcess, ServerProcess], protocol: int
) -> None:
    """An administrator's scripts, and their error handling, go on working."""
    check_same(*servers, protocol, USERS)


@pytest.mark.parametrize("protocol", [2, 3])
def test_users_log_in_and_out_as_with_redis(
    servers: tuple[ServerProcess, ServerProcess], protocol: int
) -> None:
    """Who is deleted or loses a channel is disconnected, the rest is in force at once."""
    check_same(*servers, protocol, SESSIONS + ENDING)


@pytest.mark.parametrize("protocol", [2, 3])
def test_keys_are_guarded_as_by_redis(
    servers: tuple[ServerProcess, ServerProcess], protocol: int
) -> None:
    """Reading and writing apart, at queueing and again at EXEC."""
    check_same(*servers, protocol, KEYS + "a: FLUSHALL\n" + ENDING)


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_sentinel_has_redis_sentinels_users(
    sentinels: tuple[ServerProcess, ServerProcess], protocol: int
) -> None:
    """Its commands are other ones, so other rules describe the same."""
    check_same(*sentinels, protocol, USERS + SESSIONS + ENDING)


def test_categories_have_redis_commands(servers: tuple[ServerProcess, ServerProcess]) -> None:
    """As far as the server has them; in both directions."""
    ours, theirs = servers
    newer = {b"client|setinfo", b"client|no-touch", b"waitaof", b"cluster|myshardid"}
    known = set(ours.call("COMMAND", "LIST"))
    for category in ours.call("ACL", "CAT"):
        members = set(ours.call("ACL", "CAT", category))
        assert members - newer == set(theirs.call("ACL", "CAT", category)) & known, category


def test_refusals_are_logged_as_by_redis(servers: tuple[ServerProcess, ServerProcess]) -> None:
    """Redis 7.2 has three fields more, behind those of 7.0."""
    logs = []
    for process in servers:
        process.call("ACL", "SETUSER", "u", "on", "nopass", "~k", "+get", "+multi", "+publish")
        side = Side(process, 2)
        for line in ("AUTH u x", "SET k v", "GET other", "GET other", "PUBLISH c m"):
            side.ask(f"a: {line}")
        for line in ("AUTH nobody y", "HELLO 3 AUTH u2 y", "MULTI", "SET k v"):
            side.ask(f"a: {line}")
        side.close()
        entries = [dict(zip(e[::2], e[1::2], strict=True)) for e in process.call("ACL", "LOG")]
        shown = (b"count", b"reason", b"context", b"object", b"username")
        logs.append([[entry[field] for field in shown] for entry in entries])
        assert all(re.search(rb" cmd=[a-z]+ user=u ", entry[b"client-info"]) for entry in entries)
        assert list(entries[0])[:7] == [*shown, b"age-seconds", b"client-info"]
        process.call("ACL", "DELUSER", "u")
        process.call("ACL", "LOG", "RESET")

    assert logs[0] == logs[1]
    assert len(logs[0]) == 6
