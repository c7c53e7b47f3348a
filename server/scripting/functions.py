"""The functions of one server: their libraries, and the Lua in which they are loaded and run.

Follows Redis 7.0 `functions.c: functionsCreateWithLibraryCtx`, `function_lua.c: luaEngineCreate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from vedette.errors import CommandError

from .errors import CompileError, LoadError, ScriptError
from .interpreter import Interpreter
from .libraries import Function, Libraries, Library, check_name
from .shebang import ScriptFlags, split_library

#: How long the code of a library may take to register its functions.
LOAD_LIMIT_MS: Final = 500
_ENGINE: Final = b"lua"
_TOO_SLOW: Final = b"ERR FUNCTION LOAD timeout"


class Functions:
    """The present libraries of a server. `make_lua` gives a Lua, once the first is needed."""

    def __init__(self, make_lua: Callable[[], Interpreter], clock: Callable[[], float]) -> None:
        self._make_lua = make_lua
        self._clock = clock
        self._lua: Interpreter | None = None
        self.libraries = Libraries()

    @property
    def lua(self) -> Interpreter:
        """The Lua of all functions."""
        if self._lua is None:
            self._lua = self._make_lua()
        return self._lua

    @property
    def lua_bytes(self) -> int:
        """What that Lua has allocated."""
        return 0 if self._lua is None else self._lua.memory_bytes

    def load(self, text: bytes, *, replaces: bool, limit_ms: int = 0) -> bytes:
        """Add a library to the present ones and return its name.

        Raises:
            CommandError: it cannot be loaded; nothing has changed then.
        """
        return self._load_into(self.libraries, text, replaces=replaces, limit_ms=limit_ms)

    def load_apart(self, texts: Iterable[bytes]) -> Libraries:
        """Return libraries made of `texts`, which are not put to use yet.

        Raises:
            CommandError: one cannot be loaded.
        """
        libraries = Libraries()
        for text in texts:
            self._load_into(libraries, text, replaces=False, limit_ms=0)
        return libraries

    def adopt(self, libraries: Libraries) -> None:
        """Put `libraries` in place of the present ones."""
        self.libraries = libraries

    def flush(self) -> None:
        """Forget all libraries, and all they left in their Lua."""
        self.libraries = Libraries()
        self._lua = None

    def _load_into(
        self, libraries: Libraries, text: bytes, *, replaces: bool, limit_ms: int
    ) -> bytes:
        parts = split_library(text)
        check_name(parts.name)
        if parts.engine.lower() != _ENGINE:
            raise CommandError(b"ERR Engine '%b' not found" % parts.engine)
        if not replaces and libraries.find(parts.name) is not None:
            raise CommandError(b"ERR Library '%b' already exists" % parts.name)
        library = Library(parts.name, text)
        try:
            self.lua.load_library(parts.code, _Loading(library, self._clock, limit_ms))
        except CompileError as error:
            raise CommandError(b"ERR Error compiling function: %b" % error.text) from error
        except LoadError as error:
            raise CommandError(b"ERR Error registering functions: %b" % error.text) from error
        if not library.functions:
            raise CommandError(b"ERR No functions registered")
        libraries.add(library)
        return library.name


class _Loading:
    """The loading of `library`; the `Loader` of its interpreter. `limit_ms` 0: no limit."""

    def __init__(self, library: Library, clock: Callable[[], float], limit_ms: int) -> None:
        self._library = library
        self._clock = clock
        self._limit_ms = limit_ms
        self._started_s = clock()

    # Any: see `interpreter.py`.
    def register(self, name: bytes, description: bytes | None, flags: bytes, callback: Any) -> None:
        """See `Loader`."""
        found = ScriptFlags.of(flags.split(b",") if flags else [])
        try:
            self._library.register(Function(name, self._library.name, description, found, callback))
        except CommandError as error:
            raise ScriptError(error.text) from error

    def is_killed(self) -> bytes | None:
        """See `Loader`."""
        elapsed_ms = (self._clock() - self._started_s) * 1000
        return _TOO_SLOW if self._limit_ms and elapsed_ms > self._limit_ms else None
