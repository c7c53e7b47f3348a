"""A running laboratory: starts what `drills.lab` planned, waits until it is whole, stops it.

Order of the start: the master, then the replicas until each is linked, then the sentinels until
each knows all others; a sentinel that came before the replicas would look for them only ten seconds
later. Order of the stop: the sentinels first (lest they fail over), then the replicas, then the
master.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from ha_client import FailoverClient
from vedette.errors import VedetteError
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connection import Connection

from ..faults import Injection
from ..keys import LAB_KEYS
from ..lab import HOST, LabPlan, ProcessPlan
from ..live_table import ProcessState
from ..observation import View, missing_knowledge, missing_links, strangers
from .certificates import context_of
from .connector import Connector
from .lab_injection import LabInjector
from .observer import Observer
from .processes import LabProcess, find_program, stop_processes
from .proxy import FaultProxy
from .reading import list_keys

START_TIMEOUT_S = 30.0
#: How long each of the three groups may take to end by SIGTERM, and again by SIGKILL.
STOP_TIMEOUT_S = 5.0
_STOP_LIMIT_S = 6 * STOP_TIMEOUT_S + 1


class LabError(VedetteError):
    """The laboratory could not be started; the text says why, with the output of the culprit."""


class MissingProgramError(LabError):
    """A program that the plan needs is not installed."""


class Lab:
    """The processes of a plan, and the observer that watches them; a `Site` of drills."""

    keys = LAB_KEYS

    def __init__(self, plan: LabPlan, observe_interval_s: float) -> None:
        self.plan = plan
        self.deployment = plan
        self.connector = Connector(tls_context=context_of(plan.tls))
        self.observer = Observer(plan, observe_interval_s, self.connector)
        #: What stands before each node, if links are to be interrupted.
        self.proxies = {
            node.name: FaultProxy(HOST, node.port, node.listen_port)
            for node in plan.nodes
            if node.port != node.listen_port
        }
        self.processes = {process.name: LabProcess(process) for process in plan.processes}

    @property
    def log_paths(self) -> Mapping[str, Path]:
        return {process.name: process.log_path for process in self.plan.nodes}

    def make_client(self) -> FailoverClient:
        """Return a client that follows the laboratory's master."""
        return FailoverClient(
            self.plan.master_name,
            [process.address for process in self.plan.sentinels],
            tls_context=self.connector.tls_context,
        )

    def make_injector(self, injection: Injection, note: Callable[[str], None]) -> LabInjector:
        """Return what carries `injection` out on the processes."""
        return LabInjector(
            self.observer,
            self.connector,
            injection,
            note,
            processes=self.processes,
            proxies=self.proxies,
        )

    async def list_written(self, connection: Connection, asked: Sequence[str]) -> Sequence[str]:
        """Return the names of all keys like the writers': there may be some that nobody asked."""
        del asked
        return [*await list_keys(connection, self.keys.sets), self.keys.counter]

    def exit_codes(self) -> Mapping[str, int]:
        """Return the codes of the processes that have ended."""
        return {
            name: process.exit_code
            for name, process in self.processes.items()
            if process.exit_code is not None
        }

    @property
    def nodes(self) -> list[LabProcess]:
        return [self.processes[process.name] for process in self.plan.nodes]

    @property
    def sentinels(self) -> list[LabProcess]:
        return [self.processes[process.name] for process in self.plan.sentinels]

    def states(self) -> dict[str, ProcessState]:
        """Return whether each process runs, by name."""
        return {
            name: ProcessState(process.pid, process.exit_code)
            for name, process in self.processes.items()
        }

    async def start(self, report: Callable[[str], None]) -> None:
        """Start all processes in order and wait until the laboratory is whole.

        Raises:
            LabError: its files could not be written, a process ended, or something was still
                missing after the time allowed.
        """
        for process in self.plan.processes:
            _write_configuration(process)
        report("starting the master and its replicas")
        await self._start(self.nodes, missing_links)
        report("starting the sentinels")
        await self._start(self.sentinels, missing_knowledge)

    async def stop(self) -> list[str]:
        """End every process in order; return the names of those that had to be killed."""
        master, *replicas = self.nodes
        killed: list[LabProcess] = []
        for group in (self.sentinels, replicas, [master]):
            killed += await stop_processes(group, STOP_TIMEOUT_S)
        return [process.plan.name for process in killed]

    async def _start(
        self, processes: Sequence[LabProcess], missing: Callable[[View], list[str]]
    ) -> None:
        for process in processes:
            process.start()
        seen = "nothing was seen of it"

        def is_whole(view: View) -> bool:
            nonlocal seen
            for process in processes:
                if not process.is_running:
                    raise LabError(_describe_end(process))
            process_ids = {process.plan.name: process.pid for process in processes}
            lacking = strangers(view, process_ids) or missing(view)
            seen = "; ".join(lacking)
            return not lacking

        with trio.move_on_after(START_TIMEOUT_S) as scope:
            await self.observer.wait_for(is_whole)
        if scope.cancelled_caught:
            raise LabError(f"not ready after {START_TIMEOUT_S:g} s: {seen}")


@asynccontextmanager
async def open_lab(
    plan: LabPlan,
    *,
    observe_interval_s: float,
    report: Callable[[str], None] = lambda text: None,
) -> AsyncIterator[Lab]:
    """Run the laboratory of `plan` as long as the block; nothing outlives it, whatever happens.

    `report` is told each step of the start and the stop.

    Raises:
        MissingProgramError: before anything was started.
        LabError: it did not come up; what was started has been stopped.
    """
    require_programs(plan)
    lab = Lab(plan, observe_interval_s)
    try:
        async with open_background_nursery() as nursery:
            for name, proxy in lab.proxies.items():
                await nursery.start(proxy.run, name=f"proxy of {name}")
            nursery.start_soon(lab.observer.run, name="observer")
            await lab.start(report)
            yield lab
    finally:
        report("stopping all processes")
        with trio.move_on_after(_STOP_LIMIT_S, shield=True):
            for name in await lab.stop():
                report(f"{name} did not end in {STOP_TIMEOUT_S:g} s and was killed")


def require_programs(plan: LabPlan) -> None:
    """Check that every program of the plan is installed.

    Raises:
        MissingProgramError: names those that are not.
    """
    missing = sorted({p.program for p in plan.processes if find_program(p) is None})
    if missing:
        raise MissingProgramError(
            f"{' and '.join(missing)} not found; install it, or choose other kinds "
            "with --nodes and --sentinels"
        )


def is_port_free(port: int) -> bool:
    """Return whether a server could listen on `port` of the loopback address now."""
    with socket.socket() as probe:
        # As servers do: connections that linger from an earlier run do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _write_configuration(process: ProcessPlan) -> None:
    try:
        process.directory.mkdir(parents=True, exist_ok=True)
        process.config_path.write_text(process.config_text)
    except OSError as error:
        raise LabError(f"cannot write {process.config_path}: {error.strerror}") from error


def _describe_end(process: LabProcess) -> str:
    plan = process.plan
    return (
        f"{plan.name} ({plan.program}, port {plan.port}) ended with code {process.exit_code} "
        f"while starting; its last output:\n{process.output_tail()}"
    )
