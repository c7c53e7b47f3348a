"""Runs the follower: carries out its actions, reports what came of them, holds the link in use.

Owns the tasks of the watchers and the link, all in one nursery of `run`. Whoever reports only
appends to a queue, which `run` empties each time it wakes; so the follower is never entered twice
at once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Set
from typing import assert_never

import trio

from vedette.types import Address

from ..core.answers import SentinelAnswer, Switch
from ..core.events import (
    Action,
    Ask,
    Close,
    Connect,
    Event,
    Hinted,
    LinkFailed,
    LinkVerified,
    MasterDoubted,
    Retire,
    SentinelAnswered,
    SentinelFailed,
    Started,
    SwitchAnnounced,
    Unwatch,
    Use,
    Watch,
    Woken,
)
from ..core.follower import Follower
from ..errors import ClientClosed
from .link import MasterLink
from .nodes import NodeOptions
from .watcher import Reports, SentinelWatcher, WatchOptions


class MasterTracker:
    """See the module.

    Attributes:
        follower: the machine, to be read only.
        link: the connection to the verified master, None while there is none.
        verified_count: how many connections were put to use so far.
    """

    def __init__(
        self, follower: Follower, watch_options: WatchOptions, node_options: NodeOptions
    ) -> None:
        self.follower = follower
        self.link: MasterLink | None = None
        self.verified_count = 0
        self._watch_options = watch_options
        self._node_options = node_options
        self._watchers: dict[Address, SentinelWatcher] = {}
        #: The link that the follower's last `Connect` made, verified or not.
        self._latest: MasterLink | None = None
        #: Set while `link` is one, and when there will be none any more.
        self._has_link = trio.Event()
        self._is_closed = False
        #: Set, and replaced, when sentinels tell of other replicas.
        self._has_other_replicas = trio.Event()
        #: Holds at most what the tasks report in one turn of the scheduler.
        self._events: deque[Event] = deque()
        self._has_events = trio.Event()

    @property
    def connected_sentinel_count(self) -> int:
        """How many sentinels are subscribed to at present."""
        return sum(watcher.is_connected for watcher in self._watchers.values())

    async def run(self) -> None:
        """Follow the master until cancelled."""
        async with trio.open_nursery() as nursery:
            self._report(Started(_now_ms()))
            while True:
                await self._has_events.wait()
                self._has_events = trio.Event()
                while self._events:
                    self._step(self._events.popleft(), nursery)
                with trio.move_on_at(self.follower.wake_at_ms / 1000):
                    await self._has_events.wait()
                if _now_ms() >= self.follower.wake_at_ms:
                    self._report(Woken(_now_ms()))

    async def wait_link(self) -> MasterLink:
        """Wait until a verified master is connected, and return the link to it.

        Raises:
            ClientClosed: there will be none any more.
        """
        while not self._is_closed:
            if self.link is not None:
                return self.link
            await self._has_link.wait()
        raise ClientClosed("the client's block ended while a command waited for a master")

    async def wait_replicas(self, known: Set[Address]) -> Set[Address]:
        """Wait until sentinels tell of other replicas to read from than `known`; return those."""
        while (told := set(self.follower.replicas)) == known:
            await self._has_other_replicas.wait()
        return told

    def close(self) -> None:
        """Have whoever waits for a link get `ClientClosed`; to be called before `run` is ended."""
        self._is_closed = True
        if self.link is not None:
            self.link.left.set()
        self.link = None
        self._has_link.set()

    def doubt(self, link: MasterLink, reason: str) -> None:
        """Tell that the node behind `link` answered as no master does."""
        self.drop(link)
        self._report(MasterDoubted(_now_ms(), link.generation, reason))

    def drop(self, link: MasterLink) -> None:
        """Use `link` no more: its connection is seen to be broken."""
        link.left.set()
        if self.link is link:
            self.link = None
            self._has_link = trio.Event()

    def _report(self, event: Event) -> None:
        self._events.append(event)
        self._has_events.set()

    def _step(self, event: Event, nursery: trio.Nursery) -> None:
        before = self.follower.replicas
        for action in self.follower.step(event):
            self._perform(action, nursery)
        if self.follower.replicas != before:
            self._has_other_replicas.set()
            self._has_other_replicas = trio.Event()

    def _perform(self, action: Action, nursery: trio.Nursery) -> None:
        match action:
            case Watch(sentinel):
                watcher = SentinelWatcher(sentinel, self._watch_options, self._reports())
                self._watchers[sentinel] = watcher
                nursery.start_soon(watcher.run, name=f"watch sentinel {sentinel}")
            case Unwatch(sentinel):
                self._watchers.pop(sentinel).stop()
            case Ask(sentinel):
                self._watchers[sentinel].ask()
            case Connect(generation, address):
                self._latest = MasterLink(
                    generation,
                    address,
                    self._node_options,
                    verified=self._on_verified,
                    failed=self._on_failed,
                )
                nursery.start_soon(self._latest.run, name=f"link to master {address}")
            case Use(generation, _, epoch):
                self._use(self._link_of(generation), epoch)
            case Retire(generation):
                link = self._link_of(generation)
                self.drop(link)
                link.retire()
            case Close(generation, reason):
                link = self._link_of(generation)
                self.drop(link)
                link.close(reason)
            case _:
                assert_never(action)

    def _link_of(self, generation: int) -> MasterLink:
        """Return the latest link: the follower never speaks of an older one."""
        assert self._latest is not None
        assert self._latest.generation == generation
        return self._latest

    def _use(self, link: MasterLink, epoch: int) -> None:
        link.epoch = epoch
        connection = link.connection
        assert connection is not None
        if self.link is link or connection.error is not None:
            return  # a new epoch of the same node; or broken since, which is reported already
        self.link = link
        self.verified_count += 1
        self._has_link.set()

    def _reports(self) -> Reports:
        def answered(sentinel: Address, answer: SentinelAnswer) -> None:
            self._report(SentinelAnswered(_now_ms(), sentinel, answer))

        def failed(sentinel: Address, reason: str) -> None:
            self._report(SentinelFailed(_now_ms(), sentinel, reason))

        def switched(sentinel: Address, switch: Switch) -> None:
            self._report(SwitchAnnounced(_now_ms(), sentinel, switch))

        def hinted(sentinel: Address) -> None:
            self._report(Hinted(_now_ms(), sentinel))

        return Reports(answered=answered, failed=failed, switched=switched, hinted=hinted)

    def _on_verified(self, generation: int) -> None:
        self._report(LinkVerified(_now_ms(), generation))

    def _on_failed(self, generation: int, reason: str) -> None:
        if self.link is not None and self.link.generation == generation:
            self.drop(self.link)
        connection = None if self._latest is None else self._latest.connection
        lost = None if connection is None else connection.error
        is_timeout = lost is not None and lost.is_timeout
        self._report(LinkFailed(_now_ms(), generation, reason, is_timeout))


def _now_ms() -> int:
    """Rounded up, so that a deadline in whole milliseconds has passed when trio says so."""
    return math.ceil(trio.current_time() * 1000)
