"""Runs a drill: a laboratory, writers, the steps of a scenario, and what is read at the end.

Tasks, all in one nursery that `run_drill` owns: the observer and the writers for the whole drill,
one prober for each surviving node from the fault until it accepts a write, and the display. The
steps run one after the other; a step that waits has a deadline, and passing it is no error but a
finding, which the report judges.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

import vedette
from ha_client import FailoverClient
from vedette.errors import VedetteError
from vedette.resp.exchange import ReplyError
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connection import Connection, open_connection

from ..checkers import check_counter, check_set, measure_outage
from ..faults import Fault, Order, Target
from ..lab import MASTER_NAME, PortBases, ProcessPlan, Topology, plan_lab
from ..live_table import describe_start
from ..observation import LabView, NodeView, missing_order, missing_rest
from ..report import Budget, Findings, Report, judge
from ..scenarios.scenario import AwaitFailover, AwaitRest, Inject, Load, Resume, Scenario
from ..timeline import NS_PER_MS, Timeline
from .display import DrillDisplay
from .lab import Lab, is_port_free, open_lab
from .workload import COUNTER_KEY, KEY_PREFIX, Workload

_OBSERVE_INTERVAL_S = 0.025
_PROBE_INTERVAL_S = 0.005
#: Before the fault every writer must have been acknowledged, and all sentinels be heard.
_WARM_UP_TIMEOUT_S = 15.0
_READ_TIMEOUT_S = 30.0
_READ_BATCH = 500


class DrillError(VedetteError):
    """The drill could not be run: nothing can be said of what it was to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillSettings:
    """What a drill is run with."""

    scenario: Scenario
    topology: Topology
    ports: PortBases
    seed: int
    writer_count: int
    #: Overrides what the scenario allows, in milliseconds.
    outage_ms: int | None = None

    @property
    def budget(self) -> Budget:
        allowed = self.topology.down_after_ms + self.scenario.outage_beyond_down_after_ms
        return Budget(
            outage_ms=self.outage_ms or allowed,
            loss_window_ms=self.scenario.loss_window_ms,
            expects_failover=self.scenario.expects_failover,
        )


async def run_drill(
    settings: DrillSettings, directory: Path, display: DrillDisplay, *, keeps: bool
) -> Report:
    """Run one drill in `directory` and return its report.

    With `keeps` the report names the directory, in which `history.jsonl` and the logs are.

    Raises:
        PlanError, LabError, DrillError: it could not be run; no process is left.
    """
    plan = plan_lab(settings.topology, directory, settings.ports, is_port_free)
    async with open_lab(plan, observe_interval_s=_OBSERVE_INTERVAL_S, report=display.note) as lab:
        for line in describe_start(plan.processes, lab.states()):
            display.note(line)
        display.note("the laboratory is up")
        drill = _Drill(settings, lab, display)
        findings = await drill.run()
    if keeps:
        history = "".join(f"{event.to_json()}\n" for event in drill.workload.history)
        (directory / "history.jsonl").write_text(history)
    return Report(
        scenario=settings.scenario,
        plan=plan,
        seed=settings.seed,
        writer_count=settings.writer_count,
        version=vedette.__version__,
        findings=findings,
        budget=settings.budget,
        criteria=judge(findings, settings.budget),
        kept_in=str(directory) if keeps else None,
    )


class _Drill:
    """One run: the state that its steps share."""

    workload: Workload
    timeline: Timeline

    def __init__(self, settings: DrillSettings, lab: Lab, display: DrillDisplay) -> None:
        self.settings = settings
        self.lab = lab
        self.plan = lab.plan
        self.observer = lab.observer
        self.display = display
        self.start_ns = 0
        self.end_ns = 0
        #: Views of the nodes at the moment of the fault.
        self.before: dict[str, NodeView] = {}
        #: Names of the processes that the fault ended for good.
        self.gone: set[str] = set()
        #: How long after the last write all was at rest; None if not, then what was missing.
        self.rest_ms: float | None = None
        self.not_at_rest: Sequence[str] = []
        self._writers_ended = trio.Event()

    async def run(self) -> Findings:
        """Carry out all steps and return what was found."""
        sentinels = [process.address for process in self.plan.sentinels]
        async with (
            FailoverClient(MASTER_NAME, sentinels) as client,
            open_background_nursery() as nursery,
        ):
            self.workload = Workload(
                client, writer_count=self.settings.writer_count, seed=self.settings.seed
            )
            nursery.start_soon(self._run_writers, name="writers")
            await self._warm_up()
            for step in self.settings.scenario.steps:
                match step:
                    case Load(duration_ms=duration_ms, down_afters=down_afters):
                        down_after_ms = self.settings.topology.down_after_ms
                        await trio.sleep((duration_ms + down_afters * down_after_ms) / 1000)
                    case Inject(fault=fault):
                        await self._inject(fault, nursery)
                    case AwaitFailover(timeout_ms=timeout_ms):
                        await self._await_failover(timeout_ms)
                    case Resume():
                        self._resume()
                    case AwaitRest(timeout_ms=timeout_ms):
                        await self._await_rest(timeout_ms)
            final = await self._read_final()
        return self._conclude(final)

    async def _run_writers(self) -> None:
        try:
            await self.workload.run()
        finally:
            self._writers_ended.set()

    async def _warm_up(self) -> None:
        self.display.note(f"{self.settings.writer_count} writers begin")
        with trio.move_on_after(_WARM_UP_TIMEOUT_S) as scope:
            await self.workload.wait_all_acknowledged()
            await self.observer.wait_for(lambda view: self.observer.hears_all)
        if scope.cancelled_caught:
            silent = [str(writer) for writer in self.workload.unacknowledged()]
            who = f"writers {', '.join(silent)}" if silent else "the events of some sentinel"
            raise DrillError(f"nothing was heard of {who} within {_WARM_UP_TIMEOUT_S:g} s")
        self.start_ns = time.monotonic_ns()

    async def _inject(self, fault: Fault | Order, nursery: trio.Nursery) -> None:
        masters = self.observer.view.masters()
        if len(masters) != 1:
            raise DrillError(f"{len(masters)} masters before the fault: {', '.join(masters)}")
        master = victim = masters[0]
        if isinstance(fault, Fault) and fault.target is Target.REPLICA:
            replicas = [process.name for process in self.plan.nodes if process.name != master]
            if not replicas:
                raise DrillError("there is no replica to hit")
            victim = replicas[0]
        if fault.ends_process:
            self.gone.add(victim)
        self.before = dict(self.observer.view.nodes)
        self.display.note(f"{fault.name} {victim} (pid {self.lab.processes[victim].pid})")
        # Between this clock reading and the signal nothing else runs.
        fault_ns = time.monotonic_ns()
        if isinstance(fault, Fault):
            self.lab.processes[victim].send_signal(fault.signal)
        self.timeline = Timeline(self.plan, old_master=master, fault_ns=fault_ns)
        self.workload.mark(fault_ns)
        self.observer.add_listener(self.timeline.observe)
        if self.settings.scenario.expects_failover:
            self._follow_failover(fault, victim, nursery)
        nursery.start_soon(self.display.show_phases, self.timeline, name="display")
        if isinstance(fault, Order):
            await self._order(fault)

    def _follow_failover(self, fault: Fault | Order, victim: str, nursery: trio.Nursery) -> None:
        """Have every phase of the failover that is to come noted."""
        for process in self.plan.nodes:
            # A master that is well accepts writes all the time.
            if process.name not in self.gone and (
                isinstance(fault, Fault) or process.name != victim
            ):
                nursery.start_soon(self._probe, process, name=f"probe {process.name}")
        nursery.start_soon(self._await_order, name="order")
        nursery.start_soon(self._await_service, fault, name="service")

    async def _order(self, order: Order) -> None:
        """Tell a sentinel what an operator would."""
        process = self.plan.sentinels[0]
        try:
            async with open_connection(process.address) as connection:
                await connection.execute("SENTINEL", *order.words)
        except VedetteError as error:
            raise DrillError(f"{process.name} refuses {order.name}: {error}") from error

    def _resume(self) -> None:
        victim = self.timeline.old_master
        self.display.note(f"SIGCONT {victim}")
        self.lab.processes[victim].send_signal(signal.SIGCONT)

    async def _probe(self, process: ProcessPlan) -> None:
        """Write to a node until it accepts a write."""
        while True:
            try:
                async with open_connection(process.address) as connection:
                    await self._probe_connected(process.name, connection)
                    return
            except VedetteError:  # it is down or was reset; what a probe is there to wait out
                await trio.sleep(_PROBE_INTERVAL_S)

    async def _probe_connected(self, name: str, connection: Connection) -> None:
        while True:
            try:
                await connection.execute("SET", f"drill:probe:{name}", "1")
            except ReplyError:  # still a replica
                await trio.sleep(_PROBE_INTERVAL_S)
            else:
                self.timeline.accepted_write(name, time.monotonic_ns())
                return

    async def _await_failover(self, timeout_ms: int) -> None:
        old_address = self.observer.view.address_of(self.timeline.old_master)

        def is_agreed(view: LabView) -> bool:
            named = {sentinel.master for sentinel in view.sentinels.values()}
            return len(named) == 1 and not named & {old_address, None}

        with trio.move_on_after(timeout_ms / 1000) as scope:
            await self.observer.wait_for(is_agreed)
            await self.workload.wait_all_acknowledged()
        if scope.cancelled_caught:
            self.display.note(f"no failover served all writers within {timeout_ms} ms")

    async def _await_order(self) -> None:
        def is_in_order(view: LabView) -> bool:
            # Before there is a new master, all is in the old order.
            return self.timeline.new_master is not None and not missing_order(view, self.gone)

        self.timeline.converged(await self.observer.wait_for(is_in_order))

    async def _await_service(self, fault: Fault | Order) -> None:
        if isinstance(fault, Order):
            # Until then the old master serves them, as ever.
            await self.observer.wait_for(lambda view: self.timeline.new_master is not None)
            self.workload.mark(time.monotonic_ns())
        await self.workload.wait_any_acknowledged()
        self.timeline.acknowledged(self.workload.first_ok_ns())
        await self.workload.wait_all_acknowledged()
        self.timeline.acknowledged(self.workload.first_ok_ns())

    async def _await_rest(self, timeout_ms: int) -> None:
        self.workload.stop()
        with trio.move_on_after(timeout_ms / 1000):
            await self._writers_ended.wait()
            self.end_ns = time.monotonic_ns()
            at_rest_ns = await self.observer.wait_for(
                lambda view: not missing_rest(view, self.gone)
            )
            self.rest_ms = (at_rest_ns - self.end_ns) / NS_PER_MS
        if self.rest_ms is None:
            self.not_at_rest = missing_rest(self.observer.view, self.gone) or ["the writers"]

    async def _read_final(self) -> dict[str, str] | None:
        """Read all that the writers may have written, from the one master there is.

        Returns None if there is no single master, or it does not let itself be read.
        """
        masters = [name for name in self.observer.view.masters() if name not in self.gone]
        if len(masters) != 1:
            return None
        self.display.note(f"reading all keys from {masters[0]}")
        address = self.observer.view.address_of(masters[0])
        with trio.move_on_after(_READ_TIMEOUT_S):
            try:
                async with open_connection(address) as connection:
                    return await _read_keys(connection)
            except VedetteError as error:
                self.display.note(f"{masters[0]} cannot be read: {error}")
        return None

    def _conclude(self, final: dict[str, str] | None) -> Findings:
        timeline = self.timeline
        operations = self.workload.history.operations()
        sets = [operation for operation in operations if operation.function == "set"]
        increments = [operation for operation in operations if operation.function == "incr"]
        writes = counter = None
        if final is not None:
            counter = check_counter(increments, int(final.pop(COUNTER_KEY, "0")))
            writes = check_set(sets, final)
        new_master = timeline.new_master
        before = self.before.get(new_master or "", NodeView(time_ns=0))
        after = self.observer.view.nodes.get(new_master or "", before)
        return Findings(
            fault_ns=timeline.fault_ns,
            old_master=timeline.old_master,
            new_master=new_master,
            leader=timeline.leader,
            switched_to=timeline.switched_to,
            elections=timeline.elections,
            epochs=timeline.epochs,
            phases=timeline.phases(),
            agreed_ms=_after_fault_ms(timeline.agreed_ns, timeline.fault_ns),
            accepted_ms=_after_fault_ms(timeline.accepted_ns, timeline.fault_ns),
            outage=measure_outage(
                operations,
                self.workload.writers,
                self.start_ns,
                self.end_ns or time.monotonic_ns(),
            ),
            pause_ms=timeline.pause_ms,
            writes=writes,
            counter=counter,
            sync_full=after.sync_full - before.sync_full,
            sync_partial=after.sync_partial_ok - before.sync_partial_ok,
            ended={
                name: process.exit_code
                for name, process in self.lab.processes.items()
                if process.exit_code is not None and name not in self.gone
            },
            rest_ms=self.rest_ms,
            not_at_rest=self.not_at_rest,
            events=timeline.events,
        )


async def _read_keys(connection: Connection) -> dict[str, str]:
    """Return every key of the writers with its value."""
    keys: list[bytes] = await connection.execute("KEYS", f"{KEY_PREFIX}*")
    keys.append(COUNTER_KEY.encode())
    found: dict[str, str] = {}
    for start in range(0, len(keys), _READ_BATCH):
        batch = keys[start : start + _READ_BATCH]
        values: list[bytes | None] = await connection.execute("MGET", *batch)
        for key, value in zip(batch, values, strict=True):
            if value is not None:
                found[key.decode()] = value.decode("utf-8", "replace")
    return found


def _after_fault_ms(times_ns: Mapping[str, int], fault_ns: int) -> dict[str, float]:
    return {name: (time_ns - fault_ns) / NS_PER_MS for name, time_ns in times_ns.items()}
