"""Keeping to maxmemory: evicting, refusing, freeing bit by bit; notes of how keys are used."""

from __future__ import annotations

import itertools

import pytest

from server.engine import ServerEngine
from tests.support.engine import FakeHost, TestEngine
from vedette.clients import Session

LIMIT = 30_000_000


class CountedHost(FakeHost):
    """A process in which a key takes 1000 bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.engine: ServerEngine | None = None
        self.overhead_bytes = 0

    def large_bytes(self) -> int:
        return self.program_bytes() + self.overhead_bytes

    def used_bytes(self) -> int:
        if self.engine is None:
            return LIMIT - 100_000
        keys = self.engine.keyspace.key_count()
        unread = sum(len(part) for each in self.engine.clients for part in each.outbox)
        return LIMIT - 100_000 + 1000 * keys + self.overhead_bytes + unread


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> TestEngine:
    """An engine with 200 keys of 900 bytes, of which the limit allows 100; nothing is evicted."""
    monkeypatch.setattr("tests.support.engine.FakeHost", CountedHost)
    engine = TestEngine()
    assert isinstance(engine.host, CountedHost)
    engine.host.engine = engine.engine
    for number in range(200):
        engine.call("SET", f"key:{number}", "x" * 850)
    engine.sink.take_commands()
    return engine


def limit(engine: TestEngine, policy: str, *more: str) -> None:
    engine.call("CONFIG", "SET", "maxmemory-eviction-tenacity", "100")
    if more:
        engine.call("CONFIG", "SET", *more)
    engine.call("CONFIG", "SET", "maxmemory-policy", policy)
    engine.call("CONFIG", "SET", "maxmemory", str(LIMIT))


def test_keys_are_evicted_until_the_limit_is_kept(engine: TestEngine) -> None:
    """At once when CONFIG SET lowers it; replicas are told, and whoever listens for events."""
    listener = engine.connect()
    engine.call("CONFIG", "SET", "notify-keyspace-events", "Ee")
    engine.call("SUBSCRIBE", "__keyevent@0__:evicted", session=listener)
    limit(engine, "allkeys-lru")

    assert 90 <= engine.call("DBSIZE") <= 100
    count = 200 - engine.call("DBSIZE")
    commands = engine.sink.take_commands()
    assert [command[0] for command in commands] == [b"DEL"] * count
    assert f"evicted_keys:{count}" in engine.call("INFO", "stats").decode()
    assert b"".join(listener.outbox).count(b"evicted\r\n") == count
    assert engine.call("SET", "another", "v") == b"OK"


def test_a_batch_that_takes_too_much_is_made_up_for(engine: TestEngine) -> None:
    """`after_batch` looks once it is time to count again, and brings memory back to the limit."""
    limit(engine, "allkeys-random")
    for number in range(50):
        engine.call("SET", f"new:{number}", "x" * 850)
    engine.engine.memory._counted_at_s = 0.0

    engine.engine.memory.after_batch()

    assert engine.call("DBSIZE") <= 100


@pytest.mark.parametrize("policy", ["allkeys-random", "volatile-lru"])
def test_what_came_since_the_last_look_is_evicted_even_without_time(
    engine: TestEngine, policy: str
) -> None:
    """A pipeline writes faster than keys are evicted: memory grew beyond any limit. What was too
    much before, as where the limit is lowered, still takes its time.
    """
    for number in range(200):
        engine.call("EXPIRE", f"key:{number}", "1000")
    limit(engine, policy, "maxmemory-eviction-tenacity", "0")
    memory = engine.engine.memory
    assert memory.used_bytes > LIMIT + 50_000
    for number in range(300):
        engine.call("SET", f"new:{number}", "x" * 850, "EX", "1000")
    memory._counted_at_s = 0.0

    memory.after_batch()

    assert LIMIT + 50_000 < memory.measure() < LIMIT + 140_000
    assert memory.is_evicting


def test_a_large_piece_is_seen_when_it_is_too_early_to_count(engine: TestEngine) -> None:
    """Clients that cache what is evicted hear of it before the next command is answered, as by
    Redis; where memory only moves within the limit nothing is counted.
    """
    assert isinstance(engine.host, CountedHost)
    memory = engine.engine.memory
    limit(engine, "allkeys-random")
    assert engine.call("DBSIZE") > 80
    memory._count_s = 1000.0

    engine.host.overhead_bytes = 20_000
    memory.after_batch()

    assert engine.call("DBSIZE") <= 80
    counted_bytes = memory.used_bytes
    memory._count_s = 1000.0
    engine.host.overhead_bytes -= 5000
    memory.after_batch()
    assert memory.used_bytes == counted_bytes


def test_evictions_are_lazy_if_asked_for(engine: TestEngine) -> None:
    """Then replicas are sent UNLINK."""
    limit(engine, "allkeys-random", "lazyfree-lazy-eviction", "yes")

    assert {command[0] for command in engine.sink.take_commands()} == {b"UNLINK"}


def test_commands_are_refused_when_nothing_may_be_evicted(engine: TestEngine) -> None:
    """Volatile policies find no key that expires; deletions make room at once."""
    limit(engine, "volatile-lru")

    assert engine.error("SET", "k", "v").startswith("OOM command not allowed")
    assert engine.call("GET", "key:1")
    assert engine.call("DEL", *(f"key:{number}" for number in range(150))) == 150
    assert engine.call("SET", "k", "v") == b"OK"


def test_a_replica_leaves_evicting_to_its_master(engine: TestEngine) -> None:
    """Unless replica-ignore-maxmemory says that it is no exact copy anyway."""
    engine.engine.set_role(is_replica=True, is_read_only=False)
    limit(engine, "allkeys-lru")

    assert engine.call("DBSIZE") == 200
    assert engine.call("SET", "k", "v") == b"OK"
    engine.call("CONFIG", "SET", "replica-ignore-maxmemory", "no")
    assert engine.call("DBSIZE") <= 100


def test_a_paused_dataset_is_left_alone(engine: TestEngine) -> None:
    """A coordinated failover relies on nothing changing meanwhile."""
    engine.call("CLIENT", "PAUSE", "10000", "WRITE")
    limit(engine, "allkeys-lru")

    assert engine.call("DBSIZE") == 200
    engine.call("CLIENT", "UNPAUSE")
    engine.engine.on_tick(engine.now_ms)
    assert engine.call("DBSIZE") <= 100


def test_what_takes_long_is_done_in_slices(engine: TestEngine) -> None:
    """Commands run meanwhile; `reclaim` goes on until it says that nothing is left."""
    memory = engine.engine.memory
    times = itertools.count(0.0, 0.001)
    engine.engine._clock = lambda: next(times)
    woken: list[bool] = []
    memory.lazy_free.on_work = lambda: woken.append(True)
    engine.call("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    engine.call("CONFIG", "SET", "maxmemory", str(LIMIT))

    assert woken
    assert 100 < engine.call("DBSIZE") < 200
    assert not memory.is_exceeded
    while memory.reclaim():
        pass
    assert engine.call("DBSIZE") <= 100


def test_the_time_beyond_the_limit_is_told(engine: TestEngine) -> None:
    """INFO has the whole of it and the present stretch."""
    now = 0.0
    engine.engine._clock = lambda: now
    limit(engine, "noeviction")
    now = 2.5

    assert engine.engine.memory.exceeded_ms == (2500, 2500)
    engine.call("FLUSHALL")
    engine.engine.memory.review()
    now = 9.0
    assert engine.engine.memory.exceeded_ms == (2500, 0)


def test_where_nothing_runs_memory_is_counted_once_a_second(engine: TestEngine) -> None:
    """Ten times a second, it was most of what an idle server took of a core."""
    memory, host = engine.engine.memory, engine.host
    assert isinstance(host, CountedHost)
    now = 100.0
    engine.engine._clock = lambda: now
    engine.engine.on_tick(engine.now_ms)
    before = memory.used_bytes
    host.overhead_bytes = 500

    now = 100.9
    engine.engine.on_tick(engine.now_ms)
    assert memory.used_bytes == before
    now = 101.0
    engine.engine.on_tick(engine.now_ms)
    assert memory.used_bytes == before + 500

    host.overhead_bytes = 800
    engine.call("PING")
    engine.engine.on_tick(engine.now_ms)
    assert memory.used_bytes == before + 800


def test_memory_that_is_not_counted_evicts_nothing(engine: TestEngine) -> None:
    """Deletions go to the append-only file too: its buffer must not lead to more of them."""
    assert isinstance(engine.host, CountedHost)
    engine.call("DEL", *(f"key:{number}" for number in range(101)))
    limit(engine, "allkeys-lru")
    assert engine.call("DBSIZE") == 99

    engine.host.overhead_bytes = 50_000
    engine.engine.aof.effects.pending.append(bytes(50_000))
    engine.engine.memory.review()

    assert engine.call("DBSIZE") == 99


def test_what_is_kept_for_a_slow_replica_evicts_nothing(engine: TestEngine) -> None:
    """It would cost the master its keys one after another, each deletion one more thing to keep."""
    assert isinstance(engine.host, CountedHost)
    engine.call("DEL", *(f"key:{number}" for number in range(101)))
    limit(engine, "allkeys-lru")
    replication = engine.engine.replication
    replication.synchronise(Session(100), None, engine.now_ms)
    replication.begin_snapshot(replication.feeds[100])
    assert replication.backlog is not None
    replication.backlog.append(bytes(3_000_000))

    engine.host.overhead_bytes = replication.backlog.excess_bytes
    assert engine.host.overhead_bytes > 1_000_000
    engine.engine.memory.review()

    assert engine.call("DBSIZE") == 99


def test_telling_clients_of_evictions_leads_to_no_more_of_them(engine: TestEngine) -> None:
    """What they are told is sent in a moment, but for then it takes more than the keys did."""
    limit(engine, "allkeys-random")
    count = engine.call("DBSIZE")
    for _ in range(40):
        listener = engine.connect()
        engine.call("HELLO", 3, session=listener)
        engine.call("CLIENT", "TRACKING", "ON", session=listener)
        for number in range(200):
            engine.call("GET", f"key:{number}", session=listener)
        listener.outbox.clear()
    assert isinstance(engine.host, CountedHost)
    engine.host.overhead_bytes = 10_000
    engine.engine.memory.review()
    engine.engine.end_batch()

    assert count - 25 < engine.call("DBSIZE") < count


def test_nothing_is_evicted_within_the_transaction_that_sets_the_limit(engine: TestEngine) -> None:
    """Its other commands find what was there, and replicas are told of deletions behind it."""
    session = engine.connect()
    engine.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    engine.call("MULTI", session=session)
    engine.call("CONFIG", "SET", "maxmemory", "1", session=session)
    engine.call("DBSIZE", session=session)
    assert engine.call("EXEC", session=session) == [b"OK", 200]
    engine.engine.memory.reclaim()

    assert engine.call("DBSIZE") < 200


def test_uses_are_noted_and_looks_are_not() -> None:
    """TTL, TYPE, EXISTS and OBJECT look; GET, SET and TOUCH use."""
    engine = TestEngine()
    engine.call("SET", "k", "v")
    engine.advance(3000)
    for words in (("TTL", "k"), ("TYPE", "k"), ("EXISTS", "k"), ("OBJECT", "ENCODING", "k")):
        engine.call(*words)
        assert engine.call("OBJECT", "IDLETIME", "k") == 3, words
    for words in (("GET", "k"), ("TOUCH", "k"), ("SET", "k", "w"), ("MGET", "x", "k")):
        engine.advance(3000)
        engine.call(*words)
        assert engine.call("OBJECT", "IDLETIME", "k") == 0, words


def test_a_client_may_keep_its_uses_from_being_noted() -> None:
    """CLIENT NO-TOUCH: all but TOUCH, in scripts too."""
    engine = TestEngine()
    engine.call("SET", "k", "v")
    engine.call("CLIENT", "NO-TOUCH", "ON")
    engine.advance(3000)
    engine.call("GET", "k")
    engine.call("EVAL", "return redis.call('GET', 'k')", "0")

    assert engine.call("OBJECT", "IDLETIME", "k") == 3
    engine.call("TOUCH", "k")
    assert engine.call("OBJECT", "IDLETIME", "k") == 0


def test_a_busy_server_notes_no_uses_unless_eviction_needs_them() -> None:
    """A key may have been used just now, so that its idle time is 0; later notes begin anew."""
    engine = TestEngine()
    engine.engine.on_tick(engine.now_ms)
    engine.engine.commands_processed += 1000
    engine.advance(100)
    engine.engine.on_tick(engine.now_ms)
    row = engine.engine.table.named(b"GET")
    assert row is not None
    plain = row.handler

    engine.call("SET", "k", "v")
    engine.advance(5000)
    assert engine.call("OBJECT", "IDLETIME", "k") == 0
    engine.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert row.handler is not plain
    engine.engine.commands_processed += 1_000_000
    engine.engine.on_tick(engine.now_ms)
    assert row.handler is not plain
    engine.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    engine.engine.on_tick(engine.now_ms)
    engine.advance(9000)
    engine.engine.on_tick(engine.now_ms)
    engine.advance(1000)
    assert engine.call("OBJECT", "IDLETIME", "k") == 0  # load comes in bursts
    engine.engine.on_tick(engine.now_ms)
    engine.advance(2000)
    assert engine.call("OBJECT", "IDLETIME", "k") == 2


def test_frequencies_are_counted_under_lfu_only() -> None:
    """And idle times under any other policy only, with Redis' words for the rest."""
    engine = TestEngine("maxmemory-policy allkeys-lfu")
    engine.call("SET", "k", "v")
    assert engine.call("OBJECT", "FREQ", "k") == 5
    engine.call("GET", "k")
    assert engine.call("OBJECT", "FREQ", "k") == 6
    assert "idle time not tracked" in engine.error("OBJECT", "IDLETIME", "k")
    engine.advance(120_000)
    assert engine.call("OBJECT", "FREQ", "k") == 4
    engine.call("RENAME", "k", "l")
    assert engine.call("OBJECT", "FREQ", "l") in (4, 5)

    engine.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert "access frequency not tracked" in engine.error("OBJECT", "FREQ", "l")
    assert engine.call("OBJECT", "IDLETIME", "l") == 0


def test_restore_says_how_a_key_is_used() -> None:
    """IDLETIME and FREQ of RESTORE, as far as the policy measures it."""
    engine = TestEngine("maxmemory-policy allkeys-lru")
    engine.call("SET", "k", "v")
    payload = engine.call("DUMP", "k")
    engine.call("RESTORE", "a", "0", payload, "IDLETIME", "1000")
    assert engine.call("OBJECT", "IDLETIME", "a") == 1000
    engine.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    engine.call("RESTORE", "b", "0", payload, "FREQ", "100")
    assert engine.call("OBJECT", "FREQ", "b") == 100


def test_how_keys_are_used_survives_a_snapshot() -> None:
    """DEBUG RELOAD takes all through the codec."""
    engine = TestEngine("maxmemory-policy allkeys-lru\nenable-debug-command yes")
    engine.call("SET", "k", "v")
    engine.advance(9000)
    engine.call("DEBUG", "RELOAD")
    assert engine.call("OBJECT", "IDLETIME", "k") == 9
    engine.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    engine.call("RESTORE", "b", "0", engine.call("DUMP", "k"), "FREQ", "77")
    engine.call("DEBUG", "RELOAD")
    assert engine.call("OBJECT", "FREQ", "b") == 77


@pytest.mark.parametrize(
    ("directive", "words"),
    [
        ("", ("UNLINK", "k")),
        ("lazyfree-lazy-user-del yes", ("DEL", "k")),
        ("lazyfree-lazy-server-del yes", ("SET", "k", "v")),
        ("lazyfree-lazy-server-del yes", ("RENAME", "other", "k")),
        ("lazyfree-lazy-user-flush yes", ("FLUSHALL",)),
        ("", ("FLUSHDB", "ASYNC")),
        ("lazyfree-lazy-expire yes", ("GET", "k")),
    ],
)
def test_large_values_are_freed_bit_by_bit_where_asked_for(
    directive: str, words: tuple[str, ...]
) -> None:
    """The key is gone at once; INFO counts what is still to be freed, and what has been."""
    engine = TestEngine(directive)
    engine.call("SET", "other", "v")
    engine.call("SADD", "k", *range(1000))
    if words[0] == "GET":
        engine.call("PEXPIRE", "k", "10")
        engine.advance(10)
    engine.call(*words)

    assert engine.call("TYPE", "k") != b"set"
    assert engine.engine.memory.lazy_free.pending_count >= 1
    while engine.engine.memory.reclaim():
        pass
    text = engine.call("INFO", "memory").decode()
    assert "lazyfree_pending_objects:0" in text
    assert "lazyfreed_objects:0" not in text


def test_values_are_freed_at_once_where_nobody_asked() -> None:
    """As in Redis, whose defaults are these."""
    engine = TestEngine()
    for words in (("DEL", "k"), ("SET", "k", "v"), ("FLUSHALL",)):
        engine.call("SADD", "k", *range(1000))
        engine.call(*words)
        engine.call("DEL", "k")

    assert engine.engine.memory.lazy_free.pending_count == 0
    assert engine.engine.memory.lazy_free.freed_count == 0


def test_memory_stats_doctor_purge_and_malloc_stats_answer() -> None:
    """Parts add up to the whole; the doctor has nothing to say of an empty server."""
    engine = TestEngine()
    engine.call("SET", "k", "v")
    flat = engine.call("MEMORY", "STATS")
    stats = dict(zip(flat[::2], flat[1::2], strict=True))

    assert stats[b"total.allocated"] == engine.host.memory_bytes
    assert stats[b"keys.count"] == 1
    assert b"overhead.hashtable.main" in stats[b"db.0"]
    assert b"nothing" in engine.call("MEMORY", "DOCTOR")
    engine.host.memory_bytes += 900_000_000
    engine.call("MEMORY", "STATS")
    engine.host.memory_bytes -= 800_000_000
    assert b"at the peak" in engine.call("MEMORY", "DOCTOR")
    assert engine.call("MEMORY", "PURGE") == b"OK"
    assert "release" in engine.host.asked
    assert engine.call("MEMORY", "MALLOC-STATS") == b"report"


def test_memory_usage_may_look_at_all_elements() -> None:
    """SAMPLES 0: then a single large element is not missed."""
    engine = TestEngine()
    for words in (
        ("RPUSH", "k", *["x"] * 50, "y" * 100_000),
        (
            "HSET",
            "k",
            *[word for number in range(50) for word in (str(number), "v")],
            "z",
            "y" * 100_000,
        ),
        (
            "ZADD",
            "k",
            *[word for number in range(50) for word in (str(number), str(number))],
            "99",
            "y" * 100_000,
        ),
    ):
        engine.call("DEL", "k")
        engine.call(*words)
        assert engine.call("MEMORY", "USAGE", "k") < 100_000
        assert engine.call("MEMORY", "USAGE", "k", "SAMPLES", "0") > 100_000
    assert engine.error("MEMORY", "USAGE", "k", "SAMPLES", "-1") == "ERR syntax error"
