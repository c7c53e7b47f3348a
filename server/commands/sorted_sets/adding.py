"""ZADD and ZINCRBY. The plain ZADD of one member is hot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

from vedette.cmdspec import Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ...engine import ServerContext
from ...engine.context import WRONG_TYPE
from ...store.sorted_sets import SortedSet
from ..arguments import syntax_error
from ..doubles import parse_double
from .shared import EVENTS, score_reply

_FLAGS: Final = Flag.WRITE | Flag.DENYOOM | Flag.FAST
_NAN_RESULT: Final = b"ERR resulting score is not a number (NaN)"
_OPTIONS: Final = frozenset((b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"))


@command(
    "ZADD",
    arity=-4,
    flags=_FLAGS,
    keys=Keys(1, 1, 1, ("RW", "UPDATE")),
    group="sorted-set",
    since="1.2.0",
    summary="Adds members with their scores, or changes the scores of those that are there.",
)
def zadd(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if len(argv) == 4 and (argv[2].isdigit() or argv[2].upper() not in _OPTIONS):
        return _add_one(ctx, argv[1], parse_double(argv[2]), argv[3])
    first = 2
    while first < len(argv) and argv[first].upper() in _OPTIONS:
        first += 1
    return add(ctx, argv[1], argv[first:], AddOptions.of({word.upper() for word in argv[2:first]}))


def _add_one(ctx: ServerContext, key: bytes, score: float, member: bytes) -> int:
    """Do what `add` does for one member without options, in a third of the time."""
    db = ctx.db
    zset = ctx.peek(key) if db.expires else db.values.get(key)
    if zset is None:
        db.set(key, SortedSet.within(ctx.limits, ((score, member),)))
        added = 1
    elif type(zset) is not SortedSet:
        raise CommandError(WRONG_TYPE)
    else:
        old = zset.scores.get(member)
        if old is None:
            zset.add(member, score, ctx.limits)
            added = 1
        elif old == score:
            return 0
        else:
            zset.change(member, old, score)
            added = 0
        if db.observed:
            db.touch(key)
    ctx.changes = 1
    if ctx.is_notifying:
        ctx.notify(EVENTS, b"zadd", key)
    return added


@command(
    "ZINCRBY",
    arity=4,
    flags=_FLAGS,
    keys=Keys(1, 1, 1, ("RW", "ACCESS", "UPDATE")),
    group="sorted-set",
    since="1.2.0",
    summary="Adds to the score of a member, which counts as 0 if it is not there.",
)
def zincrby(ctx: ServerContext, argv: list[bytes]) -> Reply:
    if argv[2].upper() in _OPTIONS:
        raise syntax_error()  # Redis takes it for an option, and so misses a member
    return add(ctx, argv[1], argv[2:], _INCREMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """The options of ZADD by what they mean."""

    only_new: bool = False
    only_present: bool = False
    only_greater: bool = False
    only_less: bool = False
    counts_updates: bool = False
    increments: bool = False

    @classmethod
    def of(cls, words: set[bytes]) -> AddOptions:
        """Return the options that upper-case `words` name."""
        return cls(
            only_new=b"NX" in words,
            only_present=b"XX" in words,
            only_greater=b"GT" in words,
            only_less=b"LT" in words,
            counts_updates=b"CH" in words,
            increments=b"INCR" in words,
        )

    def check(self, count: int) -> None:
        """Check that they go together, and with that many members.

        Raises:
            CommandError: they do not.
        """
        if self.only_new and self.only_present:
            raise CommandError(b"ERR XX and NX options at the same time are not compatible")
        if self.only_greater + self.only_less + self.only_new > 1:
            raise CommandError(b"ERR GT, LT, and/or NX options at the same time are not compatible")
        if self.increments and count > 1:
            raise CommandError(b"ERR INCR option supports a single increment-element pair")

    def allow(self, old: float, new: float) -> bool:
        """Return whether the score of a member that is there may change so."""
        if self.only_new or (self.only_greater and new <= old):
            return False
        return not (self.only_less and new >= old)


_INCREMENT: Final = AddOptions(increments=True)


def add(ctx: ServerContext, key: bytes, words: Sequence[bytes], options: AddOptions) -> Reply:
    """Add what `words`, scores and members in turn, say, and return the reply.

    Raises:
        CommandError: as ZADD does; nothing has changed then.
    """
    count, is_odd = divmod(len(words), 2)
    if is_odd or not count:
        raise syntax_error()
    options.check(count)
    scores = [parse_double(text) for text in words[::2]]
    zset = ctx.peek_as(key, SortedSet)
    is_new = zset is None
    if zset is None:
        if options.only_present:
            return None if options.increments else 0
        zset = SortedSet.within(ctx.limits)
    added = updated = 0
    #: The score that the last member now has; None if the options forbade it.
    result: float | None = None
    for score, member in zip(scores, words[1::2], strict=True):
        old = zset.scores.get(member)
        if old is None:
            if options.only_present:
                continue
            zset.add(member, score, ctx.limits)
            added += 1
        else:
            if options.increments:
                score += old
                if isnan(score):
                    raise CommandError(_NAN_RESULT)
            if not options.allow(old, score):
                continue
            if score != old:
                zset.change(member, old, score)
                updated += 1
        result = score
    if added or updated:
        ctx.changes = added + updated
        if is_new:
            ctx.db.set(key, zset)
        else:
            ctx.db.touch(key)
        ctx.notify(EVENTS, b"zincr" if options.increments else b"zadd", key)
    if options.increments:
        return None if result is None else score_reply(ctx, result)
    return added + updated if options.counts_updates else added
