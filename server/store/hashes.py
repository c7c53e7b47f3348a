"""Hashes: fields with values (Redis 7.0 `t_hash.c`)."""

from __future__ import annotations

import random
import sys
from typing import ClassVar, Final

from .digest import DIGEST_SIZE, mix_digest, xor_digest
from .encoding_limits import EncodingLimits
from .roster import Roster
from .values import SAMPLE_COUNT, Container, Scannable, is_sparse, sampled_bytes

#: The number that Redis mixes into the digest (`OBJ_HASH`).
_DIGEST_TYPE: Final = (4).to_bytes(4, "big")


class Hash(Scannable):
    """`fields` may be read by anyone, but is changed only through the methods."""

    __slots__ = ("_is_listpack", "_roster", "fields")

    type_name: ClassVar[bytes] = b"hash"

    def __init__(
        self, fields: dict[bytes, bytes] | None = None, limits: EncodingLimits | None = None
    ) -> None:
        """Adopt `fields`, which `limits` (None: the defaults) may allow to be a listpack."""
        self.fields: dict[bytes, bytes] = {} if fields is None else fields
        self._is_listpack = not self.fields or _fit_listpack(
            self.fields, limits or EncodingLimits()
        )
        #: None until a random field, or a part of many, is asked for.
        self._roster: Roster | None = None

    def __len__(self) -> int:
        return len(self.fields)

    def __sizeof__(self) -> int:
        return self.size_bytes(SAMPLE_COUNT)

    def size_bytes(self, sample_count: int) -> int:
        fields = self.fields
        count = len(fields)
        elements_bytes = sampled_bytes(fields, count, sample_count)
        elements_bytes += sampled_bytes(fields.values(), count, sample_count)
        elements_bytes += sys.getsizeof(self._roster)
        return object.__sizeof__(self) + sys.getsizeof(fields) + elements_bytes

    def containers(self) -> list[Container]:
        return [self.fields, *(self._roster.containers() if self._roster is not None else ())]

    def set(self, field: bytes, text: bytes, limits: EncodingLimits) -> int:
        """Set `field`; return how many fields are new: 0 or 1."""
        fields = self.fields
        count = len(fields)
        fields[field] = text
        new_count = len(fields)
        if self._is_listpack and (
            new_count > limits.hash_max_listpack_entries
            or len(text) > limits.hash_max_listpack_value
            or len(field) > limits.hash_max_listpack_value
        ):
            self._is_listpack = False
        if new_count == count:
            return 0
        if self._roster is not None:
            self._roster.add(field)
        return 1

    def delete(self, field: bytes) -> bool:
        """Delete `field`; return whether it was there."""
        if self.fields.pop(field, None) is None:
            return False
        if is_sparse(self.fields):
            self.fields = dict(self.fields)
        if self._roster is not None:
            self._roster.remove(field)
        return True

    def random_field(self, generator: random.Random) -> bytes:
        """Return a field; there must be one."""
        return self._made_roster().draw(generator)

    def random_fields(self, generator: random.Random, count: int) -> list[bytes]:
        """Return `count` distinct fields; there must be so many."""
        return self._made_roster().sample(generator, count)

    def _made_roster(self) -> Roster:
        if self._roster is None:
            self._roster = Roster(self.fields)
        return self._roster

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        if self._is_listpack:
            return 0, list(self.fields)  # Redis gives a listpack in one piece, whatever the count
        return self._made_roster().scan(cursor, count)

    def settle(self, limits: EncodingLimits) -> None:
        self._is_listpack = _fit_listpack(self.fields, limits)

    def encoding(self) -> bytes:
        return b"listpack" if self._is_listpack else b"hashtable"

    def add_to_digest(self, digest: bytes) -> bytes:
        digest = mix_digest(digest, _DIGEST_TYPE)
        for field, text in self.fields.items():
            digest = xor_digest(digest, mix_digest(mix_digest(bytes(DIGEST_SIZE), field), text))
        return digest

    def elements(self) -> None:
        return None

    def copy(self) -> Hash:
        twin = Hash(self.fields.copy())
        twin._is_listpack = self._is_listpack
        return twin


def _fit_listpack(fields: dict[bytes, bytes], limits: EncodingLimits) -> bool:
    if len(fields) > limits.hash_max_listpack_entries:
        return False
    longest = max(max(map(len, fields)), max(map(len, fields.values())))
    return longest <= limits.hash_max_listpack_value
