"""Scripts: run with their arguments, retried as they ask, bounded, and reported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio
import trio.testing

from sentinel.core.actions import RunScript
from sentinel.runtime import scripts
from sentinel.runtime.scripts import ScriptRunner
from tests.support.waiting import wait_until_async


def script(directory: Path, body: str) -> str:
    """Write an executable shell script and return its path."""
    path = directory / "script.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


class Bench:
    """A runner, and what it published."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.published: list[tuple[bytes, bytes]] = []
        self.runner = ScriptRunner(lambda *event: self.published.append(event))
        self._nursery = nursery

    def start(self, path: str, *arguments: str) -> None:
        self.runner.start(RunScript(path, arguments), self._nursery)

    async def wait_idle(self) -> None:
        """Wait until nothing runs or waits."""
        await wait_until_async(lambda: not self.runner.jobs)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Give a bench whose scripts end with the block."""
    async with trio.open_nursery() as nursery:
        yield Bench(nursery)
        nursery.cancel_scope.cancel()


async def test_script_gets_event_and_text_as_arguments(tmp_path: Path) -> None:
    """Notification scripts are called as redis-sentinel calls them."""
    path = script(tmp_path, f'printf "%s|" "$@" > {tmp_path}/out')

    async with bench() as stage:
        stage.start(path, "+sdown", "master m 10.0.0.1 6379")
        await stage.wait_idle()

    assert (tmp_path / "out").read_text() == "+sdown|master m 10.0.0.1 6379|"
    assert stage.published == []


async def test_failing_script_is_reported_and_not_run_again(tmp_path: Path) -> None:
    """Exit codes above 1 are final."""
    path = script(tmp_path, f"echo x >> {tmp_path}/runs; exit 3")

    async with bench() as stage:
        stage.start(path)
        await stage.wait_idle()

    assert (tmp_path / "runs").read_text() == "x\n"
    assert stage.published == [(b"-script-error", f"{path} 0 3".encode())]


async def test_script_that_cannot_be_started_is_reported(tmp_path: Path) -> None:
    """It may have been removed since it was configured."""
    async with bench() as stage:
        stage.start("/nonexistent/script")
        await stage.wait_idle()

    assert stage.published == [(b"-script-error", b"/nonexistent/script 0 2")]


async def test_script_that_asks_for_it_is_run_again_later(tmp_path: Path) -> None:
    """Exit code 1 means "try again"; it waits where SENTINEL PENDING-SCRIPTS shows it."""
    path = script(tmp_path, "exit 1")

    async with bench() as stage:
        stage.start(path, "x")
        await wait_until_async(
            lambda: (
                [job.time_ms > 0 and job.attempts for job in stage.runner.pending()] == [1]
                and not stage.runner.jobs[0].is_running
            )
        )
        (pending,) = stage.runner.pending()

    assert (pending.argv, pending.process_id, pending.attempts) == ((path, "x"), 0, 1)
    assert 29_000 < pending.time_ms <= 30_000
    assert stage.published == []


async def test_queue_is_bounded(tmp_path: Path) -> None:
    """A flapping master with a slow script must not fill the machine with processes."""
    path = script(tmp_path, "exec sleep 30")

    async with bench() as stage:
        for number in range(scripts.QUEUE_MAX + 5):
            stage.start(path, str(number))
        await wait_until_async(
            lambda: sum(job.is_running for job in stage.runner.jobs) == scripts.RUNNING_MAX
        )
        await trio.testing.wait_all_tasks_blocked()
        pending = stage.runner.pending()

    assert len(pending) == scripts.QUEUE_MAX
    assert sum(each.process_id != 0 for each in pending) == scripts.RUNNING_MAX
    assert pending[-1].argv[1] == str(scripts.QUEUE_MAX + 4)
