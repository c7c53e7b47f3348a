"""What the link to a master reports, and what it is told of this replica: plain records.

`follow.py` makes the events; `runtime/master_link.py` carries them out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias


class LinkFailure(Enum):
    """What ended a link."""

    NOT_CONNECTED = "not_connected"
    LOST = "lost"
    TIMED_OUT = "timed_out"
    PING_REFUSED = "ping_refused"
    AUTH_REFUSED = "auth_refused"
    FAILOVER_REFUSED = "failover_refused"
    MASTER_NOT_READY = "master_not_ready"
    SYNC_REFUSED = "sync_refused"
    BAD_PROTOCOL = "bad_protocol"
    SNAPSHOT_UNUSABLE = "snapshot_unusable"
    STREAM_UNUSABLE = "stream_unusable"


@dataclass(frozen=True, slots=True)
class SnapshotBegun:
    """The master sends its whole data set as of `offset` in the history `replid`.

    `replid` is None if the master is too old for PSYNC; its stream has no offsets.
    """

    replid: bytes | None
    offset: int


@dataclass(frozen=True, slots=True)
class SnapshotPiece:
    """The next bytes of the snapshot."""

    data: bytes


@dataclass(frozen=True, slots=True)
class SnapshotComplete:
    """All of it was received. Load it, then call `on_snapshot_loaded`."""


@dataclass(frozen=True, slots=True)
class Continued:
    """The stream goes on where it stopped, in the history now named `replid`."""

    replid: bytes


@dataclass(frozen=True, slots=True)
class StreamPiece:
    """Commands to apply, and the bytes they took, for the own backlog and replicas.

    `raw` may hold more than the commands: REPLCONF GETACK and empty lines are only bytes. The last
    byte of `raw` is the stream's `offset`-th.
    """

    commands: list[list[bytes]]
    raw: bytes
    offset: int


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """The link is over.

    `keeps_position` is False where asking to go on could corrupt the data. `detail` is the master's
    error or a description.
    """

    failure: LinkFailure
    detail: str
    keeps_position: bool
    retry_after_ms: int


FollowEvent: TypeAlias = (
    SnapshotBegun | SnapshotPiece | SnapshotComplete | Continued | StreamPiece | LinkFailed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowConfig:
    """What a replica says of itself, and how long it waits."""

    #: What the master shows and the sentinels learn; `replica-announce-port` or the own port.
    listening_port: int
    #: `replica-announce-ip`, or empty.
    announced_address: str = ""
    #: `masteruser`, or empty, and `masterauth`, or empty for no AUTH.
    master_user: bytes = b""
    master_password: bytes = b""
    #: `repl-timeout`.
    timeout_ms: int = 60_000
    #: The other end is a replica yet, and asked to become the master (FAILOVER).
    is_failover: bool = False
    #: Nothing is wanted but a snapshot, and no stream after it.
    is_snapshot_only: bool = False
    #: Up to which offset the stream is on our disk; -1 where there is no append-only file.
    synced_offset: Callable[[], int] = lambda: -1


@dataclass(frozen=True, slots=True)
class Position:
    """Where a replica stands: it has the first `offset` bytes of the history `replid`."""

    replid: bytes
    offset: int
