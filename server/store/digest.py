"""The digest by which DEBUG DIGEST names a dataset, as Redis computes it.

Two datasets with the same content have the same digest, whatever order their keys, or the elements
of their unordered values, are stored in. Reference: Redis 7.0 `debug.c: xorDigest, mixDigest`.
"""

from __future__ import annotations

import hashlib

DIGEST_SIZE = 20


def xor_digest(digest: bytes, data: bytes) -> bytes:
    """Combine so that the order of what is combined does not matter."""
    number = int.from_bytes(digest, "big") ^ int.from_bytes(_sha1(data), "big")
    return number.to_bytes(DIGEST_SIZE, "big")


def mix_digest(digest: bytes, data: bytes) -> bytes:
    """Combine so that the order matters."""
    return _sha1(xor_digest(digest, data))


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()
