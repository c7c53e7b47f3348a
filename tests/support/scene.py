"""A client's surroundings in tests: two fake nodes, three fake sentinels, and waiting for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from ha_client import FailoverClient
from tests.support.fake_nodes import FakeMaster, FakeNode, FakeSentinel, opened
from tests.support.waiting import wait_until_async

__all__ = ["Scene", "error_of", "scene", "wait_received", "wait_subscribed"]


class Scene:
    """Two nodes and three sentinels; `a` is master in epoch 1."""

    def __init__(self) -> None:
        self.a, self.b = FakeMaster(), FakeMaster()
        self.sentinels = [FakeSentinel(self.a) for _ in range(3)]
        for sentinel in self.sentinels:
            sentinel.fellows = [other for other in self.sentinels if other is not sentinel]

    def client(self, **options: Any) -> FailoverClient:
        """A client that knows all sentinels; `options` override."""
        sentinels = options.pop("sentinels", self.sentinels)
        return FailoverClient(
            "mymaster", [s.address for s in sentinels], **{"command_timeout_s": 5.0, **options}
        )

    async def switch(self, *, epoch: int = 2, is_silent: bool = False) -> None:
        """Make `b` master: all sentinels know, and say so unless silent."""
        for sentinel in self.sentinels:
            await sentinel.switch(self.b, epoch, is_silent=is_silent)


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    it = Scene()
    async with opened(it.a, it.b, *it.sentinels):
        yield it


async def wait_subscribed(it: Scene) -> None:
    """Wait until every sentinel that works has a subscriber."""
    await wait_until_async(
        lambda: all(s.subscriber_count for s in it.sentinels if not s.is_hanging),
        what="the client to subscribe",
    )


async def wait_received(node: FakeNode, name: bytes, count: int = 1) -> None:
    await wait_until_async(lambda: node.count(name) >= count, what=f"{count} {name!r}")


async def error_of(call: Callable[[], Awaitable[object]]) -> Exception | None:
    """Return the error that a call ends in, or None."""
    try:
        await call()
    except Exception as error:
        return error
    return None
