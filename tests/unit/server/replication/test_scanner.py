"""Commands out of a stream: the same in whatever pieces it comes, with sizes that add up."""

from __future__ import annotations

import random

import pytest

from server.replication.scanner import StreamScanner, encoded_size
from vedette.errors import ProtocolError
from vedette.resp.encode import encode_command

SET = encode_command([b"SET", b"k", b"v"])
PING = encode_command([b"PING"])


def scan_in_pieces(stream: bytes, cuts: list[int]) -> tuple[list[list[bytes]], list[int]]:
    scanner = StreamScanner()
    commands: list[list[bytes]] = []
    sizes: list[int] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if start < end:
            found = scanner.scan(stream[start:end])
            assert found.size_bytes == sum(found.sizes)
            commands += found.commands
            sizes += found.sizes
    return commands, sizes


def random_command(rng: random.Random) -> list[bytes]:
    sizes = [0, 1, 9, 10, 99, 100, 1023, 1024, 5000]
    values = [rng.randbytes(rng.choice(sizes)) for _ in range(rng.choice([0, 1, 2, 12]))]
    # Such as could be taken for the end of a command and the beginning of another.
    values += rng.choices([SET, PING, b"x\r\n*", b"\r\n*1\r\n$100000\r\n"], k=rng.choice([0, 0, 2]))
    return [b"X", *values]


def test_sizes_are_those_of_the_bytes() -> None:
    """An offset that is off by one byte corrupts the next partial synchronisation."""
    for size in [0, 9, 10, 99, 100, 999, 1000, 1023, 1024, 9999, 10000, 123456]:
        command = [b"SET", b"k" * size, b"v"]
        assert encoded_size(command) == len(encode_command(command))


@pytest.mark.parametrize("seed", range(20))
def test_any_cut_of_the_stream_gives_the_same_commands_and_sizes(seed: int) -> None:
    """TCP cuts where it likes; newlines between commands count with the command after them."""
    rng = random.Random(seed)
    expected = [random_command(rng) for _ in range(30)]
    gaps = [rng.choice([b"", b"", b"\n", b"\r\n", b"*0\r\n", b"\n\n"]) for _ in expected]
    stream = b"".join(gap + encode_command(c) for gap, c in zip(gaps, expected, strict=True))
    expected_sizes = [
        len(gap) + len(encode_command(c)) for gap, c in zip(gaps, expected, strict=True)
    ]
    cuts = sorted(rng.sample(range(len(stream)), rng.choice([0, 1, 3, 30, 300])))

    assert scan_in_pieces(stream, cuts) == (expected, expected_sizes), f"seed {seed}"


def test_byte_by_byte_equals_all_at_once() -> None:
    """The two ways through the scanner agree."""
    stream = SET + PING + b"\n" + SET + b"*0\r\n" + PING

    whole = scan_in_pieces(stream, [])

    assert scan_in_pieces(stream, list(range(1, len(stream)))) == whole
    assert whole[1] == [len(SET), len(PING), len(SET) + 1, len(PING) + 4]


def test_a_huge_argument_count_is_not_allocated() -> None:
    """A corrupt header must not take all memory: the command is awaited argument by argument."""
    assert StreamScanner().scan(b"*2000000000\r\n$1\r\nx\r\n").commands == []


@pytest.mark.parametrize(
    ("stream", "text"),
    [
        (b"SET k v\r\n", "Master using the inline protocol. Desync?"),
        (b"+OK\r\n", "Master using the inline protocol. Desync?"),
        (b"*x\r\n", "invalid multibulk length"),
        (b"*1\r\n+PING\r\n", "expected '$', got '+'"),
        (b"*1\r\n$x\r\n", "invalid bulk length"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        (b"*99999999999\r\n", "invalid multibulk length"),
        (b"y" * 70_000, "too big mbulk count string"),
        (b"*1\r\n$" + b"1" * 70_000, "too big bulk count string"),
    ],
)
@pytest.mark.parametrize("before", [b"", SET])
def test_a_corrupt_stream_is_an_error(before: bytes, stream: bytes, text: str) -> None:
    """Going on would apply garbage."""
    with pytest.raises(ProtocolError, match=text.replace("$", r"\$").replace("+", r"\+")):
        StreamScanner().scan(before + stream)


def test_random_bytes_are_commands_or_a_protocol_error() -> None:
    """No other exception may come out of a peer's bytes."""
    for seed in range(300):
        rng = random.Random(seed)
        data = bytearray(SET * 3 + PING)
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.choice(b"*$\r\n0123456789-x")
        scanner = StreamScanner()
        try:
            found = scanner.scan(bytes(data))
        except ProtocolError:
            continue
        assert len(found.commands) == len(found.sizes)
        assert found.size_bytes == sum(found.sizes) <= len(data), f"seed {seed}"
