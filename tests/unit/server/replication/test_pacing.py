"""When a replica rests between two reads of the stream."""

from __future__ import annotations

from server.replication.pacing import REST_MS, StreamPace


def test_a_quiet_stream_is_read_at_once() -> None:
    """Pieces far apart cost nobody anything."""
    pace = StreamPace()
    for now_ms in (1000, 1100, 1200):
        pace.on_piece(100, now_ms)

        assert pace.take_rest_ms() == 0


def test_a_busy_stream_is_left_alone_between_pieces() -> None:
    """The rest itself does not make it look quiet."""
    pace = StreamPace()
    pace.on_piece(100, 1000)
    assert pace.take_rest_ms() == 0
    for piece in range(1, 5):
        pace.on_piece(100, 1000 + piece * (REST_MS + 2))

        assert pace.take_rest_ms() == REST_MS


def test_a_rest_is_taken_once() -> None:
    """What wakes the link without a piece makes it rest no more."""
    pace = StreamPace()
    pace.on_piece(100, 1000)
    pace.on_piece(100, 1001)
    assert pace.take_rest_ms() == REST_MS

    assert pace.take_rest_ms() == 0


def test_a_large_piece_is_followed_at_once() -> None:
    """There is more where it came from."""
    pace = StreamPace()
    pace.on_piece(100, 1000)
    pace.on_piece(64 * 1024, 1001)

    assert pace.take_rest_ms() == 0


def test_a_master_that_asks_is_heard_at_once() -> None:
    """For a second: a client that waits for one write mostly waits for the next as well."""
    pace = StreamPace()
    pace.on_piece(100, 1000)
    pace.on_piece(100, 1001)
    pace.on_acknowledgement_asked(1001)
    assert pace.take_rest_ms() == 0
    pace.on_piece(100, 1002)
    assert pace.take_rest_ms() == 0

    for now_ms in (2000, 2001):
        pace.on_piece(100, now_ms)
    assert pace.take_rest_ms() == REST_MS
