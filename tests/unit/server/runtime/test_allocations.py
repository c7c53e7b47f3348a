"""What the allocators have given out rises with what is kept, and falls when it is let go."""

from __future__ import annotations

import os

from server.runtime.allocations import Allocations, resident_bytes


def test_what_is_kept_is_counted_to_within_a_tenth() -> None:
    """Small objects are in the interpreter's own allocator, large ones in the C library's."""
    allocations = Allocations()
    for size, count in ((100, 50_000), (2000, 3000), (3_000_000, 2)):
        before = allocations.used_bytes()
        kept = [os.urandom(size) for _ in range(count)]
        grown = allocations.used_bytes() - before
        kept.clear()
        left = allocations.used_bytes() - before

        assert 1.0 <= grown / (size * count) <= 1.6
        assert left < grown * 0.1


def test_what_is_large_is_the_part_of_the_c_library() -> None:
    """A look at it sees a value of a megabyte, and none of a thousand small ones."""
    allocations = Allocations()
    before = allocations.large_bytes()
    small = [os.urandom(100) for _ in range(1000)]
    with_small = allocations.large_bytes() - before
    large = os.urandom(1_000_000)

    assert with_small < 20_000 < sum(map(len, small))
    assert 1_000_000 <= allocations.large_bytes() - before - with_small < 1_100_000
    assert len(large) == 1_000_000


def test_two_counts_in_a_row_are_the_same() -> None:
    """To count takes next to nothing of what is counted."""
    allocations = Allocations()
    counts = [allocations.used_bytes() for _ in range(5)]

    assert max(counts) - min(counts) < 4096


def test_no_more_is_given_out_than_held() -> None:
    """And what is held is in the process, but for what has never been touched."""
    allocations = Allocations()

    assert allocations.used_bytes() < allocations.held_bytes()
    assert resident_bytes() > 1_000_000


def test_the_report_has_both_books() -> None:
    """MEMORY MALLOC-STATS shows it."""
    report = Allocations().report()

    assert "blocks in use" in report
    assert "uordblks" in report


def test_releasing_gives_free_memory_back() -> None:
    """MEMORY PURGE: pieces of the C library's heap that lie free between others."""
    allocations = Allocations()
    kept = [os.urandom(30_000) for _ in range(2000)]
    del kept[::2]
    before = allocations.held_bytes()

    allocations.release()

    assert allocations.held_bytes() <= before
