"""The driver: order, time, and what becomes of actions. The machine is a scripted one."""

from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog
import structlog.testing
import trio
import trio.testing

from sentinel.config import World, read_config
from sentinel.core import SentinelCore, initial_state
from sentinel.core.actions import Action, Connect, Disconnect, Level, Persist, Publish, Send
from sentinel.core.durable import DurableState, durable_state
from sentinel.core.events import (
    Event,
    HelloReceived,
    LinkDown,
    LinkUp,
    Persisted,
    RepliesReceived,
    Started,
    TimePassed,
)
from sentinel.core.link_state import LinkId, LinkKind
from sentinel.runtime.driver import LULL_S, UNLOGGED_MAX_S, Driver
from sentinel.runtime.state_file import StateFile
from vedette.conf import parse_text
from vedette.errors import ConfigError
from vedette.types import Address, RunId

WORLD = World(lambda: RunId("f" * 40), lambda path: False)
LINK = LinkId(1)


class ScriptedCore(SentinelCore):
    """A machine that keeps its events and does what the test says."""

    def __init__(self, respond: Callable[[Event], list[Action]]) -> None:
        durable = read_config(parse_text("port 1\n", "x"), WORLD).durable
        super().__init__(initial_state(durable), random.Random(0))
        self.events: list[Event] = []
        self.wakeup_ms: int | None = None
        self._respond = respond
        self._changed = trio.Event()

    @property
    def next_wakeup_ms(self) -> int | None:
        return self.wakeup_ms

    @property
    def durable(self) -> DurableState:
        return durable_state(self.state)

    def step(self, event: Event) -> list[Action]:
        self.events.append(event)
        self._changed.set()
        self._changed = trio.Event()
        return self._respond(event)

    async def wait_for(self, kind: type[Event]) -> Event:
        """Return the first event of a kind, once it has come."""
        with trio.fail_after(5):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                await self._changed.wait()

    async def changed(self) -> None:
        """Return once another event has come."""
        await self._changed.wait()


@asynccontextmanager
async def driving(core: ScriptedCore, path: Path) -> AsyncIterator[Driver]:
    """Run a driver for `core` whose state is at `path` while the block lasts."""
    driver = Driver(core, StateFile(str(path)))
    async with trio.open_nursery() as nursery:
        await nursery.start(driver.run)
        yield driver
        nursery.cancel_scope.cancel()


async def test_machine_is_woken_when_it_asked_to_be(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """All the machine's patience is in `next_wakeup_ms`: too late is slow, never is blind."""
    core = ScriptedCore(lambda event: [])

    async with driving(core, tmp_path / "x") as driver:
        (started,) = core.events
        core.wakeup_ms = started.now_ms + 250
        driver.step(lambda now_ms: HelloReceived(now_ms, b""))
        core.wakeup_ms = started.now_ms + 100
        driver.step(lambda now_ms: HelloReceived(now_ms, b""))
        core.wakeup_ms = None
        woken = await core.wait_for(TimePassed)

    assert isinstance(started, Started)
    assert woken.now_ms - started.now_ms == 100


async def test_replies_that_came_during_a_stall_are_read_before_the_alarm(tmp_path: Path) -> None:
    """A process that was stopped must not take its own silence for the others'."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])

        def respond(event: Event) -> list[Action]:
            match event:
                case Started():
                    return [Connect(LINK, LinkKind.COMMAND, address, 1000)]
                case LinkUp():
                    return [Send(LINK, 1, ((b"PING",),))]
                case _:
                    return []

        core = ScriptedCore(respond)
        async with driving(core, tmp_path / "x") as driver:
            await trio.lowlevel.wait_readable(listener)
            peer, _ = listener.accept()
            await core.wait_for(LinkUp)
            core.wakeup_ms = driver.now_ms() + 5
            driver.step(lambda now_ms: HelloReceived(now_ms, b""))
            peer.sendall(b"+PONG\r\n")
            while driver.now_ms() <= core.wakeup_ms:
                pass  # the stall: nothing else runs until the alarm is overdue
            core.wakeup_ms = None
            await core.wait_for(TimePassed)
            peer.close()

    kinds = [type(event) for event in core.events]
    assert kinds.index(RepliesReceived) < kinds.index(TimePassed)


async def test_event_that_an_action_gives_rise_to_waits_its_turn(tmp_path: Path) -> None:
    """The machine is never entered while it is being stepped."""
    depth = 0
    deepest = 0
    driver: Driver | None = None

    def respond(event: Event) -> list[Action]:
        nonlocal depth, deepest
        depth += 1
        deepest = max(deepest, depth)
        if isinstance(event, HelloReceived) and event.payload == b"first" and driver is not None:
            driver.step(lambda now_ms: HelloReceived(now_ms, b"second"))
        depth -= 1
        return []

    core = ScriptedCore(respond)
    async with driving(core, tmp_path / "x") as running:
        driver = running
        running.step(lambda now_ms: HelloReceived(now_ms, b"first"))

    payloads = [event.payload for event in core.events if isinstance(event, HelloReceived)]
    assert payloads == [b"first", b"second"]
    assert deepest == 1


async def test_save_is_reported_once_it_is_on_disk(tmp_path: Path) -> None:
    """What may only be said after a save depends on this report and nothing else."""
    path = tmp_path / "sentinel.conf"
    path.write_text("# mine\nport 1\n")
    core = ScriptedCore(
        lambda event: [Persist(3, core.durable)] if isinstance(event, Started) else []
    )

    async with driving(core, path):
        event = await core.wait_for(Persisted)
        text = path.read_text()

    assert isinstance(event, Persisted)
    assert (event.save_id, event.is_saved) == (3, True)
    assert text.startswith("# mine\nport 1\n")
    assert f"sentinel myid {'f' * 40}" in text


async def test_save_that_fails_is_reported_as_failed(tmp_path: Path) -> None:
    """A vote that cannot be saved must not be given."""
    core = ScriptedCore(
        lambda event: [Persist(1, core.durable)] if isinstance(event, Started) else []
    )

    async with driving(core, tmp_path / "missing" / "sentinel.conf"):
        event = await core.wait_for(Persisted)

    assert isinstance(event, Persisted)
    assert not event.is_saved
    assert event.error == "No such file or directory"


async def test_newest_of_waiting_saves_is_written(tmp_path: Path) -> None:
    """Each save carries the whole state, so older ones that wait are of no use."""
    path = tmp_path / "sentinel.conf"
    path.write_text("port 1\n")
    core = ScriptedCore(
        lambda event: (
            [Persist(n, core.durable) for n in (1, 2, 3)] if isinstance(event, Started) else []
        )
    )

    async with driving(core, path):
        event = await core.wait_for(Persisted)
        await trio.testing.wait_all_tasks_blocked()

    assert isinstance(event, Persisted)
    assert event.save_id == 3
    assert sum(isinstance(each, Persisted) for each in core.events) == 1


async def test_disconnect_ends_a_link_without_an_event(tmp_path: Path) -> None:
    """Also one that is still being connected."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address("127.0.0.1", listener.getsockname()[1])

        def respond(event: Event) -> list[Action]:
            if isinstance(event, Started):
                return [Connect(LINK, LinkKind.COMMAND, address, 1000), Disconnect(LINK)]
            return []

        core = ScriptedCore(respond)
        async with driving(core, tmp_path / "x"):
            await trio.testing.wait_all_tasks_blocked()

    assert not any(isinstance(event, LinkUp | LinkDown) for event in core.events)


async def test_what_is_urgent_leaves_in_its_step_and_not_with_the_batch(tmp_path: Path) -> None:
    """Two replies come in one piece; what the first leads to is there before the second is read."""
    other = LinkId(2)
    arrived: list[bytes] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_server(("127.0.0.1", 0)) as second_listener,
    ):
        addresses = [Address(*each.getsockname()) for each in (listener, second_listener)]
        accepted: dict[LinkId, socket.socket] = {}

        def respond(event: Event) -> list[Action]:
            match event:
                case Started():
                    return [
                        Connect(link, LinkKind.PEER, address, 1000)
                        for link, address in zip((LINK, other), addresses, strict=True)
                    ]
                case LinkUp() if event.link == LINK:
                    return [Send(LINK, 1, ((b"PING",),)), Send(LINK, 2, ((b"PING",),))]
                case RepliesReceived() if event.token == 1:
                    return [Send(other, 3, ((b"NEWS",),), is_urgent=True)]
                case RepliesReceived():
                    arrived.append(accepted[other].recv(100, socket.MSG_DONTWAIT))
            return []

        core = ScriptedCore(respond)
        async with driving(core, tmp_path / "x"):
            for link, each in ((LINK, listener), (other, second_listener)):
                await trio.lowlevel.wait_readable(each)
                accepted[link], _ = each.accept()
            with trio.fail_after(5):
                while sum(isinstance(event, LinkUp) for event in core.events) < 2:
                    await core.changed()
                accepted[LINK].sendall(b"+PONG\r\n+PONG\r\n")
                while not arrived:
                    await core.changed()
        for each in accepted.values():
            each.close()

    assert arrived == [b"*1\r\n$4\r\nNEWS\r\n"]


def test_saved_file_is_one_a_sentinel_starts_from(tmp_path: Path) -> None:
    """Guards the pair of writer and reader against drifting apart."""
    path = tmp_path / "sentinel.conf"
    path.write_text("port 1\nsentinel monitor m 10.0.0.1 1 2\n")
    config = read_config(parse_text(path.read_text(), "x"), WORLD)

    StateFile(str(path)).write(config.durable)

    try:
        again = read_config(parse_text(path.read_text(), "x"), WORLD)
    except ConfigError as error:
        raise AssertionError(path.read_text()) from error
    assert again.durable == config.durable


async def test_host_names_are_looked_up_beside_the_machine(tmp_path: Path) -> None:
    """The caller hears of the address later, or that there is none."""
    core = ScriptedCore(lambda event: [])
    send, receive = trio.open_memory_channel[str | None](2)

    with trio.fail_after(10):
        async with driving(core, tmp_path / "x") as driver:
            driver.start_resolving("127.0.0.1", send.send_nowait)
            first = await receive.receive()
            driver.start_resolving("no such name", send.send_nowait)
            second = await receive.receive()

    assert (first, second) == ("127.0.0.1", None)


NOTICE = Publish(b"+odown", b"master m 10.0.0.1 6379", Level.WARNING, "m")


def announcing(event: Event) -> list[Action]:
    """Announce something at every hello."""
    return [NOTICE] if isinstance(event, HelloReceived) else []


def announce(driver: Driver) -> None:
    """Have the machine announce something."""
    driver.handle(lambda now_ms: HelloReceived(now_ms, b""))


async def test_log_is_written_in_the_lull_behind_what_is_announced(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """What fellows and clients wait for does not wait for lines; each says when it was."""
    core = ScriptedCore(announcing)
    with structlog.testing.capture_logs() as lines:
        async with driving(core, tmp_path / "x") as driver:
            began = datetime.now(UTC)
            announce(driver)
            told = driver.events.last_id
            ended = datetime.now(UTC)
            await trio.sleep(LULL_S * 0.75)
            announce(driver)
            await trio.sleep(LULL_S * 0.75)
            early = len(lines)
            await trio.sleep(LULL_S / 2)
            assert [line["event_id"] for line in lines] == [told, told + 1]

    assert early == 0
    first = {key: value for key, value in lines[0].items() if key != "timestamp"}
    assert first == {
        "event": "sentinel.event",
        "sentinel_event": "+odown",
        "payload": "master m 10.0.0.1 6379",
        "master": "m",
        "event_id": told,
        "log_level": "warning",
    }
    assert began <= datetime.fromisoformat(lines[0]["timestamp"]) <= ended


async def test_log_does_not_wait_for_a_lull_that_never_comes(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    """Nor does the end of the process leave anything unlogged."""
    core = ScriptedCore(announcing)
    count = int(2 * UNLOGGED_MAX_S / LULL_S)
    with structlog.testing.capture_logs() as lines:
        async with driving(core, tmp_path / "x") as driver:
            for _ in range(count):
                announce(driver)
                await trio.sleep(LULL_S * 0.75)
            logged = len(lines)
            announce(driver)

    assert UNLOGGED_MAX_S / LULL_S < logged <= count
    assert len(lines) == count + 1
