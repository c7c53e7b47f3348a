"""Random draws are uniform, whatever came and went before."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from server.store.roster import Roster

SETTINGS = settings(max_examples=200)

#: Chi-square with 19 degrees of freedom exceeds this once in 100,000 times.
LIMIT_19 = 57.5


def chi_square(counts: Counter[bytes], total: int, kinds: int) -> float:
    expected = total / kinds
    assert len(counts) <= kinds
    seen = sum((count - expected) ** 2 / expected for count in counts.values())
    return seen + (kinds - len(counts)) * expected


def roster_with_a_past() -> Roster:
    """Return one of 20 members, after others were removed, and some of the 20 removed and added."""
    roster = Roster([b"%d" % number for number in range(25)])
    for number in (20, 3, 21, 22, 3, 23, 24):
        if number == 3:
            roster.remove(b"3")
            roster.add(b"3")
        else:
            roster.remove(b"%d" % number)
    return roster


def test_every_member_is_drawn_with_the_same_chance() -> None:
    """Members that were removed and added again included."""
    generator = random.Random(1)
    roster = roster_with_a_past()

    counts = Counter(roster.draw(generator) for _ in range(20_000))

    assert chi_square(counts, 20_000, 20) < LIMIT_19


def test_every_member_is_taken_first_with_the_same_chance() -> None:
    generator = random.Random(2)

    counts = Counter(roster_with_a_past().take(generator) for _ in range(20_000))

    assert chi_square(counts, 20_000, 20) < LIMIT_19


def test_samples_contain_every_member_with_the_same_chance() -> None:
    """Both ways of sampling, for few and for many."""
    generator = random.Random(3)
    for size in (3, 15):
        roster = roster_with_a_past()
        counts: Counter[bytes] = Counter()
        for _ in range(5_000):
            counts.update(roster.sample(generator, size))

        assert chi_square(counts, 5_000 * size, 20) < LIMIT_19


@SETTINGS
@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove", "take", "draw", "sample"]), st.integers(0, 15))
    ),
    st.integers(),
)
def test_what_is_drawn_is_there(steps: list[tuple[str, int]], seed: int) -> None:
    """A set that is changed alongside always agrees."""
    generator = random.Random(seed)
    members = {b"%d" % number for number in range(8)}
    roster = Roster(members)
    for step, number in steps:
        member = b"%d" % number
        match step:
            case "add" if member not in members:
                members.add(member)
                roster.add(member)
            case "remove" if member in members:
                members.remove(member)
                roster.remove(member)
            case "take" if members:
                members.remove(roster.take(generator))
            case "draw" if members:
                assert roster.draw(generator) in members
            case "sample":
                size = min(number, len(members))
                found = roster.sample(generator, size)
                assert len(set(found)) == size
                assert members.issuperset(found)
    taken = {roster.take(generator) for _ in range(len(members))}
    assert taken == members


@SETTINGS
@given(st.integers(30, 200), st.integers(1, 20), st.integers())
def test_members_that_stay_are_scanned_while_others_come_and_go(
    size: int, count: int, seed: int
) -> None:
    """Whatever is taken, removed or added between two steps, and the scan ends."""
    generator = random.Random(seed)
    passing = [b"p%d" % number for number in range(size)]
    roster = Roster([name for number in range(size) for name in (passing[number], b"s%d" % number)])
    present = set(passing)
    found: set[bytes] = set()
    cursor = -1
    steps = 0
    while cursor:
        cursor, members = roster.scan(max(cursor, 0), count)
        found.update(members)
        steps += 1
        for _ in range(generator.randrange(4 * count)):
            name = generator.choice(passing)
            if name in present:
                present.remove(name)
                roster.remove(name)
            else:
                present.add(name)
                roster.add(name)
        roster.draw(generator)

    assert found >= {b"s%d" % number for number in range(size)}
    assert steps <= 2 * size + 1


def test_a_scan_of_what_stays_as_it_is_returns_every_member_once() -> None:
    roster = Roster([b"%d" % number for number in range(25)])
    roster.remove(b"24")

    cursor, found = roster.scan(0, 10)
    while cursor:
        cursor, members = roster.scan(cursor, 10)
        found += members

    assert sorted(found) == sorted(b"%d" % number for number in range(24))
