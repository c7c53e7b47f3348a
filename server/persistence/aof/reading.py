"""Commands out of an append-only file, each with the offset at which it ends.

Whole commands are parsed by hiredis, a window at a time; where it stops (an annotation, a command
longer than a window, the end of the file, damage) one command is read here, which tells a file
that ends too early from one that is damaged. Follows Redis 7.0 `aof.c: loadSingleAppendOnlyFile`,
but is stricter: what follows an argument must be a line end.
"""

from __future__ import annotations

import mmap
import re
from typing import Final, TypeAlias

import hiredis

from vedette.errors import VedetteError
from vedette.resp.encode import encode_command

from ...replication.scanner import encoded_size

#: What is parsed at a time, between which others may be served.
WINDOW_BYTES: Final = 256 * 1024
#: The longest line there is (`AOF_ANNOTATION_LINE_MAX_LEN`).
LINE_MAX_BYTES: Final = 1024
#: hiredis allocates what a header claims, so it is kept from headers that claim much. Where this
#: matches inside a value, the slower path gives the same commands.
_LONG_HEADER: Final = re.compile(rb"\*\d{6}")
_NUMBER: Final = re.compile(rb"\d{1,10}")
_VALUE_MAX_BYTES: Final = 2**40

AofData: TypeAlias = bytes | mmap.mmap


class TruncatedAofError(VedetteError):
    """The file ends within what begins at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the file ends within the command at offset {offset}")
        self.offset = offset


class CorruptAofError(VedetteError):
    """What stands at `offset` is no command."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"offset {offset}: {reason}")
        self.offset = offset
        self.reason = reason


class AofReader:
    """Reads the commands of `data` from `start` on."""

    def __init__(self, data: AofData, start: int = 0) -> None:
        self._data = data
        #: Behind the last command given, and annotations after it.
        self.position = start
        #: Offset and time (Unix seconds) of the annotations that the last `read` has passed.
        self.annotations: list[tuple[int, int]] = []

    def read(self, window_bytes: int = WINDOW_BYTES) -> tuple[list[list[bytes]], list[int]]:
        """Return the next commands, and the offset where each ends; no commands: it is the end.

        They are those of about `window_bytes`, or one that is longer.

        Raises:
            TruncatedAofError: the file ends within a command.
            CorruptAofError: it is damaged.
        """
        self.annotations = []
        while self.position < len(self._data):
            commands, ends = self._read_window(window_bytes)
            if commands:
                return commands, ends
            if self._data[self.position] == 0x23:  # "#"
                self._pass_annotation()
                continue
            return self._read_one()
        return [], []

    def _read_window(self, window_bytes: int) -> tuple[list[list[bytes]], list[int]]:
        """Return what hiredis makes of the next bytes; nothing where it makes nothing of them."""
        commands: list[list[bytes]] = []
        ends: list[int] = []
        position = self.position
        window = self._data[position : position + window_bytes]
        if window[:1] != b"*" or _LONG_HEADER.search(window) is not None:
            return commands, ends
        reader = hiredis.Reader()
        reader.feed(window)
        next_command = reader.gets
        join = b"".join
        line_count = 0
        try:
            while (command := next_command()) is not False:
                join(command)  # raises TypeError unless the arguments are strings
                if not command:
                    break
                position += encoded_size(command)
                line_count += 2 * len(command) + 1
                commands.append(command)
                ends.append(position)
        except (hiredis.HiredisError, TypeError):
            pass  # what is wrong, `_read_one` says
        # hiredis does not look at what follows an argument, and takes sizes in other forms than the
        # one that they are computed for. Either shows here, as do line ends within values.
        size = position - self.position
        if window.count(b"\r\n", 0, size) != line_count or not window.startswith(b"\r\n", size - 2):
            self._keep_canonical(commands, ends)
        if ends:
            self.position = ends[-1]
        return commands, ends

    def _keep_canonical(self, commands: list[list[bytes]], ends: list[int]) -> None:
        """Drop the first command that is not written in the usual way, and all after it."""
        start = self.position
        for index, (command, end) in enumerate(zip(commands, ends, strict=True)):
            if self._data[start:end] != encode_command(command):
                del commands[index:], ends[index:]
                return
            start = end

    def _pass_annotation(self) -> None:
        line, end = self._line(self.position)
        if line.startswith(b"#TS:") and line[4:].isdigit():
            self.annotations.append((self.position, int(line[4:])))
        self.position = end

    def _read_one(self) -> tuple[list[list[bytes]], list[int]]:
        """Read the command at the position by itself."""
        start = self.position
        line, position = self._line(start)
        count = self._count(line, b"*", start)
        if count < 1:
            raise CorruptAofError(start, "a command has no arguments")
        command: list[bytes] = []
        for _ in range(count):
            header, value_start = self._line(position)
            size = self._count(header, b"$", position)
            end = value_start + size
            if end + 2 > len(self._data):
                raise TruncatedAofError(start)
            if self._data[end : end + 2] != b"\r\n":
                raise CorruptAofError(end, "no line end follows the argument")
            command.append(self._data[value_start:end])
            position = end + 2
        self.position = position
        return [command], [position]

    def _line(self, start: int) -> tuple[bytes, int]:
        """Return the line at `start` without its end, and where the next begins."""
        piece = self._data[start : start + LINE_MAX_BYTES]
        end = piece.find(b"\n")
        if end < 0:
            if len(piece) == LINE_MAX_BYTES or piece[:1] not in (b"*", b"$", b"#", b""):
                raise CorruptAofError(start, f"no command begins with {piece[:1]!r}")
            raise TruncatedAofError(self.position)
        return piece[:end].removesuffix(b"\r"), start + end + 1

    @staticmethod
    def _count(line: bytes, mark: bytes, offset: int) -> int:
        if not line.startswith(mark):
            expected = mark.decode()
            raise CorruptAofError(offset, f"expected {expected!r}, found {line[:1]!r}")
        text = line[1:]
        if not _NUMBER.fullmatch(text) or int(text) > _VALUE_MAX_BYTES:
            raise CorruptAofError(offset, f"{text[:32]!r} is no size")
        return int(text)
