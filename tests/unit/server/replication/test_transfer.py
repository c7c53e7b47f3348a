"""A snapshot as it arrives: its header, its bytes, its end."""

from __future__ import annotations

import pytest

from server.replication.transfer import IncomingSnapshot

MARK = b"0123456789" * 4


def test_a_snapshot_of_known_size() -> None:
    """What is behind it belongs to the stream."""
    snapshot = IncomingSnapshot(b"$5")
    assert snapshot.receive(b"he") == (b"he", b"")
    assert (snapshot.read_bytes, snapshot.is_complete) == (2, False)

    assert snapshot.receive(b"llo*1\r\n") == (b"llo", b"*1\r\n")
    assert (snapshot.read_bytes, snapshot.is_complete) == (5, True)


def test_an_empty_one_is_complete_at_once() -> None:
    """Nothing has to arrive."""
    assert IncomingSnapshot(b"$0").is_complete


@pytest.mark.parametrize("cut", range(1, len(MARK) + 10))
def test_a_mark_in_two_pieces(cut: int) -> None:
    """Of the first piece only what cannot be part of the mark is passed on."""
    data = b"some bytes" + MARK + b"*1\r\n"
    snapshot = IncomingSnapshot(b"$EOF:" + MARK)
    first, rest = snapshot.receive(data[:cut])
    assert rest == b""
    second, rest = snapshot.receive(data[cut:])

    assert (first + second, rest) == (b"some bytes", b"*1\r\n")
    assert (snapshot.read_bytes, snapshot.is_complete) == (10, True)


@pytest.mark.parametrize("line", [b"", b"$", b"$-1", b"$x", b"+OK", b"$EOF:short"])
def test_what_is_no_header(line: bytes) -> None:
    """Nothing else announces a snapshot."""
    with pytest.raises(ValueError, match="no header"):
        IncomingSnapshot(line)
