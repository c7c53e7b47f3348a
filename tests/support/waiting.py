"""Waiting for a condition with a deadline, so that no test sleeps blindly.

The condition is a callable that is asked again and again until it gives something truthy. An
`OSError` or an error reply it raises counts as "not yet": while processes start, stop and change
roles, refused connections and `-LOADING` are what one expects to see.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

import hiredis
import trio

__all__ = ["wait_until", "wait_until_async"]

T = TypeVar("T")

#: How long to wait between two questions.
POLL_INTERVAL_S = 0.01

NOT_YET = (OSError, hiredis.ReplyError, trio.BrokenResourceError)


def wait_until(condition: Callable[[], T], timeout_s: float = 30.0, what: str = "") -> T:
    """Ask `condition` until it gives a truthy value, and return that value.

    `what` completes the sentence "waited N s for ...".

    Raises:
        AssertionError: the deadline passed; the text holds the last value or error seen.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            value = condition()
        except NOT_YET as error:
            last = f"it raised {error!r}"
        else:
            if value:
                return value
            last = f"it gave {value!r}"
        if time.monotonic() >= deadline:
            raise AssertionError(_describe(what, condition, timeout_s, last))
        time.sleep(POLL_INTERVAL_S)


@overload
async def wait_until_async(
    condition: Callable[[], Awaitable[T]], timeout_s: float = 30.0, what: str = ""
) -> T: ...


@overload
async def wait_until_async(
    condition: Callable[[], T], timeout_s: float = 30.0, what: str = ""
) -> T: ...


# Any: an overload's implementation; its two faces above are the types.
async def wait_until_async(
    condition: Callable[[], Any], timeout_s: float = 30.0, what: str = ""
) -> Any:
    """Do as `wait_until` does, in trio; `condition` may be a plain or an async callable.

    The clock is the real one, for it waits for real processes. An async condition that hangs is
    cut off at the deadline.
    """
    deadline = time.monotonic() + timeout_s
    last = "it did not answer"
    while True:
        with trio.move_on_after(max(deadline - time.monotonic(), POLL_INTERVAL_S)):
            try:
                answer = condition()
                value = await answer if inspect.isawaitable(answer) else answer
            except NOT_YET as error:
                last = f"it raised {error!r}"
            else:
                if value:
                    return value
                last = f"it gave {value!r}"
        if time.monotonic() >= deadline:
            raise AssertionError(_describe(what, condition, timeout_s, last))
        await trio.sleep(POLL_INTERVAL_S)


def _describe(what: str, condition: object, timeout_s: float, last: str) -> str:
    subject = what or getattr(condition, "__qualname__", repr(condition))
    return f"waited {timeout_s:g} s for {subject}; {last} when last asked"
