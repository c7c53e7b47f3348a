"""The first line of a script or library that says what it is (`eval.c`, `functions.c`).

`#!lua flags=no-writes` of a script, `#!lua name=mylib` of a function library.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vedette.conf.quoting import UnbalancedQuotesError, split_arguments
from vedette.errors import CommandError

#: What a script may say of itself, as scripts write it.
FLAG_NAMES: Final = (
    b"no-writes",
    b"allow-oom",
    b"allow-stale",
    b"no-cluster",
    b"allow-cross-slot-keys",
)


@dataclass(frozen=True, slots=True)
class ScriptFlags:
    """What a script says of itself; looked at in each run, hence plain booleans."""

    no_writes: bool = False
    allow_oom: bool = False
    allow_stale: bool = False
    no_cluster: bool = False
    allow_cross_slot_keys: bool = False
    #: It says nothing, and its commands are judged one by one, as before Redis 7.
    says_nothing: bool = False

    @classmethod
    def of(cls, names: Iterable[bytes]) -> ScriptFlags:
        """Return the flags called `names`, which must be among `FLAG_NAMES`."""
        return cls(**{_field(name): True for name in names})

    @property
    def names(self) -> list[bytes]:
        """The names of the flags that are set."""
        return [name for name in FLAG_NAMES if getattr(self, _field(name))]


def _field(name: bytes) -> str:
    return name.decode().replace("-", "_")


def split_shebang(body: bytes) -> tuple[ScriptFlags, bytes]:
    """Return the flags of a script, and its code with an empty line in place of the first.

    Raises:
        CommandError: the first line makes no sense.
    """
    if not body.startswith(b"#!"):
        return ScriptFlags(says_nothing=True), body
    line, end, _ = body.partition(b"\n")
    if not end:
        raise CommandError(b"ERR Invalid script shebang")
    name, *options = line.split()
    if name != b"#!lua":
        raise CommandError(b"ERR Unexpected engine in script shebang: %b" % name)
    flags: list[bytes] = []
    for option in options:
        if not option.startswith(b"flags="):
            raise CommandError(b"ERR Unknown lua shebang option: %b" % option)
        words = option.removeprefix(b"flags=")
        for word in words.split(b",") if words else []:
            if word not in FLAG_NAMES:
                raise CommandError(b"ERR Unexpected flag in script shebang: %b" % word)
            flags.append(word)
    return ScriptFlags.of(flags), body[len(line) :]


@dataclass(frozen=True, slots=True)
class LibraryText:
    """The parts of a function library's text; `code` has an empty line in place of the first."""

    engine: bytes
    name: bytes
    code: bytes


def split_library(text: bytes) -> LibraryText:
    """Return the parts of the text of a function library.

    Raises:
        CommandError: the first line makes no sense.
    """
    if not text.startswith(b"#!"):
        raise CommandError(b"ERR Missing library metadata")
    line, end, _ = text.partition(b"\n")
    if not end or b"\0" in line:
        raise CommandError(b"ERR Invalid library metadata")
    try:
        words = split_arguments(line)
    except UnbalancedQuotesError as error:
        raise CommandError(b"ERR Invalid library metadata") from error
    engine, *options = words
    name = None
    for option in options:
        if not option[:5].lower() == b"name=":
            raise CommandError(b"ERR Invalid metadata value given: %b" % option)
        if name is not None:
            raise CommandError(
                b"ERR Invalid metadata value, name argument was given multiple times"
            )
        name = option[5:]
    if name is None:
        raise CommandError(b"ERR Library name was not given")
    return LibraryText(engine[2:], name, text[len(line) :])
