"""Times to live as arguments: EX, PX, EXAT, PXAT and their rules, shared by SET and GETEX.

Follows Redis 7.0 `t_string.c: getExpireMillisecondsOrReply`.
"""

from __future__ import annotations

from typing import Final

from vedette.errors import CommandError

from ..engine import ServerContext
from .arguments import INT64_MAX, parse_integer

#: Options with an amount behind them: (the amount is in seconds, it counts from now).
LIFETIMES: Final = {
    b"EX": (True, True),
    b"PX": (False, True),
    b"EXAT": (True, False),
    b"PXAT": (False, False),
}


def invalid_expire_time(command: bytes) -> CommandError:
    """Return the error for a time that is not positive or too far away."""
    return CommandError(b"ERR invalid expire time in '%b' command" % command)


def expire_time_ms(lifetime: bytes, amount: bytes, now_ms: int, command: bytes) -> int:
    """Return the wall clock time in ms that option `lifetime` with `amount` means.

    Raises:
        CommandError: `amount` is no integer, or no time; the latter names `command`.
    """
    value = parse_integer(amount)
    is_in_seconds, is_relative = LIFETIMES[lifetime]
    if value <= 0 or (is_in_seconds and value > INT64_MAX // 1000):
        raise invalid_expire_time(command)
    if is_in_seconds:
        value *= 1000
    if is_relative:
        value += now_ms
    if value > INT64_MAX:
        raise invalid_expire_time(command)
    return value


def is_expired_at_once(ctx: ServerContext, expire_at_ms: int) -> bool:
    """Return whether a key given that expiry time is to be deleted now.

    Only where deleting is ours to decide: a replica keeps the key until its master deletes it.
    """
    engine = ctx.engine
    return expire_at_ms <= ctx.now_ms and not engine.is_replica and not engine.is_loading
