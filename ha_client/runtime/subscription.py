"""Pub/sub that follows the master and says where messages may be missing.

Owns one connection, to whichever node is master, and a bounded queue of what it brings. Redis
keeps no messages: what is published while nobody is subscribed is gone, so each time the
subscription had to be made anew the stream has a `Gap`.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import trio

from vedette.errors import ProtocolError
from vedette.resp.exchange import Received, ReplyError
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connecting import ConnectFailed
from vedette.runtime.connection import Connection, ConnectionLost
from vedette.types import Address

from ..core.verdicts import tells_of_no_master
from ..errors import MasterUnavailable
from ..statistics import Tally
from .link import MasterLink
from .nodes import NodeOptions, objection_to, open_node
from .tracker import MasterTracker

#: Items that may wait to be taken, beside those that the connection holds.
_CAPACITY: Final = 256
#: Between two attempts to subscribe.
_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Message:
    """What was published; `pattern` is the subscribed one that `channel` matched, if it was one."""

    channel: bytes
    data: bytes
    pattern: bytes | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """Messages may be missing here: for `lost_s` nothing was subscribed to, by `reason`."""

    old: Address
    new: Address
    lost_s: float
    reason: str


Item: TypeAlias = Message | Gap
Subscription: TypeAlias = trio.MemoryReceiveChannel[Item]


@asynccontextmanager
async def open_subscription(
    tracker: MasterTracker,
    options: NodeOptions,
    tally: Tally,
    channels: Sequence[bytes],
    patterns: Sequence[bytes],
    deadline: float,
) -> AsyncIterator[Subscription]:
    """Subscribe, and give what comes as long as the block.

    Raises:
        MasterUnavailable: there was no master before the deadline.
        ReplyError: the master refuses, then or after a failover.
        ClientClosed: the client ended.
    """
    started = trio.current_time()
    sender, receiver = trio.open_memory_channel[Item](_CAPACITY)
    feeder = _Feeder(tracker, options, tally, channels, patterns, sender)
    async with open_background_nursery() as nursery:
        with trio.move_on_at(deadline) as scope:
            await nursery.start(feeder.run, name="subscription")
        if scope.cancelled_caught:
            elapsed_s = trio.current_time() - started
            reason = feeder.reason or tracker.follower.last_failure
            unavailable = MasterUnavailable("SUBSCRIBE", reason, elapsed_s)
            tally.note_error(unavailable)
            raise unavailable
        with tally.subscription():
            yield receiver


class _Feeder:
    """The task behind a subscription; it waits while the queue is full."""

    def __init__(
        self,
        tracker: MasterTracker,
        options: NodeOptions,
        tally: Tally,
        channels: Sequence[bytes],
        patterns: Sequence[bytes],
        sender: trio.MemorySendChannel[Item],
    ) -> None:
        self._tracker = tracker
        self._options = options
        self._tally = tally
        self._channels = channels
        self._patterns = patterns
        self._sender = sender
        #: Why there is no subscription, as last heard.
        self.reason = ""
        #: The node that was subscribed to last, and when that ended.
        self._old: Address | None = None
        self._lost_at_s = 0.0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Stay subscribed until cancelled; `started` is told the first time."""
        while True:
            link = await self._tracker.wait_link()
            try:
                async with open_node(link.address, self._options) as connection:
                    objection = await objection_to(connection, self._options)
                    if objection is None:
                        await self._serve(link, connection, task_status)
                    else:
                        self.reason = objection
                        self._tracker.doubt(link, objection)
            except (ConnectFailed, ConnectionLost, ProtocolError) as error:
                self.reason = str(error)
            except ReplyError as error:
                if not tells_of_no_master(error):
                    raise
                self.reason = error.text
            await trio.sleep(_PAUSE_S)

    async def _serve(
        self, link: MasterLink, connection: Connection, task_status: trio.TaskStatus[None]
    ) -> None:
        """Subscribe and pass on what comes; returns only by an exception."""
        if self._channels:
            await connection.execute("SUBSCRIBE", *self._channels)
        if self._patterns:
            await connection.execute("PSUBSCRIBE", *self._patterns)
        if self._old is None:
            task_status.started()
        else:
            lost_s = trio.current_time() - self._lost_at_s
            self._tally.note_gap(lost_s)
            await self._sender.send(Gap(self._old, link.address, lost_s, self.reason))
        self._old = link.address
        self._lost_at_s = math.inf
        try:
            async with open_background_nursery() as nursery:
                nursery.start_soon(link.close_when_left, connection)
                nursery.start_soon(self._note_end, connection)
                while True:
                    message = _message(await connection.receive_push())
                    if message is not None:
                        await self._sender.send(message)
        finally:
            self._lost_at_s = min(self._lost_at_s, trio.current_time())

    async def _note_end(self, connection: Connection) -> None:
        """A full queue keeps `_serve` from seeing the end when it comes."""
        await connection.wait_closed()
        self._lost_at_s = trio.current_time()


def _message(items: list[Received]) -> Message | None:
    """Return the message in a push; None if it is of another kind."""
    match items:
        case [b"message", channel, data]:
            return Message(channel, data)
        case [b"pmessage", pattern, channel, data]:
            return Message(channel, data, pattern)
    return None
