"""Commands out of a replication stream, with the exact number of bytes each took.

Offsets count bytes, so a replica must know the size of each command as it stood in the stream.
Whole commands are parsed by hiredis, which accepts only canonical headers, so their size can be
computed; a command that arrives in pieces, and anything hiredis refuses, is read here. Empty lines
and empty commands are no commands, but their bytes count: with the command after them, as Redis
counts them (`networking.c: processInputBuffer, commandProcessed`).

A stream that is not RESP ends the link and forgets the position in it.
"""

from __future__ import annotations

import re
from typing import Final

import hiredis

from vedette.errors import ProtocolError

_MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_ARGUMENTS: Final = 2**31 - 1
#: A master may send larger values than its own `proto-max-bulk-len` allows clients (APPEND).
_MAX_BULK_BYTES: Final = 2**40

#: hiredis allocates what a header claims, so it is kept from headers that claim very much. Where
#: this matches inside a value, the slower path gives the same commands.
_LONG_HEADER: Final = re.compile(rb"\*\d{6}")

#: What an argument of `n` bytes takes beyond them: `$<n>\r\n` and `\r\n`.
_OVERHEADS: Final = tuple(5 + len(str(size)) for size in range(1024))


def encoded_size(command: list[bytes]) -> int:
    """Return the bytes of `command` as an array of bulk strings with canonical headers."""
    size = 3 + len(str(len(command)))
    for argument in command:
        length = len(argument)
        size += length + (_OVERHEADS[length] if length < 1024 else 5 + len(str(length)))
    return size


class StreamScanner:
    """The receiving end of a replication stream."""

    __slots__ = ("_arguments", "_buffer", "_missing", "_reader", "_skipped", "_value_size")

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        #: Bytes received that are part of no command yet returned, but for `_skipped`.
        self._buffer = bytearray()
        #: Bytes taken out of the buffer since the last command: empty lines, the command in
        #: progress.
        self._skipped = 0
        #: The command in progress: its arguments, how many are missing, size of the next or -1.
        self._arguments: list[bytes] = []
        self._missing = 0
        self._value_size = -1

    def scan(self, data: bytes) -> tuple[list[list[bytes]], list[int]]:
        """Return the commands that `data` completes, and for each how many bytes it took.

        Raises:
            ProtocolError: the stream is corrupt; the scanner must not be used again.
        """
        commands: list[list[bytes]] = []
        sizes: list[int] = []
        if self._buffer or self._skipped:
            self._buffer += data
            # One command at a time: as soon as one ends where another begins, hiredis goes on.
            while self._buffer and self._take_command(commands, sizes):
                if not self._skipped and self._buffer[:1] == b"*":
                    data = bytes(self._buffer)
                    self._buffer.clear()
                    break
            else:
                return commands, sizes
        self._scan_whole(data, commands, sizes)
        while self._buffer and self._take_command(commands, sizes):
            pass
        return commands, sizes

    def _scan_whole(self, data: bytes, commands: list[list[bytes]], sizes: list[int]) -> None:
        """Parse the whole commands at the start of `data`; the rest goes to the buffer."""
        reader = self._reader
        if data[:1] != b"*" or _LONG_HEADER.search(data) is not None:
            self._buffer += data
            return
        reader.feed(data)
        count_before = len(commands)
        used = 0
        is_clean = True
        next_command = reader.gets
        join = b"".join
        try:
            while (command := next_command()) is not False:
                join(command)  # raises TypeError unless the arguments are strings
                if not command:
                    is_clean = False
                    break
                size = encoded_size(command)
                used += size
                commands.append(command)
                sizes.append(size)
        except (hiredis.HiredisError, TypeError):
            is_clean = False
        if is_clean and used == len(data):
            return
        self._reader = hiredis.Reader()
        if data[used : used + 1] != b"*":
            # An empty line, or what hiredis took for strings were others: read it all here.
            del commands[count_before:]
            del sizes[count_before:]
            used = 0
        self._buffer += data[used:]

    def _take_command(self, commands: list[list[bytes]], sizes: list[int]) -> bool:
        """Read one command or empty line from the buffer; return False when bytes are missing."""
        buffer = self._buffer
        if not self._missing:
            end = buffer.find(b"\n")
            if end < 0:
                if len(buffer) > _MAX_HEADER_BYTES:
                    raise ProtocolError("Protocol error: too big mbulk count string")
                return False
            line = bytes(buffer[:end]).removesuffix(b"\r")
            if line and not line.startswith(b"*"):
                raise ProtocolError("Master using the inline protocol. Desync?")
            self._consume(end + 1)
            self._missing = max(0, _length(line[1:], "multibulk", _MAX_ARGUMENTS)) if line else 0
            if not self._missing:
                return True
        while self._missing:
            if not self._take_argument():
                return False
        commands.append(self._arguments)
        sizes.append(self._skipped)
        self._arguments = []
        self._skipped = 0
        return True

    def _take_argument(self) -> bool:
        buffer = self._buffer
        if self._value_size < 0:
            end = buffer.find(b"\n")
            if end < 0:
                if len(buffer) > _MAX_HEADER_BYTES:
                    raise ProtocolError("Protocol error: too big bulk count string")
                return False
            line = bytes(buffer[:end]).removesuffix(b"\r")
            if not line.startswith(b"$"):
                raise ProtocolError(f"Protocol error: expected '$', got '{chr(buffer[0])}'")
            self._value_size = _length(line[1:], "bulk", _MAX_BULK_BYTES)
            if self._value_size < 0:
                raise ProtocolError("Protocol error: invalid bulk length")
            self._consume(end + 1)
        if len(buffer) < self._value_size + 2:
            return False
        self._arguments.append(bytes(buffer[: self._value_size]))
        self._consume(self._value_size + 2)
        self._missing -= 1
        self._value_size = -1
        return True

    def _consume(self, size: int) -> None:
        del self._buffer[:size]
        self._skipped += size


def _length(text: bytes, what: str, limit: int) -> int:
    digits = text.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 19 or int(text) > limit:
        raise ProtocolError(f"Protocol error: invalid {what} length")
    return int(text)
