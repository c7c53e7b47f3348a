"""The backlog is one ring: what it holds, what it forgets, and how it grows for slow readers."""

from __future__ import annotations

import random

import pytest

from server.replication.backlog import Backlog, Reader


def held(backlog: Backlog) -> bytes:
    return backlog.read(backlog.first_offset, backlog.history_bytes)


def test_holds_everything_until_it_is_full() -> None:
    """Before the ring wraps, the whole stream can be asked for again."""
    backlog = Backlog(10)
    backlog.append(b"abc")
    backlog.append(b"defg")

    assert held(backlog) == b"abcdefg"
    assert (backlog.first_offset, backlog.end_offset) == (0, 7)


def test_forgets_the_oldest_bytes_when_it_wraps() -> None:
    """Only the last bytes, as many as the size, are kept."""
    backlog = Backlog(5)
    for letter in b"abcdefgh":
        backlog.append(bytes([letter]))

    assert held(backlog) == b"defgh"
    assert (backlog.first_offset, backlog.end_offset) == (3, 8)


def test_an_append_larger_than_the_ring_leaves_its_tail() -> None:
    """One command may be larger than the backlog."""
    backlog = Backlog(4, start_offset=100)
    backlog.append(b"0123456789")

    assert held(backlog) == b"6789"
    assert (backlog.first_offset, backlog.end_offset) == (106, 110)


def test_begins_at_the_offset_of_the_history_it_continues() -> None:
    """A replica's backlog begins where its snapshot ended: nothing before can be served."""
    backlog = Backlog(8, start_offset=1000)

    assert (backlog.first_offset, backlog.end_offset, backlog.history_bytes) == (1000, 1000, 0)
    assert backlog.holds(1000)
    assert not backlog.holds(999)
    assert not backlog.holds(1001)


def test_reads_at_most_what_was_asked_for_and_nothing_at_the_end() -> None:
    """Readers take pieces; an empty piece means that they have caught up."""
    backlog = Backlog(4)
    backlog.append(b"abcdef")

    assert backlog.read(2, 3) == b"cde"
    assert backlog.read(5, 100) == b"f"
    assert backlog.read(6, 100) == b""


@pytest.mark.parametrize("offset", [1, 7])
def test_refuses_offsets_it_does_not_hold(offset: int) -> None:
    """Wrong bytes would corrupt a replica silently, so there is no best effort."""
    backlog = Backlog(4)
    backlog.append(b"abcdef")

    with pytest.raises(ValueError, match=f"offset {offset} is outside the backlog 2..6"):
        backlog.read(offset, 1)


def test_grows_while_a_reader_lags_and_shrinks_when_it_has_caught_up() -> None:
    """A replica that loads its snapshot must not lose the writes made meanwhile."""
    backlog = Backlog(8, limit_bytes=64)
    reader = backlog.attach(0)
    stream = bytes(range(40))
    for start in range(0, 40, 4):
        backlog.append(stream[start : start + 4])

    assert backlog.read(reader.offset, 100) == stream
    assert backlog.capacity_bytes >= 40

    reader.offset = backlog.end_offset
    for _ in range(64):
        backlog.append(b"x")
        reader.offset = backlog.end_offset

    assert backlog.capacity_bytes == 8
    assert held(backlog) == b"x" * 8


def test_a_reader_beyond_the_limit_loses_its_place_and_the_others_do_not() -> None:
    """One stuck replica may not take all the memory, nor harm the rest."""
    backlog = Backlog(8, limit_bytes=16)
    stuck = backlog.attach(0)
    backlog.append(b"0123456789")
    quick = backlog.attach(10)
    backlog.append(b"abcdefghij")

    assert not backlog.holds(stuck.offset)
    assert backlog.read(quick.offset, 100) == b"abcdefghij"
    assert backlog.capacity_bytes <= 16


def test_forgets_the_need_of_a_detached_reader() -> None:
    """The ring is only as large as those who are there need."""
    backlog = Backlog(4, limit_bytes=100)
    reader = backlog.attach(0)
    backlog.append(b"a" * 30)
    backlog.detach(reader)
    for _ in range(200):
        backlog.append(b"b")

    assert backlog.capacity_bytes == 4


def test_a_reader_may_begin_only_at_what_is_held() -> None:
    """Otherwise its first read would fail, after the replica was told to go on."""
    backlog = Backlog(4)
    backlog.append(b"abcdef")

    with pytest.raises(ValueError, match="outside the backlog"):
        backlog.attach(0)


@pytest.mark.parametrize(("size", "kept"), [(3, b"fgh"), (5, b"defgh"), (20, b"cdefgh")])
def test_resizing_keeps_the_most_recent_bytes(size: int, kept: bytes) -> None:
    """CONFIG SET repl-backlog-size does not cost the history that still fits."""
    backlog = Backlog(6)
    backlog.append(b"abcdefgh")
    backlog.resize(size)

    assert held(backlog) == kept
    backlog.append(b"!")
    assert held(backlog) == (kept + b"!")[-size:]


@pytest.mark.parametrize("seed", range(30))
def test_agrees_with_a_plain_copy_of_the_stream(seed: int) -> None:
    """Whatever the order of appends, reads, growth and resizing, the bytes are the stream's."""
    rng = random.Random(seed)
    backlog = Backlog(rng.randint(1, 40), limit_bytes=rng.choice([0, 100, 1000]))
    stream = b""
    readers: list[Reader] = []
    for _ in range(300):
        match rng.randrange(8):
            case 0 if len(readers) < 3:
                readers.append(backlog.attach(rng.randint(backlog.first_offset, len(stream))))
            case 1 if readers:
                backlog.detach(readers.pop(rng.randrange(len(readers))))
            case 2:
                backlog.resize(rng.randint(1, 60))
            case 3 | 4 if readers:
                reader = rng.choice(readers)
                if backlog.holds(reader.offset):
                    data = backlog.read(reader.offset, rng.randint(0, 50))
                    assert data == stream[reader.offset : reader.offset + len(data)]
                    reader.offset += len(data)
                else:
                    lag = backlog.end_offset - reader.offset
                    assert lag > max(backlog.limit_bytes, 0) or lag > backlog.size_bytes
            case _:
                data = rng.randbytes(rng.choice([0, 1, 3, 10, 70]))
                backlog.append(data)
                stream += data

        assert backlog.end_offset == len(stream), f"seed {seed}"
        assert held(backlog) == stream[backlog.first_offset :], f"seed {seed}"
        assert backlog.history_bytes <= backlog.capacity_bytes


def test_what_was_appended_last_is_read_as_it_is() -> None:
    """All replicas but slow ones read just that, so it is not put together from the ring anew."""
    backlog = Backlog(10)
    backlog.append(b"abcdefg")
    last = b"hijkl"
    backlog.append(last)

    assert backlog.read(7, 100) is last
    assert backlog.read(7, 4) == b"hijk"
    assert backlog.read(8, 100) == b"ijkl"
    backlog.resize(2)
    with pytest.raises(ValueError, match="outside"):
        backlog.read(7, 100)


def test_what_was_held_for_one_reader_goes_with_it() -> None:
    """A replica that was dropped must not find in the ring what the configured size lacks."""
    backlog = Backlog(16, limit_bytes=1000)
    reader = backlog.attach(0)
    backlog.append(bytes(100))
    assert backlog.holds(0)
    backlog.detach(reader)

    assert backlog.capacity_bytes == 16
    assert backlog.first_offset == 84
    backlog.append(b"x" * 10)
    assert backlog.read(94, 100) == bytes(6) + b"x" * 10


def test_what_another_reader_needs_stays() -> None:
    """Until that one has read it too."""
    backlog = Backlog(16, limit_bytes=1000)
    first, second = backlog.attach(0), backlog.attach(0)
    backlog.append(bytes(100))
    backlog.detach(first)
    assert backlog.holds(0)
    second.offset = 100
    backlog.detach(second)

    assert not backlog.holds(0)
