"""HyperLogLogs: estimates, encodings and corrupt ones. Bytes are compared with Redis in interop."""

from __future__ import annotations

import pytest

from server.store import hyperloglog as hll
from server.store.hyperloglog_registers import histogram
from server.store.hyperloglog_runs import values_of

LIMIT = 3000


def of_numbers(count: int, limit: int = LIMIT) -> bytes:
    """Return what has seen so many different elements."""
    data, _ = hll.add(
        hll.empty(), [b"n:%d" % number for number in range(count)], sparse_max_bytes=limit
    )
    return data


@pytest.mark.parametrize("count", [0, 1, 100, 3000, 20_000])
def test_estimate_is_close(count: int) -> None:
    """Within four standard errors of 0.81 %."""
    assert hll.count([of_numbers(count)]) == pytest.approx(count, rel=0.033)


def test_hash_is_murmur_64a() -> None:
    """Any other would count the elements that Redis added a second time."""
    assert hll.murmur_hash(b"", 0) == 0
    assert hll.element_register(b"1") == hll.element_register(b"1")
    assert len({hll.murmur_hash(b"x" * size) for size in range(20)}) == 20


def test_both_encodings_have_the_same_registers() -> None:
    """A sparse one becomes dense when it grows, and nothing else changes."""
    sparse, dense = of_numbers(200), of_numbers(200, limit=0)

    assert not hll.is_dense(sparse)
    assert hll.is_dense(dense)
    assert hll.registers_of(sparse) == hll.registers_of(dense)
    assert hll.to_dense(sparse) == dense


def test_what_was_seen_changes_nothing() -> None:
    """PFADD answers 0 then, and replicas are not told."""
    data = of_numbers(50)

    assert hll.add(data, [b"n:7", b"n:8"], sparse_max_bytes=LIMIT) == (data, 0)


def test_runs_that_cover_too_little_are_called_corrupt() -> None:
    """Anybody may SET such a string."""
    data = hll.empty()

    for bad in (data[:-1], data + b"\x00", data[:16]):
        assert hll.is_hyperloglog(bad)
        for look in (hll.registers_of, lambda data: hll.count([data])):
            with pytest.raises(hll.CorruptHyperLogLogError):
                look(bad)
    with pytest.raises(hll.CorruptHyperLogLogError):
        hll.add(data[:16], [b"a"], sparse_max_bytes=LIMIT)


def test_other_strings_are_told_apart() -> None:
    """By the head, and the size of a dense one."""
    dense = hll.to_dense(of_numbers(1))

    assert hll.is_hyperloglog(dense)
    for other in (b"", b"HYLL", b"hyll" + bytes(20), dense[:-1], b"HYLL\x02" + bytes(20)):
        assert not hll.is_hyperloglog(other)


@pytest.mark.parametrize("limit", [LIMIT, 0])
@pytest.mark.parametrize("size", [5, 40])
def test_merging_raises_just_what_is_higher(size: int, limit: int) -> None:
    """Into small ones, larger ones and dense ones; what has seen it all already stays as it is."""
    small, large = of_numbers(size, limit), of_numbers(2 * size)

    merged = hll.merge(small, [large, hll.empty()], sparse_max_bytes=limit)

    assert hll.registers_of(merged) == hll.registers_of(large)
    assert hll.is_dense(merged) == hll.is_dense(small)
    assert hll.merge(merged, [large], sparse_max_bytes=limit) == merged
    assert hll.cached_count(merged) is None


def test_merging_becomes_dense_where_runs_grow_too_long() -> None:
    """Nothing of what either has seen is lost then."""
    seen = [of_numbers(5), of_numbers(9)]

    merged = hll.merge(seen[0], seen[1:], sparse_max_bytes=len(seen[1]) - 1)

    assert hll.is_dense(merged)
    assert hll.registers_of(merged) == hll.registers_of(seen[1])


@pytest.mark.parametrize("size", [0, 1, 7, 30, 400])
def test_runs_are_counted_as_all_registers_are(size: int) -> None:
    """Small ones are counted by the registers that are set, others and dense ones by all."""
    several = [of_numbers(size), of_numbers(size + 3)]

    assert hll.count(several) == hll.count([hll.to_dense(each) for each in several])
    for one in several:
        set_values = {index: value for index, value in enumerate(hll.registers_of(one)) if value}
        assert values_of(one[hll.HEAD_SIZE :]) == set_values


def test_every_register_is_in_the_histogram() -> None:
    """Whatever its value, so that nothing is missing from an estimate."""
    registers = bytes(number % 64 for number in range(hll.REGISTER_COUNT))

    assert histogram(registers) == [hll.REGISTER_COUNT // 64] * 64
    assert histogram(bytes(hll.REGISTER_COUNT)) == [hll.REGISTER_COUNT, *[0] * 63]
