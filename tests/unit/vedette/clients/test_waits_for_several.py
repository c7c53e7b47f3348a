"""Waits that any of several happenings ends, and who is served first."""

from __future__ import annotations

from tests.support.kernel import START_MS, KernelEngine
from vedette.clients import WAITING, Block, Session
from vedette.clients.blocking import Waiting
from vedette.resp.replies import Reply


class Shelf:
    """Things that clients wait for, taken by those who were first."""

    def __init__(self, engine: KernelEngine) -> None:
        self.engine = engine
        self.things: dict[bytes, list[bytes]] = {}

    def wait(self, session: Session, *names: bytes) -> None:
        """Have `session` wait for the first thing on any of the shelves `names`."""

        def retry(now_ms: int) -> Reply | Waiting:
            for name in names:
                if self.things.get(name):
                    return self.things[name].pop(0)
            return WAITING

        reasons = tuple((0, name) for name in names)
        self.engine.block(session, Block(reasons, retry), [])

    def put(self, name: bytes, thing: bytes) -> None:
        """Put a thing there and tell."""
        self.things.setdefault(name, []).append(thing)
        self.engine.wake((0, name))


def test_any_of_the_reasons_ends_the_wait_once() -> None:
    """BLPOP of two keys pops one element; of several that came together, the first key's."""
    engine = KernelEngine()
    shelf, client = Shelf(engine), engine.client()
    shelf.wait(client, b"a", b"b")
    shelf.put(b"b", b"1")
    shelf.put(b"a", b"2")
    engine.end_batch()

    assert engine.sent_to(client) == b"$1\r\n2\r\n"
    assert shelf.things == {b"a": [], b"b": [b"1"]}
    assert not engine.is_awaited((0, b"a"))


def test_those_who_waited_longest_for_a_reason_are_served_first() -> None:
    """Fairness is by key: the second waits longer for `b`, but the first longer for `a`."""
    engine = KernelEngine()
    shelf = Shelf(engine)
    first, second = engine.client(), engine.client()
    shelf.wait(first, b"a", b"b")
    shelf.wait(second, b"a")
    shelf.put(b"a", b"1")
    shelf.put(b"a", b"2")
    engine.end_batch()

    assert engine.sent_to(first) == b"$1\r\n1\r\n"
    assert engine.sent_to(second) == b"$1\r\n2\r\n"


def test_waits_are_served_before_the_next_request_of_who_woke_them() -> None:
    """An element pushed to a waiting client is not there for the pusher's own POP behind it."""
    engine = KernelEngine()
    shelf, waiting, pusher = Shelf(engine), engine.client(), engine.client()
    shelf.wait(waiting, b"a")
    engine.enter(pusher)
    shelf.put(b"a", b"1")
    engine.serve_woken()

    assert shelf.things == {b"a": []}
    assert engine.context.session is pusher


def test_a_client_that_is_gone_is_not_served() -> None:
    """What it would have got stays for others."""
    engine = KernelEngine()
    shelf, client = Shelf(engine), engine.client()
    shelf.wait(client, b"a", b"b")
    engine.disconnect(client)
    shelf.put(b"a", b"1")
    engine.begin_batch(START_MS)
    engine.end_batch()

    assert shelf.things == {b"a": [b"1"]}
