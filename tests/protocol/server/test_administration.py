"""INFO, CONFIG, saving, SHUTDOWN and DEBUG, as operators and tools see them."""

from __future__ import annotations

import re

import pytest

from server.commands import command_table
from server.commands.info_sections import NOT_BY_DEFAULT, SECTIONS, human_size
from server.engine.host import ShutdownRequest
from tests.support.engine import START_MS, TestEngine
from vedette.info import parse_info


def info(engine: TestEngine, *sections: str) -> dict[str, str]:
    """Return the fields of INFO."""
    return parse_info(engine.call("INFO", *sections))


def titles(engine: TestEngine, *sections: str) -> list[str]:
    """Return the names of the sections of INFO, in order."""
    return re.findall(r"^# (\w+)\r$", engine.call("INFO", *sections).decode(), re.M)


def test_info_gives_sections_in_order() -> None:
    """Some by default, all when asked for, several by name in any case; unknown ones none."""
    engine = TestEngine()
    everything = [title for title, _ in SECTIONS.values()]
    usual = [title for name, (title, _) in SECTIONS.items() if name not in NOT_BY_DEFAULT]

    assert titles(engine) == titles(engine, "DEFAULT") == usual
    assert titles(engine, "all") == titles(engine, "everything") == everything
    assert titles(engine, "cpu", "Server", "bogus") == ["Server", "CPU"]
    assert titles(engine, "commandstats", "latencystats", "default") == everything
    assert engine.call("INFO", "bogus") == b""


def test_info_is_text_in_resp3() -> None:
    """A verbatim string, so that redis-cli prints its lines as lines."""
    engine = TestEngine()
    engine.call("HELLO", "3")

    assert engine.raw("INFO", "cluster") == b"=34\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "listeners"),
    [
        ("port 7000", ["name=tcp,bind=*,bind=-::*,port=7000", None, None]),
        (
            "port 0\nbind 10.0.0.1 ::1\ntls-port 7001\nunixsocket /run/v.sock",
            [None, "name=unix,bind=/run/v.sock", "name=tls,bind=10.0.0.1,bind=::1,port=7001"],
        ),
    ],
)
def test_info_tells_where_the_server_listens(lines: str, listeners: list[str | None]) -> None:
    """As Redis 7.2 does: a field for each kind of connection, numbered by the kind."""
    fields = info(TestEngine(lines), "server")

    assert [fields.get(f"listener{kind}") for kind in range(3)] == listeners


def test_info_reports_what_happened() -> None:
    """Counters, keyspace and commands' statistics."""
    engine = TestEngine()
    for words in (("SET", "a", "1", "PX", "10"), ("SET", "b", "1", "EX", "100"), ("GET", "b")):
        engine.call(*words)
    engine.advance(10)
    engine.call("GET", "a")
    engine.error("INCR", "b", "x")
    engine.error("nosuch")

    fields = info(engine, "everything")

    assert fields["keyspace_hits"] == "1"
    assert fields["keyspace_misses"] == "1"
    assert fields["expired_keys"] == "1"
    assert fields["db0"] == "keys=1,expires=1,avg_ttl=99990"
    assert fields["rdb_changes_since_last_save"] == "2"  # that a key expires is none
    assert fields["cmdstat_get"].startswith("calls=2,usec=")
    assert fields["cmdstat_incr"].endswith("rejected_calls=1,failed_calls=0")
    assert fields["errorstat_ERR"] == "count=2"
    assert fields["total_error_replies"] == "2"
    assert fields["connected_clients"] == "1"
    assert (fields["role"], fields["redis_version"]) == ("master", "7.2.4")
    assert fields["used_memory"] == fields["used_memory_peak"] == "30000000"


def test_resetstat_begins_counting_anew() -> None:
    """And leaves alone what is state, not statistics."""
    engine = TestEngine()
    engine.call("SET", "a", "1")
    engine.call("GET", "a")
    engine.error("nosuch")

    assert engine.call("CONFIG", "RESETSTAT") == b"OK"
    fields = info(engine, "everything")
    assert fields["keyspace_hits"] == fields["total_error_replies"] == "0"
    assert "cmdstat_get" not in fields
    assert fields["db0"].startswith("keys=1,")


def test_persistence_shows_a_save_that_runs_and_one_that_failed() -> None:
    """Operators wait for these fields, and so do tests."""
    engine = TestEngine()
    saves = engine.engine.saves
    engine.engine.keyspace.dirty = 5
    saves.on_background_start(engine.now_ms, 5)
    engine.advance(3500)

    fields = info(engine, "persistence")
    assert fields["rdb_bgsave_in_progress"] == "1"
    assert fields["rdb_current_bgsave_time_sec"] == "3"
    assert fields["rdb_last_bgsave_time_sec"] == "-1"
    saves.on_background_end(engine.now_ms, is_ok=False)
    fields = info(engine, "persistence")
    assert fields["rdb_last_bgsave_status"] == "err"
    assert fields["rdb_last_bgsave_time_sec"] == "3"
    assert fields["rdb_current_bgsave_time_sec"] == "-1"


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1015000, "991.21K"), (25276502016, "23.54G")],
)
def test_sizes_are_told_as_redis_tells_them(size: int, text: str) -> None:
    """As Redis prints them."""
    assert human_size(size) == text


def test_config_get_takes_globs_and_several_names() -> None:
    """Old names are shown when they are asked for."""
    engine = TestEngine()

    assert engine.call("CONFIG", "GET", "PORT", "slave-pri*") == [
        *(b"port", b"6379"),
        *(b"slave-priority", b"100"),
    ]
    assert engine.call("CONFIG", "GET", "nosuch") == []
    engine.call("HELLO", "3")
    assert engine.call("CONFIG", "GET", "hz") == {b"hz": b"10"}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("hz",), "ERR wrong number of arguments for 'config|set' command"),
        (("hz", "1", "timeout"), "ERR syntax error"),
        (
            ("nosuch", "1"),
            "ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'",
        ),
        (
            ("databases", "1"),
            "ERR CONFIG SET failed (possibly related to argument 'databases')"
            " - can't set immutable config",
        ),
        (
            ("dir", "/"),
            "ERR CONFIG SET failed (possibly related to argument 'dir')"
            " - can't set protected config",
        ),
        (
            ("hz", "1", "hz", "2"),
            "ERR CONFIG SET failed (possibly related to argument 'hz') - duplicate parameter",
        ),
    ],
)
def test_config_set_says_what_is_wrong(words: tuple[str, ...], error: str) -> None:
    """In Redis' words, which clients match."""
    assert TestEngine().error("CONFIG", "SET", *words) == error


def test_protected_directives_may_be_set_where_the_configuration_says_so() -> None:
    """`local` means clients of this machine."""
    engine = TestEngine("enable-protected-configs local")
    stranger = engine.engine.clients.open(
        address="10.0.0.9:4000", local_address="", now_ms=START_MS
    )

    assert engine.call("CONFIG", "SET", "dbfilename", "other.rdb") == b"OK"
    assert "protected" in engine.error("CONFIG", "SET", "dbfilename", "x.rdb", session=stranger)


def test_config_rewrite_needs_a_file_and_reports_failure() -> None:
    """Sentinels send it after every REPLICAOF and go by the answer."""
    engine = TestEngine()
    assert engine.error("CONFIG", "REWRITE") == "ERR The server is running without a config file"

    engine.configuration.path = "/etc/vedette.conf"
    assert engine.call("CONFIG", "REWRITE") == b"OK"
    assert engine.host.asked == ["rewrite"]
    engine.host.rewritten_error = OSError(13, "Permission denied")
    assert engine.error("CONFIG", "REWRITE") == "ERR Rewriting config file: Permission denied"


def test_the_configuration_follows_replicaof() -> None:
    """A node that a sentinel has moved must come back in its new role after a restart."""
    engine = TestEngine()
    engine.call("REPLICAOF", "10.0.0.1", "6380")

    assert engine.call("CONFIG", "GET", "replicaof") == [b"replicaof", b"10.0.0.1 6380"]
    assert "replicaof 10.0.0.1 6380\n" in engine.configuration.rewrite("port 6379\n")
    engine.call("REPLICAOF", "NO", "ONE")
    assert engine.call("CONFIG", "GET", "slaveof") == [b"slaveof", b""]
    assert engine.configuration.rewrite("slaveof 10.0.0.1 6380\nport 6379\n") == "port 6379\n"


def test_save_answers_when_it_is_done_and_bgsave_when_it_has_begun() -> None:
    """SAVE answers when it is done, BGSAVE when it has begun; one at a time."""
    engine = TestEngine()

    assert engine.call("SAVE") == b"OK"
    assert engine.call("BGSAVE") == b"Background saving started"
    assert engine.error("BGSAVE", "SCHEDULE") == "ERR Background save already in progress"
    assert engine.error("SAVE") == "ERR Background save already in progress"
    assert engine.error("BGSAVE", "LATER") == "ERR syntax error"
    engine.engine.saves.on_foreground_end(START_MS)
    assert engine.call("LASTSAVE") == START_MS // 1000


def test_a_save_that_fails_is_an_error() -> None:
    """The reason is in the log for SAVE, as in Redis, and in the reply for BGSAVE."""
    engine = TestEngine()
    engine.host.save_error = OSError(28, "No space left on device")

    assert engine.error("SAVE") == "ERR"
    assert engine.error("BGSAVE") == "ERR Can't save in background: No space left on device"


def test_flushall_saves_where_there_are_save_points() -> None:
    """Or a restart would bring the keys back, as would a background save that goes on.

    That it cannot be saved does not keep them.
    """
    engine = TestEngine("save 60 1")
    engine.call("SET", "a", "1")
    engine.call("FLUSHALL")
    assert engine.host.asked == ["abort bgsave", "save"]

    engine.host.save_error = OSError(28, "No space left on device")
    assert engine.call("FLUSHALL") == b"OK"
    quiet = TestEngine("save ''")
    quiet.call("FLUSHALL")
    assert quiet.host.asked == ["abort bgsave"]


@pytest.mark.parametrize(
    ("words", "request_"),
    [
        ((), ShutdownRequest()),
        (("NOSAVE",), ShutdownRequest(save=False)),
        (("save", "now", "force"), ShutdownRequest(save=True, is_now=True, is_forced=True)),
    ],
)
def test_shutdown_asks_the_host_and_answers_nothing(
    words: tuple[str, ...], request_: ShutdownRequest
) -> None:
    """The connection ends with the server."""
    engine = TestEngine()

    assert engine.raw("SHUTDOWN", *words) == b""
    assert engine.host.shutdowns == [request_]


def test_a_shutdown_that_cannot_save_is_refused() -> None:
    """Data would be lost; FORCE says that this is wanted."""
    engine = TestEngine()
    engine.host.save_error = OSError(28, "No space left on device")

    assert engine.error("SHUTDOWN") == "ERR Errors trying to SHUTDOWN. Check logs."
    assert engine.raw("SHUTDOWN", "FORCE") == b""
    for words in (("SAVE", "NOSAVE"), ("ABORT", "NOW"), ("LATER",)):
        assert engine.error("SHUTDOWN", *words) == "ERR syntax error"


def test_there_may_be_no_shutdown_to_abort() -> None:
    """SHUTDOWN ABORT tells."""
    assert TestEngine().error("SHUTDOWN", "ABORT") == "ERR No shutdown in progress."


def test_time_is_the_servers() -> None:
    """Seconds and microseconds, as strings."""
    engine = TestEngine()
    engine.advance(1234)

    assert engine.call("TIME") == [b"%d" % (START_MS // 1000 + 1), b"234000"]


def test_debug_is_refused_unless_allowed() -> None:
    """By default nobody may use it."""
    assert TestEngine().error("DEBUG", "SLEEP", "0").startswith("ERR DEBUG command not allowed.")
    local = TestEngine("enable-debug-command local")
    assert local.call("DEBUG", "SLEEP", "0.25") == b"OK"
    assert local.host.asked == ["sleep 0.25"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("POPULATE", "x"), "value is out of range, must be positive"),
        (("POPULATE", "1", "key", "-1"), "value is out of range, must be positive"),
        (("REPLYBUFFER", "PEAK-RESET-TIME", "soon"), "value is not an integer or out of range"),
        (("REPLYBUFFER", "bogus", "1"), "unknown subcommand or wrong number of arguments"),
    ],
)
def test_debug_refuses_what_redis_refuses(words: tuple[str, ...], error: str) -> None:
    """In its words, though reply buffers are no concern of this server."""
    engine = TestEngine("enable-debug-command yes")

    assert error in engine.error("DEBUG", *words)
    assert engine.call("DEBUG", "REPLYBUFFER", "PEAK-RESET-TIME", "never") == b"OK"
    assert engine.call("DEBUG", "REPLYBUFFER", "RESIZING", "0") == b"OK"


def test_debug_reload_keeps_the_dataset() -> None:
    """Through the codec and back, expiry times and databases included."""
    engine = TestEngine("enable-debug-command yes\nsave ''")
    engine.call("DEBUG", "POPULATE", "100", "key", "50")
    engine.call("SELECT", "3")
    engine.call("SET", "a", "1", "EX", "100")
    before = engine.call("DEBUG", "DIGEST")

    assert engine.call("DEBUG", "RELOAD") == b"OK"
    assert engine.host.asked == ["save"]
    assert engine.call("DEBUG", "DIGEST") == before != b"0" * 40
    assert engine.call("TTL", "a") == 100
    assert engine.call("DEBUG", "RELOAD", "NOSAVE") == b"OK"
    assert engine.host.asked == ["save"]
    assert engine.call("FLUSHALL") == b"OK"
    engine.call("SET", "b", "2", "EX", "50")
    engine.call("SET", "a", "other")
    assert engine.error("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH").startswith("ERR Error trying")
    assert engine.call("GET", "a") == b"other"
    assert engine.call("DEBUG", "RELOAD", "NOSAVE", "NOFLUSH", "MERGE") == b"OK"
    assert engine.call("GET", "a") == b"1"
    assert engine.call("TTL", "b") == 50
    assert engine.error("DEBUG", "RELOAD", "TWICE").startswith("ERR DEBUG RELOAD only supports")


def test_debug_digest_is_that_of_redis() -> None:
    """So the datasets of two servers can be compared; the value is redis-server's."""
    engine = TestEngine("enable-debug-command yes")
    assert engine.call("DEBUG", "DIGEST") == b"0" * 40
    engine.call("SET", "a", "1")
    engine.call("SET", "b", "xx", "EX", "100")

    assert engine.call("DEBUG", "DIGEST") == b"fa34e334fa1d284ab64395d1206d32b26edf3d90"


def test_debug_subcommands_that_are_not_there_are_unknown() -> None:
    """With Redis' error, whatever the number of arguments."""
    engine = TestEngine("enable-debug-command yes")

    for words in (("LEAK", "x"), ("SLEEP",), ("ERROR", "a", "b")):
        assert engine.error("DEBUG", *words) == (
            f"ERR unknown subcommand or wrong number of arguments for '{words[0]}'. Try DEBUG HELP."
        )
    assert engine.error("DEBUG", "ERROR", "MYERR some text") == "MYERR some text"


def test_debug_tells_of_what_values_are_made() -> None:
    """In the log, where Redis prints to its standard output."""
    engine = TestEngine("enable-debug-command yes")
    logged: list[bytes] = []
    engine.engine.scripting.on_log = lambda level, text: logged.append(text)
    engine.call("HSET", "h", "a", "1", "b", "x y")
    engine.call("ZADD", "z", "2", "m", "1.5", "n")
    engine.call("RPUSH", "l", "1", "2")
    engine.call("SET", "s", "word")
    engine.call("SET", "i", "12")

    assert engine.call("DEBUG", "LISTPACK", "h") == b"Listpack structure printed on stdout"
    engine.call("DEBUG", "LISTPACK", "z")
    engine.call("DEBUG", "QUICKLIST", "l")
    engine.call("DEBUG", "QUICKLIST", "l", "1")
    assert logged == [
        b'DEBUG LISTPACK "h": 4 elements "a" "1" "b" "x y"',
        b'DEBUG LISTPACK "z": 4 elements "n" "1.5" "m" "2"',
        b'DEBUG QUICKLIST "l": 2 elements',
        b'DEBUG QUICKLIST "l": 2 elements "1" "2"',
    ]
    assert engine.call("DEBUG", "SDSLEN", "s").startswith(b"key_sds_len:1, key_sds_avail:0, key_")
    for words, error in (
        (("LISTPACK", "s"), "ERR Not a listpack encoded object."),
        (("QUICKLIST", "h"), "ERR Not a quicklist encoded object."),
        (("SDSLEN", "i"), "ERR Not an sds encoded string."),
        (("LISTPACK", "none"), "ERR no such key"),
    ):
        assert engine.error("DEBUG", *words) == error


def test_debug_ends_the_process_as_a_fault_would() -> None:
    """What operators try a failover with."""
    engine = TestEngine("enable-debug-command yes")
    names = ("SEGFAULT", "PANIC", "ASSERT", "OOM")
    for name in names:
        engine.call("DEBUG", name)

    assert engine.host.asked == ["crash"] * len(names)


def test_debug_can_have_restore_try_what_has_a_wrong_checksum() -> None:
    """How damaged values and libraries are taken is tested so; the version is looked at still."""
    engine = TestEngine("enable-debug-command yes")
    engine.call("SET", "k", "value")
    engine.call("FUNCTION", "LOAD", "#!lua name=l\nredis.register_function('f', math.abs)")
    value, library = engine.call("DUMP", "k"), engine.call("FUNCTION", "DUMP")
    wrong = "ERR DUMP payload version or checksum are wrong"
    requests = [
        ("RESTORE", "copy", 0, value[:-1] + b"?"),
        ("FUNCTION", "RESTORE", library[:-1] + b"?", "FLUSH"),
    ]
    for words in requests:
        assert engine.error(*words) == wrong

    engine.call("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)

    for words in requests:
        assert engine.call(*words) == b"OK"
    assert engine.call("GET", "copy") == b"value"
    assert engine.error("RESTORE", "newer", 0, value[:-10] + b"\xff" + value[-9:]) == wrong
    engine.call("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 0)
    assert engine.error("RESTORE", "other", 0, value[:-1] + b"?") == wrong


@pytest.mark.parametrize(
    ("name", "resp2", "resp3"),
    [
        ("double", b"$5\r\n3.141\r\n", b",3.141\r\n"),
        ("null", b"$-1\r\n", b"_\r\n"),
        ("set", b"*3\r\n:0\r\n:1\r\n:2\r\n", b"~3\r\n:0\r\n:1\r\n:2\r\n"),
        ("true", b":1\r\n", b"#t\r\n"),
        (
            "map",
            b"*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n",
            b"%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n",
        ),
    ],
)
def test_debug_protocol_shows_every_type(name: str, resp2: bytes, resp3: bytes) -> None:
    """Client libraries test their parsers with it."""
    engine = TestEngine("enable-debug-command yes")

    assert engine.raw("DEBUG", "PROTOCOL", name) == resp2
    engine.call("HELLO", "3")
    assert engine.raw("DEBUG", "PROTOCOL", name) == resp3


def containers_with_help() -> list[str]:
    """Return the names of the commands that answer HELP; DEBUG has no rows for subcommands.

    CLUSTER refuses even that without cluster support.
    """
    names = [row.full_name for row in command_table().all_rows() if row.name == "help"]
    return ["DEBUG", *sorted({name.partition("|")[0].upper() for name in names} - {"CLUSTER"})]


@pytest.mark.parametrize("name", containers_with_help())
def test_help_lists_the_subcommands(name: str) -> None:
    """Under the name in capitals, whatever was sent, as Redis does."""
    engine = TestEngine("enable-debug-command yes")

    lines = engine.call(name.lower(), "HELP")

    assert (
        lines[0] == b"%b <subcommand> [<arg> [value] [opt] ...]. Subcommands are:" % name.encode()
    )
    assert b"HELP" in lines


@pytest.mark.parametrize("command", ["ASKING", "READONLY", "READWRITE"])
def test_clients_of_a_cluster_hear_that_there_is_none(command: str) -> None:
    """Their libraries look for this text, and then go on as with a single node."""
    assert TestEngine().error(command) == "ERR This instance has cluster support disabled"


def test_words_about_stopping_are_shown_in_one_order() -> None:
    """Whatever order they were given in, as by Redis."""
    engine = TestEngine()
    engine.call("CONFIG", "SET", "shutdown-on-sigint", "force now nosave")

    assert engine.call("CONFIG", "GET", "shutdown-on-sigint")[1] == b"nosave now force"
