"""The client's half of a connection: every reply reaches its own request, messages none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vedette.errors import ProtocolError
from vedette.resp.exchange import (
    Answer,
    BrokenExchangeError,
    Exchange,
    Push,
    ReplyError,
    TooManyPendingError,
    encode_argument,
)

Events = list[Answer[str] | Push]


def exchange_for(*commands: bytes) -> Exchange[str]:
    """An exchange to which the given commands were sent; a command's text is its token."""
    exchange: Exchange[str] = Exchange()
    for command in commands:
        exchange.request(command.split(), command.decode())
    return exchange


def check(commands: list[bytes], received: bytes, expected: Events) -> None:
    """Feed `received` whole, and then byte by byte: both must give `expected`."""
    assert exchange_for(*commands).receive(received) == expected

    by_byte = exchange_for(*commands)
    events = [event for byte in received for event in by_byte.receive(bytes([byte]))]
    assert events == expected


REPLIES: list[tuple[bytes, Any]] = [
    (b"+OK\r\n", b"OK"),
    (b"$5\r\nhello\r\n", b"hello"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"_\r\n", None),
    (b":-7\r\n", -7),
    (b"*2\r\n:1\r\n$1\r\na\r\n", [1, b"a"]),
    (b"*0\r\n", []),
    (b",1.5\r\n", 1.5),
    (b"#f\r\n", False),
    (b"#t\r\n", True),
    (b"%1\r\n$1\r\na\r\n:1\r\n", {b"a": 1}),
    (b"-READONLY no\r\n", ReplyError("READONLY no")),
    (b"*2\r\n+OK\r\n-ERR inner\r\n", [b"OK", ReplyError("ERR inner")]),
]


@pytest.mark.parametrize(("received", "reply"), REPLIES)
def test_reply_of_each_type_answers_its_request(received: bytes, reply: Any) -> None:
    """`#f` matters most: hiredis' own mark of "no reply yet" is the same False."""
    check(
        [b"GET k", b"PING"],
        received + b"+PONG\r\n",
        [Answer("GET k", reply), Answer("PING", b"PONG")],
    )


@given(st.lists(st.sampled_from(REPLIES), max_size=8), st.data())
def test_answers_do_not_depend_on_how_the_bytes_are_cut(
    replies: list[tuple[bytes, Any]], data: st.DataObject
) -> None:
    """TCP may cut anywhere; tokens must still meet their own replies, in order."""
    wire = b"".join(received for received, _ in replies)
    commands = [b"GET %d" % index for index in range(len(replies))]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    exchange = exchange_for(*commands)
    events: Events = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        events += exchange.receive(wire[start:end])

    expected = [Answer(f"GET {index}", reply) for index, (_, reply) in enumerate(replies)]
    assert events == expected
    assert exchange.pending_count == 0


def test_request_is_an_array_of_bulk_strings() -> None:
    """What is sent is binary safe: no inline form."""
    exchange: Exchange[int] = Exchange()

    assert (
        exchange.request([b"SET", b"k", b"\r\n"], 1)
        == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\r\n\r\n"
    )


def test_error_reply_is_a_value_with_its_code() -> None:
    """An error in a pipeline must not hide the replies after it."""
    events = exchange_for(b"GET k").receive(b"-WRONGTYPE Operation against a key\r\n")

    assert isinstance(events[0], Answer)
    error = events[0].reply
    assert isinstance(error, ReplyError)
    assert (error.code, error.text) == ("WRONGTYPE", "WRONGTYPE Operation against a key")


def bulk_array(*items: bytes | int | None, mark: bytes = b"*") -> bytes:
    """A RESP array of bulk strings, integers and nulls, as pub/sub sends them."""
    parts = [
        b":%d\r\n" % item
        if isinstance(item, int)
        else (b"$-1\r\n" if item is None else b"$%d\r\n%b\r\n" % (len(item), item))
        for item in items
    ]
    return mark + b"%d\r\n" % len(items) + b"".join(parts)


SUBSCRIBED = bulk_array(b"subscribe", b"c", 1)
MESSAGE = bulk_array(b"message", b"c", b"hi")


def test_subscribe_is_answered_by_its_confirmations() -> None:
    """SUBSCRIBE to two channels gets two confirmations, which are one reply to the caller."""
    check(
        [b"SUBSCRIBE c d", b"PING"],
        SUBSCRIBED + bulk_array(b"subscribe", b"d", 2) + bulk_array(b"pong", b""),
        [
            Answer("SUBSCRIBE c d", [[b"subscribe", b"c", 1], [b"subscribe", b"d", 2]]),
            Answer("PING", [b"pong", b""]),
        ],
    )


def test_messages_between_replies_of_resp2_are_pushes() -> None:
    """A message that arrives before the reply to PING must not be taken for it."""
    check(
        [b"SUBSCRIBE c", b"PSUBSCRIBE p*", b"PING"],
        SUBSCRIBED
        + MESSAGE
        + bulk_array(b"psubscribe", b"p*", 2)
        + bulk_array(b"pmessage", b"p*", b"p1", b"x")
        + bulk_array(b"pong", b""),
        [
            Answer("SUBSCRIBE c", [[b"subscribe", b"c", 1]]),
            Push([b"message", b"c", b"hi"]),
            Answer("PSUBSCRIBE p*", [[b"psubscribe", b"p*", 2]]),
            Push([b"pmessage", b"p*", b"p1", b"x"]),
            Answer("PING", [b"pong", b""]),
        ],
    )


def test_list_that_looks_like_a_message_is_a_reply_when_not_subscribed() -> None:
    """Users may store the word `message`; only a subscription makes it a message."""
    check(
        [b"LRANGE k 0 -1", b"LRANGE j 0 -1"],
        MESSAGE + SUBSCRIBED,
        [
            Answer("LRANGE k 0 -1", [b"message", b"c", b"hi"]),
            Answer("LRANGE j 0 -1", [b"subscribe", b"c", 1]),
        ],
    )


def test_lists_are_replies_again_after_the_last_unsubscribe() -> None:
    """UNSUBSCRIBE without channels is confirmed once for each channel, and ends the mode."""
    check(
        [b"SUBSCRIBE c d", b"UNSUBSCRIBE", b"LRANGE k 0 -1"],
        SUBSCRIBED
        + bulk_array(b"subscribe", b"d", 2)
        + bulk_array(b"unsubscribe", b"d", 1)
        + bulk_array(b"unsubscribe", b"c", 0)
        + MESSAGE,
        [
            Answer("SUBSCRIBE c d", [[b"subscribe", b"c", 1], [b"subscribe", b"d", 2]]),
            Answer("UNSUBSCRIBE", [[b"unsubscribe", b"d", 1], [b"unsubscribe", b"c", 0]]),
            Answer("LRANGE k 0 -1", [b"message", b"c", b"hi"]),
        ],
    )


def test_unsubscribe_from_nothing_is_confirmed_once() -> None:
    """Redis answers one confirmation with a null channel; waiting for more would hang."""
    check(
        [b"UNSUBSCRIBE", b"PING"],
        bulk_array(b"unsubscribe", None, 0) + b"+PONG\r\n",
        [Answer("UNSUBSCRIBE", [[b"unsubscribe", None, 0]]), Answer("PING", b"PONG")],
    )


def test_refused_subscribe_is_answered_by_its_error() -> None:
    """NOAUTH comes instead of all confirmations."""
    check(
        [b"SUBSCRIBE c d", b"PING"],
        b"-NOAUTH Authentication required.\r\n+PONG\r\n",
        [
            Answer("SUBSCRIBE c d", ReplyError("NOAUTH Authentication required.")),
            Answer("PING", b"PONG"),
        ],
    )


HELLO = b"%1\r\n$5\r\nproto\r\n:3\r\n"


def test_pushes_of_resp3_stand_apart_from_replies() -> None:
    """In RESP3 a subscribed connection may run any command, so only the mark tells them apart."""
    check(
        [b"HELLO 3", b"SUBSCRIBE c", b"LRANGE k 0 -1", b"UNSUBSCRIBE c"],
        HELLO
        + bulk_array(b"subscribe", b"c", 1, mark=b">")
        + bulk_array(b"message", b"c", b"hi", mark=b">")
        + MESSAGE
        + bulk_array(b"unsubscribe", b"c", 0, mark=b">"),
        [
            Answer("HELLO 3", {b"proto": 3}),
            Answer("SUBSCRIBE c", [[b"subscribe", b"c", 1]]),
            Push([b"message", b"c", b"hi"]),
            Answer("LRANGE k 0 -1", [b"message", b"c", b"hi"]),
            Answer("UNSUBSCRIBE c", [[b"unsubscribe", b"c", 0]]),
        ],
    )


def test_unasked_confirmation_is_a_push() -> None:
    """A server may drop a channel by itself; that answers no request."""
    check(
        [b"SUBSCRIBE c", b"PING"],
        SUBSCRIBED + bulk_array(b"unsubscribe", b"c", 0) + b"+PONG\r\n",
        [
            Answer("SUBSCRIBE c", [[b"subscribe", b"c", 1]]),
            Push([b"unsubscribe", b"c", 0]),
            Answer("PING", b"PONG"),
        ],
    )


def test_reset_ends_subscriptions_and_protocol() -> None:
    """After RESET the connection is as new: RESP2, nothing subscribed."""
    exchange = exchange_for(b"HELLO 3", b"SUBSCRIBE c", b"RESET")
    exchange.receive(HELLO + bulk_array(b"subscribe", b"c", 1, mark=b">"))
    assert (exchange.protocol, exchange.is_subscribed) == (3, True)

    exchange.receive(b"+RESET\r\n")

    assert (exchange.protocol, exchange.is_subscribed) == (2, False)


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"$-5\r\n",
        b":99999999999999999999\r\n",
        b"%1\r\n*1\r\n:1\r\n:1\r\n",
        b"*%d\r\n" % 2**40,
    ],
)
def test_garbage_is_a_protocol_error_that_keeps_what_came_before(garbage: bytes) -> None:
    """The replies that did arrive decide whether their requests are known to be done."""
    exchange = exchange_for(b"GET a", b"GET b")

    with pytest.raises(BrokenExchangeError) as raised:
        exchange.receive(b"+one\r\n" + garbage)

    assert isinstance(raised.value, ProtocolError)
    assert raised.value.events == [Answer("GET a", b"one")]
    assert exchange.take_pending() == ["GET b"]


def test_reply_without_a_request_is_a_protocol_error() -> None:
    """It means that matching is off already; every later reply would be the wrong one."""
    with pytest.raises(ProtocolError, match="no request waits"):
        exchange_for().receive(b"+OK\r\n")


@given(st.binary(max_size=64))
def test_any_bytes_are_replies_or_a_protocol_error(received: bytes) -> None:
    """No other exception may escape to the reader task."""
    exchange = exchange_for(b"GET a", b"SUBSCRIBE c", b"HELLO 3")
    try:
        events = exchange.receive(received)
    except ProtocolError:
        return
    assert len(exchange.take_pending()) + len([e for e in events if isinstance(e, Answer)]) == 3


def test_queue_is_bounded() -> None:
    """A server that stopped answering must not cost unbounded memory."""
    exchange: Exchange[int] = Exchange(max_pending=2)
    exchange.request([b"PING"], 1)
    exchange.request([b"PING"], 2)

    with pytest.raises(TooManyPendingError):
        exchange.request([b"PING"], 3)

    exchange.receive(b"+PONG\r\n")
    exchange.request([b"PING"], 4)
    assert exchange.take_pending() == [2, 4]


@pytest.mark.parametrize(
    "argv", [[], [b"monitor"], [b"PSYNC", b"?", b"-1"], [b"SYNC"], [b"Client", b"Reply", b"OFF"]]
)
def test_commands_that_end_the_matching_are_refused(argv: list[bytes]) -> None:
    """They are refused before anything is queued."""
    exchange: Exchange[int] = Exchange()

    with pytest.raises(ValueError, match=r"would end the matching|at least a name"):
        exchange.request(argv, 1)
    assert exchange.pending_count == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x00", b"\x00"),
        ("é", b"\xc3\xa9"),
        (-3, b"-3"),
        (0.1, b"0.1"),
        (bytearray(b"x"), b"x"),
    ],
)
def test_argument_is_encoded(value: Any, expected: bytes) -> None:
    """Callers pass keys as text and counters as numbers."""
    assert encode_argument(value) == expected


@pytest.mark.parametrize("value", [True, None, ["a"]])
def test_argument_of_unclear_meaning_is_refused(value: Any) -> None:
    """`None` as `b"None"` has been a costly default elsewhere."""
    with pytest.raises(TypeError, match="no argument"):
        encode_argument(value)
