"""A snapshot as a replica receives it: one header line, then its bytes, of which it finds the end.

The header announces a size (`$<n>`) or a mark (`$EOF:<40 characters>`) that ends a snapshot sent
while it is made. Bytes behind the end belong to the stream. Follows Redis 7.0 `replication.c:
readSyncBulkPayload`.
"""

from __future__ import annotations

from .identity import REPLID_SIZE

_MARK_PREFIX = b"$EOF:"


class IncomingSnapshot:
    """One snapshot that arrives; made of its header line."""

    def __init__(self, header: bytes) -> None:
        """Take the header, without its line end. Raises ValueError if it is none."""
        #: What ends the snapshot; empty for one of known size.
        self._mark = b""
        #: The announced size; 0 for one that is ended by a mark.
        self.size_bytes = 0
        self.read_bytes = 0
        self.is_complete = False
        #: The last bytes received, where they may be the beginning of the mark.
        self._tail = b""
        if header.startswith(_MARK_PREFIX) and len(header) == len(_MARK_PREFIX) + REPLID_SIZE:
            self._mark = header[len(_MARK_PREFIX) :]
        elif header.startswith(b"$") and header[1:].isdigit():
            self.size_bytes = int(header[1:])
            self.is_complete = not self.size_bytes
        else:
            raise ValueError("no header of a snapshot")

    def receive(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what of `data`, and of what was held back, is snapshot, and what is behind it."""
        assert not self.is_complete
        piece, rest = self._split_at_mark(data) if self._mark else self._split_at_size(data)
        self.read_bytes += len(piece)
        return piece, rest

    def _split_at_size(self, data: bytes) -> tuple[bytes, bytes]:
        missing = self.size_bytes - self.read_bytes
        self.is_complete = len(data) >= missing
        return data[:missing], data[missing:]

    def _split_at_mark(self, data: bytes) -> tuple[bytes, bytes]:
        """Pass on what cannot be part of the mark; the mark may arrive in pieces."""
        data = self._tail + data
        end = data.find(self._mark)
        if end < 0:
            kept = min(len(data), len(self._mark) - 1)
            self._tail = data[len(data) - kept :]
            return data[: len(data) - kept], b""
        self._tail = b""
        self.is_complete = True
        return data[:end], data[end + len(self._mark) :]
