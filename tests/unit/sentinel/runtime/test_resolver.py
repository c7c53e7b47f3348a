"""Looking up host names: bounded, shared, and never in anybody's way."""

from __future__ import annotations

import threading

import pytest
import structlog.testing
import trio
import trio.testing

from sentinel.runtime.resolver import CACHE_S, DEADLINE_S, THREADS_MAX, Resolver, look_up


class NameServer:
    """Answers from a table; names that are not in it block until `release` is set."""

    def __init__(self, **table: tuple[str, ...]) -> None:
        self.table = table
        self.asked: list[str] = []
        self.is_broken = True
        self.release = threading.Event()

    def __call__(self, host: str) -> tuple[str, ...]:
        self.asked.append(host)
        if host == "broken" and self.is_broken:
            raise OSError("Name or service not known")
        if host not in self.table:
            assert self.release.wait(30)
        return self.table.get(host, ())


def test_ip_is_found_by_the_system() -> None:
    """The one test that asks it; an IP needs no name server."""
    assert look_up("127.0.0.1") == ("127.0.0.1",)


async def test_result_is_remembered_for_a_moment() -> None:
    """Reconnecting twenty times a second must not become twenty queries a second."""
    server = NameServer(db=("10.0.0.1", "10.0.0.2"))
    resolver = Resolver(server)

    found = [await resolver.resolve("db") for _ in range(20)]

    assert found == [("10.0.0.1", "10.0.0.2")] * 20
    assert server.asked == ["db"]


async def test_result_is_forgotten_again(mock_clock: trio.testing.MockClock) -> None:
    """Else a node that moves would never be found."""
    server = NameServer(db=("10.0.0.1",))
    resolver = Resolver(server)
    await resolver.resolve("db")
    server.table["db"] = ("10.0.0.2",)
    mock_clock.jump(CACHE_S * 2)

    assert await resolver.resolve("db") == ("10.0.0.2",)


async def test_those_who_ask_at_the_same_time_share_a_look_up() -> None:
    """A thousand masters of one name are one query."""
    server = NameServer()
    resolver = Resolver(server)
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(resolver.resolve, "slow")
        await trio.testing.wait_all_tasks_blocked()
        server.release.set()

    assert server.asked == ["slow"]


async def test_name_that_is_not_found_is_logged_once_until_it_is(
    mock_clock: trio.testing.MockClock,
) -> None:
    """Every name is looked up every few seconds; an outage must not fill the log."""
    server = NameServer(broken=("10.0.0.1",))
    resolver = Resolver(server)
    with structlog.testing.capture_logs() as lines:
        for is_broken in (True, True, True, False, False, True):
            server.is_broken = is_broken
            await resolver.resolve("broken")
            mock_clock.jump(CACHE_S * 2)

    assert [line["event"] for line in lines] == [
        "sentinel.name_not_resolved",
        "sentinel.name_resolved",
        "sentinel.name_not_resolved",
    ]


async def test_failure_is_nothing_found() -> None:
    """The machine keeps what it knows."""
    assert await Resolver(NameServer()).resolve("broken") == ()


async def test_dead_name_server_costs_a_deadline_and_stops_nobody_else(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Its threads cannot be ended; they are few, and not those that save the state."""
    server = NameServer()
    resolver = Resolver(server)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(THREADS_MAX * 3):
            nursery.start_soon(resolver.resolve, f"slow-{number}")
        await trio.testing.wait_all_tasks_blocked()
        saved = await trio.to_thread.run_sync(lambda: "saved")
    took = trio.current_time() - began
    server.release.set()

    assert saved == "saved"
    assert took == pytest.approx(DEADLINE_S)
    assert len(server.asked) == THREADS_MAX
