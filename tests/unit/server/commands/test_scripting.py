"""Scripts: what they leave in the dataset and the stream, and what they cannot leave behind."""

from __future__ import annotations

import pytest

from tests.support.engine import RecordingSink, TestEngine


def test_a_script_is_replicated_by_its_effects_as_one_unit() -> None:
    engine = TestEngine()
    sink = RecordingSink()
    engine.engine.sinks.append(sink)

    engine.call("EVAL", "redis.call('set', 'a', 1) redis.call('incr', 'a') return 1", 0)

    assert sink.take_commands() == [[b"set", b"a", b"1"], [b"incr", b"a"]]


def test_what_set_repl_hides_is_not_replicated() -> None:
    engine = TestEngine()
    sink = RecordingSink()
    engine.engine.sinks.append(sink)
    script = (
        "redis.call('set', 'a', 1) redis.set_repl(redis.REPL_NONE) redis.call('set', 'b', 2)"
        " redis.set_repl(redis.REPL_ALL) redis.call('set', 'c', 3)"
    )

    engine.call("EVAL", script, 0)

    assert sink.take_commands() == [[b"set", b"a", b"1"], [b"set", b"c", b"3"]]


def test_what_set_repl_keeps_from_some_the_others_are_told() -> None:
    """The file and the replicas each have a unit of their own then."""
    engine = TestEngine()
    engine.engine.aof.gather()
    sink = RecordingSink()
    engine.engine.sinks.append(sink)
    script = (
        "redis.set_repl(redis.REPL_AOF) redis.call('set', 'file', 1)"
        " redis.set_repl(redis.REPL_REPLICA) redis.call('set', 'replicas', 2)"
        " redis.set_repl(redis.REPL_ALL) redis.call('set', 'all', 3)"
    )

    engine.call("MULTI")
    engine.call("SET", "before", 0)
    engine.call("EVAL", script, 0)
    engine.call("SET", "after", 4)
    engine.call("EXEC")

    assert [words[1] for words in sink.take_commands()] == [
        b"before",
        b"replicas",
        b"all",
        b"after",
    ]
    written = engine.engine.aof.output()
    names = [b"before", b"file", b"all", b"after"]
    assert sorted(names, key=written.index) == names
    assert b"replicas" not in written


def test_select_ends_with_the_script() -> None:
    engine = TestEngine()

    engine.call("EVAL", "redis.call('select', 3) redis.call('set', 'a', 1)", 0)

    assert engine.call("GET", "a") is None
    engine.call("SELECT", 3)
    assert engine.call("GET", "a") == b"1"


def test_what_a_failing_script_has_written_stays() -> None:
    """Redis rolls nothing back, and replicas have to see what was done."""
    engine = TestEngine()
    sink = RecordingSink()
    engine.engine.sinks.append(sink)

    error = engine.error("EVAL", "redis.call('set', 'a', 1) error('no')", 0)

    assert error.startswith("ERR user_script:1: no script: ")
    assert sink.take_commands() == [[b"set", b"a", b"1"]]


@pytest.mark.parametrize(("key_count", "argument_count"), [(0, 3), (2, 3), (40, 40), (3000, 9000)])
def test_scripts_get_their_keys_and_arguments_however_many(
    key_count: int, argument_count: int
) -> None:
    engine = TestEngine()
    keys = [f"k{number}" for number in range(key_count)]
    arguments = [f"a{number}" for number in range(argument_count)]
    script = "return {#KEYS, #ARGV, tostring(KEYS[#KEYS]), ARGV[1], ARGV[#ARGV]}"

    reply = engine.call("EVAL", script, key_count, *keys, *arguments)

    last_key = keys[-1] if keys else "nil"
    expected = [last_key.encode(), b"a0", arguments[-1].encode()]
    assert [key_count, argument_count, *expected] == reply


def test_a_script_inside_exec_is_part_of_its_unit() -> None:
    engine = TestEngine()
    engine.call("MULTI")
    engine.call("EVAL", "return redis.call('set', 'a', 1)", 0)
    engine.call("INCR", "a")

    assert engine.call("EXEC") == [b"OK", 2]


@pytest.mark.parametrize(
    "attempt",
    [
        "x = 1",
        "string.foo = 1",
        "rawset(_G, 'x', 1)",
        "rawset(string, 'x', 1)",
        "table.insert(_G, 1)",
        "setmetatable(_G, {})",
        "getmetatable(_G).__index = nil",
        "getmetatable('').__index = nil",
        "getmetatable('').__index.x = 1",
        "loadstring('y = 1')()",
        "load(function() local t = s; s = nil; return t end)()",
        "coroutine.wrap(function() z = 1 end)()",
    ],
)
def test_a_script_leaves_no_trace_in_its_lua(attempt: str) -> None:
    """What one script could change, the next of another client would run with."""
    engine = TestEngine()
    probe = "local n = 0 for name in pairs(_G) do n = n + 1 end return {n, ('x'):rep(2)}"
    before = engine.call("EVAL", probe, 0)

    engine.error("EVAL", attempt, 0)

    assert before == engine.call("EVAL", probe, 0)


@pytest.mark.parametrize(
    "name", ["python", "os", "io", "debug", "require", "package", "getfenv", "dofile", "newproxy"]
)
def test_what_leads_out_of_the_sandbox_is_not_there(name: str) -> None:
    engine = TestEngine()

    error = engine.error("EVAL", f"return {name}", 0)

    assert "nonexistent global variable" in error


def test_a_fault_of_a_command_cannot_be_caught_by_a_script() -> None:
    """A crash is ours: it is reported as one, not as an error that scripts may handle."""
    engine = TestEngine()

    def crash(ctx: object, argv: list[bytes]) -> None:
        raise ZeroDivisionError

    engine.engine.table.find([b"GET"]).handler = crash

    with pytest.raises(ZeroDivisionError):
        engine.call("EVAL", "pcall(redis.call, 'get', 'a') return 1", 0)
    assert engine.call("EVAL", "return 1", 0) == 1


ENDLESS = (
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "coroutine.wrap(function() while true do end end)()",
    "for _ in pairs({1}) do while true do xpcall(error, function() end) end end",
)


def run_slow(engine: TestEngine, script: str, *requests: tuple[str, ...]) -> tuple[str, list[str]]:
    """Run `script` while another client sends `requests`; return both's answers.

    The script is ended with the server if nobody else ends it.
    """
    engine.call("CONFIG", "SET", "busy-reply-threshold", "1")
    other = engine.connect()
    heard: list[str] = []

    def serve(run: object) -> None:
        if not heard:
            heard.extend(engine.raw(*request, session=other).decode() for request in requests)
        else:
            engine.engine.scripting.end_run()

    engine.engine.scripting.on_slow = serve
    return engine.error("EVAL", script, 0), heard


@pytest.mark.parametrize("script", ENDLESS)
def test_a_slow_script_can_be_killed_and_others_hear_that_it_runs(script: str) -> None:
    """Whatever it catches, and in whatever coroutine it runs."""
    engine = TestEngine()

    error, heard = run_slow(engine, script, ("PING",), ("SHUTDOWN",), ("SCRIPT", "KILL"))

    assert error.startswith("ERR Script killed by user with SCRIPT KILL...")
    busy = "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    assert [f"{busy}\r\n", f"{busy}\r\n", "+OK\r\n"] == heard
    assert engine.raw("PING") == b"+PONG\r\n"


def test_a_script_that_has_written_cannot_be_killed() -> None:
    """Half of its effects would be on the replicas, and the rest nowhere."""
    engine = TestEngine()

    _, heard = run_slow(engine, "redis.call('set', 'a', 1) while true do end", ("SCRIPT", "KILL"))

    assert heard[0].startswith("-UNKILLABLE Sorry the script already executed write commands")


def test_what_others_do_meanwhile_leaves_the_script_its_database_and_unit() -> None:
    engine = TestEngine()
    sink = RecordingSink()
    engine.engine.sinks.append(sink)
    script = "redis.call('select', 2) redis.call('set', 'a', 1) while true do end"

    run_slow(engine, script, ("MULTI",), ("DISCARD",))
    engine.call("SELECT", 2)

    assert engine.call("GET", "a") == b"1"
    assert sink.take_commands() == [[b"set", b"a", b"1"]]
