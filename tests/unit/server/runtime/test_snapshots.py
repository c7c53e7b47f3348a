"""Background saves and what follows from how they end."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.replication import Peer, serving
from tests.support.waiting import wait_until_async


def failing_snapshot() -> Iterator[bytes]:
    yield b"REDIS"
    raise OSError("no space left")


async def test_writes_are_refused_and_taken_again_as_soon_as_a_save_has_ended() -> None:
    """Not only at the next tick of a timer: who waits for the end of a save may write then."""
    async with serving("save 900 1") as server:
        background, make = server.engine.background, server.snapshot
        client = await Peer.connect(server.port)
        server.snapshot = failing_snapshot
        await client.say("BGSAVE")
        assert await client.line() == b"+Background saving started"
        await wait_until_async(lambda: not background.is_saving, 10, "the first save's end")
        await client.say("SET", "key", "value")
        assert (await client.line()).startswith(b"-MISCONF ")

        server.snapshot = make
        await client.say("BGSAVE")
        assert await client.line() == b"+Background saving started"
        await wait_until_async(lambda: not background.is_saving, 10, "the second save's end")
        await client.say("SET", "key", "value")
        assert await client.line() == b"+OK"
        await client.close()
