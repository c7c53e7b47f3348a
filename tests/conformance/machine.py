"""The differential machine: one random sequence of commands, two servers, the same replies.

Commands come from `tests.conformance.grammar`, so from the real server's own description of itself.
Replies are compared as bytes. Where they differ, two things are allowed: another order, where the
real server's tips in COMMAND INFO say so (`nondeterministic_output_order`), and what is on the list
of known deviations. At the end DEBUG DIGEST compares the datasets.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import hiredis
from hypothesis import strategies as st

from tests.conformance.examples import check_examples
from tests.conformance.grammar import Command, commands_of, read_grammars
from tests.support.differential import RawClient
from tests.support.engine import TestEngine
from vedette.resp.encode import encode_command

__all__ = ["DEVIATIONS", "LEFT_OUT", "Difference", "Machine"]

#: Commands that are not drawn, with the reason.
LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(
        ["spop", "srandmember", "hrandfield", "zrandmember", "randomkey"], "chance decides"
    ),
    **dict.fromkeys(["time", "lastsave", "object|idletime", "object|freq"], "the clock decides"),
    **dict.fromkeys(["memory|usage", "memory|stats", "memory|doctor"], "tells of the process"),
    **dict.fromkeys(["dump", "restore", "restore-asking"], "compared in tests/interop"),
    **dict.fromkeys(["migrate", "sort", "sort_ro"], "need words that are not drawn"),
    **dict.fromkeys(["xadd", "xautoclaim"], "of them only what no clock decides, see below"),
    **dict.fromkeys(["blpop", "brpop", "blmove", "blmpop", "brpoplpush"], "would wait"),
    **dict.fromkeys(
        ["bzpopmin", "bzpopmax", "bzmpop", "xread", "xreadgroup", "wait", "waitaof"], "would wait"
    ),
    **dict.fromkeys(["pfdebug", "pfselftest"], "for Redis' own developers"),
    **dict.fromkeys(["flushall", "flushdb", "swapdb", "move"], "would leave nothing to compare"),
}
_LEFT_OUT_HELP = b"HELP"  # in words of our own
#: Groups that are drawn; the others are about connections and processes, compared in tests/interop.
GROUPS = (
    *("string", "bitmap", "list", "set", "hash", "sorted-set", "geo", "hyperloglog", "stream"),
    *("generic", "transactions"),
)
#: Where the reply may differ, and why (docs/compat.md).
DEVIATIONS: dict[str, str] = {
    "object|refcount": "values are not shared between keys",
    "scan": "the order of the keyspace is our own",
    "sscan": "the order of a hash table is our own",
    "hscan": "the order of a hash table is our own",
    "zscan": "the order of a hash table is our own",
    "xinfo|stream": "radix tree nodes are counted otherwise",
}
#: Errors that differ because we do as Redis 7.2: what ours says.
NEWER_ERRORS: dict[str, str] = {
    "lpos": "value must between",  # a RANK that has no opposite
}
#: Fields of which a clock decides, or that only 7.2 has.
_UNCOMPARED_FIELDS: dict[str, tuple[bytes, ...]] = {"xinfo|consumers": (b"idle", b"inactive")}
#: Encodings of strings that may differ, Redis' and ours: of one byte it cannot be told that it was
#: changed in place, and a whole sum of INCRBYFLOAT is not known from one that was set.
_ENCODINGS_MISTAKEN = {(b"raw", b"embstr"), (b"raw", b"int"), (b"embstr", b"int")}
#: What a clock decides in part: how many milliseconds one of the reply is.
_CLOCK_UNITS_MS = {"ttl": 1000, "expiretime": 1000, "pttl": 1, "pexpiretime": 1}
#: What takes the place of commands that a clock decides.
_STREAM_COMMANDS = st.one_of(
    st.tuples(
        st.just(b"XADD"),
        st.sampled_from([b"x0", b"x1", b"x2", b"s0"]),
        st.sampled_from(b"1-1|2-1|2-2|3-*|5|0-0|7-7|x".split(b"|")),
        st.sampled_from([b"a", b"b"]),
        st.sampled_from([b"1", b"2"]),
    ),
    st.tuples(
        st.just(b"XREAD"),
        st.just(b"COUNT"),
        st.sampled_from([b"1", b"2", b"0"]),
        st.just(b"STREAMS"),
        st.sampled_from([b"x0", b"x1"]),
        st.sampled_from([b"0", b"1-1", b"2", b"x"]),
    ),
    st.tuples(
        st.just(b"XREADGROUP"),
        st.just(b"GROUP"),
        st.sampled_from([b"g1", b"g2"]),
        st.sampled_from([b"c1", b"c2"]),
        st.just(b"STREAMS"),
        st.sampled_from([b"x0", b"x1"]),
        st.sampled_from([b">", b"0", b"1-1"]),
    ),
    st.tuples(
        st.just(b"XAUTOCLAIM"),
        st.sampled_from([b"x0", b"x1"]),
        st.just(b"g1"),
        st.sampled_from([b"c1", b"c2"]),
        st.just(b"0"),
        st.sampled_from([b"0", b"2-1", b"(1-1", b"x"]),
        st.just(b"JUSTID"),
    ),
)
_PREPARED: list[Command] = [
    (b"SELECT", b"0"),
    (b"FLUSHALL",),
    (b"SET", b"s0", b"foobar"),
    (b"RPUSH", b"l0", b"a", b"b", b"c", b"1"),
    (b"SADD", b"u0", b"1", b"2", b"3"),
    (b"HSET", b"h0", b"a", b"1", b"b", b"x"),
    (b"ZADD", b"z0", b"1", b"a", b"2", b"b", b"2", b"c"),
    (b"GEOADD", b"g0", b"13.361389", b"38.115556", b"a", b"15.087269", b"37.502669", b"b"),
    (b"PFADD", b"p0", b"a", b"b", b"c"),
]
_PREPARED_STREAMS: list[Command] = [
    (b"XADD", b"x0", b"1-1", b"a", b"1"),
    (b"XADD", b"x0", b"2-1", b"b", b"2"),
    (b"XGROUP", b"CREATE", b"x0", b"g1", b"0"),
]
_END: list[Command] = [(b"EXEC",), (b"UNWATCH",), (b"DEBUG", b"DIGEST")]


class Difference(AssertionError):
    """Two replies to one command of a sequence."""

    def __init__(self, command: Command, theirs: object, ours: object) -> None:
        super().__init__(f"{command}\n  redis:   {theirs!r}\n  vedette: {ours!r}")


class Machine:
    """Compares our engine with the real server on `port`, which nobody else uses meanwhile."""

    def __init__(self, port: int, groups: Collection[str] = GROUPS) -> None:
        self._port = port
        client = RawClient(port)
        client.exchange([(b"HELLO", b"3")])
        docs = _decoded(client.exchange([(b"COMMAND", b"DOCS")]))[0]
        rows = _decoded(client.exchange([(b"COMMAND",)]))[0]
        client.close()
        #: The tips of each command by its name; a subcommand's is `container|name`.
        self._tips: dict[str, frozenset[bytes]] = dict(_tips_of(rows))
        self._has_streams = "stream" in groups
        #: How far apart the clocks of the two can have been in the sequence that is judged.
        self._clock_slack_ms = 0
        self.grammars = [
            grammar
            for grammar in read_grammars(docs)
            if grammar.group in groups
            and grammar.words[-1] != _LEFT_OUT_HELP
            and b"|".join(grammar.words).decode().lower() not in LEFT_OUT
        ]

    def sequences(self) -> st.SearchStrategy[list[Command]]:
        """Draw sequences; each group is as likely as another, whatever its number of commands."""
        groups: dict[str, list[st.SearchStrategy[Command]]] = {}
        for grammar in self.grammars:
            groups.setdefault(grammar.group, []).append(commands_of(grammar))
        if self._has_streams:
            groups["stream"].append(_STREAM_COMMANDS)

        @st.composite
        def draw_command(draw: st.DrawFn) -> Command:
            group = draw(st.sampled_from(sorted(groups)))
            command = draw(draw(st.sampled_from(groups[group])))
            # A fourth word is one too many for 7.0, and may be WITHSCORE for 7.2.
            return command[:3] if command[0] in (b"ZRANK", b"ZREVRANK") else command

        return st.lists(draw_command(), min_size=10, max_size=40)

    def compare(self, protocol: int, examples: int, seed_number: int = 0) -> None:
        """Run `examples` sequences in RESP version `protocol`.

        Raises:
            Difference: with the shortest sequence that shows it in the notes.
        """
        check_examples(
            self.sequences(),
            partial(self.check, protocol),
            examples=examples,
            seed_number=seed_number,
        )

    def check(self, protocol: int, sequence: Sequence[Command]) -> None:
        """Run one sequence on both.

        Raises:
            Difference: a reply is not the same.
        """
        prepared = _PREPARED + (_PREPARED_STREAMS if self._has_streams else [])
        commands = [(b"HELLO", b"%d" % protocol), *prepared, *sequence, *_END]
        client = RawClient(self._port)
        started_ms = int(time.time() * 1000)
        try:
            theirs = client.exchange(commands)
        finally:
            client.close()
        self._clock_slack_ms = int(time.time() * 1000) - started_ms + 1
        engine = TestEngine("enable-debug-command yes")
        engine.advance(started_ms - engine.now_ms)
        ours = engine.send(b"".join(map(encode_command, commands)))
        if ours != theirs:
            self._judge(commands, _decoded(theirs), _decoded(ours))

    def _judge(self, commands: Sequence[Command], theirs: list[Any], ours: list[Any]) -> None:
        if len(theirs) != len(ours):
            raise Difference((b"(number of replies)",), len(theirs), len(ours))
        queued: list[Command] = []
        for position, (command, their_reply, our_reply) in enumerate(
            zip(commands, theirs, ours, strict=True)
        ):
            if position == 0:
                continue  # HELLO tells who it is
            if repr(their_reply) in ("b'QUEUED'", "'QUEUED'"):
                queued.append(command)
            is_exec = command[0].upper() == b"EXEC" and isinstance(their_reply, list)
            if is_exec and isinstance(our_reply, list) and len(our_reply) == len(queued):
                for inner, their_part, our_part in zip(queued, their_reply, our_reply, strict=True):
                    self._judge_one(inner, their_part, our_part)
            else:
                self._judge_one(command, their_reply, our_reply)
            if command[0].upper() in (b"EXEC", b"DISCARD", b"MULTI", b"RESET"):
                queued = []

    def _judge_one(self, command: Command, theirs: object, ours: object) -> None:
        if repr(theirs) == repr(ours):
            return
        name = self._name_of(command)
        is_error = isinstance(theirs, hiredis.ReplyError) or isinstance(ours, hiredis.ReplyError)
        if not is_error and name in DEVIATIONS:
            return
        if name == "object|encoding" and (theirs, ours) in _ENCODINGS_MISTAKEN:
            return
        if isinstance(ours, hiredis.ReplyError) and NEWER_ERRORS.get(name, "\n") in str(ours):
            return
        if self._is_of_the_clock(name, theirs, ours):
            return
        fields = _UNCOMPARED_FIELDS.get(name, ())
        if not is_error and fields and _without(theirs, fields) == _without(ours, fields):
            return
        tips = self._tips.get(name, frozenset())
        may_reorder = not is_error and b"nondeterministic_output_order" in tips
        if may_reorder and _unordered(theirs) == _unordered(ours):
            return
        raise Difference(command, theirs, ours)

    def _is_of_the_clock(self, name: str, theirs: object, ours: object) -> bool:
        """Return whether two lifetimes, or times, are apart because the clocks were."""
        unit_ms = _CLOCK_UNITS_MS.get(name)
        if unit_ms is None or not isinstance(theirs, int) or not isinstance(ours, int):
            return False
        is_there = theirs >= 0 and ours >= 0
        return is_there and abs(theirs - ours) <= -(-self._clock_slack_ms // unit_ms)

    def _name_of(self, command: Command) -> str:
        name = command[0].decode("latin-1").lower()
        if len(command) > 1:
            inner = f"{name}|{command[1].decode('latin-1').lower()}"
            if inner in self._tips:
                return inner
        return name


def _decoded(data: bytes) -> list[Any]:  # Any: what a server may answer
    reader = hiredis.Reader(encoding=None)
    reader.feed(data)
    replies = []
    while (reply := reader.gets()) is not False:
        replies.append(reply)
    return replies


def _without(reply: object, fields: Collection[bytes]) -> object:
    """Return `reply` without the values of `fields`, in its maps or flat lists of pairs."""
    if isinstance(reply, Mapping):
        return {name: value for name, value in reply.items() if name not in fields}
    if isinstance(reply, list):
        if any(field in reply for field in fields):
            return _without(dict(zip(reply[::2], reply[1::2], strict=True)), fields)
        return [_without(item, fields) for item in reply]
    return reply


def _unordered(reply: object) -> object:
    """Return `reply` with the elements of every collection in one order."""
    if isinstance(reply, Mapping):
        return sorted((repr(key), repr(_unordered(value))) for key, value in reply.items())
    if isinstance(reply, list | set):
        return sorted(repr(_unordered(element)) for element in reply)
    return reply


def _tips_of(rows: Sequence[Any]) -> Iterator[tuple[str, frozenset[bytes]]]:
    for row in rows:
        yield row[0].decode(), frozenset(row[7])
        yield from _tips_of(row[9])
