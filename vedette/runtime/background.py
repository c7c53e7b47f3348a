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
    """
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            finally:
                nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) != 1:
            raise
        error = group.exceptions[0]
    else:
        return
    raise error  # outside the handler, so that the group does not become its context
