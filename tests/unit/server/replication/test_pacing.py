"""When a replica rests between two reads of the stream."""

from __future__ import annotations

from server.replication.pacing import LONG_REST_MS, MIDDLE_REST_MS, SHORT_REST_MS, StreamPace

#: What a dense stream brings in a millisecond, a steady one, and one that is only busy.
DENSE_BYTES = 2000
STEADY_BYTES = 200
BUSY_BYTES = 50


class Link:
    """A link that reads at a pace, on a clock of its own."""

    def __init__(self) -> None:
        self.pace = StreamPace()
        self.now_ms = 1000
        self.pace.on_ready(self.now_ms)

    def read(self, size_bytes: int, after_ms: int = 1, *, applying_ms: int = 0) -> int:
        """Read a piece that comes so late after the last could be; return the rest behind it."""
        self.now_ms += after_ms
        self.pace.on_piece(size_bytes, self.now_ms)
        rest_ms = self.pace.take_rest_ms()
        self.now_ms += applying_ms + rest_ms
        self.pace.on_ready(self.now_ms)
        return rest_ms

    def rests(self, bytes_per_ms: int, count: int) -> list[int]:
        """Return the rests while the stream brings so much all the time.

        Behind a large piece, after which there is none, what is left of it is read.
        """
        rests = [self.read(100)]
        while len(rests) < count:
            size_bytes = bytes_per_ms * (rests[-1] + 1)
            rests.append(self.read(size_bytes) or self.read(100))
        return rests


def test_a_quiet_stream_is_read_at_once() -> None:
    """Pieces far apart cost nobody anything."""
    link = Link()

    assert [link.read(100, after_ms=100) for _ in range(3)] == [0, 0, 0]


def test_a_busy_stream_is_left_alone_between_pieces() -> None:
    """The rest itself does not make it look quiet, nor does the time that applying takes."""
    link = Link()

    rests = [link.read(100, applying_ms=20) for _ in range(5)]

    assert rests == [SHORT_REST_MS] * 5


def test_rests_become_longer_step_by_step_while_the_stream_is_dense() -> None:
    """A short burst is not worth a long rest, of which its end would come late."""
    rests = Link().rests(DENSE_BYTES, 8)

    assert rests == [3, 6, 12, 24, 48, LONG_REST_MS, LONG_REST_MS, LONG_REST_MS]


def test_a_steady_stream_is_left_alone_less_long() -> None:
    """Most is saved by then, and who waits for its end waits less."""
    rests = Link().rests(STEADY_BYTES, 6)

    assert rests == [3, 6, 12, MIDDLE_REST_MS, MIDDLE_REST_MS, MIDDLE_REST_MS]


def test_rests_follow_what_the_stream_brings() -> None:
    """What was dense may become steady, and hardly busy."""
    link = Link()

    assert link.rests(DENSE_BYTES, 8)[-1] == LONG_REST_MS
    assert link.rests(STEADY_BYTES, 4)[-1] == MIDDLE_REST_MS
    assert link.rests(BUSY_BYTES, 4)[-1] == SHORT_REST_MS


def test_a_stream_that_is_only_busy_keeps_to_short_rests() -> None:
    """There is little to save, and it would come later for nothing."""
    assert set(Link().rests(BUSY_BYTES, 8)) == {SHORT_REST_MS}


def test_after_a_pause_rests_begin_short_again() -> None:
    """What was dense a while ago says nothing."""
    link = Link()
    assert link.rests(DENSE_BYTES, 8)[-1] == LONG_REST_MS

    assert link.read(100 * DENSE_BYTES, after_ms=100) == 0
    assert link.read(100) == SHORT_REST_MS


def test_where_somebody_looks_rests_are_short() -> None:
    """For ten seconds: whoever has read mostly reads again."""
    link = Link()
    assert link.rests(DENSE_BYTES, 8)[-1] == LONG_REST_MS
    link.pace.on_watched(link.now_ms)
    watched_until_ms = link.now_ms + 10_000

    while link.now_ms < watched_until_ms - 10:
        assert link.read(DENSE_BYTES * 4) == SHORT_REST_MS
    assert link.rests(DENSE_BYTES, 10)[-1] == LONG_REST_MS


def test_a_rest_is_taken_once() -> None:
    """What wakes the link without a piece makes it rest no more."""
    link = Link()
    link.pace.on_piece(100, 1001)
    assert link.pace.take_rest_ms() == SHORT_REST_MS

    assert link.pace.take_rest_ms() == 0


def test_a_large_piece_is_followed_at_once() -> None:
    """There is more where it came from."""
    assert Link().read(64 * 1024) == 0


def test_a_master_that_asks_is_heard_at_once() -> None:
    """For a second: a client that waits for one write mostly waits for the next as well."""
    link = Link()
    link.pace.on_piece(100, 1001)
    link.pace.on_acknowledgement_asked(1001)
    assert link.pace.take_rest_ms() == 0
    link.pace.on_ready(1001)
    assert link.read(100) == 0

    link.now_ms = 2000
    link.read(100)
    assert link.read(100) == SHORT_REST_MS


def test_who_waits_for_acknowledgements_keeps_rests_short() -> None:
    """Else each WAIT that comes after a second without one would meet a long rest."""
    link = Link()
    link.pace.on_acknowledgement_asked(link.now_ms)
    link.now_ms += 2000

    assert max(link.rests(DENSE_BYTES, 12)) == SHORT_REST_MS
