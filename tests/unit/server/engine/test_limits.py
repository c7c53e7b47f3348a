"""Gates that follow the configuration and the state of the process, and the ticking of time."""

from __future__ import annotations

import errno

from server.persistence.save_points import RETRY_DELAY_MS
from tests.support.engine import TestEngine


def test_settings_take_effect_at_once() -> None:
    """Each of these is read somewhere else than in the configuration."""
    engine = TestEngine("client-output-buffer-limit replica 5mb 1mb 7")
    replication = engine.engine.replication.settings

    assert replication.output_limit.hard_bytes == 5 * 1024 * 1024
    assert replication.output_limit.soft_ms == 7000
    engine.call(
        *("CONFIG", "SET", "requirepass", "secret", "masterauth", "other"),
        *("repl-timeout", "7", "replica-priority", "3", "proto-max-bulk-len", "1mb"),
    )
    assert engine.engine.access.log_in(b"default", b"secret")
    assert replication.master_password == b"other"
    assert replication.timeout_ms == 7000
    assert replication.priority == 3
    assert engine.session.parser.max_bulk_bytes == 1024 * 1024
    assert engine.error("GET", "k", session=engine.connect()).startswith("NOAUTH")


def test_a_replica_becomes_writable_and_back_by_configuration() -> None:
    """replica-read-only holds for the role there is."""
    engine = TestEngine()
    engine.engine.set_role(is_replica=True)

    assert engine.error("SET", "k", "v").startswith("READONLY")
    engine.call("CONFIG", "SET", "slave-read-only", "no")
    assert engine.call("SET", "k", "v") == b"OK"
    engine.call("CONFIG", "SET", "replica-read-only", "yes")
    assert engine.error("SET", "k", "v").startswith("READONLY")


def test_writes_need_as_many_replicas_as_configured() -> None:
    """min-replicas-to-write bounds what a failover can lose."""
    engine = TestEngine("min-replicas-to-write 1")

    assert engine.error("SET", "k", "v") == "NOREPLICAS Not enough good replicas to write."
    assert engine.call("GET", "k") is None
    engine.call("CONFIG", "SET", "min-replicas-to-write", "0")
    assert engine.call("SET", "k", "v") == b"OK"


def test_commands_that_need_memory_are_refused_beyond_maxmemory() -> None:
    """At once when CONFIG SET lowers the limit, and at the next tick when the process grows."""
    engine = TestEngine()
    engine.call("SET", "k", "v")
    engine.call("CONFIG", "SET", "maxmemory", "1mb")

    assert engine.error("SET", "k", "w").startswith("OOM command not allowed")
    assert engine.call("DEL", "k") == 1
    engine.call("MULTI")
    assert engine.error("SET", "k", "w").startswith("OOM")
    assert engine.error("EXEC").startswith("EXECABORT")
    engine.call("MULTI")
    for queued in (("GET", "k"), ("PING",)):  # a queue takes memory whatever is in it
        assert engine.error(*queued).startswith("OOM")
    assert engine.call("DISCARD") == b"OK"
    engine.call("CONFIG", "SET", "maxmemory", "100mb")
    assert engine.call("SET", "k", "w") == b"OK"
    engine.host.memory_bytes = 200_000_000
    engine.engine.on_tick(engine.now_ms)
    assert engine.error("SET", "k", "w").startswith("OOM")


def test_writes_are_refused_after_a_snapshot_has_failed() -> None:
    """Unless nobody wants snapshots, or nobody wants to be stopped by them."""
    engine = TestEngine("save 60 1")
    saves = engine.engine.saves
    saves.on_background_start(engine.now_ms, 0)
    saves.on_background_end(engine.now_ms, is_ok=False)
    engine.engine.on_tick(engine.now_ms)

    assert engine.error("SET", "k", "v").startswith("MISCONF")
    assert engine.call("GET", "k") is None
    engine.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
    assert engine.call("SET", "k", "v") == b"OK"
    engine.call("CONFIG", "SET", "stop-writes-on-bgsave-error", "yes")
    assert engine.error("SET", "k", "v").startswith("MISCONF")
    engine.call("CONFIG", "SET", "save", "")
    assert engine.call("SET", "k", "v") == b"OK"


def test_a_replica_that_cannot_save_says_so_first_and_takes_no_writes() -> None:
    """Redis asks for the disk before it asks whose data they are: also of a writable replica."""
    engine = TestEngine("save 60 1")
    engine.engine.set_role(is_replica=True)
    saves = engine.engine.saves
    saves.on_background_start(engine.now_ms, 0)
    saves.on_background_end(engine.now_ms, is_ok=False)
    engine.engine.on_tick(engine.now_ms)

    assert engine.error("SET", "k", "v").startswith("MISCONF")
    assert engine.error("PING").startswith("MISCONF")
    assert engine.error("EVAL", "return redis.call('set', 'k', 'v')", 0).startswith("READONLY")
    engine.engine.set_role(is_replica=True, is_read_only=False)
    assert engine.error("SET", "k", "v").startswith("MISCONF")


def test_a_tick_deletes_expired_keys_of_a_master_only() -> None:
    """And tells the replicas."""
    engine = TestEngine()
    for number in range(50):
        engine.call("SET", f"key:{number}", "v", "PX", "10")
    engine.sink.take_commands()
    engine.advance(10)
    engine.engine.set_role(is_replica=True)
    engine.engine.on_tick(engine.now_ms)
    assert engine.call("DBSIZE") == 50

    engine.engine.set_role(is_replica=False)
    engine.engine.on_tick(engine.now_ms)

    assert engine.call("DBSIZE") == 0
    assert len(engine.sink.take_commands()) == 50


def test_a_background_save_asked_for_in_a_transaction_begins_after_it() -> None:
    """A snapshot of half a transaction would be one of a state that never was."""
    engine = TestEngine()
    engine.call("MULTI")
    engine.call("SET", "k", "v")
    engine.call("BGSAVE")

    assert engine.call("EXEC")[1] == b"Background saving scheduled"
    assert engine.host.asked == []
    engine.engine.on_tick(engine.now_ms)
    engine.engine.on_tick(engine.now_ms)
    assert engine.host.asked == ["bgsave"]


def test_a_background_save_that_could_not_begin_is_tried_again() -> None:
    """Whoever was told that it is scheduled has nobody to hear that a fork failed."""
    engine = TestEngine()
    saves = engine.engine.saves
    saves.is_scheduled = True
    engine.host.save_error = OSError(errno.ENOMEM, "Cannot allocate memory")
    engine.engine.on_tick(engine.now_ms)
    saves.on_background_start(engine.now_ms, 0)
    saves.on_background_end(engine.now_ms, is_ok=False)
    engine.host.save_error = None

    engine.advance(RETRY_DELAY_MS)
    engine.engine.on_tick(engine.now_ms)
    assert not engine.host.is_saving
    engine.advance(1)
    engine.engine.on_tick(engine.now_ms)
    assert engine.host.is_saving
    assert not saves.is_scheduled
