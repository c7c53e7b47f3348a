"""Subscribing and publishing, bytes in and bytes out."""

from __future__ import annotations

import pytest

from tests.support.engine import TestEngine
from tests.support.kernel import KernelEngine
from vedette.resp.encode import encode_command

PONG = b"+PONG\r\n"
QUEUED = b"+QUEUED\r\n"
MESSAGE = b">3\r\n$7\r\nmessage\r\n$3\r\nown\r\n$1\r\nm\r\n"


def confirmation(verb: str, name: str | None, count: int, mark: bytes = b"*") -> bytes:
    """Return the confirmation of one channel or pattern."""
    null = b"$-1\r\n" if mark == b"*" else b"_\r\n"
    spelt = null if name is None else b"$%d\r\n%b\r\n" % (len(name), name.encode())
    return b"%b3\r\n$%d\r\n%b\r\n%b:%d\r\n" % (mark, len(verb), verb.encode(), spelt, count)


def test_subscribing_and_leaving_is_confirmed_name_by_name() -> None:
    """One request, several replies."""
    engine = KernelEngine()

    assert engine.send(
        engine.client(),
        ("SUBSCRIBE", "a", "b"),
        ("PSUBSCRIBE", "a*"),
        ("UNSUBSCRIBE",),
        ("PUNSUBSCRIBE", "x", "a*"),
        ("UNSUBSCRIBE",),
        ("PUNSUBSCRIBE",),
    ) == (
        confirmation("subscribe", "a", 1)
        + confirmation("subscribe", "b", 2)
        + confirmation("psubscribe", "a*", 3)
        + confirmation("unsubscribe", "a", 2)
        + confirmation("unsubscribe", "b", 1)
        + confirmation("punsubscribe", "x", 1)
        + confirmation("punsubscribe", "a*", 0)
        + confirmation("unsubscribe", None, 0)
        + confirmation("punsubscribe", None, 0)
    )


def test_a_subscribed_resp2_client_may_do_little_else() -> None:
    """It could not tell replies from messages; PING answers in the form of a message."""
    engine = KernelEngine()
    client = engine.client()
    engine.send(client, ("SUBSCRIBE", "a"))
    refusal = (
        b"-ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are"
        b" allowed in this context\r\n"
    )

    assert engine.send(client, ("PING",), ("PING", "x"), ("FETCH", "k"), ("CLIENT", "ID")) == (
        b"*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$1\r\nx\r\n"
        + refusal % b"fetch"
        + refusal % b"client|id"
    )
    assert engine.send(client, ("UNSUBSCRIBE",), ("PING",)) == (
        confirmation("unsubscribe", "a", 0) + PONG
    )


def test_a_subscribed_resp3_client_may_do_anything() -> None:
    """Messages are pushes there, told from replies by their first byte."""
    engine = KernelEngine()
    client = engine.client(protocol=3)

    assert engine.send(client, ("SUBSCRIBE", "a"), ("PING",), ("ECHO", "x"), ("UNSUBSCRIBE",)) == (
        confirmation("subscribe", "a", 1, b">")
        + PONG
        + b"$1\r\nx\r\n"
        + confirmation("unsubscribe", "a", 0, b">")
    )


def test_confirmations_and_messages_come_through_silence() -> None:
    """CLIENT REPLY is about replies; as observed of redis-server 7.0.15."""
    engine = KernelEngine()
    client = engine.client(protocol=3)

    assert engine.send(client, ("CLIENT", "REPLY", "OFF"), ("SUBSCRIBE", "a"), ("PING",)) == (
        confirmation("subscribe", "a", 1, b">")
    )
    engine.pubsub.publish(b"a", b"x")
    engine.end_batch()
    assert engine.sent_to(client) == b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"


def test_subscribing_inside_a_transaction() -> None:
    """The confirmations stand in the transaction's array, and the mode follows."""
    engine = KernelEngine()

    assert engine.send(engine.client(), ("MULTI",), ("SUBSCRIBE", "a"), ("EXEC",), ("PING",)) == (
        b"+OK\r\n+QUEUED\r\n*1\r\n"
        + confirmation("subscribe", "a", 1)
        + b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"
    )


# --- on the server -------------------------------------------------------------------------------


def test_publish_delivers_counts_and_propagates() -> None:
    """Replicas deliver it to their own subscribers, so it is in the stream, though no write."""
    server = TestEngine()
    subscriber = server.connect()
    server.raw("SUBSCRIBE", "news", session=subscriber)
    server.raw("PSUBSCRIBE", "n*", session=subscriber)

    assert server.raw("PUBLISH", "news", "hi") == b":2\r\n"
    assert b"".join(subscriber.outbox) == (
        b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n"
        b"*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$2\r\nhi\r\n"
    )
    assert server.sink.take_commands() == [[b"PUBLISH", b"news", b"hi"]]
    assert server.engine.keyspace.dirty == 0


SCRIPT = 'redis.call("PUBLISH", KEYS[1], "m") return "done"'


@pytest.mark.parametrize(
    ("requests", "replies"),
    [
        ([("PUBLISH", "own", "m"), ("PING",)], [b":1\r\n", MESSAGE, PONG]),
        (
            [("MULTI",), ("PUBLISH", "own", "m"), ("PING",), ("EXEC",)],
            [b"+OK\r\n", QUEUED, QUEUED, b"*2\r\n:1\r\n+PONG\r\n", MESSAGE],
        ),
        ([("EVAL", SCRIPT, 1, "own"), ("PING",)], [b"$4\r\ndone\r\n", MESSAGE, PONG]),
    ],
)
def test_ones_own_message_comes_behind_the_reply(
    requests: list[tuple[str | int, ...]], replies: list[bytes]
) -> None:
    """As by Redis 7.2: amid an array it would be taken for an element."""
    server = TestEngine()
    session = server.connect()
    server.raw("HELLO", 3, session=session)
    server.raw("SUBSCRIBE", "own", session=session)

    sent = b"".join(encode_command([str(word).encode() for word in words]) for words in requests)
    assert server.send(sent, session) == b"".join(replies)


def test_pubsub_tells_who_listens() -> None:
    """Channels without listeners count as zero."""
    server = TestEngine()
    subscriber = server.connect()
    server.raw("SUBSCRIBE", "news.it", "chat", session=subscriber)
    server.raw("PSUBSCRIBE", "n*", session=subscriber)

    assert server.call("PUBSUB", "CHANNELS") == [b"news.it", b"chat"]
    assert server.call("PUBSUB", "CHANNELS", "n*") == [b"news.it"]
    assert server.call("PUBSUB", "NUMSUB", "chat", "none") == [b"chat", 1, b"none", 0]
    assert server.call("PUBSUB", "NUMSUB") == []
    assert server.call("PUBSUB", "NUMPAT") == 1
    assert server.error("PUBSUB", "CHANNELS", "a", "b") == (
        "ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP."
    )
    assert server.error("PUBSUB", "NUMPAT", "x") == (
        "ERR wrong number of arguments for 'pubsub|numpat' command"
    )


def test_hello_tells_the_role() -> None:
    """Clients that look for a master read it there."""
    server = TestEngine()
    before = server.call("HELLO")
    server.engine.set_role(is_replica=True)
    after = server.call("HELLO")

    assert before[before.index(b"role") + 1] == b"master"
    assert after[after.index(b"role") + 1] == b"replica"
