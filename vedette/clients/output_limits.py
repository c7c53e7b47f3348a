"""Limits on what a client may owe us the reading of (`client-output-buffer-limit`).

Follows Redis 7.0 `networking.c: checkClientOutputBufferLimits`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..conf import BufferLimit
from ..conf.kinds import ClientClass
from .session import ClientKind, Session

_KINDS = {
    ClientClass.NORMAL: ClientKind.NORMAL,
    ClientClass.REPLICA: ClientKind.REPLICA,
    ClientClass.PUBSUB: ClientKind.PUBSUB,
}


def limits_by_kind(configured: dict[ClientClass, BufferLimit]) -> dict[ClientKind, BufferLimit]:
    """Return the value of the directive by the kind of client that each limit is for.

    A master is bound by none: what it is owed are a few words a second.
    """
    return {_KINDS[client_class]: limit for client_class, limit in configured.items()}


def is_reply_too_large(
    session: Session, limits: Mapping[ClientKind, BufferLimit], size_bytes: int
) -> bool:
    """Return whether `session` is to be closed in place of being sent so much at once.

    As in Redis, where a reply counts while it is made, whatever the socket would take.
    """
    limit = limits.get(session.kind)
    return limit is not None and 0 < limit.hard_size_bytes <= size_bytes


def is_over_limit(session: Session, limits: Mapping[ClientKind, BufferLimit], now_ms: int) -> bool:
    """Return whether `session` is to be closed for what its socket has not taken.

    Over the soft limit it may be for so many whole seconds in a row, which begin when that is seen
    first: it is noted in the session.
    """
    limit = limits.get(session.kind)
    if limit is None:
        return False
    if limit.hard_size_bytes and session.unsent_bytes >= limit.hard_size_bytes:
        return True
    if not limit.soft_size_bytes or session.unsent_bytes < limit.soft_size_bytes:
        session.soft_limit_since_ms = None
        return False
    if session.soft_limit_since_ms is None:
        session.soft_limit_since_ms = now_ms
    return now_ms - session.soft_limit_since_ms > limit.soft_seconds * 1000
