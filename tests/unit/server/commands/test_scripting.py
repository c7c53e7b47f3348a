"""Scripts: what they leave in the dataset and the stream, and what they cannot leave behind."""

from __future__ import annotations

import pytest

from tests.support.engine import RecordingSink, TestEngine


def test_a_script_is_replicated_by_its_effects_as_one_unit() -> None:
    engine = TestEngine()
    sink = RecordingSink()
    engine.engine.sinks.append(sink)

    engine.call("EVAL", "redis.call('set', 'a', 1) redis.call('incr', 'a') return 1", 0)

    assert sink.take() == [[b"set", b"a", b"1"], [b"incr", b"a"]]


def test_what_set_repl_hides_is_not_replicated() -> None:
    engine = TestEngine()
    sink = RecordingSink()
    engine.engine.sinks.append(sink)
    script = (
        "redis.call('set', 'a', 1) redis.set_repl(redis.REPL_NONE) redis.call('set', 'b', 2)"
        " redis.set_repl(redis.REPL_ALL) redis.call('set', 'c', 3)"
    )

    engine.call("EVAL", script, 0)

    assert sink.take() == [[b"set", b"a", b"1"], [b"set", b"c", b"3"]]


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
    assert sink.take() == [[b"set", b"a", b"1"]]


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
