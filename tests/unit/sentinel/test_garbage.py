"""Garbage in a configuration or on a connection ends in the error that is meant for it."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sentinel.config import World, read_config
from sentinel.core.events import Event
from sentinel.core.facts import read_facts
from sentinel.core.history import Cause, FailoverRecord, Phase, Result
from sentinel.history_lines import HistoryLineError, decode_record, encode_record
from sentinel.journal import JournalError, StartRecord, decode_line
from vedette.conf import parse_text
from vedette.errors import ConfigError
from vedette.resp.exchange import Answer, BrokenExchangeError, Exchange
from vedette.types import Address, RunId

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
@settings(max_examples=300)
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
@settings(max_examples=300)
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


_FIELDS = (
    "run_id role master_host master_port master_link_status master_link_down_since_seconds "
    "slave_priority slave_repl_offset replica_announced slave0 slave1 master_replid master_replid2 "
    "second_repl_offset master_repl_offset aof_enabled loading master_sync_in_progress "
    "uptime_in_seconds rdb_last_load_keys_loaded master_failover_state db0 # "
)
_VALUES_OF_INFO = (
    "master slave up down 0 1 -1 99999999999999999999 1x 10.0.0.1 :: , = ip=10.0.0.1,port=6379 "
    "ip=,port=1 ip=a\tb,port=6379 ip=h,port=65536 10.0.0.1,6379,online keys=1x keys=5"
)
_ODD = st.sampled_from(re.split(" ", _VALUES_OF_INFO)) | st.text(max_size=6)
_INFO = st.lists(st.tuples(st.sampled_from(_FIELDS.split(" ")), _ODD), max_size=12).map(
    lambda pairs: "\r\n".join(["# Keyspace", *(f"{name}:{value}" for name, value in pairs)])
)


@given(_INFO | st.text(max_size=200))
@settings(max_examples=150)
def test_info_is_read_or_passed_over(text: str) -> None:
    """Never an exception; and what is taken from it can be written to a line of the file."""
    facts = read_facts(text.encode("utf-8", "replace"))

    for address in (*facts.replicas, facts.master_address):
        if address is not None:
            assert 0 < address.port <= 65_535
            assert address.host
            assert not any(each.isspace() or each == "\0" for each in address.host)
    assert facts.run_id is None or len(facts.run_id) == 40
    assert facts.master_link_down_ms >= 0
    assert (facts.dataset.offset or 0) >= 0


_RECORD = FailoverRecord(
    cause=Cause.ODOWN,
    result=Result.COMPLETED,
    old_address=Address("10.0.0.1", 6379),
    leader=None,
    epoch=1,
    phases={Phase.SDOWN: 5},
)
_LINE = encode_record("m", _RECORD, 0)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["is", "bytes", "address", "list", "map", "error", "step", "loss"])
            | st.text(max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
).map(json.dumps)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A line of a history of which a part is missing or stands twice."""
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(_LINE))] * 2)))
    return draw(st.sampled_from([_LINE[:start] + _LINE[end:], _LINE[:end] + _LINE[start:]]))


@given(damaged() | _JSON | st.text(max_size=40))
@settings(max_examples=150)
def test_line_of_a_history_is_read_or_refused(line: str) -> None:
    """A file that a crash or a hand has damaged costs that line, and no more."""
    try:
        name, record = decode_record(line, 0)
    except HistoryLineError:
        return
    assert name
    assert record.phases


@given(_JSON | st.text(max_size=40))
@settings(max_examples=150)
def test_line_of_a_journal_is_read_or_refused(line: str) -> None:
    """Whatever else is in the file that somebody sent."""
    try:
        record = decode_line(line)
    except JournalError:
        return
    assert isinstance(record, StartRecord | Event)
