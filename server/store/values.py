"""What a key may hold.

A string is `bytes`. Each further type is a class of its own, a `Collection`, in a module of its own
beside this one, so that `type(value)` tells types apart and a string costs nothing beyond its
bytes.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sized
from itertools import islice
from typing import Any, ClassVar, Final, TypeAlias

from .encoding_limits import EncodingLimits

#: Elements looked at for the size of all, as many as in Redis' MEMORY USAGE.
SAMPLE_COUNT: Final = 5
_COUNT_MASK: Final = 1023
#: Slots take at most some 100 bytes for an element in a container that has only grown.
_SPARSE_BYTES: Final = 512

#: What elements are kept in. Any: whoever empties one does not look at them.
Container: TypeAlias = "dict[Any, Any] | set[Any] | deque[Any] | list[Any]"


class Collection(ABC, Sized):
    """A value that has elements, and is changed in place.

    `Database` never holds an empty one (streams excepted): who takes the last element out deletes
    the key. Whoever changes one in place calls `Database.touch` afterwards.
    """

    __slots__ = ()

    #: What TYPE reports.
    type_name: ClassVar[bytes]

    @abstractmethod
    def encoding(self) -> bytes:
        """Return what OBJECT ENCODING reports."""

    @abstractmethod
    def add_to_digest(self, digest: bytes) -> bytes:
        """Return `digest` with type and elements folded in, as Redis' DEBUG DIGEST does."""

    @abstractmethod
    def copy(self) -> Collection:
        """Return an equal value that shares nothing that changes (COPY)."""

    @abstractmethod
    def elements(self) -> Iterable[bytes] | None:
        """Return the elements, in their order if they have one; None: SORT does not take these."""

    def containers(self) -> list[Container]:
        """Return what the elements are kept in, to be emptied bit by bit; none: in one go.

        Lists in a list are long ones.
        """
        return []

    def size_bytes(self, sample_count: int) -> int:
        """Return about how much memory this takes, going by that many elements (0: all)."""
        return sys.getsizeof(self)

    def settle(self, limits: EncodingLimits) -> None:  # most types have one encoding
        """Choose the encoding by `limits`, as Redis does when it loads a value."""


class Scannable(Collection):
    """A collection whose elements have no places, so that a cursor goes through them."""

    __slots__ = ()

    @abstractmethod
    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """Return the next cursor (0: the end) and about `count` elements."""


def sampled_bytes(elements: Iterable[bytes], count: int, sample_count: int) -> int:
    """Return about how much memory `count` elements take, going by the first of `elements`.

    `sample_count` is of how many; 0: of all.
    """
    sampled = [sys.getsizeof(element) for element in islice(elements, sample_count or None)]
    return sum(sampled) * count // len(sampled) if sampled else 0


def is_sparse(elements: Sized) -> bool:
    """Return whether most of a container's slots are empty, after many removals.

    Python never gives them back by itself, and going through the few that are left takes as long as
    going through all there were. Looks only at counts that are multiples of 1024, since it is asked
    after every removal: large containers come past them.
    """
    count = len(elements)
    return not count & _COUNT_MASK and sys.getsizeof(elements) > _SPARSE_BYTES * (count + 1)


Value: TypeAlias = bytes | Collection


def type_name(value: Value) -> bytes:
    """Return the name TYPE reports."""
    return b"string" if type(value) is bytes else value.type_name  # type: ignore[union-attr]  # `type() is` narrows nothing
