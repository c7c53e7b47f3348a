"""A master's half of the replication of one replica.

Theory of operation. A connection that sent REPLCONF options and then PSYNC or SYNC becomes a
`Feed`:

    WAIT_SNAPSHOT ──> SENDING_SNAPSHOT ──> ONLINE
          └── (rdb-only: after the snapshot) ──> CLOSED <── every state

- WAIT_SNAPSHOT: a snapshot is being made, or will be. When the process for it is forked, the
  replica is told the ID and offset of that moment (`+FULLRESYNC`), and from that moment on its
  reader holds its place in the backlog. Until the first byte of the snapshot goes out, a newline
  each second keeps the replica from timing out; it counts in no offset.
- SENDING_SNAPSHOT: `$<size>` and the bytes of a file, or, of a size not known in advance,
  `$EOF:<mark>`, bytes and the mark again.
- ONLINE: the stream from the reader's offset on. After a snapshot with a mark, the stream begins
  only after the replica's first acknowledgement, for a replica looks for the mark at the end of
  what it received. A replica whose PSYNC was accepted begins here.

Only the methods `become_*` and `close` change the state, along `_TRANSITIONS`. Who sends the bytes,
and where the snapshot comes from, is the runtime's. INFO and ROLE read the state straight from
here. Follows Redis 7.0 `replication.c: replicationSetupSlaveForFullResync, replicaPutOnline,
replicationCron`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, assert_never

from vedette.errors import CommandError
from vedette.resp.requests import RequestParser

from .backlog import Backlog, Reader
from .identity import REPLID_SIZE, Identity
from .replconf import Acknowledged, AcknowledgementWanted, ReplicaOptions, apply_replconf
from .settings import OutputLimit

KEEPALIVE: Final = b"\n"
KEEPALIVE_PERIOD_MS: Final = 1000
#: Of a replica these have no effect and no reply.
_SILENT_COMMANDS: Final = (b"psync", b"sync")


class FeedState(Enum):
    """Where a replica is; the values are what INFO calls them."""

    WAIT_SNAPSHOT = "wait_bgsave"
    SENDING_SNAPSHOT = "send_bulk"
    ONLINE = "online"
    CLOSED = "closed"


_TRANSITIONS: Final = {
    FeedState.WAIT_SNAPSHOT: {FeedState.SENDING_SNAPSHOT, FeedState.CLOSED},
    FeedState.SENDING_SNAPSHOT: {FeedState.ONLINE, FeedState.CLOSED},
    FeedState.ONLINE: {FeedState.CLOSED},
    FeedState.CLOSED: set[FeedState](),
}


class DropReason(Enum):
    """Why a master gives up a replica."""

    DISCONNECTED = "disconnected"
    TIMED_OUT = "timed_out"
    OUTPUT_LIMIT = "output_limit"
    SNAPSHOT_FAILED = "snapshot_failed"
    SNAPSHOT_ONLY = "snapshot_only"
    BAD_PROTOCOL = "bad_protocol"
    UNWANTED_COMMAND = "unwanted_command"
    HISTORY_CHANGED = "history_changed"
    KILLED = "killed"


@dataclass(slots=True)
class Feed:
    """One replica, from its PSYNC to the end of its connection."""

    feed_id: int
    options: ReplicaOptions
    #: Where the replica connects from.
    peer_host: str
    peer_port: int
    created_ms: int
    #: A replica that sent SYNC acknowledges nothing and never times out by it.
    is_pre_psync: bool = False
    #: What reads the replica's requests; it goes on where the session left off.
    parser: RequestParser = field(default_factory=RequestParser)
    state: FeedState = FeedState.WAIT_SNAPSHOT
    #: Its place in the backlog; None before the snapshot is begun, and always for one that wants
    #: nothing but the snapshot.
    reader: Reader | None = None
    #: The offset the snapshot stands for; None before it is begun, and without one.
    snapshot_offset: int | None = None
    #: The highest offset acknowledged, and when the replica was last heard.
    acknowledged_offset: int = 0
    acknowledged_ms: int = 0
    #: The highest offset that the replica said is on its disk; -1 while it says nothing of that.
    synced_offset: int = -1
    #: Set once and never changed: why the feed is closed.
    drop_reason: DropReason | None = None
    _awaits_acknowledgement: bool = False
    _keepalive_ms: int = 0
    _over_soft_limit_since_ms: int | None = None
    #: The mark that ends the snapshot being sent; empty when its size was announced.
    _mark: bytes = b""

    def __post_init__(self) -> None:
        """Begin the clocks at the time of creation."""
        self.acknowledged_ms = self.created_ms
        self._keepalive_ms = self.created_ms + KEEPALIVE_PERIOD_MS

    # --- transitions ---------------------------------------------------------------------------

    def _become(self, state: FeedState) -> None:
        assert state in _TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state

    def become_partial(self, reader: Reader, now_ms: int) -> None:
        """Go on from `reader`: PSYNC was accepted and nothing but `+CONTINUE` precedes the
        stream.
        """
        assert self.state is FeedState.WAIT_SNAPSHOT
        assert self.reader is None
        # No snapshot is sent, so the two steps to ONLINE are one.
        self.reader = reader
        self.state = FeedState.ONLINE
        self.acknowledged_ms = now_ms

    def begin_snapshot(self, offset: int, reader: Reader | None, identity: Identity) -> bytes:
        """Note that the snapshot at `offset` is being made; return what to tell the replica.

        `reader` is at `offset`, and None exactly if the replica wants nothing but the snapshot. A
        replica that sent SYNC is told nothing. The state stays WAIT_SNAPSHOT.
        """
        assert self.state is FeedState.WAIT_SNAPSHOT
        assert self.snapshot_offset is None
        assert (reader is None) == self.options.is_snapshot_only
        assert reader is None or reader.offset == offset
        self.reader = reader
        self.snapshot_offset = offset
        if self.is_pre_psync:
            return b""
        return b"+FULLRESYNC %b %d\r\n" % (identity.replid, offset)

    def become_sending(self, *, size_bytes: int | None = None, mark: bytes = b"") -> bytes:
        """Return the line before the snapshot: of `size_bytes`, or ended by `mark` (40 hex digits).

        A mark may be used only for a replica that said `capa eof`.
        """
        assert self.snapshot_offset is not None
        assert (size_bytes is None) == (len(mark) == REPLID_SIZE)
        assert self.options.knows_eof or not mark
        self._become(FeedState.SENDING_SNAPSHOT)
        self._mark = mark
        return b"$EOF:%b\r\n" % mark if mark else b"$%d\r\n" % (size_bytes or 0)

    def become_online(self, now_ms: int) -> bytes:
        """Return what ends the snapshot. A replica that wanted only that is then closed."""
        mark = self._mark
        if self.options.is_snapshot_only:
            assert self.state is FeedState.SENDING_SNAPSHOT
            self.close(DropReason.SNAPSHOT_ONLY)
            return mark
        self._become(FeedState.ONLINE)
        self._awaits_acknowledgement = bool(mark)
        self.acknowledged_ms = now_ms
        return mark

    def close(self, reason: DropReason) -> None:
        """End the feed. The first reason stays."""
        if self.state is FeedState.CLOSED:
            return
        self._become(FeedState.CLOSED)
        self.drop_reason = reason

    # --- what the replica says -----------------------------------------------------------------

    def receive(self, data: bytes, now_ms: int) -> bool:
        """Take bytes the replica sent; return whether an offset that it acknowledged rose.

        Acknowledgements are noted, and a newline shows that the replica is alive. Whatever is
        written to a replica is part of its stream, so a command that would be answered closes the
        feed, as by Redis (`networking.c: _addReplyToBufferOrList`), and so do bytes that are no
        requests.
        """
        before = self.acknowledged_offset + self.synced_offset
        requests, error = self.parser.parse(data)
        if not requests:
            # A newline while the replica loads its snapshot, or part of a request.
            self.acknowledged_ms = now_ms
        for request in requests:
            name = request[0].lower()
            if name == b"replconf":
                self._on_replconf(request, now_ms)
            elif name not in _SILENT_COMMANDS:
                self.close(DropReason.UNWANTED_COMMAND)
        if error is not None:
            self.close(DropReason.BAD_PROTOCOL)
        return self.acknowledged_offset + self.synced_offset > before

    def _on_replconf(self, request: Sequence[bytes], now_ms: int) -> None:
        try:
            outcome = apply_replconf(self.options, request)
        except CommandError:
            self.close(DropReason.UNWANTED_COMMAND)
            return
        match outcome:
            case Acknowledged(offset, synced_offset) if offset is not None:
                self.acknowledged_offset = max(self.acknowledged_offset, offset)
                if synced_offset is not None:
                    self.synced_offset = max(self.synced_offset, synced_offset)
                self.acknowledged_ms = now_ms
                if self.state is FeedState.ONLINE:
                    self._awaits_acknowledgement = False
            case Acknowledged() | AcknowledgementWanted():
                pass
            case None:
                self.close(DropReason.UNWANTED_COMMAND)
            case _:
                assert_never(outcome)

    # --- what the replica gets -----------------------------------------------------------------

    def pending_bytes(self, backlog: Backlog) -> int:
        """Return how much of the stream the replica has still to be sent; 0 without a place in
        it.
        """
        return 0 if self.reader is None else backlog.end_offset - self.reader.offset

    def next_output(self, backlog: Backlog, max_bytes: int) -> bytes:
        """Return the next bytes of the stream and move on; empty when there is nothing to send now.

        A replica that lost its place in the backlog is closed.
        """
        reader = self.reader
        if self.state is not FeedState.ONLINE or self._awaits_acknowledgement or reader is None:
            return b""
        if reader.offset == backlog.end_offset:
            return b""
        try:
            data = backlog.read(reader.offset, max_bytes)
        except ValueError:
            self.close(DropReason.OUTPUT_LIMIT)
            return b""
        reader.offset += len(data)
        return data

    def is_over_limit(self, limit: OutputLimit, backlog: Backlog, now_ms: int) -> bool:
        """Say whether the replica is so far behind that it must be dropped."""
        if self.reader is None:
            return False
        pending = self.pending_bytes(backlog)
        if not backlog.holds(self.reader.offset):
            return True
        # What the backlog holds anyway costs nothing: a lower hard limit is its size, as in Redis.
        if limit.hard_bytes and pending > max(limit.hard_bytes, backlog.size_bytes):
            return True
        if not limit.soft_bytes or pending <= limit.soft_bytes:
            self._over_soft_limit_since_ms = None
            return False
        if self._over_soft_limit_since_ms is None:
            self._over_soft_limit_since_ms = now_ms
        return now_ms - self._over_soft_limit_since_ms > limit.soft_ms

    # --- time ----------------------------------------------------------------------------------

    def on_time(self, now_ms: int, *, timeout_ms: int) -> bytes:
        """Return a keepalive when one is due; close a replica not heard for `timeout_ms`."""
        if self.state is FeedState.ONLINE:
            silent_ms = now_ms - self.acknowledged_ms
            if silent_ms > timeout_ms and not self.is_pre_psync:
                self.close(DropReason.TIMED_OUT)
            return b""
        if self.state is FeedState.WAIT_SNAPSHOT and now_ms >= self._keepalive_ms:
            self._keepalive_ms = now_ms + KEEPALIVE_PERIOD_MS
            return KEEPALIVE
        return b""

    # --- what INFO and ROLE show ---------------------------------------------------------------

    @property
    def host(self) -> str:
        """The address the replica is known by."""
        return self.options.announced_address or self.peer_host

    @property
    def reached_offset(self) -> int:
        """Up to where the replica has the stream as far as can be known: 0 before it has any.

        One that sent SYNC acknowledges nothing, and is taken to have what it was sent.
        """
        if self.is_pre_psync:
            return self.reader.offset if self.state is FeedState.ONLINE and self.reader else 0
        return self.acknowledged_offset

    def lag_s(self, now_ms: int) -> int:
        """Return the whole seconds since the replica was last heard; 0 unless it is online."""
        if self.state is not FeedState.ONLINE:
            return 0
        return (now_ms - self.acknowledged_ms) // 1000

    def info_value(self, now_ms: int) -> str:
        """Return the value of INFO's `slave<n>` line.

        As in Redis, a snapshot that is sent while it is made counts as being waited for.
        """
        is_streamed = self.state is FeedState.SENDING_SNAPSHOT and bool(self._mark)
        state = FeedState.WAIT_SNAPSHOT if is_streamed else self.state
        return (
            f"ip={self.host},port={self.options.listening_port},state={state.value},"
            f"offset={self.acknowledged_offset},lag={self.lag_s(now_ms)}"
        )

    def role_row(self) -> list[bytes]:
        """Return the replica's row in ROLE; only replicas online have one."""
        return [
            self.host.encode(),
            b"%d" % self.options.listening_port,
            b"%d" % self.acknowledged_offset,
        ]
