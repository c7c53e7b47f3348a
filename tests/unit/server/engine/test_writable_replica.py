"""Keys with an expiry time on a writable replica: its master's, and its clients' own."""

from __future__ import annotations

from server.engine import ServerEngine
from tests.support.engine import TestEngine
from vedette.resp.encode import encode_command


def writable_replica() -> TestEngine:
    engine = TestEngine("replica-read-only no")
    engine.engine.set_role(is_replica=True, is_read_only=False)
    return engine


def from_master(engine: TestEngine, *words: bytes) -> None:
    """Have the master's stream bring a command."""
    session = engine.connect()
    session.is_deaf = True
    session.recheck()
    engine.send(encode_command(list(words)), session)


def tick(engine: TestEngine) -> ServerEngine:
    engine.engine.on_tick(engine.now_ms)
    return engine.engine


def test_keys_of_its_own_clients_are_deleted_when_they_expire() -> None:
    """Nobody else would do it; those that a transaction or a script made too."""
    engine = writable_replica()
    engine.call("SET", "plain", "1", "EX", "5")
    engine.call("MULTI")
    engine.call("SET", "queued", "1", "EX", "5")
    engine.call("EXEC")
    engine.call("EVAL", "return redis.call('SET', KEYS[1], '1', 'EX', '5')", "1", "scripted")
    engine.call("SET", "lasting", "1")
    assert len(engine.engine.local_expiries) == 3
    engine.advance(6000)
    tick(engine)

    assert engine.call("DBSIZE") == 1
    assert len(engine.engine.local_expiries) == 0


def test_keys_of_the_master_are_only_hidden() -> None:
    """It will send their deletion."""
    engine = writable_replica()
    from_master(engine, b"SET", b"a", b"1", b"PX", b"10")
    engine.advance(20)
    tick(engine)

    assert engine.call("GET", "a") is None
    assert engine.call("DBSIZE") == 1


def test_a_write_to_a_hidden_key_begins_with_a_new_one() -> None:
    """And does not inherit what was hidden, nor its expiry time."""
    engine = writable_replica()
    from_master(engine, b"SET", b"a", b"5", b"PX", b"10")
    engine.advance(20)

    assert engine.call("INCR", "a") == 1
    assert engine.call("TTL", "a") == -1


def test_a_key_that_expires_no_more_is_forgotten() -> None:
    """PERSIST, or a SET without a time."""
    engine = writable_replica()
    engine.call("SET", "a", "1", "EX", "5")
    engine.call("PERSIST", "a")
    engine.advance(6000)
    tick(engine)

    assert engine.call("GET", "a") == b"1"
    assert len(engine.engine.local_expiries) == 0


def test_a_master_has_none_of_them() -> None:
    """There all keys are its own."""
    engine = writable_replica()
    engine.call("SET", "a", "1", "EX", "5")
    engine.engine.set_role(is_replica=False)

    assert len(engine.engine.local_expiries) == 0
