"""Several clients at once, two servers: what each client hears after each step is the same.

Where `machine` asks one client's questions one after another, here they meet: waits for keys whose
type changes, transactions whose keys expire or are swapped away, clients that are killed or let go,
scripts that wake others, invalidations and keyspace events between replies. A step is what one
client sends at once. After it a connection of its own is answered twice, so that all that follows
from the step has been sent, and everything that has arrived anywhere is compared: the replies of
each client and the messages it was pushed, each in their order. A key expires while nobody does
anything.
"""

from __future__ import annotations

import contextlib
import operator
import re
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import hiredis
from hypothesis import strategies as st

from tests.conformance.examples import check_examples
from tests.conformance.grammar import Command
from vedette.resp.encode import encode_command

__all__ = ["Conversation", "Difference", "Place", "Step", "steps"]

CLIENTS = 4
#: A client that hears of all keys; another protocol than the others' to begin with.
_LISTENER = CLIENTS - 1
#: How long something that is missing is waited for.
_PATIENCE_S = 2.0
#: How long a key lives that is to expire while nobody does anything, and how long nobody does.
_LIFETIME = b"60"
_PAUSE_S = 0.1

_KEYS = st.sampled_from([b"a", b"a", b"b", b"c"])
_ELEMENTS = st.sampled_from([b"1", b"x", b"yy"])
#: In place of a client's id, which is another on each server.
_IDS = st.sampled_from([b"<id %d>" % number for number in range(CLIENTS)])
_ID = re.compile(rb"<id (\d)>")
#: What HELLO says of the server itself.
_VERSION = re.compile(rb"\$\d\r\n7\.\d\.\d+\r\n")
#: Stands for the end of a connection.
_CLOSED = b"<closed>"
_OWN_ID = re.compile(rb"\$2\r\nid\r\n:\d+")


def _command(*words: bytes | st.SearchStrategy[bytes]) -> st.SearchStrategy[Command]:
    return st.tuples(*(st.just(each) if isinstance(each, bytes) else each for each in words))


def _commands(text: str) -> st.SearchStrategy[Command]:
    """Draw one of the lines of `text`; `K`, `E`, `I` are a key, an element, a client's id."""
    drawn = {"K": _KEYS, "E": _ELEMENTS, "I": _IDS}
    lines = [line.split() for line in text.strip().splitlines()]
    return st.one_of([_command(*(drawn.get(w, w.encode()) for w in line)) for line in lines])


def _script(code: bytes) -> st.SearchStrategy[Command]:
    return _command(b"EVAL", code, b"2", _KEYS, _KEYS, _ELEMENTS)


_WRITING = _commands(
    """
    SET K E
    SET K E KEEPTTL
    GETDEL K
    APPEND K E
    DEL K
    UNLINK K K
    LPUSH K E
    RPUSH K E E
    LPOP K
    RPOP K 2
    LMOVE K K LEFT RIGHT
    LSET K 0 E
    LTRIM K 1 -1
    SADD K E
    SPOP K 5
    SMOVE K K E
    SUNIONSTORE d K K
    ZADD K 1 E
    ZADD K 2 E 3 E
    ZPOPMIN K
    ZUNIONSTORE d 1 K
    HSET K f E
    HDEL K f
    RENAME K K
    RENAMENX K K
    COPY K K REPLACE
    MOVE K 1
    SORT K ALPHA STORE d
    RENAME d K
    RESTORE K 0 nothing
    XADD K 1-* f E
    XADD K MAXLEN 1 2-* f E
    XDEL K 1-0
    XGROUP CREATE K g $ MKSTREAM
    XGROUP CREATE K g 0
    XGROUP DESTROY K g
    PERSIST K
    EXPIRE K 1000
    PEXPIREAT K 1
    GETEX K EXAT 1
    FLUSHDB
    FLUSHALL
    SWAPDB 0 1
    SELECT 1
    SELECT 0
    """
)
_WAITING = _commands(
    """
    BLPOP K 0
    BRPOP K 0
    BLMOVE K K LEFT RIGHT 0
    BRPOPLPUSH K K 0
    BLMPOP 0 1 K LEFT COUNT 2
    BZPOPMIN K 0
    BZMPOP 0 1 K MAX COUNT 2
    """
)
_READING = _commands(
    """
    GET K
    EXISTS K
    TYPE K
    LRANGE K 0 -1
    ZRANGE K 0 -1
    LLEN K
    MGET K K
    TOUCH K
    OBJECT ENCODING K
    """
)
_TRANSACTIONS = _commands("MULTI\nMULTI\nEXEC\nEXEC\nDISCARD\nWATCH K\nWATCH K K\nUNWATCH")
_CONNECTIONS = _commands(
    """
    RESET
    HELLO 2
    CLIENT TRACKING ON REDIRECT I
    CLIENT TRACKING ON NOLOOP REDIRECT I
    CLIENT TRACKING ON BCAST PREFIX a REDIRECT I
    CLIENT TRACKING ON OPTIN REDIRECT I
    CLIENT TRACKING OFF
    CLIENT CACHING YES
    CLIENT CACHING NO
    CLIENT KILL ID I
    CLIENT UNBLOCK I
    CLIENT UNBLOCK I ERROR
    CLIENT REPLY SKIP
    SUBSCRIBE c
    UNSUBSCRIBE
    SSUBSCRIBE s
    SUNSUBSCRIBE
    PUBLISH c E
    SPUBLISH s E
    PING
    """
)
#: What 7.0 answers otherwise, or mingles with replies: all waits of several keys, and streams'.
_NEWER = _commands(
    """
    HELLO 3
    BLPOP K K 0
    BLMPOP 0 2 K K LEFT COUNT 2
    BZPOPMIN K K 0
    XREAD BLOCK 0 STREAMS K $
    XREADGROUP GROUP g c BLOCK 0 STREAMS K >
    CLIENT TRACKING ON
    CLIENT TRACKING ON NOLOOP
    CLIENT TRACKING ON BCAST PREFIX a
    CLIENT TRACKING ON BCAST PREFIX b NOLOOP
    CLIENT TRACKING ON OPTIN
    CLIENT TRACKING ON OPTOUT
    PSUBSCRIBE __key*
    PUNSUBSCRIBE
    """
)
_SCRIPTS = st.one_of(
    _script(b"redis.call('lpush',KEYS[1],ARGV[1]) return redis.call('rpop',KEYS[1])"),
    _script(b"redis.call('del',KEYS[1]) redis.call('rpush',KEYS[1],1,2) return 1"),
    _script(b"redis.call('del',KEYS[1]) redis.call('zadd',KEYS[1],1,ARGV[1]) return {1,{ok='x'}}"),
    _script(b"redis.call('rename',KEYS[1],KEYS[2]) return redis.call('type',KEYS[2])"),
    _script(b"redis.call('set',KEYS[1],1) return redis.call('lpush',KEYS[1],1)"),
    _script(b"redis.call('select',1) return redis.pcall('rpush',KEYS[1],ARGV[1])"),
    _script(b"return redis.call('blpop',KEYS[1],KEYS[2],0)"),
    _script(b"return redis.call('get',KEYS[1])"),
)
#: What is begun with a key that is gone when the next step comes.
_EXPIRING = st.one_of(
    _command(b"PEXPIRE", _KEYS, _LIFETIME),
    _command(b"SET", _KEYS, b"v", b"PX", _LIFETIME),
    _command(b"GETEX", _KEYS, b"PX", _LIFETIME),
)


@dataclass(frozen=True, slots=True)
class Step:
    """What `client` sends at once; `pauses`: and then nobody does anything for a while."""

    client: int
    commands: tuple[Command, ...]
    pauses: bool = False


def steps(*, has_newer: bool) -> st.SearchStrategy[Step]:
    """Draw steps: mostly of one command, sometimes of several, sometimes with keys that expire."""
    client = st.integers(0, CLIENTS - 1 if has_newer else _LISTENER - 1)
    kinds = [_WRITING, _WRITING, _WAITING, _READING, _TRANSACTIONS, _CONNECTIONS, _SCRIPTS]
    command = st.one_of([*kinds, _NEWER] if has_newer else kinds)
    several = st.lists(command, min_size=2, max_size=5).map(tuple)
    expiring = st.tuples(st.lists(command, max_size=1), _EXPIRING, st.lists(command, max_size=2))
    return st.one_of(
        st.builds(Step, client, st.tuples(command)),
        st.builds(Step, client, st.tuples(command)),
        st.builds(Step, client, several),
        st.builds(Step, client, expiring.map(lambda p: (*p[0], p[1], *p[2])), st.just(True)),
    )


class Difference(AssertionError):
    """What clients heard at `place` of a conversation, by client, from one server and the other."""

    def __init__(self, place: int, theirs: Sequence[object], ours: Sequence[object]) -> None:
        heard = [
            f"  client {number}\n    redis:   {their_part}\n    vedette: {our_part}"
            for number, (their_part, our_part) in enumerate(zip(theirs, ours, strict=True))
            if their_part != our_part
        ]
        super().__init__("\n".join([f"at step {place}", *heard]))


@dataclass(frozen=True, slots=True)
class Heard:
    """What one client heard: replies, messages that were pushed, and whether it was closed."""

    replies: tuple[str, ...]
    messages: tuple[str, ...]
    is_closed: bool

    @classmethod
    def of(cls, data: bytes) -> Heard:
        """Take apart what was received."""
        reader = hiredis.Reader(encoding=None)
        reader.feed(data.removesuffix(_CLOSED))
        replies: list[str] = []
        messages: list[str] = []
        while (reply := reader.gets()) is not False:
            part = messages if isinstance(reply, hiredis.PushNotification) else replies
            part.append(repr(reply))
        assert not reader.has_data(), data
        return cls(tuple(replies), tuple(messages), data.endswith(_CLOSED))


class Place:
    """A server with clients of a conversation; each is connected anew once it was closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._control = self._connect()
        self._clients: list[socket.socket] = []
        self._ids: list[bytes] = []

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=30)

    def _ask(self, connection: socket.socket, *command: bytes) -> bytes:
        """Return the reply, of one line, to a command of a client that hears nothing else."""
        connection.sendall(encode_command(command))
        received = b""
        while not received.endswith(b"\r\n"):
            received += connection.recv(4096)
        return received

    def begin(self) -> None:
        """Empty the server, and connect the clients."""
        self.close_clients()
        for command in (
            *((b"FLUSHALL",), (b"SCRIPT", b"FLUSH"), (b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0")),
            (b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA"),
        ):
            reply = self._ask(self._control, *command)
            assert reply == b"+OK\r\n", (command, reply)
        for _ in range(CLIENTS):
            self._clients.append(self._connect())
            self._ids.append(self._ask(self._clients[-1], b"CLIENT", b"ID")[1:-2])

    def close_clients(self) -> None:
        for client in self._clients:
            client.close()
        self._clients.clear()
        self._ids.clear()

    def close(self) -> None:
        self.close_clients()
        self._control.close()

    def take(self, step: Step) -> None:
        """Have the step's client send its commands, and the server do all that follows."""
        data = b"".join(
            [
                encode_command([_ID.sub(lambda m: self._ids[int(m[1])], word) for word in command])
                for command in step.commands
            ]
        )
        with contextlib.suppress(ConnectionError):  # it was closed; the next step connects it anew
            self._clients[step.client].sendall(data)
        for _ in range(2):
            assert self._ask(self._control, b"PING") == b"+PONG\r\n"

    def hear(self) -> list[bytes]:
        """Return what has arrived at each client; a closed one ends with a word of ours."""
        return [
            _OWN_ID.sub(b"$2\r\nid\r\n:0", _VERSION.sub(b"$1\r\n7\r\n", self._heard_by(number)))
            for number in range(CLIENTS)
        ]

    def _heard_by(self, number: int) -> bytes:
        received = b""
        client = self._clients[number]
        while select.select([client], [], [], 0)[0]:
            try:
                data = client.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                client.close()
                self._clients[number] = self._connect()
                self._ids[number] = self._ask(self._clients[number], b"CLIENT", b"ID")[1:-2]
                return received + _CLOSED
            received += data
        return received

    def digest(self) -> bytes:
        """Return what DEBUG DIGEST makes of the dataset."""
        return self._ask(self._control, b"DEBUG", b"DIGEST")


class Conversation:
    """Holds the same conversations at several places, of which nobody else is at any.

    `references` are a real server of 7.0 and, if there is one, of 7.2: ours has to do as one of
    them, and where they part a conversation is over. With 7.0 alone only the listener speaks RESP3
    and hears of keys, for what it hears between its own replies is told otherwise since (and by 7.0
    in the midst of them).
    """

    def __init__(self, references: Sequence[Place], ours: Place) -> None:
        self._references = references
        self._ours = ours

    def compare(self, examples: int, seed_number: int = 0) -> None:
        """Hold `examples` conversations.

        Raises:
            Difference: with the shortest conversation that shows it in the notes.
        """
        drawn = steps(has_newer=len(self._references) > 1)
        check_examples(
            st.lists(drawn, min_size=4, max_size=24),
            self.check,
            examples=examples,
            seed_number=seed_number,
        )

    def check(self, conversation: Sequence[Step]) -> None:
        """Hold one conversation.

        Raises:
            Difference: somebody heard what nobody hears of a real server.
        """
        opening = [
            Step(_LISTENER, ((b"HELLO", b"3"), (b"PSUBSCRIBE", b"__key*"))),
            Step(0, ((b"RPUSH", b"b", b"1", b"2"), (b"ZADD", b"c", b"1", b"x"))),
        ]
        places = [*self._references, self._ours]
        for place in places:
            place.begin()
        for number, step in enumerate([*opening, *conversation]):
            for place in places:
                place.take(step)
            if step.pauses:
                time.sleep(_PAUSE_S)
            if not self._heard_alike(number - len(opening)):
                return
        digests = [place.digest() for place in places]
        if digests[-1] not in digests[:-1]:
            raise Difference(len(conversation), digests[-2:-1], digests[-1:])

    def _heard_alike(self, number: int) -> bool:
        """Compare what was heard since it was last compared; False: the references differ.

        Raises:
            Difference: ours is as none of them.
        """
        places = [*self._references, self._ours]
        received = [place.hear() for place in places]
        until = time.monotonic() + _PATIENCE_S
        while True:
            heard = [[*map(Heard.of, each)] for each in received]
            if received[-1] in received[:-1] or heard[-1] == heard[0]:
                return all(each == heard[0] for each in heard)
            if time.monotonic() > until:
                raise Difference(number, heard[-2], heard[-1])
            time.sleep(0.01)
            received = [
                [*map(operator.add, before, place.hear())]
                for before, place in zip(received, places, strict=True)
            ]
