"""Everything the machine can ask of the runtime.

`SentinelCore.step` returns actions in the order in which they must be carried out. None of them
answers directly: what comes of it is a later event.

**Persist is a barrier by construction.** What may only be said once it is on disk (a vote, an
epoch) is not in the list beside the `Persist`: the machine holds it back and returns it from the
step that gets `Persisted(is_saved=True)`. So the runtime may save in another task and keep stepping
the machine meanwhile (it should: a disk that stalls must not blind the sentinel), and a save that
fails simply leaves those things unsaid. Saves must reach the disk in the order of their `save_id`;
those that wait may be skipped in favour of the newest, since each carries the whole state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from vedette.resp.replies import Reply
from vedette.types import Address

from .durable import DurableState
from .events import RequestId
from .link_state import LinkId, LinkKind


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection and report `LinkUp` or `LinkDown`.

    COMMAND and PEER links carry requests and replies. A PUBSUB link is sent one SUBSCRIBE (to
    `__sentinel__:hello`, by the machine, after LinkUp) whose confirmation is reported as any reply;
    messages are reported as `MessageReceived`. `address` is an IP, or a host name of which the
    machine does not know yet where it leads. Connections use the first `bind` address as their
    source, TLS if `tls-replication` is on, and never wait longer than `connect_timeout_ms`.
    """

    link: LinkId
    kind: LinkKind
    address: Address
    connect_timeout_ms: int


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the connection, or give up making it. Unsent bytes may be dropped."""

    link: LinkId


@dataclass(frozen=True, slots=True)
class Send:
    """Write `commands` in one piece; report all their replies together under `token`.

    May hold a password (AUTH): never log the arguments. What `is_urgent` leaves at once, not with
    what else is to be done at that moment.
    """

    link: LinkId
    token: int
    commands: tuple[tuple[bytes, ...], ...]
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class Persist:
    """Make `state` durable (write, fsync, rename, fsync the directory), then report `Persisted`."""

    save_id: int
    state: DurableState


class Level(Enum):
    """How loud a notice is; WARNING also runs the notification script of its master."""

    DEBUG = "debug"  # logged, never published
    VERBOSE = "verbose"
    NOTICE = "notice"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Publish:
    """Log the event, and publish `payload` on the channel of the event's name.

    `event` is Redis' token (b"+sdown"), `payload` Redis' text, `master` the name of the master it
    belongs to, or None. DEBUG events are logged only.
    """

    event: bytes
    payload: bytes
    level: Level
    master: str | None = None


@dataclass(frozen=True, slots=True)
class RunScript:
    """Queue a notification or client-reconfig script, retried as Redis retries them."""

    path: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Reply to the client whose request carried this number, if it is still there."""

    request: RequestId
    reply: Reply


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look a host name up and report `NameResolved`, in time of its own: nothing waits for it."""

    host: str


@dataclass(frozen=True, slots=True)
class Crash:
    """End the process at once, as SENTINEL SIMULATE-FAILURE ordered; carry out nothing more."""


Action: TypeAlias = (
    Connect | Disconnect | Send | Persist | Publish | RunScript | Answer | Resolve | Crash
)
