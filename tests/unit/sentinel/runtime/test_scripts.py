"""Scripts: run with their arguments, retried as they ask, bounded, and reported."""

from __future__ import annotations

import itertools
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from sentinel.core.actions import RunScript
from sentinel.core.timing import DEFAULT_PERIODS, Periods
from sentinel.runtime import scripts
from sentinel.runtime.scripts import ScriptJob, ScriptRunner
from tests.support.waiting import wait_until_async


def script(directory: Path, body: str) -> str:
    """Write an executable shell script and return its path."""
    path = directory / "script.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


_OPEN_DESCRIPTORS = """#!{python}
import fcntl, os

def is_open(number):
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        return False
    return True

found = " ".join(str(number) for number in range(1024) if is_open(number))
with open("{out}", "w") as out:
    out.write(f"{{found}} {{os.environ['VEDETTE_TEST']}}")
"""


class Bench:
    """A runner, and what it published."""

    def __init__(self, periods: Periods) -> None:
        self.published: list[tuple[bytes, bytes]] = []
        self.periods = periods
        self.runner = ScriptRunner(
            lambda *event: self.published.append(event), lambda: self.periods
        )

    @property
    def jobs(self) -> list[ScriptJob]:
        return self.runner.jobs

    def start(self, path: str, *arguments: str) -> None:
        self.runner.request(RunScript(path, arguments))

    async def wait_idle(self) -> None:
        """Wait until nothing runs or waits."""
        await wait_until_async(lambda: not self.runner.jobs)


@asynccontextmanager
async def bench(periods: Periods = DEFAULT_PERIODS) -> AsyncIterator[Bench]:
    """Give a bench whose scripts end with the block."""
    async with trio.open_nursery() as nursery:
        stage = Bench(periods)
        nursery.start_soon(stage.runner.run)
        yield stage
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


async def test_path_of_any_bytes_is_reported_with_these_bytes() -> None:
    """A configuration file may hold any; a failure to report one would end the sentinel."""
    async with bench() as stage:
        stage.start(os.fsdecode(b"/nonexistent/\xff"))
        await stage.wait_idle()

    assert stage.published == [(b"-script-error", b"/nonexistent/\xff 0 2")]


async def test_script_that_asks_for_it_is_run_again_later(tmp_path: Path) -> None:
    """Exit code 1 means "try again"; it waits where SENTINEL PENDING-SCRIPTS shows it."""
    path = script(tmp_path, "exit 1")

    async with bench() as stage:
        stage.start(path, "x")
        await wait_until_async(lambda: [job.due_s is not None for job in stage.jobs] == [True])
        (pending,) = stage.runner.pending()

    assert (pending.argv, pending.process_id, pending.attempts) == ((path, "x"), 0, 1)
    assert 25_000 < pending.time_ms <= 30_000
    assert stage.published == []


async def test_tenth_attempt_is_the_last(tmp_path: Path) -> None:
    """A notification that fails for minutes is still delivered; one that fails for a day not."""
    path = script(tmp_path, f"echo x >> {tmp_path}/runs; exit 1")

    async with bench(Periods(script_retry_delay_ms=1)) as stage:
        stage.start(path)
        await stage.wait_idle()

    assert (tmp_path / "runs").read_text() == "x\n" * scripts.ATTEMPTS_MAX
    assert stage.published == [(b"-script-error", f"{path} 0 1".encode())]


def test_pause_after_each_attempt_is_twice_the_last() -> None:
    """30 s, 1 min, 2 min, ... 128 min, as redis-sentinel's."""
    pauses_s = [scripts.pause_s(attempts, DEFAULT_PERIODS) for attempts in range(1, 10)]

    assert pauses_s == [30 * 2**number for number in range(9)]


async def test_script_that_runs_too_long_is_killed_and_run_again(tmp_path: Path) -> None:
    """A hanging mail server must not hold a place for ever."""
    path = script(tmp_path, f"echo $$ >> {tmp_path}/runs; exec sleep 600")

    async with bench(Periods(script_max_runtime_ms=200)) as stage:
        stage.start(path)
        await wait_until_async(lambda: [job.due_s is not None for job in stage.jobs] == [True])
        (pending,) = stage.runner.pending()

    process_id = (tmp_path / "runs").read_text().strip()
    assert stage.published == [(b"-script-timeout", f"{path} {process_id}".encode())]
    assert pending.attempts == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(process_id), 0)


async def test_shorter_limit_counts_for_a_script_that_runs(tmp_path: Path) -> None:
    """SENTINEL DEBUG is used when something hangs already."""
    path = script(tmp_path, "exec sleep 600")

    async with bench() as stage:
        stage.start(path)
        await wait_until_async(lambda: [job.is_running for job in stage.jobs] == [True])
        stage.periods = Periods(script_max_runtime_ms=1)
        await wait_until_async(lambda: bool(stage.published))

    assert stage.published[0][0] == b"-script-timeout"


async def test_script_ended_by_a_signal_is_run_again(tmp_path: Path) -> None:
    """Somebody killed it; it did not fail."""
    path = script(tmp_path, "kill -9 $$")

    async with bench() as stage:
        stage.start(path)
        await wait_until_async(lambda: [job.due_s is not None for job in stage.jobs] == [True])

    assert stage.published == []


async def test_script_gets_three_descriptors_and_our_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that outlives us must not keep our port, our links or our file open."""
    monkeypatch.setenv("VEDETTE_TEST", "seen")
    path = tmp_path / "script"
    path.write_text(_OPEN_DESCRIPTORS.format(python=sys.executable, out=tmp_path / "out"))
    path.chmod(0o755)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        async with bench() as stage:
            stage.start(str(path))
            await stage.wait_idle()

    assert (tmp_path / "out").read_text() == "0 1 2 seen"


async def test_scripts_begin_in_the_order_of_their_events(tmp_path: Path) -> None:
    """The mail about the new master comes after the one about the old."""
    path = script(tmp_path, f"echo $1 >> {tmp_path}/order")

    async with bench() as stage:
        for number in range(40):
            stage.start(path, str(number))
        jobs = list(stage.jobs)
        await stage.wait_idle()

    assert all(one.began_s < next_one.began_s for one, next_one in itertools.pairwise(jobs))
    assert len((tmp_path / "order").read_text().split()) == 40


async def test_first_attempt_waits_for_nothing(tmp_path: Path) -> None:
    """Redis shows `run-delay` 0 for a script that only waits for room."""
    path = script(tmp_path, "exec sleep 600")

    async with bench() as stage:
        for number in range(scripts.RUNNING_MAX + 1):
            stage.start(path, str(number))
        await wait_until_async(
            lambda: sum(job.is_running for job in stage.jobs) == scripts.RUNNING_MAX
        )
        waiting = stage.runner.pending()[-1]

    assert (waiting.process_id, waiting.time_ms, waiting.attempts) == (0, 0, 0)


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
