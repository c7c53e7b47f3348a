"""One client as the server sees it: what it has sent, what it is owed, what state it is in.

Pure state. The engine is its writer; the pump moves `outbox` to the socket. `needs_care` is the one
flag that the fast path reads: true as soon as anything about the session is out of the ordinary.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ..resp.encode import encode_reply
from ..resp.replies import Reply
from ..resp.requests import RequestParser

if TYPE_CHECKING:
    from ..acl import User
    from ..cmdspec import CommandRow
    from .blocking import Block


#: What one receive takes; Redis reads as much at a time. More only of a large value, of which it is
#: known how much is to come.
RECEIVE_BYTES: Final = 16 * 1024
RECEIVE_MAX_BYTES: Final = 256 * 1024

#: Shown as the user of a connection that is none's: it may do everything.
NOBODY: Final = b"(superuser)"


class ClientKind(enum.Enum):
    """The class of a client, with the names that CLIENT LIST TYPE and KILL TYPE take."""

    NORMAL = "normal"
    MASTER = "master"
    REPLICA = "replica"
    PUBSUB = "pubsub"


class ReplyMode(enum.Enum):
    """What CLIENT REPLY asked for."""

    ON = "on"
    OFF = "off"
    #: The next command's reply is left out; set by CLIENT REPLY SKIP itself.
    SKIP_NEXT = "skip-next"
    #: This command's reply is left out.
    SKIP = "skip"


#: Asked for with every reply: to find a member of an enumeration takes longer than to compare it.
_ON: Final = ReplyMode.ON
_SKIP_NEXT: Final = ReplyMode.SKIP_NEXT
_SKIP: Final = ReplyMode.SKIP


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """What CLIENT TRACKING asked for."""

    #: The client that is to be told instead; 0: this one.
    redirect: int = 0
    is_broadcast: bool = False
    is_opt_in: bool = False
    is_opt_out: bool = False
    is_no_loop: bool = False
    #: In the order of their bytes; empty unless broadcasting.
    prefixes: tuple[bytes, ...] = ()
    #: CLIENT CACHING said something about the next command.
    is_caching: bool = False
    #: Somebody was to be told, and the client to `redirect` to was gone.
    is_redirect_broken: bool = False


class Session:
    """One client's connection.

    Times are milliseconds of the wall clock. `address` and `local_address` are `host:port`.
    """

    __slots__ = (
        "__weakref__",
        "_kind",
        "address",
        "backlog",
        "blocked",
        "channels",
        "created_ms",
        "database_index",
        "errors_in_transaction",
        "file_descriptor",
        "id",
        "is_authenticated",
        "is_close_requested",
        "is_closed",
        "is_deaf",
        "is_in_unsent",
        "is_monitor",
        "is_no_evict",
        "is_no_touch",
        "is_only_queueing",
        "is_script",
        "is_unix_socket",
        "last_command",
        "last_interaction_ms",
        "library_name",
        "library_version",
        "local_address",
        "name",
        "needs_care",
        "outbox",
        "parser",
        "patterns",
        "protocol",
        "protocol_error",
        "queued_commands",
        "receive_bytes",
        "reply_mode",
        "shard_channels",
        "soft_limit_since_ms",
        "tracking",
        "unsent_bytes",
        "user",
        "waiting_bytes",
        "waiting_requests",
        "watch_is_broken",
        "watched",
    )

    def __init__(
        self,
        client_id: int,
        *,
        address: str = "",
        local_address: str = "",
        now_ms: int = 0,
        user: User | None = None,
        is_authenticated: bool = True,
        file_descriptor: int = -1,
    ) -> None:
        self.id = client_id
        self.address = address
        self.local_address = local_address
        self.file_descriptor = file_descriptor
        self.created_ms = now_ms
        self.last_interaction_ms = now_ms
        self.last_command = "NULL"
        self.name = b""
        self.library_name = b""
        self.library_version = b""
        #: Who it is taken for, logged in or not; None: nobody, who may do everything.
        self.user = user
        self._kind = ClientKind.NORMAL
        self.protocol = 2
        self.database_index = 0
        self.parser = RequestParser()
        #: How much is to be received at once; see `RECEIVE_BYTES`.
        self.receive_bytes = RECEIVE_BYTES
        self.is_authenticated = is_authenticated
        self.parser.is_authenticated = is_authenticated

        #: Encoded replies not yet handed to the socket, in order.
        self.outbox: list[bytes] = []
        #: What the socket did not take when it was offered: what a slow reader owes us to read. It
        #: precedes the outbox, and `unsent_bytes` is its size.
        self.backlog: deque[bytes | memoryview] = deque()
        self.unsent_bytes = 0
        #: When the soft output limit was first passed, or None.
        self.soft_limit_since_ms: int | None = None
        #: Whether the session stands in its registry's `unsent`.
        self.is_in_unsent = False
        #: Close once the outbox has been sent.
        self.is_close_requested = False
        #: The connection is gone; nothing may be appended any more.
        self.is_closed = False

        self.reply_mode = ReplyMode.ON
        #: CLIENT NO-EVICT and CLIENT NO-TOUCH.
        self.is_no_evict = False
        self.is_no_touch = False
        #: What CLIENT TRACKING asked for, or None.
        self.tracking: Tracking | None = None
        self.is_unix_socket = False
        #: It stands for a client while a script of that client runs.
        self.is_script = False
        #: MONITOR: it is shown all commands.
        self.is_monitor = False
        #: Set for sessions whose replies go nowhere (the link to our master).
        self.is_deaf = False
        #: Commands queued since MULTI, or None outside a transaction.
        self.queued_commands: list[tuple[CommandRow, list[bytes]]] | None = None
        self.errors_in_transaction = False
        #: Keys under WATCH as (database index, key).
        self.watched: set[tuple[int, bytes]] = set()
        self.watch_is_broken = False
        #: Channels and patterns subscribed to, in the order in which that happened.
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        #: Channels subscribed to by SSUBSCRIBE: names apart from those of `channels`.
        self.shard_channels: dict[bytes, None] = {}
        #: Why the session waits, or None; requests that arrive meanwhile are kept in order, and so
        #: are those behind replies too large to be followed by more.
        self.blocked: Block | None = None
        self.waiting_requests: list[list[bytes]] = []
        #: About how many bytes these are.
        self.waiting_bytes = 0
        #: What is wrong with what came behind all these; nothing that follows is looked at.
        self.protocol_error = b""
        self.needs_care = False
        #: Whether it needs care for no other reason than that it is in a transaction.
        self.is_only_queueing = False
        self.recheck()

    def __repr__(self) -> str:
        return f"<Session id={self.id} address={self.address}>"

    @property
    def kind(self) -> ClientKind:
        """The client's class: a normal client with subscriptions counts as pub/sub."""
        if self._kind is ClientKind.NORMAL and self.is_subscribed:
            return ClientKind.PUBSUB
        return self._kind

    @kind.setter
    def kind(self, kind: ClientKind) -> None:
        self._kind = kind
        self.recheck()

    @property
    def user_name(self) -> bytes:
        """The name of the user, as CLIENT LIST shows it."""
        return NOBODY if self.user is None else self.user.name

    @property
    def is_restricted(self) -> bool:
        """Whether its user may not do everything."""
        return self.user is not None and self.user.is_restricted

    @property
    def subscription_count(self) -> int:
        """Channels and patterns subscribed to, as SUBSCRIBE counts: without shard channels."""
        return len(self.channels) + len(self.patterns)

    @property
    def is_subscribed(self) -> bool:
        """Whether it is subscribed to anything."""
        return bool(self.channels or self.patterns or self.shard_channels)

    @property
    def may_be_idle(self) -> bool:
        """Whether a long silence of this client is no reason to close it."""
        return self.kind is not ClientKind.NORMAL or self.blocked is not None or self.is_monitor

    @property
    def is_put_off(self) -> bool:
        """Whether requests wait for nothing but the client's reading of what it is owed."""
        return bool(self.waiting_requests) and self.blocked is None

    def recheck(self) -> None:
        """Compute `needs_care` and `is_only_queueing`.

        To be called by whoever changes what they depend on.
        """
        is_unusual = (
            not self.is_authenticated
            or self.is_restricted
            or self._kind is not ClientKind.NORMAL
            or self.reply_mode is not ReplyMode.ON
            or self.blocked is not None
            or self.is_deaf
            or self.is_close_requested
            or self.is_closed
            or self.tracking is not None
            or self.is_subscribed
        )
        is_queueing = self.queued_commands is not None
        self.needs_care = is_unusual or is_queueing
        self.is_only_queueing = is_queueing and not is_unusual

    def end_transaction(self) -> None:
        """Leave MULTI, forgetting what was queued."""
        self.queued_commands = None
        self.errors_in_transaction = False
        self.recheck()

    def stand_in_for(self, other: Session) -> None:
        """Be `other` in all that commands may ask of a session, until the next call.

        For what runs commands on behalf of a client, and is no connection.
        """
        self.id = other.id
        self.address = other.address
        self.local_address = other.local_address
        self.created_ms = other.created_ms
        self.user = other.user
        self.name = other.name
        self.database_index = other.database_index
        self.is_deaf = other.is_deaf
        self.is_no_touch = other.is_no_touch
        self.is_unix_socket = other.is_unix_socket
        self._kind = other._kind

    def take_user(self, user: User | None, *, is_authenticated: bool) -> None:
        """Make the session one of `user`, logged in or not."""
        self.user = user
        self.is_authenticated = is_authenticated
        self.parser.is_authenticated = is_authenticated
        self.recheck()

    def reset(self) -> None:
        """Forget what the client has chosen (RESET); transaction and subscriptions are gone."""
        self.protocol = 2
        self.name = b""
        self.database_index = 0
        self.reply_mode = ReplyMode.ON
        self.is_no_evict = False
        self.is_no_touch = False
        self.tracking = None
        self.recheck()

    @property
    def is_leaving(self) -> bool:
        """Whether the connection is closed, or is to be without another byte being sent."""
        return self.is_closed or (self.is_close_requested and not self.has_output)

    @property
    def is_silent(self) -> bool:
        """Whether replies are to be left out at present."""
        mode = self.reply_mode
        return self.is_deaf or (mode is not _ON and mode is not _SKIP_NEXT)

    def begin_reply(self) -> None:
        """Note that a request begins to be answered, maybe the one that CLIENT REPLY SKIP meant."""
        if self.reply_mode is _SKIP_NEXT:
            self.reply_mode = _SKIP

    def end_caching(self) -> None:
        """Note that a command has run to which CLIENT CACHING may have applied.

        It applies to the whole of a transaction.
        """
        tracking = self.tracking
        if tracking is not None and tracking.is_caching and self.queued_commands is None:
            self.tracking = replace(tracking, is_caching=False)

    def end_reply(self) -> None:
        """Note that a request has been answered."""
        if self.reply_mode is _SKIP:
            self.reply_mode = _ON
            self.recheck()

    @property
    def has_output(self) -> bool:
        """Whether anything is still to be sent."""
        return bool(self.outbox or self.backlog)

    def drop_output(self) -> None:
        """Forget what is still to be sent."""
        self.outbox.clear()
        self.backlog.clear()
        self.unsent_bytes = 0

    def add_reply(self, reply: Reply) -> None:
        """Append `reply` to the outbox in the session's protocol, unless none is to be sent."""
        if self.is_silent or self.is_close_requested or self.is_closed:
            return
        self.outbox.append(encode_reply(reply, self.protocol))
