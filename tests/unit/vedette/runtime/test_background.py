"""What leaves a block that tasks ran beside: its own error, as itself."""

from __future__ import annotations

import pytest
import trio

from vedette.runtime.background import open_background_nursery


async def test_a_lone_error_leaves_as_itself() -> None:
    """Though a task ran beside the block, and was cancelled for it."""

    async def fail_beside_a_task() -> None:
        async with open_background_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.lowlevel.checkpoint()
            raise KeyError

    with pytest.raises(KeyError):
        await fail_beside_a_task()


async def test_an_error_leaves_as_itself_also_when_everything_is_cancelled_meanwhile() -> None:
    """Who handles it goes on to the next checkpoint, which is cancelled."""
    reached = []
    with trio.CancelScope() as scope:
        try:
            async with open_background_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                await trio.lowlevel.checkpoint()
                scope.cancel()
                raise KeyError
        except KeyError:
            reached.append("handler")
        await trio.lowlevel.checkpoint()
        reached.append("beyond")

    assert reached == ["handler"]


async def test_cancellation_alone_goes_on() -> None:
    """It is nobody's error."""
    with trio.CancelScope() as scope:
        async with open_background_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            scope.cancel()
            await trio.sleep_forever()

    assert scope.cancelled_caught
