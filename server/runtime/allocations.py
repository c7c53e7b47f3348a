"""How much memory the allocators of this process have given out, and how much they hold.

Python takes objects of up to 512 bytes from its own allocator and larger ones from the C library's.
Both keep books: `sys._debugmallocstats` writes those of the former to the C stream `stderr`, in
whose place a stream into memory is put for that moment, and `mallinfo2` returns the latter. A
reading takes 15 us in an empty server and 70 us with a million keys; free memory of the C library
in many pieces adds 0.04 us a piece. See docs/adr/0024.
"""

from __future__ import annotations

import ctypes
import re
import resource
import sys
from typing import Any, Final

_REPORT_BYTES: Final = 64 * 1024
_IN_USE: Final = re.compile(rb"# bytes in allocated blocks *= *([0-9,]+)")
_FIGURES: Final = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)
_HELD: Final = re.compile(rb"arenas \* \d+ bytes/arena *= *([0-9,]+)")


class _LibraryFigures(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and later."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _FIGURES)


class UncountedError(Exception):
    """This interpreter, or the C library under it, keeps no books that can be read."""


class Allocations:
    """The books of both allocators; one for each process.

    Raises:
        UncountedError: there are none; the resident size is all that can be known then.
    """

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        try:
            # Any: functions of ctypes take what their `argtypes` say.
            self._library_figures: Any = library.mallinfo2
            open_memory = library.fmemopen
            self._stderr = ctypes.c_void_p.in_dll(library, "stderr")
            sys._debugmallocstats  # noqa: B018 (looked up to see whether it is there)
        except (AttributeError, ValueError) as error:
            raise UncountedError(str(error)) from error
        self._library_figures.restype = _LibraryFigures
        self._rewind: Any = library.rewind
        self._flush: Any = library.fflush
        self._rewind.argtypes = self._flush.argtypes = (ctypes.c_void_p,)
        self._trim: Any = library.malloc_trim
        open_memory.restype = ctypes.c_void_p
        open_memory.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
        self._buffer = ctypes.create_string_buffer(_REPORT_BYTES)
        self._stream = open_memory(self._buffer, _REPORT_BYTES, b"w")
        if not self._stream:
            raise UncountedError("no stream into memory can be opened")
        report = self._report()
        if _IN_USE.search(report) is None or _HELD.search(report) is None:
            raise UncountedError("the interpreter's report has another form")

    def _report(self) -> bytes:
        """Return what the interpreter says of its own allocator."""
        stderr = self._stderr
        kept = stderr.value
        self._rewind(self._stream)
        stderr.value = self._stream
        try:
            sys._debugmallocstats()
        finally:
            stderr.value = kept
        self._flush(self._stream)
        return self._buffer.value

    def used_bytes(self) -> int:
        """Return how much is given out: the sum of all that lives, rounded up as allocated."""
        return _number(_IN_USE, self._report()) + self.large_bytes()

    def large_bytes(self) -> int:
        """Return how much of that the C library has given out: what is larger than 512 bytes."""
        figures = self._library_figures()
        return int(figures.uordblks) + int(figures.hblkhd)

    def held_bytes(self) -> int:
        """Return how much the allocators have from the system, free parts included."""
        figures = self._library_figures()
        return _number(_HELD, self._report()) + int(figures.arena) + int(figures.hblkhd)

    def report(self) -> str:
        """Return the books as text for people."""
        figures = self._library_figures()
        lines = [
            "Allocator of the interpreter, objects of up to 512 bytes:",
            self._report().decode("ascii", "replace").strip(),
            "",
            "Allocator of the C library, all others:",
            *(f"{name:9} {getattr(figures, name):,}" for name in _FIGURES),
            "",
        ]
        return "\n".join(lines)

    def release(self) -> None:
        """Give free memory back to the system."""
        self._trim(0)


def _number(pattern: re.Pattern[bytes], report: bytes) -> int:
    match = pattern.search(report)
    assert match is not None
    return int(match[1].replace(b",", b""))


def resident_bytes() -> int:
    """Return the resident size of the process."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
