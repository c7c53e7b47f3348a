"""Ending in order when a signal asks for it, for programs that are run to an end."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from .background import open_background_nursery

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@asynccontextmanager
async def stopped_by_signals() -> AsyncIterator[list[signal.Signals]]:
    """Cancel the block at the first SIGINT, SIGTERM or SIGHUP; later ones change nothing more.

    What is yielded holds the signals that came, so that the caller can tell after the block.
    """
    received: list[signal.Signals] = []

    async def cancel_on_signal(
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        with trio.open_signal_receiver(*STOP_SIGNALS) as numbers:
            task_status.started()
            async for number in numbers:
                received.append(signal.Signals(number))
                block.cancel()

    async with open_background_nursery() as nursery:
        with trio.CancelScope() as block:
            await nursery.start(cancel_on_signal)
            yield received
