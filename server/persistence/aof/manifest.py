"""The manifest: which files make up an append-only file, in which order (Redis 7.0 `aof.c`).

A *base* holds the dataset as of the last rewrite, *increments* the commands since, in rising order
of their numbers. What a rewrite has replaced is *history*, to be deleted. A file is in use from the
moment the manifest that names it is on the disk, so a manifest is replaced as a whole and every
value of `Manifest` here is a state in which a server could start.
"""

from __future__ import annotations

import os.path
import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

from vedette.conf.quoting import (
    UnbalancedQuotesError,
    decode_word,
    encode_word,
    quote_argument,
    split_arguments,
)
from vedette.errors import VedetteError

#: What Redis reads of a line.
LINE_MAX_BYTES: Final = 1024
_NUMBER: Final = re.compile(rb"[+-]?\d{1,18}")
_NEEDS_QUOTES: Final = re.compile(rb"[^!-~]|[\"'\\]")
_BAD_FORMAT: Final = "Invalid AOF manifest file format"


class ManifestError(VedetteError):
    """A manifest that cannot be used; the text says where and why."""

    def __init__(self, reason: str, line_number: int = 0) -> None:
        super().__init__(f"line {line_number}: {reason}" if line_number else reason)
        self.reason = reason
        self.line_number = line_number


class FileKind(Enum):
    """What a file is to the whole; the values are what the manifest says."""

    BASE = "b"
    HISTORY = "h"
    INCREMENT = "i"


@dataclass(frozen=True, slots=True)
class AofFile:
    """One line of the manifest. `sequence` counts bases and increments apart, from 1."""

    name: str
    sequence: int
    kind: FileKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The files of an append-only file named `appendfilename`; empty before there is one."""

    base: AofFile | None = None
    increments: tuple[AofFile, ...] = ()
    #: Latest first.
    history: tuple[AofFile, ...] = ()
    #: The highest numbers given so far.
    last_base: int = 0
    last_increment: int = 0

    @property
    def parts(self) -> tuple[AofFile, ...]:
        """The files that hold the dataset, in the order in which they are loaded."""
        return self.increments if self.base is None else (self.base, *self.increments)

    def with_base(self, name: str, *, is_rdb: bool) -> Manifest:
        """Return the manifest with a new base of `name` (`appendfilename`), the old one history."""
        sequence = self.last_base + 1
        suffix = "rdb" if is_rdb else "aof"
        base = AofFile(f"{name}.{sequence}.base.{suffix}", sequence, FileKind.BASE)
        old = () if self.base is None else (_as_history(self.base),)
        return replace(self, base=base, history=(*old, *self.history), last_base=sequence)

    def with_old_base(self, name: str) -> Manifest:
        """Return the manifest of a server that had one file `name`, as before Redis 7."""
        return replace(self, base=AofFile(name, 1, FileKind.BASE), last_base=1)

    def with_increment(self, name: str) -> Manifest:
        """Return the manifest with one more increment of `name` (`appendfilename`)."""
        sequence = self.last_increment + 1
        added = AofFile(f"{name}.{sequence}.incr.aof", sequence, FileKind.INCREMENT)
        return replace(self, increments=(*self.increments, added), last_increment=sequence)

    def with_increments_rewritten(self, *, but_last: bool) -> Manifest:
        """Return the manifest after a rewrite took in all increments, `but_last` is written to."""
        count = len(self.increments) - but_last
        rewritten = tuple(_as_history(each) for each in self.increments[:count])
        return replace(
            self, increments=self.increments[count:], history=(*rewritten, *self.history)
        )

    def without_history(self) -> Manifest:
        """Return the manifest once what is history has been deleted."""
        return replace(self, history=())

    def format(self) -> bytes:
        """Return the text of the manifest."""
        base = () if self.base is None else (self.base,)
        files = (*base, *self.history, *self.increments)
        return b"".join(
            b"file %b seq %d type %b\n"
            % (_quoted(encode_word(each.name)), each.sequence, each.kind.value.encode())
            for each in files
        )

    @classmethod
    def parse(cls, text: bytes) -> Manifest:
        """Return the manifest that `text` spells; keys that are not known are passed over.

        Raises:
            ManifestError: it spells none.
        """
        if not text:
            raise ManifestError("Found an empty AOF manifest")
        found = cls()
        for number, line in enumerate(text.splitlines(keepends=True), start=1):
            if line.startswith(b"#"):
                continue
            if len(line) > LINE_MAX_BYTES or not line.endswith(b"\n"):
                raise ManifestError("The AOF manifest file contains too long line", number)
            found = found._with_parsed(_parse_line(line, number), number)
        return found

    def _with_parsed(self, file: AofFile, line_number: int) -> Manifest:
        match file.kind:
            case FileKind.BASE:
                if self.base is not None:
                    raise ManifestError("Found duplicate base file information", line_number)
                return replace(self, base=file, last_base=file.sequence)
            case FileKind.HISTORY:
                return replace(self, history=(*self.history, file))
            case FileKind.INCREMENT:
                if file.sequence <= self.last_increment:
                    raise ManifestError("Found a non-monotonic sequence number", line_number)
                return replace(
                    self, increments=(*self.increments, file), last_increment=file.sequence
                )


def _as_history(file: AofFile) -> AofFile:
    return replace(file, kind=FileKind.HISTORY)


def _quoted(name: bytes) -> bytes:
    return quote_argument(name) if _NEEDS_QUOTES.search(name) else name


def _parse_line(line: bytes, number: int) -> AofFile:
    """Return the file that pairs of key and value in `line` describe."""
    try:
        words = split_arguments(line.strip(b" \t\r\n"))
    except UnbalancedQuotesError:
        words = []
    if len(words) < 6 or len(words) % 2:
        raise ManifestError(_BAD_FORMAT, number)
    name, sequence, kind = "", 0, b""
    for key, value in zip(words[::2], words[1::2], strict=True):
        match key.lower():
            case b"file":
                name = decode_word(value)
                if os.path.basename(name) != name:
                    raise ManifestError("File can't be a path, just a filename", number)
            case b"seq":
                match = _NUMBER.match(value)
                sequence = int(match[0]) if match is not None else 0
            case b"type":
                kind = value[:1]
            case _:
                pass  # of a newer Redis
    if not name or sequence <= 0 or not kind:
        raise ManifestError(_BAD_FORMAT, number)
    try:
        return AofFile(name, sequence, FileKind(kind.decode("latin-1")))
    except ValueError:
        raise ManifestError("Unknown AOF file type", number) from None
