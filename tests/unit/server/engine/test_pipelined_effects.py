"""What is told of writes that come many at a time: the bytes they came as, each its own."""

from __future__ import annotations

import pytest

from server.replication.propagation import EffectStream
from tests.support.engine import TestEngine
from vedette.resp.encode import encode_command


def listening_sink(engine: TestEngine) -> EffectStream:
    """Return a stream of the engine's in which database 0 is selected."""
    sink = EffectStream()
    sink.selected_database = 0
    engine.engine.sinks.append(sink)
    return sink


MIXED = [
    b"set a 1",
    b"get a",
    b"incr a",
    b"nonsense",
    b"set a 2 nx",
    b"rpush l x y",
    b"incr l",
    b"client id",
    b"hset h f v",
    b"set",
    b"del a nobody",
]
WRITES = [b"set a 1", b"incr a", b"rpush l x y", b"hset h f v", b"del a nobody"]


@pytest.mark.parametrize("value", [b"x", b"a\r\n*b", b"*1\r\n", b"\r\n"], ids=repr)
def test_each_write_of_a_pipeline_is_told_as_it_was_sent(value: bytes) -> None:
    """Among reads, errors and what changes nothing; with values that look like requests."""
    engine = TestEngine()
    sink = listening_sink(engine)
    requests = [request.split() for request in MIXED] + [[b"set", b"v", value]]
    told = [request.split() for request in WRITES] + [[b"set", b"v", value]]

    engine.send(b"".join(map(encode_command, requests)))

    assert sink.pending == list(map(encode_command, told))


def test_writes_behind_a_wait_are_told_as_they_were_sent() -> None:
    """They are run later, when what they came with is gone."""
    engine = TestEngine()
    sink = listening_sink(engine)
    requests = [b"set a 1", b"blpop l 0", b"incr a", b"set b 2"]

    engine.send(b"".join(encode_command(request.split()) for request in requests))
    other = engine.connect()
    engine.send(encode_command([b"rpush", b"l", b"x"]), other)

    told = [b"set a 1", b"rpush l x", b"LPOP l", b"incr a", b"set b 2"]
    assert sink.pending == [encode_command(request.split()) for request in told]
