"""The libraries of scripts: `cjson`, `cmsgpack` and `struct`, written in Lua, and `bit`."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Final

from . import bit_library

if TYPE_CHECKING:
    from .interpreter import Interpreter

_CHUNKS: Final = resources.files(__package__).joinpath("lua")
_SOURCES: Final = {
    name.encode(): _CHUNKS.joinpath(f"{name}.lua").read_bytes()
    for name in ("cjson", "cmsgpack", "struct")
}


def add_libraries(interpreter: Interpreter) -> None:
    """Give the scripts of an interpreter all libraries that Redis has."""
    interpreter.add_library(b"bit", bit_library.FUNCTIONS)
    for name, source in _SOURCES.items():
        interpreter.add_library_in_lua(name, source)
