"""Listpacks in which it is the test that says what is an integer."""

from __future__ import annotations

from collections.abc import Iterable

from server.listpack import integer_entry, listpack_of, string_entry

__all__ = ["encode_listpack"]


def encode_listpack(elements: Iterable[bytes | int]) -> bytes:
    """Return the listpack of `elements`: integers of 64 bits, and strings that stay strings."""
    return listpack_of(
        [
            integer_entry(element) if isinstance(element, int) else string_entry(element)
            for element in elements
        ]
    )
