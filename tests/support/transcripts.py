"""Transcripts: what a client sends and the bytes it must get back, one exchange after another.

    > SET greeting "hello world" EX 10
    < +OK\\r\\n
    + 10000

A line with `>` is a command as typed into redis-cli, lines with `<` are the bytes of its reply
(Python escapes), joined; `+` lets milliseconds pass. Anything after `#` at a line's start is a
comment. Blank lines mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.support.engine import TestEngine
from vedette.conf.quoting import split_arguments
from vedette.resp.encode import encode_command

__all__ = ["check_transcript"]


@dataclass(slots=True)
class _Exchange:
    command: str
    reply: bytes = b""


def check_transcript(text: str, engine: TestEngine | None = None) -> TestEngine:
    """Play `text` against an engine (a new one unless given) and compare every reply."""
    engine = engine or TestEngine()
    pending: _Exchange | None = None
    for line in [*text.splitlines(), "#"]:
        mark, _, rest = line.strip().partition(" ")
        if mark == "<":
            assert pending is not None, f"a reply to nothing: {line}"
            pending.reply += rest.encode("latin-1").decode("unicode_escape").encode("latin-1")
            continue
        if pending is not None and mark in (">", "+", "#"):
            _check(engine, pending)
            pending = None
        if mark == ">":
            pending = _Exchange(rest)
        elif mark == "+":
            engine.advance(int(rest))
        else:
            assert mark in ("", "#") or mark.startswith("#"), f"what is this: {line}"
    return engine


def _check(engine: TestEngine, exchange: _Exchange) -> None:
    words = split_arguments(exchange.command.encode())
    got = engine.send(encode_command(words))
    assert (exchange.command, got) == (exchange.command, exchange.reply)
