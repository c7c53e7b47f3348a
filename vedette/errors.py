"""The root of Vedette's errors, and those that more than one package raises.

VedetteError
├── CommandError    what a client asked cannot be done; carries the error reply's text
├── ProtocolError   the peer sent bytes that are not RESP; the connection must be closed
└── ConfigError     a configuration cannot be used; says file, line and reason
"""

from __future__ import annotations


class VedetteError(Exception):
    """Root of every error that Vedette raises on purpose."""


class CommandError(VedetteError):
    """A command was refused.

    `text` is the error reply without its leading `-` and line end, beginning with the error's
    code: `b"ERR syntax error"`.
    """

    def __init__(self, text: bytes) -> None:
        super().__init__(text.decode("utf-8", "replace"))
        self.text = text


def quotable(text: bytes) -> bytes:
    """Return what an error's text quotes of a client's words: what comes before a zero byte."""
    return text.partition(b"\0")[0]


class ProtocolError(VedetteError):
    """The peer broke the protocol. `str(error)` is Redis' own wording, without `ERR`."""


class ConfigError(VedetteError):
    """A configuration line, option or value is wrong.

    `file` is the path, `stdin` or the command line's name, `line` is 1-based (0 when the error
    belongs to no line), `statement` the offending text.
    """

    def __init__(self, reason: str, *, file: str = "", line: int = 0, statement: str = "") -> None:
        where = f"{file}:{line}: " if file else ""
        super().__init__(f"{where}{reason}")
        self.reason = reason
        self.file = file
        self.line = line
        self.statement = statement
