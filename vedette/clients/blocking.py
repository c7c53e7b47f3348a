"""What a command returns when its reply has to wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

from ..cmdspec import CommandRow
from ..resp.replies import NO_REPLY, Reply


class Waiting:
    """The type of `WAITING`."""

    __slots__ = ()


#: What `Block.retry` returns when the wait is not over.
WAITING: Final = Waiting()


@dataclass(frozen=True, slots=True)
class KeyLoss:
    """That a key is there no more, as a reason to retry waits."""

    database_index: int
    key: bytes


#: What may end a wait: something by its name, a change of a key that is there after it (database
#: index, key), or its going.
Reason: TypeAlias = str | tuple[int, bytes] | KeyLoss


@dataclass(slots=True)
class Block:
    """The client waits: later requests of the same client wait behind it.

    `reasons` are the happenings that may end it (`"wait"`, `"pause"`, a key ...):
    `Engine.wake(reason)` retries just the waits that have it, oldest first. `retry(now_ms)` returns
    the reply, or `WAITING`; what it changes is propagated as it says itself (`propagate_as`). After
    `deadline_ms` (wall clock; None: no limit) the reply is `on_timeout()`.

    Where nothing waits (inside MULTI, in a script) the reply is `instead_of_waiting()`, or that of
    the timeout where it is not given.

    With `is_repeated` the request itself has not been run: when the wait ends it is taken up again
    from the start, gates included, and the reply is to be `NO_REPLY`.

    `request` is what waits; the engine fills it in.
    """

    reasons: tuple[Reason, ...]
    retry: Callable[[int], Reply | Waiting]
    on_timeout: Callable[[], Reply] = lambda: NO_REPLY
    deadline_ms: int | None = None
    is_repeated: bool = False
    instead_of_waiting: Callable[[], Reply] | None = None
    request: tuple[CommandRow, list[bytes]] | None = None


class PausePurpose(Enum):
    """What clients are paused for; each purpose has a pause of its own and ends only that."""

    COMMAND = "CLIENT PAUSE"
    FAILOVER = "FAILOVER"
    MIGRATION = "MIGRATE"
    SHUTDOWN = "SHUTDOWN"
