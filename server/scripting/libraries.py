"""Function libraries: what one holds, and the set of them that a server has (`functions.c`).

Knows no Lua: a function's `callback` is whatever the loader of libraries made of its code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from vedette.errors import CommandError

from .shebang import ScriptFlags

_NAME: Final = re.compile(rb"[A-Za-z0-9_]+")
_BAD_NAME: Final = CommandError(
    b"ERR Library names can only contain letters, numbers, or underscores(_) and must be at least"
    b" one character long"
)


def check_name(name: bytes) -> None:
    """Refuse what can name neither a library nor a function.

    Raises:
        CommandError: so it is.
    """
    if not _NAME.fullmatch(name):
        raise _BAD_NAME


@dataclass(frozen=True, slots=True)
class Function:
    """A function that FCALL knows; `callback` is Lua's."""

    name: bytes
    library: bytes
    description: bytes | None
    flags: ScriptFlags
    callback: Any  # lupa has no types


@dataclass(frozen=True, slots=True)
class Library:
    """A library as loaded; `code` is its whole text, `functions` are by name."""

    name: bytes
    code: bytes
    functions: dict[bytes, Function] = field(default_factory=dict)

    def register(self, function: Function) -> None:
        """Add a function, while the library is loaded.

        Raises:
            CommandError: its name cannot be one, or is taken.
        """
        check_name(function.name)
        if function.name in self.functions:
            raise CommandError(b"ERR Function already exists in the library")
        self.functions[function.name] = function


class Libraries:
    """The libraries of a server by name. Functions are found by names in any case."""

    def __init__(self) -> None:
        self._libraries: dict[bytes, Library] = {}
        self._functions: dict[bytes, Function] = {}

    def __len__(self) -> int:
        return len(self._libraries)

    def __iter__(self) -> Iterator[Library]:
        return iter(self._libraries.values())

    @property
    def function_count(self) -> int:
        """How many functions all libraries have."""
        return sum(len(library.functions) for library in self)

    @property
    def codes(self) -> list[bytes]:
        """The texts of all libraries: what FUNCTION LOAD, or a snapshot, makes them of again."""
        return [library.code for library in self]

    @property
    def texts_bytes(self) -> int:
        """What the texts of all libraries take."""
        return sum(sys.getsizeof(library.code) for library in self)

    def find(self, name: bytes) -> Library | None:
        """Return the library called `name`."""
        return self._libraries.get(name)

    def function(self, name: bytes) -> Function | None:
        """Return the function called `name`, whatever the case of its letters."""
        return self._functions.get(name.lower())

    def add(self, library: Library) -> None:
        """Add a library, in place of one of the same name.

        Raises:
            CommandError: another library has a function of the same name.
        """
        self._check_functions(library.functions, without={library.name})
        if library.name in self._libraries:
            self._unlink(library.name)
        self._link(library)

    def remove(self, name: bytes) -> bool:
        """Remove the library called `name`; return whether there was one."""
        if name not in self._libraries:
            return False
        self._unlink(name)
        return True

    def join(self, others: Libraries, *, replaces: bool) -> None:
        """Add all of `others`, in place of those of the same names, or none.

        Raises:
            CommandError: a name is taken; of a library only unless `replaces`.
        """
        if not replaces:
            for library in others:
                if library.name in self._libraries:
                    raise CommandError(b"ERR Library %b already exists" % library.name)
        self._check_functions(others._functions, without=set(others._libraries))
        for library in others:
            if library.name in self._libraries:
                self._unlink(library.name)
        for library in others:
            self._link(library)

    def _check_functions(self, functions: Mapping[bytes, Function], without: set[bytes]) -> None:
        """Refuse names that functions have of libraries other than those called `without`."""
        for function in functions.values():
            holder = self.function(function.name)
            if holder is not None and holder.library not in without:
                raise CommandError(b"ERR Function %b already exists" % function.name)

    def _link(self, library: Library) -> None:
        self._libraries[library.name] = library
        for function in library.functions.values():
            self._functions.setdefault(function.name.lower(), function)

    def _unlink(self, name: bytes) -> None:
        library = self._libraries.pop(name)
        for function in library.functions.values():
            self._functions.pop(function.name.lower(), None)
