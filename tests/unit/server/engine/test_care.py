"""Which commands are looked at more closely, in which state of the server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.engine import ServerEngine
from tests.support.engine import START_MS, TestEngine

#: A command of each sort that some state tells apart.
READ, WRITE, GROWING, SCRIPT, PUBLISH = "get", "del", "set", "eval", "publish"
SORTS = {READ, WRITE, GROWING, SCRIPT, PUBLISH}


def follow(engine: ServerEngine) -> None:
    engine.set_role(is_replica=True)


def lose_the_master(engine: ServerEngine, *, serves_stale_data: bool) -> None:
    follow(engine)
    engine.set_link_state(is_down=True, serves_stale_data=serves_stale_data)


def run_out_of_memory(engine: ServerEngine) -> None:
    engine.memory.is_exceeded = True
    engine.recheck()


def break_saving(engine: ServerEngine) -> None:
    engine.is_saving_broken = True
    engine.recheck()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda engine: None, set()),
        (follow, {WRITE, GROWING, SCRIPT}),
        (lambda engine: lose_the_master(engine, serves_stale_data=True), {WRITE, GROWING, SCRIPT}),
        (lambda engine: lose_the_master(engine, serves_stale_data=False), SORTS),
        (lambda engine: engine.set_write_guard(lambda: True), {WRITE, GROWING, SCRIPT}),
        (run_out_of_memory, {GROWING, SCRIPT}),
        (break_saving, SORTS),
        (lambda engine: engine.begin_loading(START_MS), SORTS),
        (
            lambda engine: engine.pause(START_MS + 1000, writes_only=True),
            {WRITE, GROWING, SCRIPT, PUBLISH},
        ),
        (lambda engine: engine.pause(START_MS + 1000, writes_only=False), SORTS),
    ],
)
def test_only_commands_that_the_state_concerns_need_care(
    change: Callable[[ServerEngine], None], expected: set[str]
) -> None:
    """Reads of a replica went the long way because writes are refused there."""
    engine = TestEngine().engine
    change(engine)

    found = {name for name in SORTS if (row := engine.table.by_own_name(name)) and row.needs_care}
    assert found == expected
    assert engine.needs_care is bool(expected)


def test_care_ends_with_what_asked_for_it() -> None:
    """A replica that is promoted is a plain master again."""
    engine = TestEngine().engine
    follow(engine)
    engine.set_role(is_replica=False)

    assert not any(row.needs_care for row in engine.table.all_rows())


def test_a_master_whose_old_link_was_down_refuses_nothing() -> None:
    """Only a replica has stale data."""
    engine = TestEngine().engine
    lose_the_master(engine, serves_stale_data=False)
    engine.set_role(is_replica=False)

    assert not engine.needs_care
