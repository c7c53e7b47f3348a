"""A nursery for tasks that serve a block and end with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_background_nursery() -> AsyncIterator[trio.Nursery]:
    """Open a nursery whose tasks are cancelled when the body ends.

    A lone exception leaves as itself, not inside a group: a body that raises `KeyError` is seen to
    raise `KeyError`, though tasks ran beside it. If a background task fails, the body is cancelled.
    Nor is it in a group with the cancellation of the surroundings, if that came at the same time:
    the next checkpoint hears of it.
    """
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            finally:
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        _, errors = group.split(trio.Cancelled)
        found = errors or group
        if len(found.exceptions) != 1:
            raise
        error = found.exceptions[0]
    else:
        return
    raise error  # outside the handler, so that the group does not become its context
