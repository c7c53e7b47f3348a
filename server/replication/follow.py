"""A replica's half of the link to its master: bytes in, events and bytes out.

Theory of operation. One `Follow` is one connection, from the attempt to its end:

    CONNECTING ─> PING ─> AUTH ─> PORT ─> ADDRESS ─> CAPABILITIES ─> PSYNC ─┬─> STREAMING
                  (AUTH and ADDRESS only where configured)                  ├─> RECEIVING_SNAPSHOT
    RECEIVING_SNAPSHOT ─> LOADING_SNAPSHOT ─> STREAMING                     └─> (SYNC, old masters)
    every state ─> CLOSED

- Each step of the handshake sends one command and waits for one line.
- With FAILOVER, PSYNC asks a replica to become the master (`failover.py`). A refusal ends the link;
  the owner then is the master again.
- What the master answers to PSYNC decides. `+CONTINUE`: the stream goes on at the offset asked for.
  `+FULLRESYNC <id> <offset>`: a snapshot follows. Another error than a passing one: the
  master is too old for PSYNC and gets SYNC.
- A snapshot (`transfer.py`) is passed on in pieces. While it is loaded, what arrives is kept, and
  the stream begins when the owner says that it is loaded.
- In STREAMING, commands come out with the raw bytes they took, both up to the same offset
  (`incoming.py`). How often the stream is read is a matter of `pacing.py`.

`offset` is what has been handed out in events; the owner applies events in order before it sends
`take_output()`, so an acknowledgement never promises what is not applied. `REPLCONF GETACK` is
answered with the offset before it, and counts towards the next.

Only `_become` changes the state, along `_TRANSITIONS`. A failure ends the machine with one
`LinkFailed` that says whether the position may be asked for again and when to try. Follows Redis
7.0 `replication.c: syncWithMaster, slaveTryPartialResynchronization, readSyncBulkPayload,
replicationCron, replicationSendAck`, checked against redis-server 7.0.15.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from vedette.errors import ProtocolError
from vedette.resp.encode import encode_command

from .events import (
    Continued,
    FollowConfig,
    FollowEvent,
    LinkFailed,
    LinkFailure,
    Position,
    SnapshotBegun,
    SnapshotComplete,
    SnapshotPiece,
)
from .feed import KEEPALIVE, KEEPALIVE_PERIOD_MS
from .identity import REPLID_SIZE
from .incoming import IncomingStream
from .pacing import StreamPace
from .transfer import IncomingSnapshot

ACK_PERIOD_MS: Final = 1000
#: How long to wait before another attempt after one that failed. Redis tries on each tick of one
#: second.
RETRY_DELAY_MS: Final = 200
#: The same where the next attempt will hardly fare better, and costs the master a snapshot.
UNUSABLE_RETRY_DELAY_MS: Final = 5000
_MAX_LINE_BYTES: Final = 1024
#: What a server answers to PSYNC FAILOVER that follows nobody.
TARGET_IS_MASTER: Final = b"ERR PSYNC FAILOVER can't be sent to a master."


class FollowState(Enum):
    """Where the link is; the values are what ROLE calls them."""

    CONNECTING = "connecting"
    PING = "handshake: ping"
    AUTH = "handshake: auth"
    PORT = "handshake: listening-port"
    ADDRESS = "handshake: ip-address"
    CAPABILITIES = "handshake: capa"
    PSYNC = "handshake: psync"
    RECEIVING_SNAPSHOT = "sync"
    LOADING_SNAPSHOT = "sync: loading"
    STREAMING = "connected"
    CLOSED = "connect"

    @property
    def role_name(self) -> bytes:
        """What ROLE shows: `connect`, `connecting`, `handshake`, `sync` or `connected`."""
        return self.value.partition(":")[0].encode()


_TRANSITIONS: Final = {
    FollowState.CONNECTING: {FollowState.PING},
    FollowState.PING: {FollowState.AUTH, FollowState.PORT},
    FollowState.AUTH: {FollowState.PORT},
    FollowState.PORT: {FollowState.ADDRESS, FollowState.CAPABILITIES},
    FollowState.ADDRESS: {FollowState.CAPABILITIES},
    FollowState.CAPABILITIES: {FollowState.PSYNC},
    FollowState.PSYNC: {FollowState.RECEIVING_SNAPSHOT, FollowState.STREAMING},
    FollowState.RECEIVING_SNAPSHOT: {FollowState.LOADING_SNAPSHOT},
    FollowState.LOADING_SNAPSHOT: {FollowState.STREAMING},
    FollowState.STREAMING: set[FollowState](),
    FollowState.CLOSED: set[FollowState](),
}


class Follow:
    """The machine of one connection to a master. Give it bytes and the time, never both halves at
    once.

    After each call that returns events: handle them in order, then send `take_output()`.
    """

    def __init__(self, config: FollowConfig, position: Position | None, now_ms: int) -> None:
        """Begin an attempt; `position` is what to ask for, None for a full synchronisation."""
        self.config = config
        self.state = FollowState.CONNECTING
        #: The master has no offsets, so none are acknowledged.
        self.is_pre_psync = False
        #: When the master was last heard.
        self.last_io_ms = now_ms
        #: The snapshot that arrives; None before the line that announces it.
        self.snapshot: IncomingSnapshot | None = None
        #: How often the stream is to be read.
        self.pace = StreamPace()
        #: The other end was asked to become the master; what it made of it, its reply says.
        self.is_failover_asked = False
        #: The other end said that it is a master already, so it is asked for the stream alone.
        self._is_target_master = False
        self._position = position
        self._output = bytearray()
        #: Received and not yet understood: part of a line, the stream during loading.
        self._input = bytearray()
        self._stream = IncomingStream(-1 if position is None else position.offset)
        self._next_ack_ms = now_ms + ACK_PERIOD_MS
        #: The master has asked what is on our disk, and the answer was not yet all up to here.
        self._synced_wanted: int | None = None

    # --- what the owner asks -------------------------------------------------------------------

    @property
    def offset(self) -> int:
        """The stream's offset up to which all was handed out in events; -1 while unknown."""
        return self._stream.offset

    @property
    def read_offset(self) -> int:
        """The offset up to which bytes were received (INFO's `slave_read_repl_offset`)."""
        return self._stream.offset + self._stream.held_bytes

    def take_output(self) -> bytes:
        """Return what is to be sent to the master now; it is returned once."""
        data = bytes(self._output)
        self._output.clear()
        return data

    def next_deadline_ms(self) -> int | None:
        """Return when `on_time` is to be called at the latest; None when the link is over."""
        if self.state is FollowState.CLOSED:
            return None
        deadline = self.last_io_ms + self.config.timeout_ms
        if self.is_synced_answer_due:
            return self.last_io_ms
        if self.state in (FollowState.STREAMING, FollowState.LOADING_SNAPSHOT):
            return min(deadline, self._next_ack_ms)
        return deadline

    # --- what the owner reports ----------------------------------------------------------------

    def on_connected(self, now_ms: int) -> None:
        """Begin the handshake."""
        self.last_io_ms = now_ms
        self._become(FollowState.PING)
        self._send(b"PING")

    def on_disconnected(self, detail: str) -> list[FollowEvent]:
        """Note that the connection could not be opened, or ended."""
        match self.state:
            case FollowState.CLOSED:
                return []
            case FollowState.CONNECTING:
                return self._fail(LinkFailure.NOT_CONNECTED, detail)
            case FollowState.STREAMING:
                # Nothing is wrong with the master as far as is known: ask again at once.
                return self._fail(LinkFailure.LOST, detail, retry_after_ms=0)
            case _:
                return self._fail(LinkFailure.LOST, detail)

    def on_snapshot_loaded(self, now_ms: int) -> list[FollowEvent]:
        """Begin to stream; returns what arrived meanwhile. An acknowledgement goes out at once."""
        self._become(FollowState.STREAMING)
        self.last_io_ms = now_ms
        self._acknowledge(now_ms)
        return self._advance(now_ms)

    def on_snapshot_unusable(self, detail: str) -> list[FollowEvent]:
        """Note that the snapshot could not be stored or loaded."""
        assert self.state in (FollowState.RECEIVING_SNAPSHOT, FollowState.LOADING_SNAPSHOT)
        return self._fail(
            LinkFailure.SNAPSHOT_UNUSABLE, detail, retry_after_ms=UNUSABLE_RETRY_DELAY_MS
        )

    def on_stream_unusable(self, detail: str) -> list[FollowEvent]:
        """Note that the stream holds what cannot be applied: we are no copy any more."""
        assert self.state is FollowState.STREAMING
        return self._fail(
            LinkFailure.STREAM_UNUSABLE,
            detail,
            keeps_position=False,
            retry_after_ms=UNUSABLE_RETRY_DELAY_MS,
        )

    def on_pause(self, now_ms: int) -> None:
        """Note that the stream is left unread on purpose: the master's silence means nothing.

        What was applied is acknowledged as ever.
        """
        assert self.state is FollowState.STREAMING
        self.last_io_ms = now_ms
        self.on_time(now_ms)

    def on_loading(self, now_ms: int) -> None:
        """Note that a snapshot is being loaded, all of it or what has arrived.

        What a master sends meanwhile is read late, so its silence means nothing. It is told that we
        are alive.
        """
        assert self.state in (FollowState.RECEIVING_SNAPSHOT, FollowState.LOADING_SNAPSHOT)
        self.last_io_ms = now_ms
        if now_ms >= self._next_ack_ms:
            self._output += KEEPALIVE
            self._next_ack_ms = now_ms + KEEPALIVE_PERIOD_MS

    def on_time(self, now_ms: int) -> list[FollowEvent]:
        """Acknowledge when it is time, and give up a master that is silent for too long."""
        if self.state is FollowState.LOADING_SNAPSHOT:
            self.on_loading(now_ms)
            return []
        if self.state is FollowState.CLOSED:
            return []
        if now_ms - self.last_io_ms >= self.config.timeout_ms:
            detail = f"no data nor PING received in state {self.state.value}"
            return self._fail(LinkFailure.TIMED_OUT, detail)
        is_due = now_ms >= self._next_ack_ms or self.is_synced_answer_due
        if self.state is FollowState.STREAMING and is_due:
            self._acknowledge(now_ms)
        return []

    def receive(self, data: bytes, now_ms: int) -> list[FollowEvent]:
        """Take bytes from the master; return what they mean."""
        assert self.state is not FollowState.CONNECTING
        self.last_io_ms = now_ms
        if self.state is FollowState.STREAMING:
            return self._receive_stream(data, now_ms)
        if self.state is FollowState.CLOSED:
            return []
        self._input += data
        return self._advance(now_ms)

    def _advance(self, now_ms: int) -> list[FollowEvent]:
        """Go on with what was received as far as it reaches; each state takes what is its own."""
        events: list[FollowEvent] = []
        while self._input:
            if self.state is FollowState.STREAMING:
                events += self._receive_stream(self._take_input(), now_ms)
            elif self.state in (FollowState.LOADING_SNAPSHOT, FollowState.CLOSED):
                break
            elif self.state is FollowState.RECEIVING_SNAPSHOT and self.snapshot is not None:
                events += self._receive_snapshot(self.snapshot, self._take_input())
            else:
                end = self._input.find(b"\n")
                if end < 0 and len(self._input) <= _MAX_LINE_BYTES:
                    break
                if end < 0:
                    return events + self._fail(LinkFailure.BAD_PROTOCOL, "endless line")
                line = bytes(self._input[:end]).removesuffix(b"\r")
                del self._input[: end + 1]
                events += self._on_line(line, now_ms)
        return events

    def _take_input(self) -> bytes:
        data = bytes(self._input)
        self._input.clear()
        return data

    # --- transitions ---------------------------------------------------------------------------

    def _become(self, state: FollowState) -> None:
        assert state in _TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state

    def _fail(
        self,
        failure: LinkFailure,
        detail: str,
        *,
        keeps_position: bool = True,
        retry_after_ms: int = RETRY_DELAY_MS,
    ) -> list[FollowEvent]:
        self.state = FollowState.CLOSED
        self._output.clear()
        self._input.clear()
        return [LinkFailed(failure, detail, keeps_position, retry_after_ms)]

    # --- handshake -----------------------------------------------------------------------------

    def _send(self, *command: bytes) -> None:
        self._output += encode_command(command)

    def _on_line(self, line: bytes, now_ms: int) -> list[FollowEvent]:
        if not line:
            return []  # a keepalive while the master makes its snapshot
        match self.state:
            case FollowState.PING:
                return self._on_ping_reply(line)
            case FollowState.AUTH:
                if line.startswith(b"-"):
                    return self._fail(LinkFailure.AUTH_REFUSED, _text(line))
                self._begin_replconf()
            case FollowState.PORT:
                # Errors of REPLCONF are no matter: the master is older than the option.
                if self.config.announced_address:
                    self._become(FollowState.ADDRESS)
                    self._send(b"REPLCONF", b"ip-address", self.config.announced_address.encode())
                else:
                    self._begin_capabilities()
            case FollowState.ADDRESS:
                self._begin_capabilities()
            case FollowState.CAPABILITIES:
                self._become(FollowState.PSYNC)
                self._ask(b"FAILOVER" if self.config.is_failover else None)
            case FollowState.PSYNC:
                return self._on_psync_reply(line, now_ms)
            case FollowState.RECEIVING_SNAPSHOT:
                return self._on_snapshot_header(line)
            case _:
                raise AssertionError(f"a line in state {self.state}")
        return []

    def _on_ping_reply(self, line: bytes) -> list[FollowEvent]:
        """Accept a status, and the errors that AUTH may cure."""
        curable = (b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted")
        if not line.startswith((b"+", *curable)):
            return self._fail(LinkFailure.PING_REFUSED, _text(line))
        if self.config.master_password:
            self._become(FollowState.AUTH)
            user = [self.config.master_user] if self.config.master_user else []
            self._send(b"AUTH", *user, self.config.master_password)
        else:
            self._begin_replconf()
        return []

    def _begin_replconf(self) -> None:
        self._become(FollowState.PORT)
        self._send(b"REPLCONF", b"listening-port", b"%d" % self.config.listening_port)

    def _begin_capabilities(self) -> None:
        self._become(FollowState.CAPABILITIES)
        # Last, so that a master which does not know it has taken the others.
        only = [b"rdb-only", b"1"] if self.config.is_snapshot_only else []
        self._send(b"REPLCONF", b"capa", b"eof", b"capa", b"psync2", *only)

    def _ask(self, option: bytes | None) -> None:
        """Send PSYNC."""
        replid, wanted_byte = b"?", b"-1"
        if self._position is not None:
            replid, wanted_byte = self._position.replid, b"%d" % (self._position.offset + 1)
        self._send(b"PSYNC", replid, wanted_byte, *([] if option is None else [option]))
        self.is_failover_asked |= option is not None

    def _on_psync_reply(self, line: bytes, now_ms: int) -> list[FollowEvent]:
        if line.startswith(b"+CONTINUE"):
            return self._on_continue(line, now_ms)
        if self.config.is_failover and (refusal := self._failover_refusal(line)) is not None:
            return refusal
        if line.startswith(b"+FULLRESYNC"):
            words = line.split(b" ")
            if len(words) != 3 or len(words[1]) != REPLID_SIZE or not words[2].isdigit():
                return self._fail(LinkFailure.BAD_PROTOCOL, f"wrong reply to PSYNC: {_text(line)}")
            self._stream = IncomingStream(int(words[2]))
            self._become(FollowState.RECEIVING_SNAPSHOT)
            return [SnapshotBegun(words[1], self.offset)]
        if line.startswith((b"-NOMASTERLINK", b"-LOADING")):
            return self._fail(LinkFailure.MASTER_NOT_READY, _text(line))
        if line.startswith((b"-NOAUTH", b"-NOPERM")):
            # Redis would try SYNC, which is refused for the same reason.
            return self._fail(LinkFailure.SYNC_REFUSED, _text(line))
        self.is_pre_psync = True
        self._stream = IncomingStream(-1)
        self._output += b"SYNC\r\n"
        self._become(FollowState.RECEIVING_SNAPSHOT)
        return [SnapshotBegun(None, -1)]

    def _failover_refusal(self, line: bytes) -> list[FollowEvent] | None:
        """Return what to do about a reply to PSYNC FAILOVER, or None if it is the usual.

        A target that is a master already may have become it at our own request, whose answer was
        lost: it is asked whether it knows our history. Only if not it is another's master.
        """
        if line.removeprefix(b"-") == TARGET_IS_MASTER and not self._is_target_master:
            self._is_target_master = True
            self._ask(None)
            return []
        if line.startswith(b"+FULLRESYNC") and not self._is_target_master:
            return None
        return self._fail(LinkFailure.FAILOVER_REFUSED, _text(line))

    def _on_continue(self, line: bytes, now_ms: int) -> list[FollowEvent]:
        if self._position is None:
            return self._fail(LinkFailure.BAD_PROTOCOL, "+CONTINUE without a position")
        replid = line[len(b"+CONTINUE ") :]
        if len(replid) != REPLID_SIZE:
            replid = self._position.replid  # a master without PSYNC2 names none
        self._become(FollowState.STREAMING)
        self._next_ack_ms = now_ms + ACK_PERIOD_MS
        return [Continued(replid)]

    # --- snapshot ------------------------------------------------------------------------------

    def _on_snapshot_header(self, line: bytes) -> list[FollowEvent]:
        if line.startswith(b"-"):
            return self._fail(LinkFailure.SYNC_REFUSED, _text(line))
        try:
            self.snapshot = IncomingSnapshot(line)
        except ValueError:
            detail = f"expected a snapshot, got {_text(line)}"
            return self._fail(LinkFailure.BAD_PROTOCOL, detail)
        return self._end_snapshot(self.snapshot)

    def _receive_snapshot(self, snapshot: IncomingSnapshot, data: bytes) -> list[FollowEvent]:
        piece, rest = snapshot.receive(data)
        self._input += rest
        events: list[FollowEvent] = [SnapshotPiece(piece)] if piece else []
        return events + self._end_snapshot(snapshot)

    def _end_snapshot(self, snapshot: IncomingSnapshot) -> list[FollowEvent]:
        if not snapshot.is_complete:
            return []
        self._become(FollowState.LOADING_SNAPSHOT)
        return [SnapshotComplete()]

    # --- stream --------------------------------------------------------------------------------

    def _receive_stream(self, data: bytes, now_ms: int) -> list[FollowEvent]:
        stream = self._stream
        self.pace.on_piece(len(data), now_ms)
        try:
            piece = stream.receive(data)
        except ProtocolError as error:
            return self._fail(LinkFailure.BAD_PROTOCOL, str(error), keeps_position=False)
        for offset in stream.take_asked():
            self.pace.on_acknowledgement_asked(now_ms)
            self._send_ack(offset)
            if 0 <= self.config.synced_offset() < offset:
                self._synced_wanted = offset
        return [] if piece is None else [piece]

    def _acknowledge(self, now_ms: int) -> None:
        self._next_ack_ms = now_ms + ACK_PERIOD_MS
        if self.is_synced_answer_due:
            self._synced_wanted = None
        self._send_ack(self.offset)

    def _send_ack(self, offset: int) -> None:
        if self.is_pre_psync:
            return
        synced_offset = self.config.synced_offset()
        synced = [b"FACK", b"%d" % synced_offset] if synced_offset >= 0 else []
        self._send(b"REPLCONF", b"ACK", b"%d" % offset, *synced)

    @property
    def is_synced_answer_due(self) -> bool:
        """Whether the master waits to hear that what it asked about is on our disk, and it is."""
        wanted = self._synced_wanted
        return wanted is not None and self.config.synced_offset() >= wanted


def _text(line: bytes) -> str:
    return line.removeprefix(b"-").decode("utf-8", "replace")
