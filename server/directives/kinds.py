"""Kinds of values that only the server's directives have, and what their values must not be."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Sequence
from typing import Final

from vedette.clients.info_sections import format_percentile
from vedette.conf import BadValueError, Integer, Kind, WordList
from vedette.types import Address

from ..store.keyspace_events import (
    format_keyspace_events,
    parse_keyspace_events,
)

UINT_MAX: Final = 2**32 - 1
ANY_INTEGER: Final = Integer(-(2**31))

_OOM_SCORE_LIMIT: Final = 2000
_SHORT_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,9}")
_SHUTDOWN_WORDS: Final = ("default", "save", "nosave", "now", "force")


class EventLetters(Kind[int]):
    """The value of `notify-keyspace-events`: letters, each for a class of events."""

    def parse(self, words: Sequence[str]) -> int:
        if len(words) != 1:
            raise BadValueError("wrong number of arguments")
        try:
            return parse_keyspace_events(words[0])
        except ValueError as error:
            raise BadValueError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.") from error

    def render(self, value: int) -> tuple[str, ...]:
        return (format_keyspace_events(value),)


class Percentiles(Kind[tuple[float, ...]]):
    """The value of `latency-tracking-info-percentiles`: numbers from 0 to 100, maybe none."""

    takes_list = True

    def parse(self, words: Sequence[str]) -> tuple[float, ...]:
        found = []
        for word in [] if list(words) == [""] else words:
            try:
                percentile = float(word)
            except ValueError as error:
                raise BadValueError(
                    "Invalid latency-tracking-info-percentiles parameters"
                ) from error
            if not 0 <= percentile <= 100:
                raise BadValueError(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]"
                )
            found.append(percentile)
        return tuple(found)

    def render(self, value: tuple[float, ...]) -> tuple[str, ...]:
        return tuple(format_percentile(percentile) for percentile in value)


class OomScores(Kind[tuple[int, ...]]):
    """The value of `oom-score-adj-values`: scores of masters, replicas and children."""

    takes_list = True

    def parse(self, words: Sequence[str]) -> tuple[int, ...]:
        if len(words) != 3:
            raise BadValueError("wrong number of arguments")
        for word in words:
            if _SHORT_INTEGER.fullmatch(word) is None or abs(int(word)) > _OOM_SCORE_LIMIT:
                limit = _OOM_SCORE_LIMIT
                raise BadValueError(
                    f"Invalid oom-score-adj-values, elements must be between -{limit} and {limit}."
                )
        return tuple(map(int, words))

    def render(self, value: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(map(str, value))


class MasterAddress(Kind[Address | None]):
    """The value of `replicaof`: a host and a port, or `no one`."""

    takes_list = True

    def parse(self, words: Sequence[str]) -> Address | None:
        if len(words) != 2:
            raise BadValueError("wrong number of arguments")
        host, port = words
        if (host.lower(), port.lower()) == ("no", "one"):
            return None
        if not (port.isascii() and port.isdecimal() and int(port) <= 65535):
            raise BadValueError("Invalid master port")
        return Address(host, int(port))

    def render(self, value: Address | None) -> tuple[str, ...]:
        return () if value is None else (value.host, str(value.port))

    def render_lines(self, value: Address | None) -> list[tuple[str, ...]]:
        return [] if value is None else [self.render(value)]


class ShutdownWords(WordList):
    """What a stop does: words in Redis' order, however they were given."""

    def parse(self, words: Sequence[str]) -> tuple[str, ...]:
        given = super().parse(words)
        order = {word: index for index, word in enumerate(_SHUTDOWN_WORDS)}
        return tuple(sorted(given, key=lambda word: order.get(word.lower(), 0)))


def file_name_only(value: str) -> str | None:
    if os.path.basename(value) != value:
        return "dbfilename can't be a path, just a filename"
    return None


def plain_name(directive: str) -> Callable[[str], str | None]:
    """Return a validation for the name of a file or directory within another."""
    what = "dirname" if directive == "appenddirname" else "filename"

    def validate(value: str) -> str | None:
        if not value:
            return f"{directive} can't be empty"
        if os.path.basename(value) != value:
            return f"{directive} can't be a path, just a {what}"
        return None

    return validate


def shutdown_flags(value: tuple[str, ...]) -> str | None:
    if not value or any(word.lower() not in _SHUTDOWN_WORDS for word in value):
        return f"argument(s) must be one of the following: {', '.join(_SHUTDOWN_WORDS)}"
    if {"save", "nosave"} <= {word.lower() for word in value}:
        return "shutdown options SAVE and NOSAVE can't be used simultaneously"
    return None
