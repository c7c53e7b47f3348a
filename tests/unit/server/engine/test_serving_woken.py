"""Those who wait are served before anything else runs, and what they do is heard in its order."""

from __future__ import annotations

import pytest

from tests.support.engine import TestEngine
from vedette.resp.encode import encode_command


@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_what_the_woken_do_is_heard_behind_the_reply(is_in_transaction: bool) -> None:
    """Before it, a client of RESP3 would hear of it before it has heard of its own command."""
    engine = TestEngine()
    engine.call("CONFIG", "SET", "notify-keyspace-events", "EA")
    waiting, pushing = engine.connect(), engine.connect()
    engine.raw("HELLO", "3", session=pushing)
    engine.raw("PSUBSCRIBE", "__key*", session=pushing)
    engine.raw("BLPOP", "list", "0", session=waiting)
    requests: list[tuple[bytes, ...]] = [(b"RPUSH", b"list", b"x")]
    if is_in_transaction:
        requests = [(b"MULTI",), *requests, (b"EXEC",)]

    received = engine.send(b"".join(map(encode_command, requests)), pushing)

    heard = [b":1\r\n", b"rpush\r\n", b"lpop\r\n", b"del\r\n"]
    places = [received.find(each) for each in heard]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("is_in_transaction", [False, True])
def test_nobody_takes_what_others_wait_for(is_in_transaction: bool) -> None:
    """Not even by what follows in the same pipeline, with nothing any more to be careful about."""
    engine = TestEngine()
    waiting, pushing = engine.connect(), engine.connect()
    engine.raw("HELLO", "3", session=pushing)
    engine.raw("BLPOP", "list", "0", session=waiting)
    requests = [(b"CLIENT", b"REPLY", b"SKIP"), (b"RPUSH", b"list", b"x"), (b"LPOP", b"list")]
    if is_in_transaction:
        requests = [(b"MULTI",), requests[1], (b"EXEC",), requests[2]]

    received = engine.send(b"".join(map(encode_command, requests)), pushing)

    assert received.endswith(b"_\r\n")
    assert b"".join(waiting.outbox).endswith(b"$1\r\nx\r\n")
