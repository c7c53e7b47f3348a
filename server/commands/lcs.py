"""LCS: the longest common subsequence of two strings.

Redis fills a table of lengths cell by cell. Here one row of that table is one big integer, whose
bit `j` says whether the length grows from column `j` to `j + 1`, and a row follows from the one
before in a few operations on whole integers (Crochemore and others, 2001). The way back through the
table, and so which of several equally long answers is given, is Redis' (`t_string.c: lcsCommand`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import MapReply, Reply

from ..engine import ServerContext
from .arguments import parse_integer, syntax_error

#: What one cell of Redis' table takes; its limit is kept so that both refuse the same inputs.
_CELL_BYTES = 4


@dataclass(slots=True)
class _Options:
    wants_length: bool = False
    wants_ranges: bool = False
    wants_range_lengths: bool = False
    shortest_range: int = 0


def _parse_options(words: list[bytes]) -> _Options:
    options = _Options()
    rest = iter(words)
    for word in rest:
        match word.upper():
            case b"LEN":
                options.wants_length = True
            case b"IDX":
                options.wants_ranges = True
            case b"WITHMATCHLEN":
                options.wants_range_lengths = True
            case b"MINMATCHLEN":
                size = next(rest, None)
                if size is None:
                    raise syntax_error()
                options.shortest_range = max(0, parse_integer(size))
            case _:
                raise syntax_error()
    if options.wants_length and options.wants_ranges:
        raise CommandError(b"ERR If you want both the length and indexes, please just use IDX.")
    return options


@command(
    "LCS",
    arity=-3,
    flags=Flag.READONLY,
    keys=Keys(1, 2, 1, ("RO", "ACCESS")),
    group="string",
    since="7.0.0",
    summary="Finds the longest common subsequence of two strings.",
)
def lcs(ctx: ServerContext, argv: list[bytes]) -> Reply:
    first, second = (_string_at(ctx, key) for key in argv[1:3])
    options = _parse_options(argv[3:])
    if (len(first) + 1) * (len(second) + 1) * _CELL_BYTES > ctx.settings.max_bulk_bytes:
        raise CommandError(
            b"ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
        )
    rows = _table(first, second)
    if options.wants_ranges:
        return _ranges_reply(first, second, rows, options)
    if options.wants_length:
        return rows[-1].bit_count()
    pairs = _matched_pairs(first, second, rows)
    return bytes(first[index] for index, _ in pairs)[::-1]


def _string_at(ctx: ServerContext, key: bytes) -> bytes:
    value = ctx.read(key)
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    raise CommandError(b"ERR The specified keys must contain string values")


def _table(first: bytes, second: bytes) -> list[int]:
    """Return the growth bits of each row, from that of no byte of `first` to that of all."""
    all_ones = (1 << len(second)) - 1
    places: dict[int, int] = {}
    for index, byte in enumerate(second):
        places[byte] = places.get(byte, 0) | 1 << index
    flat = all_ones  # inverted growth bits
    rows = [0]
    for byte in first:
        matches = flat & places.get(byte, 0)
        flat = ((flat + matches) | (flat - matches)) & all_ones
        rows.append(flat ^ all_ones)
    return rows


def _matched_pairs(first: bytes, second: bytes, rows: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the positions of the answer's bytes in both strings, the last byte first."""
    row, column = len(first), len(second)
    while row > 0 and column > 0:
        if first[row - 1] == second[column - 1]:
            row -= 1
            column -= 1
            yield row, column
        elif rows[row] >> (column - 1) & 1:
            row -= 1  # the length is less one column to the left, so it is the row above's
        else:
            column -= 1


def _ranges_reply(first: bytes, second: bytes, rows: list[int], options: _Options) -> MapReply:
    ranges: list[Reply] = []
    for start, other_start, size in _runs(_matched_pairs(first, second, rows)):
        if size < options.shortest_range:
            continue
        item: list[Reply] = [[start, start + size - 1], [other_start, other_start + size - 1]]
        if options.wants_range_lengths:
            item.append(size)
        ranges.append(item)
    return MapReply([(b"matches", ranges), (b"len", rows[-1].bit_count())])


def _runs(pairs: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Join neighbouring pairs into runs of (start, start in the other string, size)."""
    run: tuple[int, int, int] | None = None
    for index, other_index in pairs:
        if run is not None and run[0] == index + 1 and run[1] == other_index + 1:
            run = (index, other_index, run[2] + 1)
            continue
        if run is not None:
            yield run
        run = (index, other_index, 1)
    if run is not None:
        yield run
