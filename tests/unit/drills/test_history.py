"""Histories: numbered records of what clients asked and were told."""

from __future__ import annotations

import json

import pytest

from drills.history import History, Outcome


def test_an_unknown_outcome_gives_the_writer_a_new_process() -> None:
    """Jepsen's rule: a process whose operation may still happen never begins another one."""
    history = History(writer_count=2)
    history.invoke(0, "set", "a", "1", 10)
    history.complete(0, Outcome.INFO, 20, error="WriteUncertain: lost")
    history.invoke(0, "set", "b", "2", 30)
    history.complete(0, Outcome.FAIL, 40, error="ReplyError: READONLY")
    history.invoke(0, "set", "c", "3", 50)

    assert [event.process for event in history] == [0, 0, 2, 2, 2]
    assert [event.index for event in history] == [0, 1, 2, 3, 4]


def test_operations_join_invocation_and_completion() -> None:
    history = History(writer_count=2)
    history.invoke(0, "incr", "n", None, 10)
    history.invoke(1, "set", "a", "1", 11)
    history.complete(1, Outcome.OK, 12)
    history.complete(0, Outcome.OK, 13, value=1)

    first, second = history.operations()
    assert (first.key, first.value, first.invoked_ns, first.completed_ns) == ("a", "1", 11, 12)
    assert (second.key, second.value, second.outcome) == ("n", 1, Outcome.OK)


def test_an_operation_cut_off_is_of_unknown_outcome() -> None:
    history = History(writer_count=1)
    history.invoke(0, "set", "a", "1", 10)

    (operation,) = history.operations()
    assert operation.outcome is Outcome.INFO
    assert operation.completed_ns is None


def test_a_writer_has_one_operation_open_at_a_time() -> None:
    history = History(writer_count=1)
    history.invoke(0, "set", "a", "1", 10)

    with pytest.raises(AssertionError, match="has an operation open"):
        history.invoke(0, "set", "b", "2", 11)


def test_records_are_json_with_jepsens_names() -> None:
    history = History(writer_count=1)
    history.invoke(0, "set", "a", "1", 10)
    history.complete(0, Outcome.FAIL, 20, error="ReplyError: OOM")

    records = [json.loads(event.to_json()) for event in history]
    assert records == [
        {"index": 0, "process": 0, "writer": 0, "type": "invoke", "f": "set", "key": "a",
         "value": "1", "time": 10},
        {"index": 1, "process": 0, "writer": 0, "type": "fail", "f": "set", "key": "a",
         "value": "1", "time": 20, "error": "ReplyError: OOM"},
    ]  # fmt: skip
