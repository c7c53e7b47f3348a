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
from itertools import chain
from typing import Final

import hiredis

from vedette.errors import ProtocolError
from vedette.resp.encode import encode_command

_MAX_HEADER_BYTES: Final = 64 * 1024
_MAX_ARGUMENTS: Final = 2**31 - 1
#: A master may send larger values than its own `proto-max-bulk-len` allows clients (APPEND).
_MAX_BULK_BYTES: Final = 2**40

#: From so many bytes on it is worth it to look for the last command first.
_LARGE_BYTES: Final = 2048
#: Where a command begins behind another: after the first two of these bytes.
_BOUNDARY: Final = b"\r\n*"
_BOUNDARY_SIZE: Final = 2
#: hiredis moves what it has not read yet with every kilobyte that it has.
_FED_BYTES: Final = 8192
#: A command that no master sends.
_MARK: Final = [b"\0boundary\0"]
_ENCODED_MARK: Final = encode_command(_MARK)

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


class Scanned:
    """The commands that a piece of the stream completes, and how many bytes they took."""

    __slots__ = ("_sizes", "commands", "size_bytes")

    def __init__(self) -> None:
        self.commands: list[list[bytes]] = []
        #: The sum of `sizes`.
        self.size_bytes = 0
        #: How many bytes each took; 0 for those of the canonical size, whose size is seldom asked.
        self._sizes: list[int] = []

    @property
    def sizes(self) -> list[int]:
        """How many bytes each of the commands took."""
        return [
            size or encoded_size(command)
            for size, command in zip(self._sizes, self.commands, strict=True)
        ]

    def add(self, command: list[bytes], size_bytes: int) -> None:
        """Add a command that took so many bytes."""
        self.commands.append(command)
        self._sizes.append(size_bytes)
        self.size_bytes += size_bytes

    def add_canonical(self, commands: list[list[bytes]], size_bytes: int) -> None:
        """Add commands that took `size_bytes` together, each `encoded_size`."""
        self.commands += commands
        self._sizes += [0] * len(commands)
        self.size_bytes += size_bytes


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

    def scan(self, data: bytes) -> Scanned:
        """Return the commands that `data` completes.

        Raises:
            ProtocolError: the stream is corrupt; the scanner must not be used again.
        """
        found = Scanned()
        if self._buffer or self._skipped:
            self._buffer += data
            # One command at a time: as soon as one ends where another begins, hiredis goes on.
            while self._buffer and self._take_command(found):
                if not self._skipped and self._buffer[:1] == b"*":
                    data = bytes(self._buffer)
                    self._buffer.clear()
                    break
            else:
                return found
        self._scan_whole(data, found)
        while self._buffer and self._take_command(found):
            pass
        return found

    def _scan_whole(self, data: bytes, found: Scanned) -> None:
        """Parse the whole commands at the start of `data`; the rest goes to the buffer."""
        if data[:1] != b"*" or _LONG_HEADER.search(data) is not None:
            self._buffer += data
            return
        if len(data) >= _LARGE_BYTES and self._scan_large(data, found):
            return
        reader = self._reader
        reader.feed(data)
        used = 0
        commands: list[list[bytes]] = []
        next_command = reader.gets
        join = b"".join
        try:
            while (command := next_command()) is not False:
                join(command)  # raises TypeError unless the arguments are strings
                commands.append(command)
                used += encoded_size(command)
            is_clean = all(commands)
        except (hiredis.HiredisError, TypeError):
            is_clean = False
        if is_clean and used == len(data):
            found.add_canonical(commands, used)
            return
        self._reader = hiredis.Reader()
        if is_clean and data[used : used + 1] == b"*":
            found.add_canonical(commands, used)
        else:
            # An empty line, or what hiredis took for strings were others: it is all read here.
            used = 0
        self._buffer += data[used:]

    def _scan_large(self, data: bytes, found: Scanned) -> bool:
        """Do as `_scan_whole` without reckoning what each command took; return whether that went.

        The last command, whole or not, is left in the buffer. What looks like its beginning is one
        if a mark in its place is read as a command; it may stand within a value, too.
        """
        end = data.rfind(_BOUNDARY) + _BOUNDARY_SIZE
        reader = self._reader
        commands: list[list[bytes]] = []
        next_command = reader.gets
        try:
            for start in range(0, end, _FED_BYTES):
                reader.feed(data[start : min(start + _FED_BYTES, end)])
                commands.extend(iter(next_command, False))
            reader.feed(_ENCODED_MARK)
            commands.append(next_command())
            b"".join(chain.from_iterable(commands))  # raises TypeError unless all are strings
            is_clean = commands.pop() == _MARK and all(commands)
        except (hiredis.HiredisError, TypeError):
            is_clean = False
        argument_count = sum(map(len, commands)) if is_clean else 0
        if not is_clean or data.count(b"\r\n$", 0, end) < argument_count:
            self._reader = hiredis.Reader()
            return False
        found.add_canonical(commands, end)
        self._buffer += data[end:]
        return True

    def _take_command(self, found: Scanned) -> bool:
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
        found.add(self._arguments, self._skipped)
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
