"""Runs a drill: a laboratory, writers, the steps of a scenario, and what is read at the end.

Tasks: the observer, the writers and the display for the whole drill; probes of reads until it
comes to rest, and of writes to each surviving node from the fault on. The steps run one after the
other; a step that waits has a deadline, and passing it is no error but a finding, which the report
judges.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

import trio

import vedette
from ha_client import FailoverClient
from vedette.errors import VedetteError
from vedette.runtime.background import open_background_nursery

from ..checkers import (
    check_counter,
    check_set,
    measure_outage,
    measure_split_brain,
    measure_staleness,
)
from ..faults import Fault, Order, Partition, Target
from ..lab import (
    MASTER_NAME,
    Kind,
    PortBases,
    ProcessPlan,
    Topology,
    hand_out_kinds,
    plan_lab,
)
from ..live_table import describe_start
from ..observation import LabView, NodeView, missing_order, missing_rest
from ..report import Report
from ..resyncs import Resyncs, count_resyncs
from ..scenarios.scenario import (
    Again,
    AwaitDemotion,
    AwaitFailover,
    AwaitRest,
    Inject,
    KillMajority,
    Load,
    RestoreSentinels,
    Resume,
    Scenario,
    Step,
)
from ..timeline import NS_PER_MS, Timeline
from ..verdict import Budget, Findings, judge
from .certificates import make_certificates
from .display import DrillDisplay
from .lab import Lab, is_port_free, open_lab
from .probing import Probes
from .reading import read_keys
from .workload import COUNTER_KEY, Workload

_OBSERVE_INTERVAL_S = 0.025
#: How long a node may take for a write and still count as taking writes meanwhile.
_SPLIT_PATIENCE_NS = 500 * NS_PER_MS
#: How long after its return an old master may take writes, by sentinels of ours and by any.
_DEMOTION_MS = 1_000
_OTHERS_DEMOTION_MS = 20_000
#: Before the fault every writer must have been acknowledged, and all sentinels be heard.
_WARM_UP_TIMEOUT_S = 15.0


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
    #: Override what is allowed, in milliseconds.
    outage_ms: int | None = None
    demotion_ms: int | None = None
    #: Whether all connections are to go over TLS.
    is_tls: bool = False

    @property
    def budget(self) -> Budget:
        scenario = self.scenario
        allowed = (
            scenario.outage_down_afters * self.topology.down_after_ms
            + scenario.outage_beyond_down_after_ms
        )
        return Budget(
            outage_ms=self.outage_ms or allowed,
            loss_window_ms=scenario.loss_window_ms,
            failovers=scenario.failovers,
            has_minority_time=scenario.kills_majority,
            demotion_ms=self._demotion_ms if scenario.awaits_demotion else None,
        )

    @property
    def _demotion_ms(self) -> int:
        kinds = hand_out_kinds(self.topology.sentinels, self.topology.sentinel_count)
        is_ours = all(kind is Kind.VEDETTE for kind in kinds)
        return self.demotion_ms or (_DEMOTION_MS if is_ours else _OTHERS_DEMOTION_MS)


async def run_drill(
    settings: DrillSettings, directory: Path, display: DrillDisplay, *, keeps: bool
) -> Report:
    """Run one drill in `directory` and return its report.

    With `keeps` the report names the directory, in which `history.jsonl` and the logs are.

    Raises:
        PlanError, LabError, DrillError: it could not be run; no process is left.
    """
    if settings.scenario.expects_failover and not settings.topology.replica_count:
        raise DrillError(f"{settings.scenario.name} needs a replica that can be promoted")
    tls = make_certificates(directory / "tls") if settings.is_tls else None
    topology = replace(settings.topology, is_proxied=settings.scenario.needs_proxies)
    plan = plan_lab(topology, directory, settings.ports, is_port_free, tls)
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
        #: Whom the fault hit.
        self.victim = ""
        #: Names of the processes that the fault ended for good.
        self.gone: set[str] = set()
        #: The sentinels that were killed and are to be started again, and when they were.
        self.killed_sentinels: list[str] = []
        self.restored_ns: int | None = None
        #: When the fault was undone, and whether the old master was seen to be no master after.
        self.returned_ns: int | None = None
        self.is_demoted = False
        self.probes = Probes(lab.connect)
        #: How long the logs were at the fault.
        self._log_sizes: dict[str, int] = {}
        #: How long after the last write all was at rest; None if not, then what was missing.
        self.rest_ms: float | None = None
        self.not_at_rest: Sequence[str] = []
        self._writers_ended = trio.Event()

    async def run(self) -> Findings:
        """Carry out all steps and return what was found."""
        sentinels = [process.address for process in self.plan.sentinels]
        async with (
            FailoverClient(MASTER_NAME, sentinels, tls_context=self.lab.tls_context) as client,
            open_background_nursery() as nursery,
        ):
            self.workload = Workload(
                client, writer_count=self.settings.writer_count, seed=self.settings.seed
            )
            nursery.start_soon(self._run_writers, name="writers")
            *steps, rest = self.settings.scenario.steps
            assert isinstance(rest, AwaitRest)
            async with open_background_nursery() as probing:
                self.probes.start(probing, client, self.plan.nodes)
                await self._warm_up()
                for step in steps:
                    await self._take(step, nursery, probing)
            await self._await_rest(rest.timeout_ms)
            final = await self._read_final()
        return self._conclude(final)

    async def _take(self, step: Step, nursery: trio.Nursery, probing: trio.Nursery) -> None:
        """Carry out one step before the last; what probes is started in `probing`."""
        match step:
            case Load(duration_ms=duration_ms, down_afters=down_afters):
                down_after_ms = self.settings.topology.down_after_ms
                await trio.sleep((duration_ms + down_afters * down_after_ms) / 1000)
            case Inject(fault=fault):
                await self._inject(fault, nursery, probing)
            case Again():
                self._strike(self.settings.scenario.fault)
            case KillMajority():
                self._kill_majority()
            case RestoreSentinels():
                self._restore_sentinels()
            case AwaitFailover(timeout_ms=timeout_ms):
                await self._await_failover(timeout_ms)
            case Resume():
                self._resume()
            case AwaitDemotion(timeout_ms=timeout_ms):
                await self._await_demotion(timeout_ms)
            case AwaitRest():
                raise AssertionError("a drill comes to rest once, at its end")
            case _:
                assert_never(step)

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

    async def _inject(
        self, fault: Fault | Order | Partition, nursery: trio.Nursery, probing: trio.Nursery
    ) -> None:
        masters = self.observer.view.masters()
        if len(masters) != 1:
            raise DrillError(f"{len(masters)} masters before the fault: {', '.join(masters)}")
        master = victim = masters[0]
        if isinstance(fault, Fault) and fault.target is Target.REPLICA:
            replicas = [process.name for process in self.plan.nodes if process.name != master]
            if not replicas:
                raise DrillError("there is no replica to hit")
            victim = replicas[0]
        self.victim = victim
        if fault.ends_process:
            self.gone.add(victim)
        self._log_sizes = self.lab.log_sizes()
        self.before = dict(self.observer.view.nodes)
        self.display.note(f"{fault.name} {victim} (pid {self.lab.processes[victim].pid})")
        # Between this clock reading and the signal nothing else runs.
        fault_ns = time.monotonic_ns()
        self._strike(fault)
        self.timeline = Timeline(self.plan, old_master=master, fault_ns=fault_ns)
        self.workload.mark(fault_ns)
        self.observer.add_listener(self.timeline.observe)
        for process in self.plan.nodes:
            if process.name not in self.gone:
                self._probe(process, probing)
        if self.settings.scenario.expects_failover:
            nursery.start_soon(self._await_order, name="order")
            nursery.start_soon(self._await_service, fault, name="service")
        nursery.start_soon(self.display.show_phases, self.timeline, name="display")
        if isinstance(fault, Order):
            await self._order(fault)

    def _strike(self, fault: Fault | Order | Partition) -> None:
        match fault:
            case Fault():
                self.lab.processes[self.victim].send_signal(fault.signal)
            case Partition():
                self.lab.proxies[self.victim].hold()
            case Order():
                pass  # given by a connection, once everything looks on

    def _probe(self, process: ProcessPlan, probing: trio.Nursery) -> None:
        def note_first(time_ns: int) -> None:
            # A master that is well, or back, takes writes without having been promoted.
            if process.name != self.timeline.old_master:
                self.timeline.accepted_write(process.name, time_ns)

        probing.start_soon(self.probes.write_to, process, note_first, name=f"probe {process.name}")

    def _kill_majority(self) -> None:
        sentinels = self.plan.sentinels
        count = len(sentinels) - self.settings.topology.quorum + 1
        self.killed_sentinels = [process.name for process in sentinels[:count]]
        for name in self.killed_sentinels:
            self.display.note(f"kill -9 {name}")
            self.lab.processes[name].send_signal(signal.SIGKILL)

    def _restore_sentinels(self) -> None:
        # Before they are started: none of them can have voted earlier.
        self.restored_ns = time.monotonic_ns()
        for name in self.killed_sentinels:
            self.display.note(f"start {name}")
            self.lab.processes[name].start()

    async def _order(self, order: Order) -> None:
        """Tell a sentinel what an operator would: one of ours, if there is any."""
        sentinels = self.plan.sentinels
        ours = (process for process in sentinels if process.kind is Kind.VEDETTE)
        process = next(ours, sentinels[0])
        try:
            async with self.lab.connect(process) as connection:
                await connection.execute("SENTINEL", *order.words)
        except VedetteError as error:
            raise DrillError(f"{process.name} refuses {order.name}: {error}") from error

    def _resume(self) -> None:
        self.returned_ns = time.monotonic_ns()
        if isinstance(self.settings.scenario.fault, Partition):
            self.display.note(f"heal {self.victim}")
            self.lab.proxies[self.victim].release()
        else:
            self.display.note(f"SIGCONT {self.victim}")
            self.lab.processes[self.victim].send_signal(signal.SIGCONT)

    async def _await_demotion(self, timeout_ms: int) -> None:
        def is_replica(view: LabView) -> bool:
            # As of a look after it was back: one from before may lie there.
            node = view.nodes[self.victim]
            return self.returned_ns is not None and node.is_replica_since(self.returned_ns)

        with trio.move_on_after(timeout_ms / 1000):
            await self.observer.wait_for(is_replica)
            self.is_demoted = True

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

    async def _await_service(self, fault: Fault | Order | Partition) -> None:
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
        master = next(process for process in self.plan.nodes if process.name == masters[0])
        try:
            async with self.lab.connect(master) as connection:
                return await read_keys(connection)
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
            split_brain_ms=measure_split_brain(self.probes.taken, _SPLIT_PATIENCE_NS),
            stale_read_ms=measure_staleness(self.probes.beats, self.probes.reads),
            resyncs=self._resyncs(),
            demoted_ms=self._demoted_ms(),
            restored_ms=None
            if self.restored_ns is None
            else (self.restored_ns - timeline.fault_ns) / NS_PER_MS,
        )

    def _resyncs(self) -> dict[str, Resyncs]:
        """Return how each node that is left was synchronised since the fault."""
        found = {}
        for process in self.plan.nodes:
            if process.name not in self.gone:
                with process.log_path.open("rb") as log:
                    log.seek(self._log_sizes[process.name])
                    found[process.name] = count_resyncs(log.read().decode("utf-8", "replace"))
        return found

    def _demoted_ms(self) -> float | None:
        """Return how long after its return the old master took writes; None: to the end."""
        if not self.is_demoted or self.returned_ns is None:
            return None
        writes = self.probes.taken.get(self.timeline.old_master, [])
        last_ns = writes[-1].completed_ns if writes else 0
        return max(0, last_ns - self.returned_ns) / NS_PER_MS


def _after_fault_ms(times_ns: Mapping[str, int], fault_ns: int) -> dict[str, float]:
    return {name: (time_ns - fault_ns) / NS_PER_MS for name, time_ns in times_ns.items()}
