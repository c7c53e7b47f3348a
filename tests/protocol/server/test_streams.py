"""Streams as clients see them over time: IDs that the server chooses, waiting, idle consumers."""

from __future__ import annotations

import pytest

from tests.support.engine import START_MS, TestEngine
from vedette.clients import Session

NULL_ARRAY = b"*-1\r\n"


def waiting(test: TestEngine, *words: bytes | str | int) -> Session:
    """Return a new client that waits in the command `words`."""
    session = test.connect()
    assert test.raw(*words, session=session) == b""
    assert session.blocked is not None
    return session


def taken(session: Session) -> bytes:
    """Return what the client has been sent since the last time."""
    output = b"".join(session.outbox)
    session.outbox.clear()
    return output


def entry(stream_id: str, *words: str) -> bytes:
    """Return an entry as clients get it."""
    texts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*2\r\n${len(stream_id)}\r\n{stream_id}\r\n*{len(words)}\r\n{texts}".encode()


def one(key: str, *entries: bytes) -> bytes:
    """Return what XREAD answers where one stream has something."""
    head = f"*1\r\n*2\r\n${len(key)}\r\n{key}\r\n*{len(entries)}\r\n"
    return head.encode() + b"".join(entries)


@pytest.fixture
def test() -> TestEngine:
    """Return a fresh engine."""
    return TestEngine()


@pytest.fixture
def group(test: TestEngine) -> TestEngine:
    """Return an engine with an empty stream `k` and its group `g`."""
    test.call("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")
    test.sink.take_commands()
    return test


# --- IDs -----------------------------------------------------------------------------------------


def test_ids_follow_the_clock_and_never_go_back(test: TestEngine) -> None:
    """Neither within a millisecond nor when the clock is set back; replicas get the ID itself."""
    now = b"%d" % START_MS
    assert test.call("XADD", "k", "*", "f", 1) == now + b"-0"
    assert test.call("XADD", "k", "*", "f", 2) == now + b"-1"
    test.advance(-1000)
    assert test.call("XADD", "k", "*", "f", 3) == now + b"-2"
    test.advance(1001)
    assert test.call("XADD", "k", "NOMKSTREAM", "*", "f", 4) == b"%d-0" % (START_MS + 1)
    assert test.call("XADD", "k", "MAXLEN", "~", 2, f"{START_MS + 1}-*", "f", 5) is not None

    assert [b" ".join(command[2:]) for command in test.sink.take_commands()] == [
        now + b"-0 f 1",
        now + b"-1 f 2",
        now + b"-2 f 3",
        b"NOMKSTREAM %d-0 f 4" % (START_MS + 1),
        b"MAXLEN = 5 %d-1 f 5" % (START_MS + 1),
    ]


def test_ids_end_with_the_largest(test: TestEngine) -> None:
    """It would be the smallest again."""
    largest = f"{2**64 - 1}-{2**64 - 1}"
    test.call("XADD", "k", f"{START_MS + 9}-{2**64 - 1}", "f", "v")
    assert test.call("XADD", "k", "*", "f", "v") == b"%d-0" % (START_MS + 10)
    assert "equal or smaller" in test.error("XADD", "k", f"{START_MS + 9}-*", "f", "v")
    test.call("XADD", "k", largest, "f", "v")

    assert "exhausted" in test.error("XADD", "k", "*", "f", "v")
    assert test.call("XREAD", "STREAMS", "k", largest) is None


def test_a_trimming_that_comes_from_a_master_is_done_as_far_as_it_says(test: TestEngine) -> None:
    """LIMIT was for the master's clients; the value says how far the master came."""
    for number in range(1, 200):
        test.call("XADD", "k", number, "f", "v")
    link = test.connect()
    link.is_deaf = True
    test.raw("XADD", "k", "MAXLEN", "=", 10, "LIMIT", 5, "500-0", "f", "v", session=link)
    assert test.call("XLEN", "k") == 10
    test.raw("XTRIM", "k", "MINID", "=", "500-0", "LIMIT", 1, session=link)

    assert test.call("XRANGE", "k", "-", "+") == [[b"500-0", [b"f", b"v"]]]


# --- waiting for entries -------------------------------------------------------------------------


def test_every_reader_is_served_within_the_batch(test: TestEngine) -> None:
    """Oldest first, from where each had read to."""
    test.call("XADD", "k", "1-0", "f", "old")
    first = waiting(test, "XREAD", "BLOCK", 0, "STREAMS", "other", "k", "$", "$")
    second = waiting(test, "XREAD", "BLOCK", 0, "STREAMS", "k", "2-0")
    assert test.send(b"XADD k 2-0 f v\r\nXADD k 3-0 f w\r\n") == b"$3\r\n2-0\r\n$3\r\n3-0\r\n"

    assert taken(first) == one("k", entry("2-0", "f", "v"))
    assert taken(second) == one("k", entry("3-0", "f", "w"))


def test_entries_that_came_and_went_leave_readers_waiting(test: TestEngine) -> None:
    """So does a key of another type: a stream may still come."""
    reader = waiting(test, "XREAD", "COUNT", 1, "BLOCK", 0, "STREAMS", "k", "$")
    test.send(b"MULTI\r\nXADD k 1-0 f v\r\nXDEL k 1-0\r\nEXEC\r\nXADD k 1-1 f v\r\n")
    assert taken(reader) == one("k", entry("1-1", "f", "v"))
    reader = waiting(test, "XREAD", "BLOCK", 0, "STREAMS", "k", "$")
    test.send(b"DEL k\r\nSET k v\r\nDEL k\r\nXADD k 1-0 f v\r\n")
    assert taken(reader) == b""
    test.send(b"MULTI\r\nXADD k 2-0 f v\r\nXADD k 3-0 f v\r\nEXEC\r\n")

    assert taken(reader) == one("k", entry("2-0", "f", "v"), entry("3-0", "f", "v"))


def test_readers_in_resp3_get_a_map(test: TestEngine) -> None:
    """Of all of their streams that have something when the transaction is over."""
    reader = test.connect()
    test.raw("HELLO", 3, session=reader)
    test.raw("XREAD", "BLOCK", 0, "STREAMS", "a", "b", 0, 0, session=reader)
    test.send(b"MULTI\r\nXADD b 1-0 f v\r\nXADD a 2-0 f v\r\nEXEC\r\n")

    a = b"$1\r\na\r\n*1\r\n" + entry("2-0", "f", "v")
    b = b"$1\r\nb\r\n*1\r\n" + entry("1-0", "f", "v")
    assert taken(reader) == b"%2\r\n" + a + b


def test_nothing_waits_in_scripts_and_transactions(group: TestEngine) -> None:
    """There it is as if the time were over at once; a script must not even ask for it."""
    read = b"XREADGROUP GROUP g c BLOCK 0 STREAMS k >"
    output = group.send(b"MULTI\r\n%b\r\nXREAD BLOCK 0 STREAMS k $\r\nEXEC\r\n" % read)
    assert output.endswith(b"*2\r\n*-1\r\n*-1\r\n")

    script = "return redis.call('XREAD', 'BLOCK', '0', 'STREAMS', KEYS[1], '$')"
    assert "not allowed with BLOCK option from scripts" in group.error("EVAL", script, 1, "k")


def test_readers_time_out(group: TestEngine) -> None:
    """With a null, and leave nothing behind that waits."""
    reader = waiting(group, "XREAD", "BLOCK", 50, "STREAMS", "k", "$")
    member = waiting(
        group, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 50, "STREAMS", "k", "k", ">", ">"
    )
    group.advance(50)
    group.engine.expire_waits()

    assert taken(reader) == taken(member) == NULL_ARRAY
    assert not group.engine.keyspace.databases[0].observed
    group.call("XADD", "k", "1-0", "f", "v")
    assert taken(reader) == taken(member) == b""


# --- groups --------------------------------------------------------------------------------------


def test_members_of_a_group_are_served_in_turn(group: TestEngine) -> None:
    """Each entry goes to who has waited longest, and replicas are told whose it is."""
    first = waiting(group, "XREADGROUP", "GROUP", "g", "a", "BLOCK", 0, "STREAMS", "k", ">")
    second = waiting(group, "XREADGROUP", "GROUP", "g", "b", "BLOCK", 0, "STREAMS", "k", ">")
    group.call("XADD", "k", "1-0", "f", "v")
    assert taken(first) == one("k", entry("1-0", "f", "v"))
    assert taken(second) == b""
    group.call("XADD", "k", "2-0", "f", "v")
    assert taken(second) == one("k", entry("2-0", "f", "v"))
    group.call("XADD", "k", "3-0", "f", "v")
    group.call("XREADGROUP", "GROUP", "g", "b", "STREAMS", "k", ">")

    tail = f"TIME {START_MS} RETRYCOUNT 1 FORCE JUSTID LASTID"
    assert [b" ".join(command).decode() for command in group.sink.take_commands()] == [
        "XADD k 1-0 f v",
        f"XCLAIM k g a 0 1-0 {tail} 1-0",
        "XADD k 2-0 f v",
        f"XCLAIM k g b 0 2-0 {tail} 2-0",
        "XADD k 3-0 f v",
        f"XCLAIM k g b 0 3-0 {tail} 3-0",
    ]


def test_members_without_acknowledgement_leave_nothing_pending(group: TestEngine) -> None:
    """Replicas learn of the consumer, and of how far the group has come."""
    reader = waiting(
        group, "XREADGROUP", "GROUP", "g", "a", "BLOCK", 0, "NOACK", "STREAMS", "k", ">"
    )
    group.call("XADD", "k", "1-0", "f", "v")
    assert taken(reader) == one("k", entry("1-0", "f", "v"))

    assert [b" ".join(command).decode() for command in group.sink.take_commands()] == [
        "XADD k 1-0 f v",
        "XGROUP CREATECONSUMER k g a",
        "XGROUP SETID k g 1-0 ENTRIESREAD 1",
    ]
    assert group.call("XPENDING", "k", "g") == [0, None, None, None]


NO_KEY = b"-UNBLOCKED the stream key no longer exists\r\n"
NO_GROUP = b"-NOGROUP the consumer group this client was blocked on no longer exists\r\n"


@pytest.mark.parametrize(
    ("commands", "reply"),
    [
        ("DEL k", NO_KEY),
        ("UNLINK k", NO_KEY),
        ("RENAME k l", NO_KEY),
        ("MOVE k 1", NO_KEY),
        ("SET k v", NO_KEY),
        ("FLUSHALL", NO_KEY),
        ("FLUSHDB", NO_KEY),
        ("SWAPDB 0 1", NO_KEY),
        ("PEXPIRE k -1", NO_KEY),
        ("MULTI|DEL k|SADD k m|EXEC", NO_KEY),
        ("XGROUP DESTROY k g", NO_GROUP),
        ("MULTI|DEL k|XADD k 1-0 f v|EXEC", NO_GROUP),
        ("XADD other 1-0 f v|RENAME other k", NO_GROUP),
        ("MULTI|XGROUP DESTROY k g|XGROUP CREATE k g 0|EXEC", b""),
        ("XTRIM k MAXLEN 0|XDEL k 1-0|XGROUP SETID k g 0|EXPIRE k 100", b""),
    ],
)
def test_members_are_told_when_their_group_is_gone(
    group: TestEngine, commands: str, reply: bytes
) -> None:
    """It will not come back, whatever comes to be at the key; readers without a group wait on."""
    member = waiting(group, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "k", ">")
    reader = waiting(group, "XREAD", "BLOCK", 0, "STREAMS", "k", "5-0")
    group.send("".join(f"{command}\r\n" for command in commands.split("|")).encode())

    assert taken(member) == reply
    assert taken(reader) == b""


def test_an_error_that_ends_a_wait_is_counted(group: TestEngine) -> None:
    """INFO commandstats is where one looks for it."""
    waiting(group, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "k", ">")
    group.call("XGROUP", "DESTROY", "k", "g")

    stats = group.call("INFO", "commandstats").decode()
    line = next(each for each in stats.splitlines() if each.startswith("cmdstat_xreadgroup:"))
    assert line.endswith("rejected_calls=0,failed_calls=1")


def test_consumers_are_idle_and_inactive_as_redis_7_2_has_it(group: TestEngine) -> None:
    """Idle since they asked, inactive since they got something."""
    read = ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "k", ">")
    group.call("XGROUP", "CREATECONSUMER", "k", "g", "c")
    [never] = group.call("XINFO", "CONSUMERS", "k", "g")
    group.call("XADD", "k", "1-0", "f", "v")
    group.call(*read)
    group.advance(100)
    assert group.call(*read) is None
    group.advance(10)
    [once] = group.call("XINFO", "CONSUMERS", "k", "g")
    full = group.call("XINFO", "STREAM", "k", "FULL")

    assert never == [b"name", b"c", b"pending", 0, b"idle", 0, b"inactive", -1]
    assert once == [b"name", b"c", b"pending", 1, b"idle", 10, b"inactive", 110]
    groups = dict(zip(full[::2], full[1::2], strict=True))[b"groups"]
    [consumer] = dict(zip(groups[0][::2], groups[0][1::2], strict=True))[b"consumers"]
    assert consumer[:8] == [
        *(b"name", b"c", b"seen-time", START_MS + 100),
        *(b"active-time", START_MS, b"pel-count", 1),
    ]


def test_claims_count_time_and_deliveries(group: TestEngine) -> None:
    """What was idle long enough changes hands, and is counted unless only IDs are asked for."""
    for number in (1, 2):
        group.call("XADD", "k", number, "f", "v")
    group.call("XREADGROUP", "GROUP", "g", "a", "STREAMS", "k", ">")
    group.advance(500)
    group.call("XREADGROUP", "GROUP", "g", "a", "STREAMS", "k", "1-0")

    assert group.call("XCLAIM", "k", "g", "b", 100, 1, 2, "JUSTID") == [b"1-0"]
    assert group.call("XPENDING", "k", "g", "-", "+", 10) == [
        [b"1-0", b"b", 0, 1],
        [b"2-0", b"a", 0, 2],
    ]
    group.advance(50)
    assert group.call("XPENDING", "k", "g", "IDLE", 51, "-", "+", 10) == []
    reply = group.call("XAUTOCLAIM", "k", "g", "c", 50, 0, "COUNT", 1)
    assert reply == [b"2-0", [[b"1-0", [b"f", b"v"]]], []]
    group.call("XCLAIM", "k", "g", "c", 0, 2, "IDLE", 30, "RETRYCOUNT", 7)
    assert group.call("XPENDING", "k", "g", "-", "+", 10, "c") == [
        [b"1-0", b"c", 0, 2],
        [b"2-0", b"c", 30, 7],
    ]
    assert group.call("XPENDING", "k", "g") == [2, b"1-0", b"2-0", [[b"c", b"2"]]]


# --- the rest ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "is_broken"),
    [
        ("XADD k * f v", True),
        ("XDEL k 1-0", True),
        ("XTRIM k MAXLEN 0", True),
        ("XDEL k 9-0", False),
        ("XACK k g 1-0", False),
        ("XSETID k 9-0", False),
        ("XGROUP SETID k g $", False),
        ("XGROUP DESTROY k g", False),
        ("XREADGROUP GROUP g c STREAMS k >", False),
    ],
)
def test_watches_break_by_entries_alone(test: TestEngine, command: str, is_broken: bool) -> None:
    """As in Redis, whatever groups do."""
    test.call("XADD", "k", "1-0", "f", "v")
    test.call("XGROUP", "CREATE", "k", "g", 0)
    watcher = test.connect()
    test.call("WATCH", "k", session=watcher)
    test.call(*command.split())
    test.call("MULTI", session=watcher)

    assert test.call("EXEC", session=watcher) == (None if is_broken else [])


def test_an_empty_stream_stays_a_key(test: TestEngine) -> None:
    """Its last ID and its groups are of use."""
    test.call("XADD", "k", "5-0", "f", "v")
    test.call("XTRIM", "k", "MAXLEN", 0)

    assert test.call("EXISTS", "k") == 1
    assert test.call("SCAN", 0, "TYPE", "stream") == [b"0", [b"k"]]
    assert test.call("TYPE", "k") == test.call("OBJECT", "ENCODING", "k") == b"stream"
    assert test.call("COPY", "k", "l") == 1
    assert "equal or smaller" in test.error("XADD", "l", "5-0", "f", "v")
    assert test.call("MEMORY", "USAGE", "k") < 1000
    test.call("XADD", "k", "*", "f", "v" * 3000)
    assert 3000 < test.call("MEMORY", "USAGE", "k") < 5000


@pytest.mark.parametrize(
    ("request_words", "keys"),
    [
        ("XREAD STREAMS a b 0 0", ["a", "b"]),
        ("XREAD COUNT 2 BLOCK 0 streams a $", ["a"]),
        ("XREADGROUP GROUP STREAMS c NOACK STREAMS a b > >", ["a", "b"]),
    ],
)
def test_keys_are_found_behind_the_right_word(
    test: TestEngine, request_words: str, keys: list[str]
) -> None:
    """A group that is called STREAMS must not lead access control astray."""
    words = request_words.split()

    assert test.call("COMMAND", "GETKEYS", *words) == [key.encode() for key in keys]
