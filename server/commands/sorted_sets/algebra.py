"""Union, intersection and difference of sorted sets, and of sets, whose members all score 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isnan
from typing import Final, TypeAlias

from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.errors import CommandError
from vedette.resp.replies import Reply

from ...engine import ServerContext
from ...engine.context import WRONG_TYPE
from ...store.score_order import Pair
from ...store.sets import Set
from ...store.sorted_sets import SortedSet
from ..arguments import parse_integer, syntax_error
from ..doubles import parse_double
from ..shared_members import count_shared, parse_limit
from .shared import members_reply, store

_READ: Final = Flag.READONLY | Flag.MOVABLE_KEYS
_STORE: Final = Flag.WRITE | Flag.DENYOOM | Flag.MOVABLE_KEYS
_READ_KEYS: Final = Keys(keynum_index=1, access=("RO", "ACCESS"))
_STORE_KEYS: Final = Keys(
    1,
    1,
    1,
    groups=(KeySpec(1, ("OW", "UPDATE")), KeySpec(2, ("RO", "ACCESS"), is_counted=True)),
)

_Aggregate: TypeAlias = Callable[[float, float], float]
_Scores: TypeAlias = dict[bytes, float]


def _sum(left: float, right: float) -> float:
    return _number(left + right)


def _lesser(left: float, right: float) -> float:
    return right if right < left else left


def _greater(left: float, right: float) -> float:
    return right if right > left else left


_AGGREGATES: Final[dict[bytes, _Aggregate]] = {b"SUM": _sum, b"MIN": _lesser, b"MAX": _greater}


def _number(score: float) -> float:
    """Return `score`, 0 in place of NaN: what inf - inf and 0 * inf count as here."""
    return 0.0 if isnan(score) else score


@dataclass(slots=True)
class _Source:
    """One input: its members' scores, and what they are multiplied by."""

    scores: _Scores
    weight: float = 1.0


@dataclass(slots=True)
class _Inputs:
    sources: list[_Source]
    aggregate: _Aggregate = _sum
    with_scores: bool = False
    #: Of ZINTERCARD; 0: none.
    limit: int = 0


def _scores_of(ctx: ServerContext, key: bytes) -> _Scores:
    """Return member and score of all that the key holds.

    Raises:
        CommandError: it is neither a sorted set nor a set.
    """
    value = ctx.read(key)
    if value is None:
        return {}
    if isinstance(value, SortedSet):
        return value.scores.copy()
    if isinstance(value, Set):
        return dict.fromkeys(value.members, 1.0)
    raise CommandError(WRONG_TYPE)


def _parse(
    ctx: ServerContext, argv: list[bytes], count_index: int, options: tuple[bytes, ...]
) -> _Inputs:
    """Read keys and options of a command whose number of keys is at `count_index`.

    Raises:
        CommandError: something makes no sense, or a key holds another type.
    """
    count = parse_integer(argv[count_index])
    if count < 1:
        raise CommandError(b"ERR at least 1 input key is needed for '%b' command" % argv[0].lower())
    keys_end = count_index + 1 + count
    if keys_end > len(argv):
        raise syntax_error()
    inputs = _Inputs([_Source(_scores_of(ctx, key)) for key in argv[count_index + 1 : keys_end]])
    rest = argv[keys_end:]
    while rest:
        option = rest.pop(0).upper()
        if option not in options:
            raise syntax_error()
        if option == b"WITHSCORES":
            inputs.with_scores = True
            continue
        needed = count if option == b"WEIGHTS" else 1
        if len(rest) < needed:
            raise syntax_error()
        words, rest = rest[:needed], rest[needed:]
        if option == b"WEIGHTS":
            for source, word in zip(inputs.sources, words, strict=True):
                source.weight = parse_double(word, b"ERR weight value is not a float")
        elif option == b"AGGREGATE":
            aggregate = _AGGREGATES.get(words[0].upper())
            if aggregate is None:
                raise syntax_error()
            inputs.aggregate = aggregate
        else:
            inputs.limit = parse_limit(words[0])
    return inputs


def _by_size(sources: Iterable[_Source]) -> list[_Source]:
    """Return the smallest first: it decides in which order scores are added, and rounded."""
    return sorted(sources, key=lambda source: len(source.scores))


def _union(inputs: _Inputs) -> _Scores:
    total: _Scores = {}
    aggregate = inputs.aggregate
    for source in _by_size(inputs.sources):
        weight = source.weight
        for member, score in source.scores.items():
            weighted = _number(weight * score)
            present = total.get(member)
            total[member] = weighted if present is None else aggregate(present, weighted)
    return total


def _intersection(inputs: _Inputs) -> _Scores:
    first, *others = _by_size(inputs.sources)
    total: _Scores = {}
    aggregate = inputs.aggregate
    for member, score in first.scores.items():
        result = _number(first.weight * score)
        for other in others:
            found = other.scores.get(member)
            if found is None:
                break
            result = aggregate(result, found * other.weight)
        else:
            total[member] = result
    return total


def _difference(inputs: _Inputs) -> _Scores:
    first, *others = inputs.sources
    kept = set(first.scores).difference(*(other.scores for other in others))
    return {member: first.scores[member] for member in kept}


def _ordered(scores: _Scores) -> list[Pair]:
    return sorted((score, member) for member, score in scores.items())


_Operation: TypeAlias = Callable[[_Inputs], _Scores]
_AGGREGATING: Final = (b"WEIGHTS", b"AGGREGATE")


def _answer(
    ctx: ServerContext, argv: list[bytes], operation: _Operation, options: tuple[bytes, ...]
) -> Reply:
    inputs = _parse(ctx, argv, 1, (*options, b"WITHSCORES"))
    return members_reply(ctx, _ordered(operation(inputs)), with_scores=inputs.with_scores)


def _store_result(
    ctx: ServerContext, argv: list[bytes], operation: _Operation, options: tuple[bytes, ...]
) -> Reply:
    inputs = _parse(ctx, argv, 2, options)
    pairs = _ordered(operation(inputs))
    store(ctx, argv[1], pairs, argv[0].lower())
    return len(pairs)


@command(
    "ZUNION",
    arity=-3,
    flags=_READ,
    keys=_READ_KEYS,
    group="sorted-set",
    since="6.2.0",
    summary="Returns the members of any of several sorted sets, with their scores put together.",
)
def zunion(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _answer(ctx, argv, _union, _AGGREGATING)


@command(
    "ZINTER",
    arity=-3,
    flags=_READ,
    keys=_READ_KEYS,
    group="sorted-set",
    since="6.2.0",
    summary="Returns the members of all of several sorted sets, with their scores put together.",
)
def zinter(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _answer(ctx, argv, _intersection, _AGGREGATING)


@command(
    "ZDIFF",
    arity=-3,
    flags=_READ,
    keys=_READ_KEYS,
    group="sorted-set",
    since="6.2.0",
    summary="Returns the members of the first of several sorted sets that the others lack.",
)
def zdiff(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _answer(ctx, argv, _difference, ())


@command(
    "ZINTERCARD",
    arity=-3,
    flags=_READ,
    keys=_READ_KEYS,
    group="sorted-set",
    since="7.0.0",
    summary="Counts the members of all of several sorted sets, up to a limit.",
)
def zintercard(ctx: ServerContext, argv: list[bytes]) -> Reply:
    inputs = _parse(ctx, argv, 1, (b"LIMIT",))
    return count_shared([source.scores.keys() for source in inputs.sources], inputs.limit)


@command(
    "ZUNIONSTORE",
    arity=-4,
    flags=_STORE,
    keys=_STORE_KEYS,
    group="sorted-set",
    since="2.0.0",
    summary="Stores what ZUNION would return.",
)
def zunionstore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _store_result(ctx, argv, _union, _AGGREGATING)


@command(
    "ZINTERSTORE",
    arity=-4,
    flags=_STORE,
    keys=_STORE_KEYS,
    group="sorted-set",
    since="2.0.0",
    summary="Stores what ZINTER would return.",
)
def zinterstore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _store_result(ctx, argv, _intersection, _AGGREGATING)


@command(
    "ZDIFFSTORE",
    arity=-4,
    flags=_STORE,
    keys=_STORE_KEYS,
    group="sorted-set",
    since="6.2.0",
    summary="Stores what ZDIFF would return.",
)
def zdiffstore(ctx: ServerContext, argv: list[bytes]) -> Reply:
    return _store_result(ctx, argv, _difference, ())
