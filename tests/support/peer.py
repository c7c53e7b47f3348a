"""The other end of a `Connection`, in the hands of a test."""

from __future__ import annotations

import hiredis
import trio


class Peer:
    """The other end, driven by the test: what was asked, and what to answer."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._reader = hiredis.Reader()

    async def next_command(self) -> list[bytes]:
        """Return the next command the connection sent."""
        while (command := self._reader.gets()) is False:
            self._reader.feed(bytes(await self.stream.receive_some(4096)))
        assert isinstance(command, list)
        return command

    async def answer(self, data: bytes) -> None:
        await self.stream.send_all(data)
