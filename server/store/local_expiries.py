"""Keys of a writable replica that its own clients gave an expiry time.

Their master knows nothing of them and so never has them deleted: the replica does it itself, and
for no other keys. Follows Redis 7.0 `expire.c: rememberSlaveKeyWithExpire, expireSlaveKeys`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from .database import Database

#: Keys looked at in one run.
KEYS_PER_RUN = 1000


class LocalExpiries:
    """`expire(database, key)` deletes a key that has expired and tells whom it concerns."""

    def __init__(self, expire: Callable[[Database, bytes], None]) -> None:
        self._expire = expire
        #: In the order in which they are looked at; one that stays goes to the end.
        self._keys: dict[tuple[Database, bytes], None] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def note(self, database: Database, keys: Iterable[bytes]) -> None:
        """Note that a client wrote to `keys`: those of them that expire are kept track of."""
        for key in keys:
            if key in database.expires:
                self._keys[database, key] = None

    def forget_all(self) -> None:
        """Forget all keys: the dataset is another one, or the server is a master."""
        self._keys.clear()

    def run(self, now_ms: int) -> None:
        """Delete some of the keys that have expired by `now_ms`."""
        for place in list(islice(self._keys, KEYS_PER_RUN)):
            del self._keys[place]
            database, key = place
            expire_at_ms = database.expires.get(key)
            if expire_at_ms is None:
                continue
            if expire_at_ms <= now_ms:
                self._expire(database, key)
            else:
                self._keys[place] = None
