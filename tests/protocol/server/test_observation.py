"""SLOWLOG, LATENCY, MONITOR and CLIENT TRACKING as a client sees them."""

from __future__ import annotations

import pytest

from tests.support.engine import TestEngine
from vedette.clients import Session
from vedette.info import parse_info
from vedette.resp.encode import encode_command


def taken(session: Session) -> bytes:
    """Return what a client has been sent since, and forget it."""
    output = b"".join(session.outbox)
    session.outbox.clear()
    return output


def joined(*requests: str) -> bytes:
    """Return requests as one pipeline; words are separated by spaces."""
    return b"".join(encode_command(request.encode().split()) for request in requests)


class Clock:
    """A clock that stands still but for what a command takes, which tests say beforehand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clocked() -> tuple[TestEngine, Clock]:
    """Return an engine whose commands take no time, but DEBUG SLEEP what it says."""
    engine = TestEngine("enable-debug-command yes\nsave ''")
    clock = Clock()
    engine.engine._clock = clock

    def sleep(seconds: float) -> None:
        clock.now_s += seconds

    engine.host.sleep = sleep  # type: ignore[method-assign]
    return engine, clock


# --- the slow log --------------------------------------------------------------------------------


def logged(engine: TestEngine) -> list[list[bytes]]:
    return [entry[3] for entry in engine.call("SLOWLOG", "GET", -1)]


def test_a_slow_call_is_caught_alone_in_a_pipeline_in_exec_and_in_a_script(
    clocked: tuple[TestEngine, Clock],
) -> None:
    """Whatever way it is run."""
    engine, _ = clocked
    slow = "DEBUG SLEEP 0.5"

    engine.send(joined(slow))
    engine.send(joined("PING", "PING", slow, "PING", "SET a b", "GET a", "GET a"))
    engine.send(joined("MULTI", "PING", slow, "EXEC"))

    assert logged(engine) == [slow.encode().split()] * 3
    assert engine.call("SLOWLOG", "GET", 1)[0][2] == 500_000
    assert engine.call("SLOWLOG", "LEN") == 3


def test_of_fast_calls_timed_together_the_largest_is_blamed(
    clocked: tuple[TestEngine, Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """GET of a pipeline are not looked at one by one; the clock would cost as much as they do."""
    engine, clock = clocked
    row = engine.engine.table.named(b"GET")
    assert row is not None
    assert row.handler is not None
    get = row.handler

    def slow_get(ctx: object, argv: list[bytes]) -> object:
        clock.now_s += 0.02 if len(argv[1]) > 3 else 0.0
        return get(ctx, argv)

    monkeypatch.setattr(row, "handler", slow_get)
    engine.send(joined("SET a 1", "GET a", "get long-name", "GET b", "PING", "GET c"))

    assert logged(engine) == [[b"get", b"long-name"]]
    assert row.calls == 4


def test_every_call_is_kept_one_by_one_where_the_threshold_is_zero() -> None:
    """As 7.0 keeps them: EXEC itself is not, and what a wait was for once it is there."""
    engine = TestEngine("slowlog-log-slower-than 0")
    other = engine.connect()
    engine.send(joined("PING", "GET a", "GET b"))
    engine.send(joined("MULTI", "GET c", "EXEC"))
    engine.send(joined("BLPOP list 0"), other)
    engine.send(joined("LPUSH list x"))

    assert logged(engine) == [
        [b"BLPOP", b"list", b"0"],
        [b"LPUSH", b"list", b"x"],
        [b"GET", b"c"],
        [b"MULTI"],
        [b"GET", b"b"],
        [b"GET", b"a"],
        [b"PING"],
    ]


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        ("AUTH hush", b"AUTH (redacted)"),
        ("AUTH me hush", b"AUTH (redacted) (redacted)"),
        ("HELLO 3 AUTH me hush", b"HELLO 3 AUTH (redacted) (redacted)"),
        ("ACL SETUSER me >hush", b"ACL SETUSER (redacted) (redacted)"),
        (
            "CONFIG SET masterauth hush maxmemory 0",
            b"CONFIG SET masterauth (redacted) maxmemory 0",
        ),
        ("CONFIG SET primaryauth hush", b"CONFIG SET primaryauth (redacted)"),
    ],
)
def test_passwords_are_covered(request_: str, shown: bytes) -> None:
    """In the slow log and for monitors, whether the command was right or not."""
    engine = TestEngine("slowlog-log-slower-than 0")
    engine.send(joined(request_))

    assert b" ".join(logged(engine)[0]) == shown


# --- latency -------------------------------------------------------------------------------------


def test_what_takes_long_is_noted_by_event(clocked: tuple[TestEngine, Clock]) -> None:
    """DEBUG is no fast command."""
    engine, _ = clocked
    engine.call("CONFIG", "SET", "latency-monitor-threshold", 100)
    engine.call("DEBUG", "SLEEP", "0.3")
    now_s = engine.engine.context.now_ms // 1000

    assert engine.call("LATENCY", "LATEST") == [[b"command", now_s, 300, 300]]
    assert engine.call("LATENCY", "HISTORY", "command") == [[now_s, 300]]
    assert engine.call("LATENCY", "GRAPH", "command").startswith(b"command - high 300 ms")
    assert b"What may help" in engine.call("LATENCY", "DOCTOR")
    assert engine.error("LATENCY", "GRAPH", "fork") == "ERR No samples available for event 'fork'"
    assert engine.call("LATENCY", "RESET", "fork", "command") == 1
    assert engine.call("LATENCY", "LATEST") == []


def test_the_histogram_counts_each_call(clocked: tuple[TestEngine, Clock]) -> None:
    """By command, subcommands by themselves; unknown names are passed over."""
    engine, _ = clocked
    engine.call("CONFIG", "RESETSTAT")
    engine.send(joined("GET a", "GET b", "DEBUG SLEEP 0.25", "CLIENT ID"))

    assert engine.call("LATENCY", "HISTOGRAM", "get", "nope", "client", "debug") == [
        *[b"get", [b"calls", 2, b"histogram_usec", [1, 2]]],
        *[b"client|id", [b"calls", 1, b"histogram_usec", [1, 1]]],
        *[b"debug", [b"calls", 1, b"histogram_usec", [270_532, 1]]],
    ]
    fields = parse_info(engine.call("INFO", "latencystats"))
    assert (
        fields["latency_percentiles_usec_debug"] == "p50=250609.663,p99=250609.663,p99.9=250609.663"
    )


def test_many_calls_are_all_counted_and_forgotten_by_resetstat() -> None:
    """Of many only some go into the histogram, each for several."""
    engine = TestEngine()
    for _ in range(3):
        engine.send(joined(*["CLIENT ID"] * 1023))

    histogram = engine.call("LATENCY", "HISTOGRAM", "client|id")[1]
    assert histogram[1] == 3069
    assert histogram[3][-1] == 3069
    engine.call("CONFIG", "RESETSTAT")
    assert engine.call("LATENCY", "HISTOGRAM", "client") == []


def test_without_latency_tracking_nothing_is_counted() -> None:
    """What was is still shown, as by Redis."""
    engine = TestEngine()
    engine.call("CONFIG", "SET", "latency-tracking", "no")
    engine.call("PING")

    assert engine.call("LATENCY", "HISTOGRAM", "ping") == []
    assert engine.call("CONFIG", "GET", "latency-tracking-info-percentiles")[1] == b"50 99 99.9"
    engine.call("CONFIG", "SET", "latency-tracking-info-percentiles", "")
    assert engine.call("CONFIG", "GET", "latency-tracking-info-percentiles")[1] == b""
    assert "between [0.0,100.0]" in engine.error(
        "CONFIG", "SET", "latency-tracking-info-percentiles", "101"
    )


# --- monitors ------------------------------------------------------------------------------------


def test_a_monitor_sees_what_runs_with_time_database_and_client() -> None:
    """But nothing administrative; a transaction's commands when they run."""
    engine = TestEngine()
    watcher = engine.connect()
    assert engine.send(joined("MONITOR", "MONITOR"), watcher) == b"+OK\r\n"

    engine.send(joined("SELECT 3", "SET k \x01", "CONFIG GET maxmemory", "MULTI", "GET k", "EXEC"))
    engine.send(joined("EVAL return{redis.call('get','x')} 0"))

    head = b"+1700000000.000000 [3 127.0.0.1:40000] "
    assert taken(watcher).splitlines() == [
        head + b'"SELECT" "3"',
        head + b'"SET" "k" "\\x01"',
        head + b'"MULTI"',
        head + b'"GET" "k"',
        head + b'"EXEC"',
        head + b'"EVAL" "return{redis.call(\'get\',\'x\')}" "0"',
        b'+1700000000.000000 [3 lua] "get" "x"',
    ]


def test_monitoring_ends_with_reset_or_the_connection() -> None:
    """After the last monitor nothing is watched any more."""
    engine = TestEngine()
    first, second = engine.connect(), engine.connect()
    for session in (first, second):
        engine.send(joined("MONITOR"), session)
    assert b" flags=O " in engine.call("CLIENT", "LIST", "ID", first.id)

    engine.send(joined("RESET"), first)
    engine.engine.disconnect(second)
    engine.call("GET", "k")

    assert taken(first) == b""
    assert not engine.engine.is_watching_calls
    assert not engine.engine.needs_care


def test_a_monitor_may_not_touch_keys_and_sees_itself_behind_its_replies() -> None:
    """Redis takes monitors for a sort of replica."""
    engine = TestEngine()
    watcher = engine.connect()
    line = b'+1700000000.000000 [0 127.0.0.1:40000] "PING"\r\n'

    replies = engine.send(joined("MONITOR", "GET x", "SET x 1", "PING", "PING"), watcher)
    assert replies == (
        b"+OK\r\n"
        + b"-ERR Replica can't interact with the keyspace\r\n" * 2
        + (b"+PONG\r\n" + line) * 2
    )


# --- tracking ------------------------------------------------------------------------------------


def tracking(engine: TestEngine, *options: str) -> Session:
    """Return a client in RESP3 that tracks."""
    session = engine.connect()
    engine.send(joined("HELLO 3", f"CLIENT TRACKING ON {' '.join(options)}"), session)
    return session


def push(*keys: bytes) -> bytes:
    """Return the message that says that `keys` have changed."""
    words = b"".join(b"$%d\r\n%b\r\n" % (len(key), key) for key in keys)
    return b">2\r\n$10\r\ninvalidate\r\n*%d\r\n%b" % (len(keys), words)


def test_a_reader_is_told_once_of_a_change() -> None:
    """Until it reads the key anew."""
    engine = TestEngine()
    reader = tracking(engine)
    engine.send(joined("MGET a b"), reader)

    engine.call("SET", "a", "1")
    engine.call("SET", "a", "2")
    engine.call("SET", "other", "2")

    assert taken(reader) == push(b"a")
    fields = parse_info(engine.call("INFO"))
    assert fields["tracking_total_keys"] == fields["tracking_total_items"] == "1"
    assert fields["tracking_clients"] == "1"


def test_changes_of_its_own_come_after_the_reply() -> None:
    """Also after that of a whole transaction, and before that of the next request."""
    engine = TestEngine()
    reader = tracking(engine)
    replies = engine.send(
        joined("GET a", "SET a 1", "GET a", "MULTI", "SET a 2", "FLUSHDB", "EXEC", "PING"), reader
    )

    assert replies == (
        b"_\r\n+OK\r\n" + push(b"a") + b"$1\r\n1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n"
        b"*2\r\n+OK\r\n+OK\r\n" + push(b"a") + b">2\r\n$10\r\ninvalidate\r\n_\r\n" + b"+PONG\r\n"
    )


def test_noloop_keeps_changes_of_its_own_away() -> None:
    """Those of others are told as ever."""
    engine = TestEngine()
    reader = tracking(engine, "NOLOOP")

    assert engine.send(joined("GET a", "SET a 1", "GET a"), reader) == (b"_\r\n+OK\r\n$1\r\n1\r\n")
    engine.call("SET", "a", "2")
    assert taken(reader) == push(b"a")


def test_opt_in_and_opt_out_go_by_what_caching_said_before_the_command() -> None:
    """It holds for one command, or for one transaction."""
    engine = TestEngine()
    opted_in, opted_out = tracking(engine, "OPTIN"), tracking(engine, "OPTOUT")
    engine.send(joined("GET a", "CLIENT CACHING YES", "GET b", "GET c"), opted_in)
    engine.send(joined("CLIENT CACHING YES", "MULTI", "GET d", "GET e", "EXEC", "GET f"), opted_in)
    engine.send(joined("GET a", "CLIENT CACHING NO", "GET b", "GET c"), opted_out)

    engine.call("MSET", *(word for key in "abcdef" for word in (key, "1")))

    assert taken(opted_in) == push(b"b") + push(b"d") + push(b"e")
    assert taken(opted_out) == push(b"a") + push(b"c")


def test_broadcasts_tell_of_all_keys_with_a_prefix_at_the_end_of_the_batch() -> None:
    """Once each, in order, of prefixes too; with NOLOOP all but its own."""
    engine = TestEngine()
    everything = tracking(engine, "BCAST")
    some = tracking(engine, "BCAST", "PREFIX", "y", "NOLOOP")
    engine.send(joined("CLIENT TRACKING ON BCAST PREFIX x: NOLOOP"), some)

    engine.send(joined("SET y1 1", "SET x:2 1", "SET x:1 1", "INCR x:1", "SET z 1"))
    assert taken(everything) == push(b"x:1", b"x:2", b"y1", b"z")
    assert taken(some) == push(b"x:1", b"x:2") + push(b"y1")

    assert engine.send(joined("SET x:3 1"), some) == b"+OK\r\n"
    assert taken(everything) == push(b"x:3")


def test_what_a_script_does_is_not_its_caller_s_own_doing() -> None:
    """A broadcast tells of it with NOLOOP, too; who has read the key is spared it."""
    engine = TestEngine()
    script = encode_command([b"EVAL", b"redis.call('set',KEYS[1],1)", b"1", b"a"])
    listener, reader = tracking(engine, "BCAST", "NOLOOP"), tracking(engine, "NOLOOP")
    engine.send(joined("GET a"), reader)

    assert engine.send(script, listener) == b"_\r\n" + push(b"a")
    taken(reader)
    engine.send(joined("GET a"), reader)
    assert engine.send(script, reader) == b"_\r\n"


def test_resp2_is_told_through_another_connection() -> None:
    """One that has subscribed; when that is gone the tracking client learns it, in RESP3."""
    engine = TestEngine()
    listener = engine.connect()
    engine.send(joined("SUBSCRIBE __redis__:invalidate"), listener)
    reader = engine.connect()
    engine.send(joined(f"CLIENT TRACKING ON REDIRECT {listener.id}", "GET a"), reader)

    engine.call("SET", "a", "1")
    assert taken(listener) == (
        b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\na\r\n"
    )
    assert engine.call("CLIENT", "GETREDIR", session=reader) == listener.id

    engine.send(joined("HELLO 3", "GET a"), reader)
    engine.engine.disconnect(listener)
    engine.call("SET", "a", "2")
    assert taken(reader) == b">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n" % listener.id
    assert b"broken_redirect" in engine.send(joined("CLIENT TRACKINGINFO"), reader)


def test_expiry_is_a_change_and_nobody_s_doing() -> None:
    """Told by broadcast even to the client whose command came upon it."""
    engine = TestEngine()
    reader, listener = tracking(engine), tracking(engine, "BCAST", "NOLOOP")
    engine.call("SET", "a", "1", "PX", "5")
    engine.call("SET", "b", "1", "PX", "5")
    engine.send(joined("MGET a b"), reader)
    taken(listener)

    engine.advance(10)
    assert engine.send(joined("GET a"), listener) == b"_\r\n" + push(b"a")
    assert taken(reader) == push(b"a")
    engine.engine.on_tick(engine.now_ms)
    engine.engine.end_batch()
    assert taken(reader) == push(b"b")


def test_a_script_s_reads_count_as_reads_of_the_keys_it_was_given() -> None:
    """Which of them it has read is not looked at."""
    engine = TestEngine()
    reader = tracking(engine)
    script = "return redis.call('get',KEYS[1])"
    engine.send(encode_command([b"EVAL", script.encode(), b"2", b"a", b"b"]), reader)
    engine.send(encode_command([b"EVAL", b"return 1", b"1", b"c"]), reader)

    engine.call("MSET", "a", "1", "b", "1", "c", "1")

    assert taken(reader) == push(b"a") + push(b"b")


def test_the_table_is_kept_small_by_telling_that_keys_have_changed() -> None:
    """A client that holds a copy drops it, which is all that is needed."""
    engine = TestEngine()
    reader = tracking(engine)
    engine.send(joined("MGET a b c"), reader)
    engine.call("CONFIG", "SET", "tracking-table-max-keys", 1)

    assert engine.send(joined("PING"), reader) == push(b"a") + push(b"b") + b"+PONG\r\n"
    assert engine.engine.tracked_keys.key_count == 1


def test_nothing_is_watched_once_nobody_tracks() -> None:
    """The price of tracking is paid only while somebody does."""
    engine = TestEngine()
    readers = [tracking(engine), tracking(engine, "BCAST"), tracking(engine)]
    engine.send(joined("GET a"), readers[0])
    engine.send(joined("CLIENT TRACKING OFF"), readers[0])
    engine.send(joined("RESET"), readers[1])
    engine.engine.disconnect(readers[2])

    assert not engine.engine.keyspace.databases[0].observed
    assert engine.engine.tracked_keys.key_count == 0
    assert not engine.engine.needs_care


# --- shard channels ------------------------------------------------------------------------------


def test_shard_channels_are_apart_from_others() -> None:
    """Names, counts and messages; a RESP2 client is in subscribed mode by them all the same."""
    engine = TestEngine()
    listener = engine.connect()
    confirmations = engine.send(joined("SUBSCRIBE a", "SSUBSCRIBE a b", "GET k"), listener)
    assert confirmations == (
        b"*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
        b"*3\r\n$10\r\nssubscribe\r\n$1\r\na\r\n:1\r\n"
        b"*3\r\n$10\r\nssubscribe\r\n$1\r\nb\r\n:2\r\n"
        b"-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET"
        b" are allowed in this context\r\n"
    )

    engine.sink.take_commands()
    assert engine.call("SPUBLISH", "a", "m") == 1
    assert engine.sink.take_commands() == [[b"SPUBLISH", b"a", b"m"]]
    assert taken(listener) == b"*3\r\n$8\r\nsmessage\r\n$1\r\na\r\n$1\r\nm\r\n"
    assert engine.call("PUBSUB", "SHARDCHANNELS") == [b"a", b"b"]
    assert engine.call("PUBSUB", "SHARDCHANNELS", "b*") == [b"b"]
    assert engine.call("PUBSUB", "SHARDNUMSUB", "a", "c") == [b"a", 1, b"c", 0]
    assert parse_info(engine.call("INFO", "stats"))["pubsubshard_channels"] == "2"

    assert engine.send(joined("SUNSUBSCRIBE", "SUNSUBSCRIBE"), listener) == (
        b"*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:1\r\n"
        b"*3\r\n$12\r\nsunsubscribe\r\n$1\r\nb\r\n:0\r\n"
        b"*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n"
    )


@pytest.mark.parametrize("change", [(b"SET", b"a", b"2"), (b"FLUSHALL",)])
def test_who_hears_in_place_of_another_does_so_behind_the_reply(change: tuple[bytes, ...]) -> None:
    """As of its own keys: before the reply to the command that changed them it makes no sense."""
    engine = TestEngine()
    reading, changing = engine.connect(), engine.connect()
    engine.raw("HELLO", "3", session=changing)
    engine.raw("SET", "a", "1", session=reading)
    engine.raw("CLIENT", "TRACKING", "ON", "REDIRECT", changing.id, session=reading)
    engine.raw("GET", "a", session=reading)

    received = engine.raw(*change, session=changing)

    assert received.startswith(b"+OK\r\n>2\r\n$10\r\ninvalidate\r\n")
