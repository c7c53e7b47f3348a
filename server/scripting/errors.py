"""Errors between Python and the Lua of scripts."""

from __future__ import annotations


class ScriptError(Exception):
    """An error that the script gets; `text` begins with its code.

    `is_counted`: the statistics have it already.
    """

    def __init__(self, text: bytes, *, is_counted: bool = False) -> None:
        super().__init__(text)
        self.text = text
        self.is_counted = is_counted


class TextError(Exception):
    """An error that the script gets as a text, as from a library in C."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class NotANumberError(Exception):
    """The argument `index` of a library function, counted from 1, is no number."""

    def __init__(self, index: int) -> None:
        super().__init__(index)
        self.index = index


class CompileError(Exception):
    """The code is no Lua; `text` is Lua's message."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


class LoadError(Exception):
    """The code of a library failed; `text` begins with a code."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text
