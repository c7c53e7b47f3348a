"""What a command takes, as the real server describes it, and strategies that draw such commands.

`COMMAND DOCS` of Redis 7.0 names each argument with its type and flags. So every command and every
option is drawn without being listed here; only values that have to meet (keys, members, stream
ids) come from small pools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

__all__ = ["Argument", "Command", "CommandGrammar", "commands_of", "read_grammars"]

Command = tuple[bytes, ...]
Words = st.SearchStrategy[Command]

#: The prefix of the keys that commands of a group use most of the time.
_GROUP_KEYS: dict[str, bytes] = {
    "string": b"s",
    "bitmap": b"s",
    "list": b"l",
    "set": b"u",
    "hash": b"h",
    "sorted-set": b"z",
    "geo": b"g",
    "hyperloglog": b"p",
    "stream": b"x",
}
_KEYS_OF_A_GROUP = 3
_ALL_KEYS = [
    b"%b%d" % (prefix, number)
    for prefix in sorted(set(_GROUP_KEYS.values()))
    for number in range(_KEYS_OF_A_GROUP)
]
_INTEGERS = (
    b"0|1|1|2|2|3|5|10|-1|-2|-3|100|9223372036854775807|-9223372036854775808|9223372036854775808|x|"
).split(b"|")
_DOUBLES = b"0|1|1.5|2|3|-2.5|1e3|inf|-inf|nan|0.1|x|180|85.06|1e308".split(b"|")
_STRINGS = b"a|b|c|d|1|2|10|-7|3.5||foobar|a\x00b|1-1|2-0|hello world|\xff\xfe".split(b"|")
_PATTERNS = b"*|a*|?|[ab]|x1|\\*|s?|[^a]".split(b"|")
_TIMES = b"1|0|4102444800|4102444800000|99999999999999|-1|x".split(b"|")
#: Values for arguments whose name says more than their type.
_BY_NAME: dict[str, list[bytes]] = {
    "id": b"1-1|2-1|2-2|3-0|5|*|0|0-0|$|>|9-*|x".split(b"|"),
    "id-or-$": b"0|1-1|2-1|$|5".split(b"|"),
    "threshold": b"0|1|2|1-1|2-2|5".split(b"|"),
    "start": b"0|1|-1|-|+|(1|(a|[a|[b|-inf|2-1|(2-1|-3".split(b"|"),
    "end": b"-1|1|2|+|-|(2|[c|(c|inf|3-0|5|100".split(b"|"),
    "stop": b"-1|1|2|+|-|(2|[c|(c|inf|5|100".split(b"|"),
    "min": b"-inf|0|1|(1|-|[a|(a|x".split(b"|"),
    "max": b"+inf|inf|3|(3|+|[c|(c|2|x".split(b"|"),
    "longitude": b"13.361389|15.087269|2.35|-0.1|0|181|x".split(b"|"),
    "latitude": b"38.115556|37.502669|48.85|51.5|0|86|x".split(b"|"),
    "encoding": b"u8|i8|i5|u63|i64|u64|u1|x".split(b"|"),
    "offset": b"0|1|2|5|7|8|-1|#1|100|x".split(b"|"),
    "cursor": [b"0"],
    "group": b"g1|g1|g1|g2|g3".split(b"|"),
    "groupname": b"g1|g1|g1|g2|g3".split(b"|"),
    "consumer": b"c1|c1|c2".split(b"|"),
    "consumername": b"c1|c1|c2".split(b"|"),
    "min-idle-time": b"0|0|1000000|x".split(b"|"),
    "bit": b"0|1|1|2".split(b"|"),
    "milliseconds": b"100000000|1000000|0|-1|x".split(b"|"),
    "seconds": b"100000000|1000000|0|-1|x".split(b"|"),
    "operation": b"AND|OR|XOR|NOT|and|x".split(b"|"),
}
#: Now and then something goes wrong: a word too few, one too many, one that makes no sense.
_JUNK = b"|junk|-1|0|\x00|s0|LIMIT|WITHSCORES|*".split(b"|")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command, as COMMAND DOCS tells of it."""

    name: str
    kind: str
    token: bytes | None
    is_optional: bool
    is_multiple: bool
    repeats_token: bool
    parts: tuple[Argument, ...]

    @classmethod
    def read(cls, entry: Mapping[bytes, Any]) -> Argument:
        """Read one entry of `arguments` (RESP3, so that maps are maps)."""
        flags = entry.get(b"flags", ())
        return cls(
            name=entry[b"name"].decode(),
            kind=entry[b"type"].decode(),
            token=entry.get(b"token"),
            is_optional=b"optional" in flags,
            is_multiple=b"multiple" in flags,
            repeats_token=b"multiple_token" in flags,
            parts=tuple(map(cls.read, entry.get(b"arguments", ()))),
        )


@dataclass(frozen=True, slots=True)
class CommandGrammar:
    """A command, container and subcommand apart, with its group and arguments."""

    words: Command
    group: str
    arguments: tuple[Argument, ...]


def read_grammars(docs: Mapping[bytes, Mapping[bytes, Any]]) -> list[CommandGrammar]:
    """Return the grammars of all commands in the RESP3 reply of COMMAND DOCS, subcommands too."""
    found = []
    for name, entry in sorted(docs.items()):
        subcommands = entry.get(b"subcommands")
        if subcommands:
            found += read_grammars(subcommands)
            continue
        arguments = tuple(map(Argument.read, entry.get(b"arguments", ())))
        words = tuple(word.upper() for word in name.split(b"|"))
        found.append(CommandGrammar(words, entry[b"group"].decode(), arguments))
    return found


def commands_of(grammar: CommandGrammar) -> Words:
    """Draw a command: mostly as described, now and then with a word wrong."""
    rest = _all_of(grammar.arguments, _keys_of(grammar.group))

    @st.composite
    def draw_command(draw: st.DrawFn) -> Command:
        words = [*grammar.words, *draw(rest)]
        if draw(st.integers(0, 9)) < 9:
            return tuple(words)
        position = draw(st.integers(len(grammar.words), len(words)))
        junk = draw(st.sampled_from(_JUNK))
        if position == len(words):
            words.append(junk)
        elif draw(st.booleans()):
            words[position] = junk
        else:
            words.pop()
        return tuple(words)

    return draw_command()


def _keys_of(group: str) -> st.SearchStrategy[bytes]:
    prefix = _GROUP_KEYS.get(group)
    own = [b"%b%d" % (prefix, number) for number in range(_KEYS_OF_A_GROUP)] if prefix else []
    return st.sampled_from(own * 12 + _ALL_KEYS)


def _all_of(arguments: Sequence[Argument], keys: st.SearchStrategy[bytes]) -> Words:
    """Draw arguments one after another; a count of keys mostly is the count of those behind it."""
    parts: list[Words] = []
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        following = arguments[position + 1] if position + 1 < len(arguments) else None
        if argument.name == "numkeys" and following is not None and following.kind == "key":
            parts.append(_counted_keys(keys))
            position += 2
            continue
        parts.append(_one_of(argument, keys))
        position += 1
    return st.tuples(*parts).map(lambda drawn: sum(drawn, ()))


def _counted_keys(keys: st.SearchStrategy[bytes]) -> Words:
    counts = st.one_of(st.none(), st.none(), st.none(), st.none(), st.sampled_from(_INTEGERS))
    return st.tuples(counts, st.lists(keys, min_size=1, max_size=3)).map(
        lambda drawn: (b"%d" % len(drawn[1]) if drawn[0] is None else drawn[0], *drawn[1])
    )


def _one_of(argument: Argument, keys: st.SearchStrategy[bytes]) -> Words:
    drawn = _value_of(argument, keys)
    token: Command = () if argument.token is None else (argument.token,)
    if argument.is_multiple and argument.repeats_token:
        repeated = drawn.map(lambda words: (*token, *words))
        drawn = st.lists(repeated, min_size=1, max_size=3).map(lambda many: sum(many, ()))
    else:
        if argument.is_multiple:
            drawn = st.lists(drawn, min_size=1, max_size=3).map(lambda many: sum(many, ()))
        if argument.kind != "pure-token":
            drawn = drawn.map(lambda words: (*token, *words))
    return st.one_of(st.just(()), drawn) if argument.is_optional else drawn


def _value_of(argument: Argument, keys: st.SearchStrategy[bytes]) -> Words:
    if argument.kind == "oneof":
        return st.one_of(*(_one_of(part, keys) for part in argument.parts))
    if argument.kind == "block":
        return _all_of(argument.parts, keys)
    if argument.kind == "pure-token":
        return st.just((argument.token or b"",))
    if argument.kind == "key":
        return keys.map(lambda key: (key,))
    pool = _BY_NAME.get(argument.name.lower()) or {
        "integer": _INTEGERS,
        "double": _DOUBLES,
        "pattern": _PATTERNS,
        "unix-time": _TIMES,
    }.get(argument.kind, _STRINGS)
    return st.sampled_from(pool).map(lambda word: (word,))
