"""Which short strings are known to have been changed in place."""

from __future__ import annotations

from server.store.raw_strings import RawStrings


def of_size(size: int) -> bytes:
    """Return a string that is the same as no other."""
    return bytes(bytearray(b"a" * size))


def test_the_very_string_is_noted_and_no_equal_one() -> None:
    """A key that is set anew holds another, of the same bytes maybe."""
    raw_strings, value = RawStrings(), of_size(4)
    raw_strings.note(value)

    assert value in raw_strings
    assert of_size(4) not in raw_strings


def test_strings_that_are_shared_or_raw_anyway_are_not_noted() -> None:
    """A single byte is one object for all of Python; long strings need no note."""
    raw_strings = RawStrings()
    for size in (0, 1, 45):
        value = of_size(size)
        raw_strings.note(value)
        assert value not in raw_strings


def test_only_the_latest_are_kept() -> None:
    """However many strings are changed, notes take little."""
    raw_strings, values = RawStrings(), [of_size(8) for _ in range(10_000)]
    for value in values:
        raw_strings.note(value)

    assert all(value in raw_strings for value in values[-4096:])
    assert values[0] not in raw_strings
