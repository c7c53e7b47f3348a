"""The client's half of one RESP connection: which reply belongs to which request.

Owns the queue of requests that wait for their reply, the parser of what comes back, and telling
replies from messages that nobody asked for. Knows nothing of sockets, time or tasks: bytes in,
events out. Replies carry no number on the wire, so their order is all there is: whoever stops
waiting for a reply must leave its token in the queue.

Theory of operation. `request` queues a token and returns bytes to send; `receive` takes what came
and returns `Answer`s, in the order of the requests, and `Push`es. Two things break the rule of one
reply to one request, and are undone here:

- SUBSCRIBE and its kin are answered once for every channel. Those confirmations are collected, and
  the request gets them as one list.
- A message of a subscription comes between replies. RESP3 marks it; RESP2 sends a plain array,
  which is a message if the connection is subscribed: no command that answers such arrays is allowed
  then.

Commands after which this order no longer holds (MONITOR, PSYNC, SYNC, CLIENT REPLY) are refused,
and attributes (`|`), which no server sends unasked, are not understood.

Follows Redis 7.0 `pubsub.c: addReplyPubsub*`, `networking.c: helloCommand`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

import hiredis

from ..errors import ProtocolError, VedetteError
from .encode import encode_command

#: A reply as received: bytes, int, float, bool, None, list, dict, `ReplyError`.
#: Any: the command decides the shape, so each caller checks what it relies on.
Received: TypeAlias = Any

#: What callers may pass as an argument of a command; see `encode_argument`.
Argument: TypeAlias = bytes | str | int | float

TokenT = TypeVar("TokenT")

#: What `hiredis.Reader.gets` gives when no reply is complete; its own choice is False, which is
#: also a reply of RESP3.
_NOTHING: Final = object()

_CONFIRMATIONS: Final = frozenset(
    [b"subscribe", b"unsubscribe", b"psubscribe", b"punsubscribe", b"ssubscribe", b"sunsubscribe"]
)
_MESSAGES: Final = frozenset([b"message", b"pmessage", b"smessage"])
_NEVER: Final = frozenset([b"monitor", b"psync", b"sync"])


class ReplyError(VedetteError):
    """An error reply, such as `-READONLY You can't write against a read only replica.`

    `text` is the reply without its leading `-`. It is a value where replies are values (in lists,
    in pipelines), and raised where a caller waits for one reply.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    @property
    def code(self) -> str:
        """The first word: `ERR`, `READONLY`, `NOAUTH`."""
        return self.text.partition(" ")[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ReplyError) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class TooManyPendingError(VedetteError):
    """The queue of requests without a reply is full."""


class Answer(NamedTuple, Generic[TokenT]):
    """The reply to the request that `token` stands for."""

    token: TokenT
    reply: Received


class Push(NamedTuple):
    """A message outside the order of replies: `[b"message", channel, payload]` and others."""

    items: list[Received]


class BrokenExchangeError(ProtocolError):
    """The peer sent what is no reply. `events` are those that came complete before it."""

    def __init__(self, text: str, events: Sequence[Answer[Any] | Push]) -> None:
        super().__init__(text)
        self.events = events


class _Special(Generic[TokenT]):
    """A queued request whose reply changes how later bytes are read."""

    __slots__ = ("argument_count", "confirmations", "name", "token")

    def __init__(self, token: TokenT, name: bytes, argument_count: int) -> None:
        self.token = token
        self.name = name
        self.argument_count = argument_count
        self.confirmations: list[Received] = []


#: What an idle connection keeps of its reader's buffer. A sentinel has thousands of them, and each
#: has received an INFO once.
IDLE_BUFFER_BYTES: Final = 4096

_SPECIAL_NAMES: Final = _CONFIRMATIONS | {b"hello", b"reset"}


class Exchange(Generic[TokenT]):
    """Requests out, replies in; `max_pending` bounds the requests that wait."""

    __slots__ = ("_channels", "_gets", "_pending", "_reader", "max_pending", "protocol")

    def __init__(self, *, max_pending: int = 65536) -> None:
        self.max_pending = max_pending
        #: 2, or 3 once HELLO has agreed on it.
        self.protocol = 2
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=_NOTHING)
        self._reader.setmaxbuf(IDLE_BUFFER_BYTES)
        self._gets = self._reader.gets
        self._pending: deque[TokenT | _Special[TokenT]] = deque()
        #: What is subscribed, by kind: the prefix `""`, `"p"` or `"s"` of the command's name.
        self._channels: dict[bytes, set[bytes]] = {b"": set(), b"p": set(), b"s": set()}

    @property
    def pending_count(self) -> int:
        """How many requests wait for their reply."""
        return len(self._pending)

    @property
    def is_subscribed(self) -> bool:
        """Whether the server has confirmed a subscription that still stands."""
        return any(self._channels.values())

    def request(self, argv: Sequence[bytes], token: TokenT) -> bytes:
        """Queue `token` and return the bytes to send, which must be sent in this order.

        Raises:
            TooManyPendingError: `max_pending` requests wait; nothing was queued.
            ValueError: the command is empty or one after which replies cannot be matched.
        """
        if len(self._pending) >= self.max_pending:
            raise TooManyPendingError(f"{len(self._pending)} requests wait for their reply")
        name = ensure_matchable(argv)
        if name in _SPECIAL_NAMES:
            self._pending.append(_Special(token, name, len(argv) - 1))
        else:
            self._pending.append(token)
        return encode_command(argv)

    def receive(self, data: bytes) -> list[Answer[TokenT] | Push]:
        """Return what `data` completes, in the order received.

        Raises:
            BrokenExchangeError: these bytes are no RESP, or a reply that answers nothing. Its
                `events` hold what came before; the connection cannot be used any more.
        """
        events: list[Answer[TokenT] | Push] = []
        self._reader.feed(data)
        try:
            while (reply := self._gets()) is not _NOTHING:
                event = self._place(reply)
                if event is not None:
                    events.append(event)
        except hiredis.ProtocolError as error:
            raise BrokenExchangeError(str(error), events) from error
        except TypeError as error:  # a map whose key is itself an aggregate
            raise BrokenExchangeError(f"unusable reply: {error}", events) from error
        except ProtocolError as error:
            raise BrokenExchangeError(str(error), events) from error
        return events

    def take_pending(self) -> list[TokenT]:
        """Empty the queue and return its tokens, oldest first: whom to tell of a lost link."""
        tokens = [item.token if isinstance(item, _Special) else item for item in self._pending]
        self._pending.clear()
        return tokens

    def _place(self, reply: Received) -> Answer[TokenT] | Push | None:
        """Return the event that `reply` makes, or None if more of its kind must come first."""
        kind = type(reply)
        if kind is hiredis.PushNotification:
            return self._place_push(list(reply))
        if kind is list and self.protocol == 2 and self._is_push_of_resp2(reply):
            return self._place_push(reply)
        if not self._pending:
            raise ProtocolError("a reply came that no request waits for")
        head = self._pending.popleft()
        if not isinstance(head, _Special):
            return Answer(head, reply)
        self._note(head, reply)
        return Answer(head.token, reply)

    def _is_push_of_resp2(self, reply: list[Received]) -> bool:
        if not reply or type(reply[0]) is not bytes:
            return False
        if reply[0] in _MESSAGES:
            return self.is_subscribed
        if reply[0] not in _CONFIRMATIONS or len(reply) != 3:
            return False
        return self.is_subscribed or self._confirms_head(reply)

    def _confirms_head(self, items: list[Received]) -> bool:
        head = self._pending[0] if self._pending else None
        return isinstance(head, _Special) and head.name == items[0]

    def _place_push(self, items: list[Received]) -> Answer[TokenT] | Push | None:
        if not items or items[0] not in _CONFIRMATIONS or len(items) != 3:
            return Push(items)
        confirms = self._confirms_head(items)
        expected = self._confirmations_expected() if confirms else 0
        self._record_subscription(items)
        if not confirms:  # the server dropped a channel on its own
            return Push(items)
        head = self._pending[0]
        assert isinstance(head, _Special)
        head.confirmations.append(items)
        if len(head.confirmations) < expected:
            return None
        self._pending.popleft()
        return Answer(head.token, head.confirmations)

    def _confirmations_expected(self) -> int:
        """Return how many confirmations the oldest request gets in all.

        UNSUBSCRIBE without channels gets one for each that is still subscribed, or one if none is.
        """
        head = self._pending[0]
        assert isinstance(head, _Special)
        if head.argument_count:
            return head.argument_count
        kind = head.name.removesuffix(b"subscribe").removesuffix(b"un")
        return max(1, len(head.confirmations) + len(self._channels[kind]))

    def _record_subscription(self, items: list[Received]) -> None:
        name: bytes = items[0]
        kind = name.removesuffix(b"subscribe")
        if kind.endswith(b"un"):
            self._channels[kind.removesuffix(b"un")].discard(items[1])
        else:
            self._channels[kind].add(items[1])

    def _note(self, head: _Special[TokenT], reply: Received) -> None:
        """Adopt what the reply to HELLO or RESET says about the bytes that follow."""
        if head.name == b"hello":
            if isinstance(reply, dict):
                self.protocol = 3
            elif isinstance(reply, list):
                self.protocol = 2
        elif head.name == b"reset" and not isinstance(reply, ReplyError):
            self.protocol = 2
            for channels in self._channels.values():
                channels.clear()


def ensure_matchable(argv: Sequence[bytes]) -> bytes:
    """Return the command's name in lower case.

    Raises:
        ValueError: the command is empty or one after which replies cannot be matched.
    """
    if not argv:
        raise ValueError("a command has at least a name")
    name = argv[0].lower()
    if name in _NEVER or (name == b"client" and len(argv) > 1 and argv[1].lower() == b"reply"):
        raise ValueError(f"{name.decode()} would end the matching of replies to requests")
    return name


def encode_argument(value: Argument) -> bytes:
    """Return one argument as bytes: text as UTF-8, numbers in decimal.

    Raises:
        TypeError: `value` is none of these (a bool is not: Redis has no agreed spelling of it).
    """
    if type(value) is bytes:
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        raise TypeError("a bool is no argument: say b'1' or b'0'")
    if isinstance(value, int | float):
        return repr(value).encode()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise TypeError(f"{type(value).__name__} is no argument of a command")
