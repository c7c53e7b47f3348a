"""Functions: how long they may take, what gates their flags open, and what is told of them."""

from __future__ import annotations

import pytest

from tests.support.engine import RecordingSink, TestEngine

ENDLESS = "while true do end"


def library(body: str, *, name: str = "f", flags: str = "") -> str:
    """Return the text of a library with one function; `flags` is Lua."""
    return (
        f"#!lua name={name}\nredis.register_function{{function_name='{name}', flags={{{flags}}},"
        f"callback=function(keys, args) {body} end}}"
    )


def test_functions_are_replicated_as_loaded_and_their_effects_as_one_unit() -> None:
    engine = TestEngine()
    sink = RecordingSink()
    engine.engine.sinks.append(sink)
    text = library("redis.call('set', 'a', 1) redis.call('incr', 'a')")

    engine.call("FUNCTION", "LOAD", text)
    engine.call("FCALL", "f", 0)
    engine.call("FUNCTION", "DELETE", "f")
    engine.call("FUNCTION", "FLUSH")

    assert [len(unit) for unit in sink.units] == [1, 2, 1, 1]
    assert sink.take_commands() == [
        [b"FUNCTION", b"LOAD", text.encode()],
        [b"set", b"a", b"1"],
        [b"incr", b"a"],
        [b"FUNCTION", b"DELETE", b"f"],
        [b"FUNCTION", b"FLUSH"],
    ]


def test_loading_that_takes_too_long_is_ended() -> None:
    """The code of a library is only to register functions, and nobody is served meanwhile."""
    engine = TestEngine()
    started_s = 0.0

    def clock() -> float:
        nonlocal started_s
        started_s += 0.2
        return started_s

    engine.engine._clock = clock

    error = engine.error("FUNCTION", "LOAD", f"#!lua name=f\n{ENDLESS}")

    assert error == "ERR Error registering functions: ERR FUNCTION LOAD timeout"
    assert engine.call("FUNCTION", "LIST") == []


def test_what_the_master_loads_has_no_limit() -> None:
    """It was loaded there: a replica that gives up would not be a copy."""
    engine = TestEngine()
    started_s = 0.0

    def clock() -> float:
        nonlocal started_s
        started_s += 1000
        return started_s

    engine.engine._clock = clock
    engine.session.is_deaf = True
    busy = "for i = 1, 1000000 do end "

    engine.raw("FUNCTION", "LOAD", f"#!lua name=f\n{busy} redis.register_function('f', redis.log)")

    assert engine.engine.scripting.functions.libraries.find(b"f") is not None


def test_a_slow_function_is_told_of_and_can_be_killed() -> None:
    engine = TestEngine()
    engine.call("FUNCTION", "LOAD", library(ENDLESS))
    engine.call("CONFIG", "SET", "busy-reply-threshold", "1")
    other = engine.connect()
    heard: list[bytes] = []

    def serve(run: object) -> None:
        if heard:
            return
        requests = ("PING", "SCRIPT KILL", "FUNCTION STATS", "FUNCTION FLUSH", "FUNCTION KILL")
        heard.extend(engine.raw(*request.split(), session=other) for request in requests)

    engine.engine.scripting.on_slow = serve
    error = engine.error("FCALL", "f", 1, "k")

    assert error.startswith("ERR Script killed by user with SCRIPT KILL... script: f, on @user_fu")
    busy = (
        b"-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN"
        b" NOSAVE.\r\n"
    )
    assert heard[:2] == [busy, busy]
    assert b"$4\r\nname\r\n$1\r\nf\r\n$7\r\ncommand\r\n*4\r\n$5\r\nFCALL\r\n" in heard[2]
    assert heard[3:] == [busy, b"+OK\r\n"]
    assert engine.call("FUNCTION", "STATS")[:2] == [b"running_script", None]


def test_an_eval_is_not_told_of_as_a_function() -> None:
    engine = TestEngine()
    engine.call("CONFIG", "SET", "busy-reply-threshold", "1")
    other = engine.connect()
    heard: list[bytes] = []

    def serve(run: object) -> None:
        heard.append(engine.raw("FUNCTION", "STATS", session=other))
        engine.call("SCRIPT", "KILL", session=other)

    engine.engine.scripting.on_slow = serve
    engine.error("EVAL", ENDLESS, 0)

    assert heard[0].startswith(b"-BUSY")


@pytest.mark.parametrize("is_queued", [False, True])
def test_a_replica_runs_what_does_not_write(is_queued: bool) -> None:
    """By what the function says of itself: also when it is queued, as EXEC would fail else."""
    engine = TestEngine()
    engine.call("FUNCTION", "LOAD", library("return 1", name="writes"))
    engine.call("FUNCTION", "LOAD", library("return 2", name="reads", flags="'no-writes'"))
    engine.engine.set_role(is_replica=True)

    if is_queued:
        engine.call("MULTI")
        engine.call("FCALL", "reads", 0)
        assert engine.call("EXEC") == [2]
        engine.call("MULTI")
    assert engine.call("FCALL", "reads", 0) == (b"QUEUED" if is_queued else 2)
    error = engine.error("FCALL", "writes", 0)
    assert error == "READONLY You can't write against a read only replica."
    script = "#!lua flags=no-writes\nreturn 3"
    assert engine.call("EVAL", script, 0) == (b"QUEUED" if is_queued else 3)


def test_what_may_write_now_is_judged_when_it_runs() -> None:
    """It may have been another function, which only read, when it was queued."""
    engine = TestEngine()
    engine.call("FUNCTION", "LOAD", library("return 1", flags="'no-writes'"))
    engine.call("MULTI")
    engine.call("FCALL", "f", 0)
    engine.call("FUNCTION", "LOAD", "REPLACE", library("return 1"), session=engine.connect())
    engine.engine.aof.write_error = "No space left on device"

    (error,) = engine.call("EXEC")

    assert str(error).startswith("MISCONF Redis is configured to persist data to AOF")
    assert str(error).endswith("AOF error: No space left on device")


def test_info_counts_scripts_and_functions() -> None:
    engine = TestEngine()
    engine.call("FUNCTION", "LOAD", library("return 1"))
    engine.call("EVAL", "return 1", 0)
    engine.call("EVAL", "return 2", 0)

    fields = dict(
        line.split(":", 1) for line in engine.call("INFO", "memory").decode().splitlines()[1:]
    )

    assert fields["number_of_cached_scripts"] == "2"
    assert fields["number_of_functions"] == fields["number_of_libraries"] == "1"
    assert int(fields["used_memory_vm_eval"]) > 10_000
    assert int(fields["used_memory_vm_functions"]) > 10_000
    total = int(fields["used_memory_functions"]) + int(fields["used_memory_scripts_eval"])
    assert int(fields["used_memory_scripts"]) == total > 100

    engine.call("SCRIPT", "FLUSH")
    engine.call("FUNCTION", "FLUSH")
    after = engine.call("INFO", "memory").decode()
    assert "number_of_cached_scripts:0\r\nnumber_of_functions:0\r\n" in after
    assert "used_memory_scripts_eval:0\r\n" in after


def test_functions_survive_flushall_and_reload() -> None:
    engine = TestEngine("enable-debug-command yes")
    engine.call("FUNCTION", "LOAD", library("return 1"))

    engine.call("FLUSHALL")
    engine.call("FLUSHDB")
    assert engine.error("DEBUG", "RELOAD", "NOFLUSH") == "ERR Error trying to load the RDB dump"
    engine.call("DEBUG", "RELOAD")
    engine.call("DEBUG", "RELOAD", "NOFLUSH", "MERGE")

    assert engine.call("FCALL", "f", 0) == 1
