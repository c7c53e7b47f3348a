"""HyperLogLogs: estimates, encodings and corrupt ones. Bytes are compared with Redis in interop."""

from __future__ import annotations

import pytest

from server.store import hyperloglog as hll
from server.store.hyperloglog_registers import histogram

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
    assert hll.estimate(hll.registers_of(of_numbers(count))) == pytest.approx(count, rel=0.033)


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
        with pytest.raises(hll.CorruptHyperLogLogError):
            hll.registers_of(bad)
    with pytest.raises(hll.CorruptHyperLogLogError):
        hll.add(data[:16], [b"a"], sparse_max_bytes=LIMIT)


def test_other_strings_are_told_apart() -> None:
    """By the head, and the size of a dense one."""
    dense = hll.to_dense(of_numbers(1))

    assert hll.is_hyperloglog(dense)
    for other in (b"", b"HYLL", b"hyll" + bytes(20), dense[:-1], b"HYLL\x02" + bytes(20)):
        assert not hll.is_hyperloglog(other)


@pytest.mark.parametrize("limit", [LIMIT, 0])
def test_merging_raises_just_what_is_higher(limit: int) -> None:
    """Into a sparse one as into a dense one, and what has seen it all already stays as it is."""
    small, large = of_numbers(40, limit), of_numbers(90)
    registers = hll.union([hll.registers_of(each) for each in (small, large, hll.empty())])

    merged = hll.merge(small, registers, sparse_max_bytes=limit)

    assert hll.registers_of(merged) == registers == hll.registers_of(large)
    assert hll.merge(merged, registers, sparse_max_bytes=limit) == merged
    assert hll.cached_count(merged) is None


def test_every_register_is_in_the_histogram() -> None:
    """Whatever its value, so that nothing is missing from an estimate."""
    registers = bytes(number % 64 for number in range(hll.REGISTER_COUNT))

    assert histogram(registers) == [hll.REGISTER_COUNT // 64] * 64
    assert histogram(bytes(hll.REGISTER_COUNT)) == [hll.REGISTER_COUNT, *[0] * 63]
