"""Sets: distinct members without an order (Redis 7.0 `t_set.c`)."""

from __future__ import annotations

import enum
import random
import sys
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from .digest import mix_digest, xor_digest
from .encoding_limits import EncodingLimits
from .integers import is_canonical_integer
from .roster import Roster
from .values import SAMPLE_COUNT, Container, Scannable, is_sparse, sampled_bytes

#: The number that Redis mixes into the digest (`OBJ_SET`).
_DIGEST_TYPE: Final = (2).to_bytes(4, "big")


class _Encoding(enum.Enum):
    """Conversions go one way, from an earlier to a later one."""

    INTSET = b"intset"
    LISTPACK = b"listpack"
    HASHTABLE = b"hashtable"


class Set(Scannable):
    """`members` may be read by anyone, but is changed only through the methods.

    All members are kept as bytes, those of an intset too; iteration over that is in their order as
    numbers.
    """

    __slots__ = ("_encoding", "_roster", "members")

    type_name: ClassVar[bytes] = b"set"

    def __init__(
        self, members: set[bytes] | None = None, limits: EncodingLimits | None = None
    ) -> None:
        """Adopt `members`, in the encoding that `limits` (None: the defaults) give them."""
        self.members: set[bytes] = set() if members is None else members
        self._encoding = _encoding_of(self.members, limits or EncodingLimits())
        #: None until a random member, or a part of many, is asked for.
        self._roster: Roster | None = None

    def __len__(self) -> int:
        return len(self.members)

    def __sizeof__(self) -> int:
        return self.size_bytes(SAMPLE_COUNT)

    def containers(self) -> list[Container]:
        return [self.members, *(self._roster.containers() if self._roster is not None else ())]

    def size_bytes(self, sample_count: int) -> int:
        members = self.members
        elements_bytes = sampled_bytes(members, len(members), sample_count)
        elements_bytes += sys.getsizeof(self._roster)
        return object.__sizeof__(self) + sys.getsizeof(members) + elements_bytes

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.listed())

    def __contains__(self, member: bytes) -> bool:
        return member in self.members

    def elements(self) -> Iterable[bytes]:
        return self

    def listed(self) -> list[bytes]:
        """Return the members in the order in which SMEMBERS gives them."""
        if self._encoding is _Encoding.INTSET:
            return sorted(self.members, key=int)
        return list(self.members)

    def add(self, member: bytes, limits: EncodingLimits) -> bool:
        """Add `member`; return whether it is a new one."""
        members = self.members
        if member in members:
            return False
        if self._encoding is not _Encoding.HASHTABLE:
            self._convert_for(member, limits)
        members.add(member)
        if self._roster is not None:
            self._roster.add(member)
        return True

    def _convert_for(self, member: bytes, limits: EncodingLimits) -> None:
        """Choose the encoding that can take `member` too (7.2 `t_set.c: setTypeAddAux`)."""
        count = len(self.members) + 1
        if self._encoding is _Encoding.INTSET and is_canonical_integer(member):
            if count > limits.set_max_intset_entries:
                self._encoding = _Encoding.HASHTABLE
        elif count <= limits.set_max_listpack_entries and (
            len(member) <= limits.set_max_listpack_value
        ):
            self._encoding = _Encoding.LISTPACK
        else:
            self._encoding = _Encoding.HASHTABLE

    def remove(self, member: bytes) -> bool:
        """Remove `member`; return whether it was there."""
        members = self.members
        if member not in members:
            return False
        members.remove(member)
        if is_sparse(members):
            self.members = set(members)
        if self._roster is not None:
            self._roster.remove(member)
        return True

    def pop(self, generator: random.Random) -> bytes:
        """Remove a random member and return it; there must be one."""
        member = (self._roster or self._made_roster()).take(generator)
        members = self.members
        members.remove(member)
        if is_sparse(members):
            self.members = set(members)
        return member

    def random_member(self, generator: random.Random) -> bytes:
        """Return a member; there must be one."""
        return (self._roster or self._made_roster()).draw(generator)

    def random_members(self, generator: random.Random, count: int) -> list[bytes]:
        """Return `count` distinct members; there must be so many."""
        return self._made_roster().sample(generator, count)

    def _made_roster(self) -> Roster:
        if self._roster is None:
            self._roster = Roster(self.members)
        return self._roster

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        if self._encoding is not _Encoding.HASHTABLE:
            return 0, self.listed()  # Redis gives what is packed in one piece, whatever the count
        return self._made_roster().scan(cursor, count)

    def settle(self, limits: EncodingLimits) -> None:
        self._encoding = _encoding_of(self.members, limits)

    def encoding(self) -> bytes:
        return self._encoding.value

    def add_to_digest(self, digest: bytes) -> bytes:
        digest = mix_digest(digest, _DIGEST_TYPE)
        for member in self.members:
            digest = xor_digest(digest, member)
        return digest

    def copy(self) -> Set:
        twin = Set()
        twin.members = self.members.copy()
        twin._encoding = self._encoding
        return twin


def _encoding_of(members: set[bytes], limits: EncodingLimits) -> _Encoding:
    count = len(members)
    if count <= limits.set_max_intset_entries and all(map(is_canonical_integer, members)):
        return _Encoding.INTSET
    if count <= limits.set_max_listpack_entries and (
        max(map(len, members)) <= limits.set_max_listpack_value
    ):
        return _Encoding.LISTPACK
    return _Encoding.HASHTABLE
