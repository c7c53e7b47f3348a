"""Waiting for keys: what BLPOP and all like it have in common (Redis 7.0 `blocked.c`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from vedette.clients import Block
from vedette.clients.blocking import KeyLoss, Reason, Waiting
from vedette.errors import CommandError
from vedette.resp.replies import NULL_ARRAY, Reply

from ..engine import ServerContext
from . import extended_float
from .arguments import INT64_MAX, parse_integer

_NEGATIVE: Final = b"ERR timeout is negative"
_OUT_OF_RANGE: Final = b"ERR timeout is out of range"


def deadline_after_seconds(text: bytes, now_ms: int) -> int | None:
    """Return when a timeout of `text` seconds, with decimals, is over; None: never (0).

    Raises:
        CommandError: it is no number, negative, or beyond any clock.
    """
    seconds = extended_float.parse(text)
    if seconds is None:
        raise CommandError(b"ERR timeout is not a float or out of range")
    if isinstance(seconds, str):
        raise CommandError(_OUT_OF_RANGE if seconds == "inf" else _NEGATIVE)
    return _deadline(extended_float.ceil_product(seconds, 1000), now_ms)


def deadline_after_milliseconds(text: bytes, now_ms: int) -> int | None:
    """Return when a timeout of `text` milliseconds is over; None: never (0).

    Raises:
        CommandError: it is no integer, or negative.
    """
    return _deadline(parse_integer(text, b"ERR timeout is not an integer or out of range"), now_ms)


def _deadline(timeout_ms: int, now_ms: int) -> int | None:
    if timeout_ms < 0:
        raise CommandError(_NEGATIVE)
    if timeout_ms > INT64_MAX - now_ms:
        raise CommandError(_OUT_OF_RANGE)
    return now_ms + timeout_ms if timeout_ms else None


def wait_for_keys(
    ctx: ServerContext,
    keys: Iterable[bytes],
    serve: Callable[[], Reply | Waiting],
    deadline_ms: int | None,
    *,
    instead_of_waiting: Reply = NULL_ARRAY,
    heeds_loss: bool = False,
) -> Block:
    """Have the client wait until a change of one of `keys` lets `serve` give a reply.

    With `heeds_loss` that a key goes is such a change too.

    `serve` runs with the context bound to the client. It returns WAITING while there is nothing for
    it; where it takes something it sets `ctx.changes` and propagates what it did. An error that it
    raises ends the wait. The reply of a timeout is a null array.
    """
    index = ctx.db.index
    reasons: list[Reason] = []
    for key in dict.fromkeys(keys):
        reasons.append((index, key))
        if heeds_loss:
            reasons.append(KeyLoss(index, key))

    def retry(now_ms: int) -> Reply | Waiting:
        try:
            return serve()
        except CommandError as error:
            return ctx.engine.error_reply(error.text)

    return Block(
        tuple(reasons),
        retry,
        lambda: NULL_ARRAY,
        deadline_ms,
        instead_of_waiting=lambda: instead_of_waiting,
    )
