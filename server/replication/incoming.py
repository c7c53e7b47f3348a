"""The stream as a replica receives it: whole commands and transactions out, offsets counted.

What is handed out can be applied and acknowledged up to the same offset. A transaction comes out
whole: as long as its EXEC has not arrived none of it counts, and a link that is lost in between
asks for it again from its MULTI. What is meant for the link itself (REPLCONF GETACK) is bytes of
the stream as any other, but no command.

This file must not know of time, nor of what answers are sent. Follows Redis 7.0 `networking.c:
processInputBuffer, commandProcessed`, and `replication.c: replconfCommand`.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Final

from .events import StreamPiece
from .scanner import Scanned, StreamScanner

#: The names that mean something to the link itself.
_SPECIAL_NAMES: Final = frozenset((b"EXEC", b"MULTI", b"DISCARD", b"REPLCONF"))
_NAME: Final = itemgetter(0)


class IncomingStream:
    """The stream of one link, from `offset` on."""

    def __init__(self, offset: int) -> None:
        #: Up to where everything was handed out.
        self.offset = offset
        self._scanner = StreamScanner()
        #: Bytes received and not yet handed out: incomplete commands and transactions.
        self._held = bytearray()
        #: The commands of the transaction that is not complete, from MULTI on; empty outside one.
        self._transaction: list[list[bytes]] = []
        #: How many of the held bytes belong to `_transaction`.
        self._transaction_size = 0
        #: The offsets before requests for an acknowledgement that nobody has taken yet.
        self._asked: list[int] = []

    @property
    def held_bytes(self) -> int:
        """How many bytes were received and not handed out."""
        return len(self._held)

    def take_asked(self) -> list[int]:
        """Return, once, the offsets that the master has asked to have acknowledged."""
        asked, self._asked = self._asked, []
        return asked

    def receive(self, data: bytes) -> StreamPiece | None:
        """Take bytes of the stream; return what is to be applied now, if there is anything.

        Raises:
            ProtocolError: the stream is corrupt; nothing of it may be used any more.
        """
        self._held += data
        scanned = self._scanner.scan(data)
        if self._transaction or any(
            name.upper() in _SPECIAL_NAMES for name in set(map(_NAME, scanned.commands))
        ):
            ready, ready_size = self._sort_out(scanned)
        else:  # most pieces of most streams
            ready, ready_size = scanned.commands, scanned.size_bytes
        if not ready_size:
            return None
        raw = bytes(self._held[:ready_size])
        del self._held[:ready_size]
        self.offset += ready_size
        return StreamPiece(ready, raw, self.offset)

    def _sort_out(self, scanned: Scanned) -> tuple[list[list[bytes]], int]:
        """Return what is to be run now, and how many bytes it took: all but what is meant for the
        link, and transactions that are not over.
        """
        ready: list[list[bytes]] = []
        ready_size = 0
        for command, size in zip(scanned.commands, scanned.sizes, strict=True):
            name = command[0].upper()
            if self._transaction:
                self._transaction.append(command)
                self._transaction_size += size
                if name in (b"EXEC", b"DISCARD"):
                    ready += self._transaction
                    ready_size += self._transaction_size
                    self._transaction = []
                    self._transaction_size = 0
            elif name == b"MULTI":
                self._transaction = [command]
                self._transaction_size = size
            elif name == b"REPLCONF":
                if len(command) > 1 and command[1].upper() == b"GETACK":
                    self._asked.append(self.offset + ready_size)
                ready_size += size
            else:
                ready.append(command)
                ready_size += size
        return ready, ready_size
