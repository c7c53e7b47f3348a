"""A dictionary walked by one process after the other: every item once, in order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from server.runtime import segments
from server.runtime.segments import SegmentError, encode_in_parts, is_worth_parts


def encode(batch: list[tuple[bytes, Any]]) -> Iterator[bytes]:
    yield b"".join(b"%b=%b;" % item for item in batch)


def dictionary(count: int) -> dict[bytes, bytes]:
    """Return a dictionary with holes, as deletions leave them."""
    values = {b"key:%d" % number: b"v" * (number % 50) for number in range(count)}
    for number in range(0, count, 7):
        del values[b"key:%d" % number]
    for number in range(count // 3, count // 2):
        values.pop(b"key:%d" % number, None)
    return values


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have parts of a hundred keys, so that few make many parts."""
    monkeypatch.setattr(segments, "LEAST_KEYS", 100)


def test_this_interpreter_lets_positions_be_set() -> None:
    """If not, saving goes on as before, and takes more memory: somebody should know."""
    assert segments._IS_POSSIBLE


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("batch_size", [1, 3, 64, 10_000])
def test_every_item_comes_once_and_in_order(batch_size: int) -> None:
    """Wherever parts end, holes in the dictionary or not."""
    values = dictionary(3000)
    parts: list[tuple[int, int]] = []
    assert is_worth_parts(values)
    data = b"".join(
        encode_in_parts(values, encode, batch_size, lambda count, size: parts.append((count, size)))
    )

    assert data == b"".join(encode(list(values.items())))
    assert sum(count for count, _ in parts) == len(values)
    assert len(parts) > 10
    assert all(size > 0 for _, size in parts)


def test_few_keys_are_not_worth_it() -> None:
    """A fork takes longer than they do."""
    assert not is_worth_parts(dictionary(1000))


@pytest.mark.usefixtures("small_parts")
def test_what_goes_wrong_in_a_helper_is_told() -> None:
    """The save fails as a whole, with the reason."""

    def fail(batch: list[tuple[bytes, Any]]) -> Iterator[bytes]:
        if any(key == b"key:2000" for key, _ in batch):
            raise ValueError("no such thing")
        yield b"fine"

    with pytest.raises(SegmentError, match="ValueError: no such thing"):
        list(encode_in_parts(dictionary(3000), fail, 64, lambda count, size: None))
