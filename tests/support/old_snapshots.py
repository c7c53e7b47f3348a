"""Snapshots as Redis 2.x to 6.x wrote them, built byte by byte from the description of the formats.

Nothing here is shared with the program that reads them. `snapshot(version, rng)` has a key of each
type and encoding that a Redis of that RDB version could write, in more than one database:

1  strings, lists, sets, hashes and sorted sets one element after the other; scores as text
2  zipmaps, ziplists and intsets        3  expiry in milliseconds    4  hashes as ziplists
5  a checksum at the end                7  quicklists of ziplists, and fields about the file
8  scores as binary numbers             9  streams, and how keys were used
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import anycrc

__all__ = ["VERSIONS", "snapshot"]

VERSIONS: Final = range(1, 10)

Pairs = Sequence[tuple[bytes, bytes]]
Scores = Sequence[tuple[bytes, float]]

#: Never reached while a test runs.
_LATER_MS: Final = 4_000_000_000_000


# --- lengths and strings --------------------------------------------------------------------------


def length(number: int) -> bytes:
    """A length of 6, 14 or 32 bits."""
    if number < 1 << 6:
        return bytes([number])
    if number < 1 << 14:
        return struct.pack(">H", 0x4000 | number)
    return b"\x80" + struct.pack(">I", number)


def plain(value: bytes) -> bytes:
    """A string as it is."""
    return length(len(value)) + value


def number_string(number: int) -> bytes:
    """A string that is a number of 8, 16 or 32 bits."""
    for code, form in enumerate("bhi"):
        size = struct.calcsize(f"<{form}")
        if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
            return bytes([0xC0 | code]) + struct.pack(f"<{form}", number)
    return plain(b"%d" % number)


def compressed(repeated: bytes, count: int) -> bytes:
    """`repeated` (of 3 to 32 bytes) so many times, by LZF: literally once, then by reference."""
    data = bytes([len(repeated) - 1]) + repeated
    left, distance = len(repeated) * (count - 1), len(repeated) - 1
    while left:
        size = min(left, 264)
        if 0 < left - size < 3:
            size -= 3  # what is left must be long enough for a reference
        coded = size - 2
        if coded < 7:
            data += bytes([coded << 5 | distance >> 8, distance & 0xFF])
        else:
            data += bytes([7 << 5 | distance >> 8, coded - 7, distance & 0xFF])
        left -= size
    return b"\xc3" + length(len(data)) + length(len(repeated) * count) + data


def string(value: bytes) -> bytes:
    """A string as a server writes it that compresses nothing."""
    text = value.removeprefix(b"-")
    if text.isdigit() and len(value) < 11 and b"%d" % int(value) == value:
        return number_string(int(value))
    return plain(value)


# --- what small collections were packed into ------------------------------------------------------


def ziplist(entries: Iterable[bytes]) -> bytes:
    """Entries one behind the other, each with the size of the one before."""
    body, tail, before, count = b"", 10, 0, 0
    for entry in entries:
        tail = 10 + len(body)
        previous = bytes([before]) if before < 254 else b"\xfe" + struct.pack("<I", before)
        packed = previous + _ziplist_entry(entry)
        body += packed
        before = len(packed)
        count += 1
    return struct.pack("<IIH", 11 + len(body), tail, count) + body + b"\xff"


def _ziplist_entry(value: bytes) -> bytes:
    text = value.removeprefix(b"-")
    if text.isdigit() and b"%d" % int(value) == value and -(1 << 63) <= int(value) < 1 << 63:
        number = int(value)
        if 0 <= number <= 12:
            return bytes([0xF1 + number])
        for code, size in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8)):
            if -(1 << 8 * size - 1) <= number < 1 << 8 * size - 1:
                return bytes([code]) + number.to_bytes(size, "little", signed=True)
    if len(value) < 1 << 6:
        return bytes([len(value)]) + value
    if len(value) < 1 << 14:
        return struct.pack(">H", 0x4000 | len(value)) + value
    return b"\x80" + struct.pack(">I", len(value)) + value


def zipmap(pairs: Pairs) -> bytes:
    """Fields and values, with unused bytes behind some of the values."""
    data = bytes([min(len(pairs), 254)])
    for index, (field, value) in enumerate(pairs):
        unused = index % 3
        data += _zipmap_length(len(field)) + field
        data += _zipmap_length(len(value)) + bytes([unused]) + value + b"?" * unused
    return data + b"\xff"


def _zipmap_length(size: int) -> bytes:
    return bytes([size]) if size < 254 else b"\xfe" + struct.pack("<I", size)


def intset(numbers: Iterable[int]) -> bytes:
    """Numbers in order, all of the size that the largest takes."""
    values = sorted(set(numbers))
    widest = max(map(abs, values))
    size, form = next(
        (size, form) for size, form in ((2, "h"), (4, "i"), (8, "q")) if widest < 1 << 8 * size - 1
    )
    return struct.pack("<II", size, len(values)) + struct.pack(f"<{len(values)}{form}", *values)


def listpack(entries: Iterable[bytes | int]) -> bytes:
    """Entries one behind the other, each followed by its own size."""
    body, count = b"", 0
    for entry in entries:
        if isinstance(entry, int):
            packed = bytes([entry]) if 0 <= entry < 128 else b"\xf4" + struct.pack("<q", entry)
        else:
            assert len(entry) < 64
            packed = bytes([0x80 | len(entry)]) + entry
        body += packed + bytes([len(packed)])
        count += 1
    return struct.pack("<IH", 7 + len(body), count) + body + b"\xff"


# --- values by type -------------------------------------------------------------------------------


def elements(members: Sequence[bytes]) -> bytes:
    """The members one after the other."""
    return length(len(members)) + b"".join(map(string, members))


def flat(pairs: Pairs) -> list[bytes]:
    return [word for pair in pairs for word in pair]


def score_text(score: float) -> bytes:
    """A score as text with its size before it; the infinite ones have a mark."""
    if score in (float("inf"), float("-inf")):
        return b"\xfe" if score > 0 else b"\xff"
    text = b"%.17g" % score
    return bytes([len(text)]) + text


def packed_scores(scores: Scores) -> bytes:
    """Members and scores by score, as a ziplist."""
    ordered = sorted(scores, key=lambda pair: (pair[1], pair[0]))
    return ziplist(word for member, score in ordered for word in (member, b"%.17g" % score))


def quicklist(values: Sequence[bytes], rng: random.Random) -> bytes:
    """Ziplists with a few of the values each."""
    nodes = []
    start = 0
    while start < len(values):
        size = rng.randint(1, 5)
        nodes.append(ziplist(values[start : start + size]))
        start += size
    return length(len(nodes)) + b"".join(map(plain, nodes))


def stream(rng: random.Random) -> bytes:
    """Entries with the same fields in one node, a group, a consumer, and what it has pending."""
    master_ms, count = rng.randrange(1, 10**12), rng.randint(2, 9)
    fields = [b"temperature", b"place"]
    entries: list[bytes | int] = [count, 0, len(fields), *fields, 0]
    for index in range(count):
        entries += [2, index * 7, index, b"%d" % rng.randrange(100), b"at home", len(fields) + 3]
    last = struct.pack(">QQ", master_ms + (count - 1) * 7, 5 + count - 1)
    first = struct.pack(">QQ", master_ms, 5)
    node = plain(first) + plain(listpack(entries))
    group = plain(b"readers") + _long_length(master_ms) + _long_length(5)
    seen = struct.pack("<Q", 1_600_000_000_000)
    pending = length(1) + first + seen + length(1)
    consumer = length(1) + plain(b"alice") + seen + length(1) + first
    ends = b"".join(map(_long_length, struct.unpack(">QQ", last)))
    return length(1) + node + length(count) + ends + length(1) + group + pending + consumer


def _long_length(number: int) -> bytes:
    return b"\x81" + struct.pack(">Q", number)


# --- whole files ----------------------------------------------------------------------------------


def snapshot(version: int, rng: random.Random) -> bytes:
    """Return the bytes of a file."""
    data = b"REDIS%04d" % version
    if version >= 7:
        data += b"\xfa" + plain(b"redis-ver") + plain(b"3.2.1")
        data += b"\xfa" + plain(b"redis-bits") + number_string(64)
    for database in (0, 3):
        data += b"\xfe" + length(database)
        if version >= 7:
            data += b"\xfb" + length(50) + length(5)
        for index, (kind, value) in enumerate(_values(version, rng)):
            data += _before_key(version, rng)
            data += bytes([kind]) + plain(b"key:%d:%d:%d" % (database, index, kind)) + value
    data += b"\xff"
    if version < 5:
        return data
    checksum = anycrc.Model("CRC64-REDIS").calc(data)
    return data + struct.pack("<Q", checksum if rng.random() < 0.5 else 0)


def _before_key(version: int, rng: random.Random) -> bytes:
    """What may stand before a key: when it expires, and how it was used."""
    choices: list[Callable[[], bytes]] = [
        bytes,
        bytes,
        lambda: b"\xfd" + struct.pack("<i", 2_000_000_000),
    ]
    if version >= 3:
        choices.append(lambda: b"\xfc" + struct.pack("<q", _LATER_MS + rng.randrange(1000)))
    if version >= 9:
        choices.append(lambda: b"\xf8" + length(rng.randrange(1000)))
        choices.append(lambda: b"\xf9" + bytes([rng.randrange(255)]))
    return rng.choice(choices)()


def _values(version: int, rng: random.Random) -> list[tuple[int, bytes]]:
    """Return values with the numbers of their types."""
    members = _members(rng)
    pairs = [(member, rng.choice(members)) for member in members]
    scores = [(member, rng.choice([0.0, -1.5, 3.0, 1e100, 0.1])) for member in members]
    numbers = [rng.randrange(-1 << rng.choice([14, 30, 62]), 1 << 14) for _ in range(20)]
    infinite = [*scores, (b"most", float("inf")), (b"least", float("-inf"))]
    values = [
        (0, string(b"text")),
        (0, string(b"")),
        (0, number_string(-7)),
        (0, number_string(30_000)),
        (0, number_string(-2_000_000_000)),
        (0, compressed(b"abcdefg", 50)),
        (0, compressed(b"xyz", 1000)),
        (0, plain(rng.randbytes(70_000))),
        (1, elements([*members, *members])),
        (2, elements(members)),
        (2, elements([b"%d" % number for number in set(numbers)])),
        (3, length(len(infinite)) + b"".join(string(m) + score_text(s) for m, s in infinite)),
        (4, length(len(pairs)) + b"".join(map(string, flat(pairs)))),
    ]
    if version >= 2:
        short = [(field, value) for field, value in pairs if len(value) < 500]
        values += [
            (9, plain(zipmap(short))),
            (10, plain(ziplist([*members, *members]))),
            (11, plain(intset(numbers))),
            (11, plain(intset(range(-5, 40)))),
            (12, plain(packed_scores(scores))),
        ]
    if version >= 4:
        values.append((13, plain(ziplist(flat(pairs)))))
    if version >= 7:
        values.append((14, quicklist([*members, *members], rng)))
    if version >= 8:
        binary = b"".join(string(member) + struct.pack("<d", score) for member, score in infinite)
        values.append((5, length(len(infinite)) + binary))
    if version >= 9:
        values.append((15, stream(rng)))
    return values


def _members(rng: random.Random) -> list[bytes]:
    """Return different strings and numbers, of all sizes that are encoded in another way."""
    numbers = [0, 1, 12, 13, -1, 127, -128, 128, 32767, -32768, 32768, 8_388_607, -8_388_608]
    numbers += [8_388_608, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**63]
    texts = [b"a", b"-", b"-0", b"007", b"x" * 63, b"y" * 64, b"z" * 253, b"w" * 254, b"v" * 300]
    texts += [b"u" * 16_383, b"t" * 16_384, bytes(range(256))]
    found = [b"%d" % number for number in rng.sample(numbers, 12)] + rng.sample(texts, 8)
    rng.shuffle(found)
    return found
