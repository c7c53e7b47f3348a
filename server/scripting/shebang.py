"""The first line of a script that says what it is: `#!lua flags=no-writes` (`eval.c`)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from vedette.cmdspec import Flag
from vedette.errors import CommandError


class ScriptFlag(enum.Flag):
    """What a script says of itself."""

    NONE = 0
    NO_WRITES = enum.auto()
    ALLOW_OOM = enum.auto()
    ALLOW_STALE = enum.auto()
    NO_CLUSTER = enum.auto()
    ALLOW_CROSS_SLOT_KEYS = enum.auto()
    #: It says nothing, and its commands are judged one by one, as before Redis 7.
    SAYS_NOTHING = enum.auto()


#: Names as scripts write them, in the order in which FUNCTION LIST shows them.
FLAG_NAMES: Final = {
    b"no-writes": ScriptFlag.NO_WRITES,
    b"allow-oom": ScriptFlag.ALLOW_OOM,
    b"allow-stale": ScriptFlag.ALLOW_STALE,
    b"no-cluster": ScriptFlag.NO_CLUSTER,
    b"allow-cross-slot-keys": ScriptFlag.ALLOW_CROSS_SLOT_KEYS,
}
_JUDGED: Final = Flag.STALE | Flag.DENYOOM | Flag.WRITE | Flag.MAY_REPLICATE


def split_shebang(body: bytes) -> tuple[ScriptFlag, bytes]:
    """Return the flags of a script, and its code with an empty line in place of the first.

    Raises:
        CommandError: the first line makes no sense.
    """
    if not body.startswith(b"#!"):
        return ScriptFlag.SAYS_NOTHING, body
    line, end, _ = body.partition(b"\n")
    if not end:
        raise CommandError(b"ERR Invalid script shebang")
    name, *options = line.split()
    if name != b"#!lua":
        raise CommandError(b"ERR Unexpected engine in script shebang: %b" % name)
    flags = ScriptFlag.NONE
    for option in options:
        if not option.startswith(b"flags="):
            raise CommandError(b"ERR Unknown lua shebang option: %b" % option)
        for word in option.removeprefix(b"flags=").split(b","):
            if word not in FLAG_NAMES:
                raise CommandError(b"ERR Unexpected flag in script shebang: %b" % word)
            flags |= FLAG_NAMES[word]
    return flags, body[len(line) :]


def flag_words(flags: ScriptFlag) -> list[bytes]:
    """Return the names of `flags`."""
    return [name for name, flag in FLAG_NAMES.items() if flag in flags]


def flags_of_words(words: Iterable[object]) -> ScriptFlag | None:
    """Return the flags of these names, in any case; None if one is no name of a flag."""
    flags = ScriptFlag.NONE
    for word in words:
        flag = FLAG_NAMES.get(word.lower()) if isinstance(word, bytes) else None
        if flag is None:
            return None
        flags |= flag
    return flags


def command_flags(flags: Flag, script: ScriptFlag) -> Flag:
    """Return what a command with `flags` does when it runs a script of these flags."""
    if ScriptFlag.SAYS_NOTHING in script:
        return flags
    flags &= ~_JUDGED
    if not script & (ScriptFlag.ALLOW_OOM | ScriptFlag.NO_WRITES):
        flags |= Flag.DENYOOM
    if ScriptFlag.NO_WRITES not in script:
        flags |= Flag.WRITE
    if ScriptFlag.ALLOW_STALE in script:
        flags |= Flag.STALE
    return flags
