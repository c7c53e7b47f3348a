"""Adding and removing entries: XADD, XTRIM, XDEL, XSETID.

XADD with `*` and no options is among the hottest commands, and is looked at first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply

from ...engine import ServerContext
from ...engine.context import WRONG_TYPE
from ...store.encoding_limits import EncodingLimits
from ...store.stream_ids import MAX_ID, UINT64_MAX, StreamId, format_id
from ...store.streams import NODE_SIZE_LIMIT, Stream
from ..arguments import NO_SUCH_KEY, parse_integer, syntax_error, wrong_arity
from .ids import parse_id_to_add, parse_strict_id
from .shared import EVENTS

#: How many entries an approximate trimming deletes at most unless a LIMIT is given: those of so
#: many nodes, within limits; with no limit for a node, as many as Redis has it.
_LIMIT_NODES: Final = 100
_LARGEST_LIMIT: Final = 1_000_000
_USUAL_LIMIT: Final = 10_000
_TWO_STRATEGIES: Final = (
    b"ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
)
_TOO_SMALL: Final = (
    b"ERR The ID specified in XADD is equal or smaller than the target stream top item"
)


@dataclass(slots=True)
class _Options:
    """The options of XADD and XTRIM: how to trim, and for XADD what to add."""

    #: How many entries are to remain, or which is to be the first; None: not given.
    max_length: int | None = None
    min_id: StreamId | None = None
    is_approximate: bool = False
    #: The largest count of entries that trimming deletes; 0: any.
    limit: int = 0
    has_limit: bool = False
    #: Where the value of MAXLEN or MINID stands.
    value_index: int = 0
    makes_stream: bool = True
    #: Where the ID stands, and what it is; None: `*`.
    id_index: int = 0
    stream_id: StreamId | None = None
    has_sequence: bool = True

    @property
    def trims(self) -> bool:
        """Whether trimming was asked for."""
        return self.max_length is not None or self.min_id is not None

    def take_strategy(self, argv: list[bytes], index: int, *, is_by_length: bool) -> int:
        """Read `MAXLEN` or `MINID` at `index` with what belongs to it; return what comes behind.

        Raises:
            CommandError: it is the second of them, or its value makes no sense.
        """
        if self.trims:
            raise CommandError(_TWO_STRATEGIES)
        index += 1
        if argv[index] in (b"~", b"=") and index + 1 < len(argv):
            self.is_approximate = argv[index] == b"~"
            index += 1
        if is_by_length:
            self.max_length = parse_integer(argv[index])
            if self.max_length < 0:
                raise CommandError(b"ERR The MAXLEN argument must be >= 0.")
        else:
            self.min_id = parse_strict_id(argv[index])
        self.value_index = index
        return index + 1

    def settle_limit(self, limits: EncodingLimits, *, is_from_master: bool) -> None:
        """Check LIMIT against the rest, and choose one where none was given.

        Raises:
            CommandError: it is not allowed.
        """
        if is_from_master:
            self.limit = 0  # how far the master came is in the value
        elif self.has_limit:
            if not self.is_approximate:
                raise CommandError(
                    b"ERR syntax error, LIMIT cannot be used without the special ~ option"
                )
        elif self.is_approximate:
            limit = _LIMIT_NODES * limits.stream_node_max_entries
            self.limit = min(limit, _LARGEST_LIMIT) if limit > 0 else _USUAL_LIMIT

    def trim(self, stream: Stream) -> int:
        """Trim `stream` as asked for; return how many entries were deleted."""
        return stream.trim(
            max_length=self.max_length,
            min_id=self.min_id or 0,
            is_approximate=self.is_approximate,
            limit=self.limit,
        )

    def rewrite_trimming(self, effect: list[bytes], stream: Stream) -> None:
        """Have `effect` say how far an approximate trimming came, for replicas to do the same."""
        effect[self.value_index - 1] = b"="
        effect[self.value_index] = (
            b"%d" % len(stream)
            if self.max_length is not None
            else format_id(stream.oldest_kept_id())
        )


def _parse_options(ctx: ServerContext, argv: list[bytes], *, is_add: bool) -> _Options:
    """Read the options of XADD, up to the ID, or of XTRIM.

    Raises:
        CommandError: they make no sense.
    """
    options = _Options()
    index = 2
    size = len(argv)
    while index < size:
        word = argv[index].upper()
        has_more = index + 1 < size
        if is_add and word == b"*":
            break
        if word == b"MAXLEN" and has_more:
            index = options.take_strategy(argv, index, is_by_length=True)
        elif word == b"MINID" and has_more:
            index = options.take_strategy(argv, index, is_by_length=False)
        elif word == b"LIMIT" and has_more:
            options.limit = parse_integer(argv[index + 1])
            if options.limit < 0:
                raise CommandError(b"ERR The LIMIT argument must be >= 0.")
            options.has_limit = True
            index += 2
        elif is_add and word == b"NOMKSTREAM":
            options.makes_stream = False
            index += 1
        elif is_add:
            options.stream_id, options.has_sequence = parse_id_to_add(argv[index])
            break
        else:
            raise syntax_error()
    options.id_index = index
    if options.limit and not options.trims:
        raise CommandError(
            b"ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
        )
    if not is_add and not options.trims:
        raise CommandError(b"ERR syntax error, XTRIM must be called with a trimming strategy")
    options.settle_limit(ctx.limits, is_from_master=ctx.session.is_deaf)
    return options


#: What `XADD key * ...` means.
_NO_OPTIONS: Final = _Options(id_index=2)


@command(
    "XADD",
    arity=-5,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "UPDATE"), notes="UPDATE, for entries may be trimmed away too"),
    group="stream",
    since="5.0.0",
    complexity="O(1) to add, O(N) to trim where N is the number of entries deleted",
    tips=("nondeterministic_output",),
    summary="Adds an entry at the end of a stream, making that if need be; returns its ID.",
)
def xadd(ctx: ServerContext, argv: list[bytes]) -> Reply:
    options = _NO_OPTIONS if argv[2] == b"*" else _parse_options(ctx, argv, is_add=True)
    id_index = options.id_index
    words = argv[id_index + 1 :]
    if len(words) < 2 or len(words) % 2:
        raise wrong_arity(b"xadd")
    if options.stream_id == 0 and options.has_sequence:
        raise CommandError(b"ERR The ID specified in XADD must be greater than 0-0")
    key = argv[1]
    db = ctx.db
    stream = ctx.peek(key) if db.expires else db.values.get(key)
    is_new = stream is None
    if is_new:
        if not options.makes_stream:
            return None
        stream = Stream()
    elif type(stream) is not Stream:
        raise CommandError(WRONG_TYPE)
    assert type(stream) is Stream
    stream_id = _id_to_add(ctx, stream, options)
    words_bytes = sum(map(len, words))
    if words_bytes > NODE_SIZE_LIMIT:
        raise CommandError(b"ERR Elements are too large to be stored")
    stream.append(stream_id, words, ctx.limits, words_bytes)
    if is_new:
        db.set(key, stream)
    elif db.observed:
        db.touch(key)
    ctx.notify(EVENTS, b"xadd", key)
    ctx.changes += 1
    id_text = format_id(stream_id)
    if options.trims and options.trim(stream):
        ctx.notify(EVENTS, b"xtrim", key)
    if not ctx.engine.sinks:
        return id_text  # nobody is told
    effect = argv.copy()
    if options.stream_id is None or not options.has_sequence:
        effect[id_index] = id_text
    if options.is_approximate:
        options.rewrite_trimming(effect, stream)
    ctx.effects = [effect]
    return id_text


def _id_to_add(ctx: ServerContext, stream: Stream, options: _Options) -> StreamId:
    """Return the ID of the entry that is to be added.

    Raises:
        CommandError: it would not be beyond the last one.
    """
    last_id = stream.last_id
    if last_id == MAX_ID:
        raise CommandError(
            b"ERR The stream has exhausted the last possible ID, unable to add more items"
        )
    stream_id = options.stream_id
    if stream_id is None:
        return stream.next_id(ctx.now_ms)
    if not options.has_sequence and stream_id >> 64 == last_id >> 64:
        if last_id & UINT64_MAX == UINT64_MAX:
            raise CommandError(_TOO_SMALL)
        return last_id + 1
    if stream_id <= last_id:
        raise CommandError(_TOO_SMALL)
    return stream_id


@command(
    "XTRIM",
    arity=-4,
    flags=Flag.WRITE,
    keys=Keys(1, 1, 1, ("RW", "DELETE")),
    group="stream",
    since="5.0.0",
    complexity="O(N) where N is the number of entries deleted, most of them in whole nodes",
    tips=("nondeterministic_output",),
    summary="Deletes the oldest entries of a stream, and returns how many those were.",
)
def xtrim(ctx: ServerContext, argv: list[bytes]) -> Reply:
    options = _parse_options(ctx, argv, is_add=False)
    key = argv[1]
    stream = ctx.peek_as(key, Stream)
    if stream is None:
        return 0
    deleted = options.trim(stream)
    if deleted:
        ctx.notify(EVENTS, b"xtrim", key)
        if options.is_approximate:
            effect = argv.copy()
            options.rewrite_trimming(effect, stream)
            ctx.propagate_as(effect)
        ctx.db.touch(key)
        ctx.changes += deleted
    return deleted


@command(
    "XDEL",
    arity=-3,
    flags=Flag.WRITE | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "DELETE")),
    group="stream",
    since="5.0.0",
    complexity="O(log N) for each ID where N is the number of entries",
    summary="Deletes entries of a stream by their IDs, and returns how many there were.",
)
def xdel(ctx: ServerContext, argv: list[bytes]) -> Reply:
    key = argv[1]
    stream = ctx.peek_as(key, Stream)
    if stream is None:
        return 0
    deleted = stream.delete([parse_strict_id(text) for text in argv[2:]])
    if deleted:
        ctx.db.touch(key)
        ctx.notify(EVENTS, b"xdel", key)
        ctx.changes += deleted
    return deleted


@command(
    "XSETID",
    arity=-3,
    flags=Flag.WRITE | Flag.DENYOOM | Flag.FAST,
    keys=Keys(1, 1, 1, ("RW", "UPDATE")),
    group="stream",
    since="5.0.0",
    complexity="O(1)",
    summary="Sets the last ID of a stream, and what else it knows of entries that are gone.",
)
def xsetid(ctx: ServerContext, argv: list[bytes]) -> Reply:
    last_id = parse_strict_id(argv[2])
    entries_added: int | None = None
    max_deleted_id = 0
    index = 3
    while index < len(argv):
        option = argv[index].upper()
        if option == b"ENTRIESADDED" and index + 1 < len(argv):
            entries_added = parse_integer(argv[index + 1])
            if entries_added < 0:
                raise CommandError(b"ERR entries_added must be positive")
        elif option == b"MAXDELETEDID" and index + 1 < len(argv):
            max_deleted_id = parse_strict_id(argv[index + 1])
            if last_id < max_deleted_id:
                raise CommandError(
                    b"ERR The ID specified in XSETID is smaller than the provided"
                    b" max_deleted_entry_id"
                )
        else:
            raise syntax_error()
        index += 2
    key = argv[1]
    stream = ctx.peek_as(key, Stream)
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    if len(stream):
        if last_id < stream.newest_id():
            raise CommandError(
                b"ERR The ID specified in XSETID is smaller than the target stream top item"
            )
        if entries_added is not None and entries_added < len(stream):
            raise CommandError(
                b"ERR The entries_added specified in XSETID is smaller than the target stream"
                b" length"
            )
    stream.last_id = last_id
    if entries_added is not None:
        stream.entries_added = entries_added
    if max_deleted_id:
        stream.max_deleted_id = max_deleted_id
    ctx.notify(EVENTS, b"xsetid", key)
    ctx.changes += 1
    return OK
