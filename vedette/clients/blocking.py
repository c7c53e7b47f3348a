"""What a command returns when its reply has to wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ..resp.replies import NO_REPLY, Reply


class Waiting:
    """The type of `WAITING`."""

    __slots__ = ()


#: What `Block.retry` returns when the wait is not over.
WAITING: Final = Waiting()


@dataclass(slots=True)
class Block:
    """The client waits: later requests of the same client wait behind it.

    `reason` groups waits that the same happening may end (`wait`, `pause`, ...):
    `Engine.wake(reason)` retries just these, oldest first. `retry(now_ms)` returns the reply, or
    `WAITING`. After `deadline_ms` (wall clock; None: no limit) the reply is `on_timeout()`.

    With `is_repeated` the request itself has not been run: when the wait ends it is taken up again
    from the start, gates included, and the reply is to be `NO_REPLY`.
    """

    reason: str
    retry: Callable[[int], Reply | Waiting]
    on_timeout: Callable[[], Reply] = lambda: NO_REPLY
    deadline_ms: int | None = None
    is_repeated: bool = False
