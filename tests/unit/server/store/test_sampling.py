"""Random draws are uniform, whatever came and went before."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from server.store.sampling import Sampler

SETTINGS = settings(derandomize=True, deadline=None, database=None, max_examples=200)

#: Chi-square with 19 degrees of freedom exceeds this once in 100,000 times.
LIMIT_19 = 57.5


def chi_square(counts: Counter[bytes], total: int, kinds: int) -> float:
    expected = total / kinds
    assert len(counts) <= kinds
    seen = sum((count - expected) ** 2 / expected for count in counts.values())
    return seen + (kinds - len(counts)) * expected


def sampler_with_a_past() -> Sampler:
    """Return one of 20 members, after others were removed, and some of the 20 removed and added."""
    sampler = Sampler([b"%d" % number for number in range(25)])
    for number in (20, 3, 21, 22, 3, 23, 24):
        if number == 3:
            sampler.remove(b"3")
            sampler.add(b"3")
        else:
            sampler.remove(b"%d" % number)
    return sampler


def test_every_member_is_drawn_with_the_same_chance() -> None:
    """Members that were removed and added again included."""
    generator = random.Random(1)
    sampler = sampler_with_a_past()

    counts = Counter(sampler.draw(generator) for _ in range(20_000))

    assert chi_square(counts, 20_000, 20) < LIMIT_19


def test_every_member_is_taken_first_with_the_same_chance() -> None:
    generator = random.Random(2)

    counts = Counter(sampler_with_a_past().take(generator) for _ in range(20_000))

    assert chi_square(counts, 20_000, 20) < LIMIT_19


def test_samples_contain_every_member_with_the_same_chance() -> None:
    """Both ways of sampling, for few and for many."""
    generator = random.Random(3)
    for size in (3, 15):
        sampler = sampler_with_a_past()
        counts: Counter[bytes] = Counter()
        for _ in range(5_000):
            counts.update(sampler.sample(generator, size))

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
    sampler = Sampler(members)
    for step, number in steps:
        member = b"%d" % number
        match step:
            case "add" if member not in members:
                members.add(member)
                sampler.add(member)
            case "remove" if member in members:
                members.remove(member)
                sampler.remove(member)
            case "take" if members:
                members.remove(sampler.take(generator))
            case "draw" if members:
                assert sampler.draw(generator) in members
            case "sample":
                size = min(number, len(members))
                found = sampler.sample(generator, size)
                assert len(set(found)) == size
                assert members.issuperset(found)
    taken = {sampler.take(generator) for _ in range(len(members))}
    assert taken == members
