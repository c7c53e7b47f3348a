"""What popping from the first of several keys has in common, for lists and for sorted sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vedette.clients import WAITING, Block
from vedette.clients.blocking import Waiting
from vedette.resp.replies import Reply

from ..engine import ServerContext
from ..engine.context import CollectionT
from .arguments import INT64_MAX, parse_integer_between, syntax_error
from .waiting import wait_for_keys

EndT = TypeVar("EndT")


@dataclass(frozen=True, slots=True)
class MultiPop(Generic[EndT]):
    """The arguments of LMPOP, ZMPOP and their kin from the number of keys on."""

    keys: list[bytes]
    end: EndT
    count: int

    @classmethod
    def parse(cls, words: list[bytes], ends: Mapping[bytes, EndT]) -> MultiPop[EndT]:
        """Read `words`, the first of which is the number of keys; `ends` are by their names.

        Raises:
            CommandError: they make no sense.
        """
        error = b"ERR numkeys should be greater than 0"
        key_count = parse_integer_between(words[0], 1, INT64_MAX, error)
        if key_count + 1 >= len(words):
            raise syntax_error()
        end = parse_end(words[key_count + 1], ends)
        options = words[key_count + 2 :]
        count = 1
        if options:
            if len(options) < 2 or options[0].upper() != b"COUNT":
                raise syntax_error()
            error = b"ERR count should be greater than 0"
            count = parse_integer_between(options[1], 1, INT64_MAX, error)
            if len(options) > 2:
                raise syntax_error()
        return cls(words[1 : key_count + 1], end, count)


def parse_end(word: bytes, ends: Mapping[bytes, EndT]) -> EndT:
    """Return that of `ends` which `word` names, in any case.

    Raises:
        CommandError: it names none.
    """
    end = ends.get(word.upper())
    if end is None:
        raise syntax_error()
    return end


def first_of(
    ctx: ServerContext, keys: Sequence[bytes], kind: type[CollectionT]
) -> tuple[bytes, CollectionT] | None:
    """Return the first of `keys` that exists, with its value of type `kind`.

    Raises:
        CommandError: it holds another type.
    """
    for key in keys:
        value = ctx.peek_as(key, kind)
        if value is not None:
            return key, value
    return None


def take_or_wait(
    ctx: ServerContext,
    keys: Sequence[bytes],
    kind: type[CollectionT],
    take: Callable[[bytes, CollectionT], Reply],
    deadline_ms: int | None,
) -> Reply | Block:
    """Return what `take(key, value)` gives for the first of `keys` that exists, now or later.

    Whoever waits passes over keys that come to hold another type than `kind`.

    Raises:
        CommandError: the first that exists holds another type.
    """
    found = first_of(ctx, keys, kind)
    if found is not None:
        return take(*found)

    def serve() -> Reply | Waiting:
        values = ctx.db.values
        for key in keys:
            # Another type is not even found to have expired: Redis looks at none but the new key.
            if isinstance(values.get(key), kind):
                value = ctx.peek(key)
                if isinstance(value, kind):
                    return take(key, value)
        return WAITING

    return wait_for_keys(ctx, keys, serve, deadline_ms)
