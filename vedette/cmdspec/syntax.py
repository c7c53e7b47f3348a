"""The arguments of a command in a short notation, and what COMMAND DOCS makes of it.

    name:type@key_spec=TOKEN^since!deprecated?*+( ... )

All but name and type may be missing. `@` is the number of the key specification that an argument
belongs to, `=` the word that goes before it (in single quotes where it would be misread), `^` and
`!` are versions. `?` says that it may be left out, `*` that it may come several times, `+` that its
word comes again each time. In parentheses stand the parts of a `block`, or the alternatives of a
`oneof`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ..resp.replies import MapReply, Reply, SetReply, SimpleString

_ARGUMENT: Final = re.compile(
    r"(?P<name>.+?):(?P<type>string|integer|double|key|pattern|unix-time|pure-token|oneof|block)"
    r"(?:@(?P<key_spec>\d+))?(?:='?(?P<token>(?<=')[^']+|[^'^!?*+(]*)'?)?"
    r"(?:\^(?P<since>[\d.]+))?(?:!(?P<deprecated>[\d.]+))?(?P<flags>[?*+]*)(?P<opens>\(?)"
)
_FLAGS: Final = (("?", b"optional"), ("*", b"multiple"), ("+", b"multiple_token"))


def describe_arguments(syntax: str) -> list[Reply]:
    """Return what COMMAND DOCS tells of the arguments.

    Raises:
        ValueError: the notation is wrong.
    """
    return _described(iter(syntax.split()))


def _described(words: Iterator[str]) -> list[Reply]:
    arguments: list[Reply] = []
    for word in words:
        if word == ")":
            break
        match = _ARGUMENT.fullmatch(word)
        if match is None:
            raise ValueError(f"{word} describes no argument")
        pairs: list[tuple[Reply, Reply]] = [
            (b"name", match["name"].encode()),
            (b"type", match["type"].encode()),
        ]
        if match["key_spec"] is not None:
            pairs.append((b"key_spec_index", int(match["key_spec"])))
        for name, text in (
            (b"token", match["token"]),
            (b"since", match["since"]),
            (b"deprecated_since", match["deprecated"]),
        ):
            if text is not None:
                pairs.append((name, text.encode()))
        flags: list[Reply] = [
            SimpleString(name) for letter, name in _FLAGS if letter in match["flags"]
        ]
        if flags:
            pairs.append((b"flags", SetReply(flags)))
        if match["opens"]:
            pairs.append((b"arguments", _described(words)))
        arguments.append(MapReply(pairs))
    return arguments
