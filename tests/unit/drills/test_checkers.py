"""The checkers, against histories whose truth is known because they were made up here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.checkers import (
    Beat,
    Read,
    TakenWrite,
    check_counter,
    check_set,
    measure_outage,
    measure_split_brain,
    measure_staleness,
)
from drills.history import Operation, Outcome

MS = 1_000_000


def make_set(
    key: str, outcome: Outcome, *, value: str | None = None, writer: int = 0, at_ms: int = 1
) -> Operation:
    return Operation(
        writer=writer,
        function="set",
        key=key,
        value=value or f"value of {key}",
        outcome=outcome,
        invoked_ns=at_ms * MS,
        completed_ns=at_ms * MS,
        error=None if outcome is Outcome.OK else "SomeError: text",
    )


#: For one key: how its write ended, whether the server applied it, and whether that survived.
Fate = tuple[Outcome, bool, bool]

fates = st.lists(
    st.tuples(
        st.sampled_from([Outcome.OK, Outcome.FAIL, Outcome.INFO]), st.booleans(), st.booleans()
    )
)


@given(fates)
def test_every_write_is_judged_by_what_happened_to_it(fates: list[Fate]) -> None:
    """The checker sees outcomes and the final state only, and must find the truth behind them."""
    operations = [make_set(f"k{i}", outcome) for i, (outcome, _, _) in enumerate(fates)]
    lost, recovered, unexpected, final = [], [], [], {}
    for i, (outcome, was_applied, survived) in enumerate(fates):
        key = f"k{i}"
        is_there = survived and (was_applied or outcome is Outcome.OK)
        if is_there:
            final[key] = f"value of {key}"
        match outcome:
            case Outcome.OK if not is_there:
                lost.append(key)
            case Outcome.INFO if is_there:
                recovered.append(key)
            case Outcome.FAIL if is_there:
                unexpected.append(key)

    verdict = check_set(operations, final)

    assert [operation.key for operation in verdict.lost] == lost
    assert list(verdict.recovered) == recovered
    assert list(verdict.unexpected) == unexpected
    assert (
        verdict.acknowledged + verdict.refused + verdict.unknown == verdict.attempted == len(fates)
    )


@given(fates, st.integers(0, 5))
def test_a_wrong_value_or_a_strange_key_is_never_taken_for_a_write(
    fates: list[Fate], strange: int
) -> None:
    operations = [make_set(f"k{i}", outcome) for i, (outcome, _, _) in enumerate(fates)]
    final = {operation.key: "not what was written" for operation in operations}
    final |= {f"strange{i}": "x" for i in range(strange)}

    verdict = check_set(operations, final)

    assert set(verdict.unexpected) == set(final)
    assert not verdict.recovered


def test_a_key_written_twice_is_refused() -> None:
    """Its absence at the end would not tell which of the two writes was lost."""
    with pytest.raises(ValueError, match="more than once"):
        check_set([make_set("a", Outcome.OK), make_set("a", Outcome.OK)], {})


def make_increment(answer: int | None, outcome: Outcome) -> Operation:
    return Operation(
        writer=0,
        function="incr",
        key="n",
        value=answer,
        outcome=outcome,
        invoked_ns=0,
        completed_ns=1,
    )


@given(
    st.lists(st.sampled_from(["ok", "unknown, done", "unknown, not done", "refused"])),
    st.integers(0, 20),
    st.lists(st.sampled_from(["ok", "unknown, done", "unknown, not done", "refused"])),
)
def test_the_bounds_of_a_counter_hold_the_truth(
    before: list[str], undone_wanted: int, after: list[str]
) -> None:
    """A failover undoes the last increments; the bounds must contain the number really lost."""
    counter = 0
    operations: list[Operation] = []
    applied: list[bool] = []  # for each increment that was applied: whether it was acknowledged

    def run(fates: list[str]) -> None:
        nonlocal counter
        for fate in fates:
            if fate in ("ok", "unknown, done"):
                counter += 1
                applied.append(fate == "ok")
            match fate:
                case "ok":
                    operations.append(make_increment(counter, Outcome.OK))
                case "refused":
                    operations.append(make_increment(None, Outcome.FAIL))
                case _:
                    operations.append(make_increment(None, Outcome.INFO))

    run(before)
    undone = min(undone_wanted, counter)
    lost = sum(applied[len(applied) - undone :])
    del applied[len(applied) - undone :]
    counter -= undone
    run(after)

    verdict = check_counter(operations, counter)

    assert verdict.lost_at_least <= lost <= verdict.lost_at_most
    assert verdict.excess == 0


def test_answers_given_twice_are_found() -> None:
    operations = [make_increment(answer, Outcome.OK) for answer in (1, 2, 3, 2, 3, 4)]

    verdict = check_counter(operations, final=4)

    assert verdict.repeated == (2, 3)
    assert verdict.lost_at_least == verdict.lost_at_most == 2


def test_more_than_was_asked_for_is_excess() -> None:
    operations = [make_increment(1, Outcome.OK), make_increment(None, Outcome.INFO)]

    assert check_counter(operations, final=2).excess == 0
    assert check_counter(operations, final=5).excess == 3


def test_the_outage_of_a_writer_is_its_longest_silence() -> None:
    operations = [
        make_set("a", Outcome.OK, writer=0, at_ms=10),
        make_set("b", Outcome.OK, writer=0, at_ms=500),
        make_set("c", Outcome.OK, writer=1, at_ms=400),
        make_set("d", Outcome.FAIL, writer=1, at_ms=500),
        make_set("e", Outcome.OK, writer=0, at_ms=600),
    ]

    outage = measure_outage(operations, range(3), start_ns=0, end_ns=1000 * MS)

    assert outage.gap_ms == {0: 490.0, 1: 600.0, 2: 1000.0}
    assert (outage.p50_ms, outage.max_ms) == (600.0, 1000.0)
    assert outage.errors == {"SomeError": 1}


def test_without_writers_there_is_no_outage() -> None:
    outage = measure_outage([], [], start_ns=0, end_ns=MS)

    assert outage.p50_ms is None
    assert outage.max_ms is None


def test_a_read_is_as_stale_as_the_first_newer_version_is_old() -> None:
    """What was acknowledged after it was asked, and what it saw early, make it no older."""
    beats = [Beat(1, 10 * MS), Beat(2, 20 * MS), Beat(4, 40 * MS)]
    reads = [
        Read("fresh", 2, 30 * MS),
        Read("fresh", 4, 35 * MS),
        Read("fresh", 3, 39 * MS),
        Read("behind", 1, 21 * MS),
        Read("behind", 1, 29 * MS),
        Read("behind", 2, 45 * MS),
        Read("empty", 0, 25 * MS),
    ]

    assert measure_staleness(beats, reads) == {"fresh": 0.0, "behind": 9.0, "empty": 15.0}
    assert measure_staleness([], [Read("x", 0, 5)]) == {"x": 0.0}


def taken(*times_ms: int, took_ms: int = 1, broken_at: int | None = None) -> list[TakenWrite]:
    return [
        TakenWrite((at_ms - took_ms) * MS, at_ms * MS, at_ms not in (times_ms[0], broken_at))
        for at_ms in times_ms
    ]


def test_two_masters_are_counted_for_as_long_as_both_take_writes() -> None:
    """Three at a time count once; a pause of the probe itself is no refusal."""
    both = {"a": taken(0, 50, 300), "b": taken(200, 250, 400)}
    assert measure_split_brain(both, 100 * MS) == 100.0
    assert measure_split_brain({**both, "c": taken(210, 290)}, 100 * MS) == 100.0
    assert measure_split_brain({"a": taken(0, 100), "b": taken(100, 200)}, 100 * MS) == 0.0


def test_a_node_that_refuses_or_stands_still_takes_no_writes_meanwhile() -> None:
    """Between two acknowledgements with a refusal, or a long wait, it was no master."""
    other = taken(0, 1000)
    assert measure_split_brain({"a": taken(0, 900, broken_at=900), "b": other}, 100 * MS) == 0.0
    assert measure_split_brain({"a": taken(0, 900, took_ms=500), "b": other}, 100 * MS) == 0.0
    assert measure_split_brain({"a": taken(0, 900), "b": other}, 100 * MS) == 900.0
