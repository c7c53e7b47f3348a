"""Walking a large dictionary in a forked child without making its memory private all at once.

To look at an object in Python is to count a reference to it, and that makes its page a copy of the
child's own: at the end of a save the child would hold a second dataset. So the child that saves
forks again, for one part of the dictionary after the other, and itself looks at no key. What such a
helper has copied is given back when it ends; at any time only one part is there twice.

A helper begins at its place by setting the position of a dictionary's iterator, which CPython keeps
at a fixed place but does not let be set. That is tried out when this module is imported; where it
is not so, there are no helpers, and the child does all by itself. It happens in a forked child
only, whose failure costs one save. See docs/adr/0007.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
from collections.abc import Callable, Iterator
from itertools import islice
from struct import Struct
from typing import Any, Final, NoReturn

from ..store.dict_places import place_count
from .child_progress import private_memory_size

#: Parts of at least so many keys, and at most so many parts.
LEAST_KEYS: Final = 50_000
MOST_PARTS: Final = 16
READ_BYTES: Final = 1 << 16

_POSITION_OFFSET: Final = 32
#: What a helper reports in shared memory: where it ended, how many keys it wrote, what it had
#: copied; or, behind that, why it failed.
_REPORT: Final = Struct("<QQQ")
_REPORT_SIZE: Final = 1024

# Any: whatever the keys lead to is not looked at here.
Batch = list[tuple[bytes, Any]]
#: Gives the bytes of some items.
Encode = Callable[[Batch], Iterator[bytes]]


class SegmentError(Exception):
    """A helper failed; the text says why."""


def _position_of(iterator: Iterator[object]) -> ctypes.c_ssize_t:
    """Return the place where an iterator over a dictionary's items goes on, to be read and set."""
    return ctypes.c_ssize_t.from_address(id(iterator) + _POSITION_OFFSET)


def _may_positions_be_set() -> bool:
    """Return whether this interpreter's iterators are as they are taken to be."""
    tried = {b"%d" % number: number for number in range(64)}
    for number in (0, 7, 8, 40, 63):
        del tried[b"%d" % number]
    whole = list(tried.items())
    iterator = iter(tried.items())
    position = _position_of(iterator)
    for count in range(1, 30):
        if next(iterator) != whole[count - 1]:
            return False
        if not count <= position.value <= count + 3:
            return False
    for start in (0, 5, 8, 9, 39, 41, 62):
        iterator = iter(tried.items())
        _position_of(iterator).value = start
        if list(islice(iterator, 70)) != [item for item in whole if item[1] >= start]:
            return False
    return True


_IS_POSSIBLE: Final = _may_positions_be_set()


def is_worth_parts(values: dict[bytes, Any]) -> bool:
    """Say whether `values` are so many that they are better walked in parts."""
    return _IS_POSSIBLE and len(values) >= 2 * LEAST_KEYS


def encode_in_parts(
    values: dict[bytes, Any],
    encode: Encode,
    batch_size: int,
    on_part: Callable[[int, int], None],
) -> Iterator[bytes]:
    """Yield what `encode` makes of all items of `values`, each part in a process of its own.

    `on_part(key_count, copied_bytes)` is called after each part. To be used in a child that nobody
    shares a thread or an event loop with.

    Raises:
        SegmentError: a helper did not finish its part.
    """
    places = place_count(values)
    part_count = max(1, min(MOST_PARTS, len(values) // LEAST_KEYS))
    report = mmap.mmap(-1, _REPORT_SIZE)
    start = 0
    for number in range(1, part_count + 1):
        end = places * number // part_count
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            _run_helper(values, encode, batch_size, start, end, writer, report)
        os.close(writer)
        try:
            while data := os.read(reader, READ_BYTES):
                yield data
        finally:
            os.close(reader)
            _, status = os.waitpid(pid, 0)
        if status != 0:
            reason = report[_REPORT.size :].rstrip(b"\0").decode("utf-8", "replace")
            how = reason or f"it ended with status {status}"
            raise SegmentError(f"the helper for part {number} of {part_count} failed: {how}")
        start, key_count, copied_bytes = _REPORT.unpack_from(report, 0)
        on_part(key_count, copied_bytes)


def _run_helper(
    values: dict[bytes, Any],
    encode: Encode,
    batch_size: int,
    start: int,
    end: int,
    descriptor: int,
    report: mmap.mmap,
) -> NoReturn:
    """Be the helper: write the items from the place `start` to about `end`, report, and leave.

    A batch is never taken apart: where it ends beyond `end`, the next part begins there.
    """
    exit_code = 1
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # whoever reads is gone, and so are we
        iterator = iter(values.items())
        position = _position_of(iterator)
        position.value = start
        key_count = 0
        while position.value < end:
            batch = list(islice(iterator, min(batch_size, end - position.value)))
            if not batch:
                break
            key_count += len(batch)
            for chunk in encode(batch):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
        _REPORT.pack_into(report, 0, position.value, key_count, private_memory_size())
        exit_code = 0
    except Exception as error:
        text = f"{type(error).__name__}: {error}".encode("utf-8", "replace")
        report[_REPORT.size :] = text[: _REPORT_SIZE - _REPORT.size].ljust(
            _REPORT_SIZE - _REPORT.size, b"\0"
        )
    finally:
        os._exit(exit_code)
