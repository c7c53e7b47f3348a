"""The first line of a script that says what it is: `#!lua flags=no-writes` (`eval.c`)."""

from __future__ import annotations

import enum
from typing import Final

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


#: Names as scripts write them.
FLAG_NAMES: Final = {
    b"no-writes": ScriptFlag.NO_WRITES,
    b"allow-oom": ScriptFlag.ALLOW_OOM,
    b"allow-stale": ScriptFlag.ALLOW_STALE,
    b"no-cluster": ScriptFlag.NO_CLUSTER,
    b"allow-cross-slot-keys": ScriptFlag.ALLOW_CROSS_SLOT_KEYS,
}


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
