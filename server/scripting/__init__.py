"""Scripts and functions: Lua 5.1 over the server's commands (Redis 7.0 `eval.c`, `functions.c`).

`Interpreter` is one Lua with what Redis leaves of it; `Scripting` owns the two that a server has,
for EVAL and for functions, and the run in progress. Pure: time arrives through the engine's clock,
and whoever serves other clients while a script runs too long is a port.
"""

from __future__ import annotations

from .scripting import Scripting

__all__ = ["Scripting"]
