"""What a forked child tells while it works, in memory that it shares with its parent.

The child counts what it has written, looks once a second at how much memory it does not share any
more, keeps to `rdb-key-save-delay`, and ends when its parent is gone, who would have made use of
what it writes. Reference behaviour: redis childinfo.c, rdb.c: rdbSaveDb.
"""

from __future__ import annotations

import mmap
import os
import time
from struct import Struct
from typing import Final

_FIELDS: Final = Struct("<QQQQ")
_LOOK_EVERY_S: Final = 1.0


class ParentGoneError(Exception):
    """The process that wanted the work is no more."""


class SharedProgress:
    """Made by the parent before it forks; `on_keys` is for the child, the rest for the parent."""

    def __init__(self, *, key_delay_us: int = 0) -> None:
        """Prepare for a child that waits after each key (see `sleep_for_keys`)."""
        self._memory = mmap.mmap(-1, _FIELDS.size)
        self._key_delay_us = key_delay_us
        self._parent_pid = os.getpid()
        self._keys_done = 0
        self._next_look_s = time.monotonic() + _LOOK_EVERY_S
        self._peak_bytes = 0
        self._copied_bytes = 0
        self._looked_ms = 0

    # --- the child's side ------------------------------------------------------------------------

    def on_keys(self, count: int) -> None:
        """Note that `count` keys more were written.

        Raises:
            ParentGoneError: nobody is left to write them for.
        """
        self._keys_done += count
        sleep_for_keys(self._key_delay_us, count)
        if time.monotonic() >= self._next_look_s:
            self._look()
            if os.getppid() != self._parent_pid:
                raise ParentGoneError("the server is gone")
        _FIELDS.pack_into(
            self._memory,
            0,
            self._keys_done,
            self._copied_bytes,
            self._peak_bytes,
            self._looked_ms,
        )

    def on_part(self, key_count: int, copied_bytes: int) -> None:
        """Note that a helper has written `key_count` keys, and what it had copied at its end."""
        self._copied_bytes = copied_bytes
        self._peak_bytes = max(self._peak_bytes, copied_bytes)
        self.on_keys(key_count)

    def _look(self) -> None:
        began_s = time.monotonic()
        self._copied_bytes = private_memory_size()
        self._peak_bytes = max(self._peak_bytes, self._copied_bytes)
        self._looked_ms = time.time_ns() // 1_000_000
        # Looking takes longer the more memory there is: at most a hundredth of the time.
        took_s = time.monotonic() - began_s
        self._next_look_s = began_s + max(_LOOK_EVERY_S, 100 * took_s)

    # --- the parent's side -----------------------------------------------------------------------

    @property
    def keys_done(self) -> int:
        """See `ChildProgress`."""
        return self._field(0)

    @property
    def copied_bytes(self) -> int:
        """See `ChildProgress`."""
        return self._field(1)

    @property
    def peak_copied_bytes(self) -> int:
        """See `ChildProgress`."""
        return self._field(2)

    @property
    def looked_ms(self) -> int:
        """See `ChildProgress`."""
        return self._field(3)

    def _field(self, index: int) -> int:
        value: int = _FIELDS.unpack_from(self._memory, 0)[index]
        return value


def sleep_for_keys(delay_us: int, count: int) -> None:
    """Wait as `rdb-key-save-delay` asks for after `count` keys: for tests.

    Microseconds for each key; a negative delay is the number of keys for one microsecond.
    """
    if delay_us:
        pause_us = delay_us * count if delay_us > 0 else count / -delay_us
        time.sleep(pause_us / 1_000_000)  # noqa: TID251 (whoever asks for it wants to wait)


def private_memory_size() -> int:
    """Return the bytes this process does not share with its parent; 0 where none can tell."""
    try:
        with open("/proc/self/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Private_Dirty:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # a system without /proc, or one that hides it: the figure is for information
    return 0
