"""What several clients say to one another by way of a server is heard as by the real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.conversations import Conversation, Place, Step
from tests.support.processes import VedetteServer
from tests.support.redis import RedisServer

EXAMPLES = 30


@pytest.fixture(scope="module")
def conversation() -> Iterator[Conversation]:
    """Yield a conversation with a real server and with ours, as processes."""
    config = {"enable-debug-command": "yes"}
    with RedisServer() as redis, VedetteServer(config) as vedette:
        places = Place(redis.port), Place(vedette.port)
        try:
            yield Conversation(places[:1], places[1])
        finally:
            for place in places:
                place.close()


def test_random_conversations_are_heard_alike(conversation: Conversation) -> None:
    """`make conformance` holds more of them."""
    conversation.compare(EXAMPLES)


@pytest.mark.parametrize(
    "storing",
    [
        b"SUNIONSTORE k none",
        b"SINTERSTORE k none none",
        b"SDIFFSTORE k none",
        b"ZUNIONSTORE k 1 none",
        b"ZRANGESTORE k none 0 -1",
        b"GEOSEARCHSTORE k none FROMLONLAT 0 0 BYRADIUS 1 m",
        b"SORT none STORE k",
        b"BITOP AND k none",
        b"SUNIONSTORE k set",
        b"ZUNIONSTORE k 1 set",
        b"ZRANGESTORE k zset 0 -1",
        b"SORT set STORE k",
        b"BITOP NOT k string",
        b"SMOVE none k 1",
        b"SMOVE k set 1",
        b"LMOVE none k LEFT LEFT",
        b"RENAME k set",
        b"RENAME set k",
        b"RENAMENX set k",
        b"COPY none k",
        b"COPY set k",
        b"MOVE k 1",
        b"GEOADD k 0 0 a",
        b"PFMERGE k none",
        b"XADD k 1-1 a b",
        b"XGROUP CREATE k g $ MKSTREAM",
        b"RESTORE k 0 nonsense",
        b'SETRANGE k 0 ""',
        b"APPEND k x",
        b"GETSET k x",
        b"SETNX k x",
        b"MSETNX string 1 k 1",
        b"LINSERT k BEFORE a b",
        b"LPUSHX k a",
        b"ZINCRBY k 1 a",
        b"HINCRBY k a 1",
        b"SETBIT k 1 1",
        b"BITFIELD k SET u8 0 1",
        b"EXPIRE k 10",
        b"PERSIST k",
        b"OBJECT ENCODING k",
        b"DUMP k",
        b"TOUCH k",
        b"UNLINK k",
        b"SINTERCARD 2 set k",
        b"SDIFF set k",
        b"ZUNION 2 none k",
        b"LMPOP 2 none k LEFT",
        b"WATCH k",
    ],
)
def test_a_result_takes_the_place_of_what_has_expired(
    conversation: Conversation, storing: bytes
) -> None:
    """Of a key that is set anew it is heard that it expired, of one that is not that it is gone.

    So with whatever else comes upon such a key.
    """
    made = (
        *((b"SADD", b"set", b"1"), (b"ZADD", b"zset", b"1", b"1"), (b"SET", b"string", b"1")),
        (b"SET", b"k", b"v", b"PX", b"60"),
    )
    storing_step = Step(0, (tuple(storing.split()), (b"EXISTS", b"k")))

    conversation.check([Step(0, made, pauses=True), storing_step])


def test_who_is_killed_is_gone_for_what_follows(conversation: Conversation) -> None:
    """Even in the same pipeline."""
    killing = (b"CLIENT", b"KILL", b"ID", b"<id 1>")
    redirecting = (b"CLIENT", b"TRACKING", b"ON", b"REDIRECT", b"<id 1>")
    unblocking = (b"CLIENT", b"UNBLOCK", b"<id 1>")

    conversation.check([Step(1, ((b"BLPOP", b"a", b"0"),)), Step(0, (killing, unblocking))])
    conversation.check([Step(0, (killing, redirecting))])
