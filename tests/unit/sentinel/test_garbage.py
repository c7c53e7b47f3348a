"""Garbage in a configuration or on a connection ends in the error that is meant for it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.config import World, read_config
from vedette.conf import parse_text
from vedette.errors import ConfigError
from vedette.resp.exchange import Answer, BrokenExchangeError, Exchange
from vedette.types import RunId

WORLD = World(draw_id=lambda: RunId("f" * 40), is_executable=lambda path: True)
_NAMES = (
    "sentinel monitor known-replica known-sentinel known-slave config-epoch leader-epoch myid "
    "current-epoch down-after-milliseconds failover-timeout parallel-syncs auth-pass forgotten "
    "rename-command announce-ip announce-port resolve-hostnames port loglevel dir user requirepass "
    "state-file removed"
)
_VALUES = r"""m other 10.0.0.1 6379 2 yes no -1 99999999999999999999 "" "\x00" \ ' default on"""
_WORDS = st.sampled_from(f"{_NAMES} {_VALUES}".split()) | st.text(max_size=8)
_LINES = st.lists(_WORDS, max_size=7).map(" ".join)
_MONITORED = st.lists(_LINES, max_size=6).map(
    lambda lines: "\n".join(["sentinel monitor m 10.0.0.1 6379 2", *lines])
)


@given(st.text(max_size=200) | _MONITORED)
@settings(deadline=None, max_examples=300)
def test_configuration_is_read_or_refused_with_a_reason(text: str) -> None:
    """Never another exception; and what was read makes sense."""
    try:
        config = read_config(parse_text(text, "sentinel.conf"), WORLD)
    except ConfigError:
        return
    for master in config.durable.masters:
        assert master.options.quorum >= 1
        assert 0 <= master.address.port <= 65_535


_PIECES = (
    "*2 $3 abc +OK -ERR :1 $-1 *-1 *99999999 $999999999999 >3 %1 _ * $-5 :x ~1 ,1.5 #t =8 txt:abcd"
)
_RESP = st.lists(
    st.sampled_from([piece.encode() + b"\r\n" for piece in _PIECES.split(" ")])
    | st.binary(max_size=12),
    max_size=12,
)


@given(_RESP, st.integers(0, 4))
@settings(deadline=None, max_examples=300)
def test_reply_stream_is_matched_or_broken_off(pieces: list[bytes], pending: int) -> None:
    """No more answers than questions, each once and in order, and only the one exception."""
    exchange: Exchange[int] = Exchange(max_pending=10)
    for number in range(pending):
        exchange.request((b"PING",), number)
    events: list[Any] = []
    try:
        for piece in pieces:
            events += exchange.receive(piece)
    except BrokenExchangeError as error:
        events += error.events

    answered = [event.token for event in events if isinstance(event, Answer)]
    assert answered == list(range(len(answered)))
    assert len(answered) <= pending
