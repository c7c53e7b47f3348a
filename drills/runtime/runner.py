"""Runs a drill: a place, writers, the steps of a scenario, and what is read at the end.

Tasks: the observer, the writers and the display for the whole drill; probes of reads until it
comes to rest, and of writes to each surviving node from the fault on. The steps run one after the
other; a step that waits has a deadline, and passing it is no error but a finding, which the report
judges.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, assert_never

import trio

import vedette
from vedette.errors import VedetteError
from vedette.runtime.background import open_background_nursery

from ..checkers import (
    check_counter,
    check_set,
    measure_outage,
    measure_split_brain,
    measure_staleness,
)
from ..deployment import Member, node_of
from ..existing_plan import ExistingDrillPlan
from ..faults import Injection, Order
from ..lab import plan_lab
from ..live_table import describe_start
from ..observation import View, missing_order, missing_rest
from ..report import Report
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
    Step,
)
from ..settings import DrillError, DrillSettings, LabSettings
from ..timeline import Timeline
from ..units import NS_PER_MS, elapsed_ms
from ..verdict import Findings, judge
from .baseline import Baseline
from .certificates import make_certificates
from .display import DrillDisplay
from .existing import Access, open_existing
from .lab import is_port_free, open_lab
from .probing import Probes
from .reading import read_values
from .site import Site
from .workload import Workload

_OBSERVE_INTERVAL_S: Final = 0.025
#: How long a node may take for a write and still count as taking writes meanwhile.
_SPLIT_PATIENCE_NS: Final = 500 * NS_PER_MS
#: Before the fault every writer must have been acknowledged, and all sentinels be heard.
_WARM_UP_TIMEOUT_S: Final = 15.0


async def run_drill(
    settings: DrillSettings,
    lab_settings: LabSettings,
    directory: Path,
    display: DrillDisplay,
    *,
    keeps: bool,
) -> Report:
    """Run one drill in a laboratory below `directory` and return its report.

    With `keeps` the report names the directory, in which `history.jsonl` and the logs are.

    Raises:
        PlanError, LabError, DrillError: it could not be run; no process is left.
    """
    lab_settings.require_possible(settings.scenario)
    tls = make_certificates(directory / "tls") if lab_settings.is_tls else None
    topology = replace(lab_settings.topology, is_proxied=settings.scenario.needs_proxies)
    plan = plan_lab(topology, directory, lab_settings.ports, is_port_free, tls)
    async with open_lab(plan, observe_interval_s=_OBSERVE_INTERVAL_S, report=display.note) as lab:
        for line in describe_start(plan.processes, lab.states()):
            display.note(line)
        display.note("the laboratory is up")
        return await _report_on(_Drill(settings, lab, display), directory if keeps else None)


async def run_existing_drill(
    settings: DrillSettings, access: Access, display: DrillDisplay, kept_in: Path | None
) -> Report:
    """Run one drill on a deployment that somebody else runs, and return its report.

    `settings.scenario` is one of the catalogue; what is done in its place there, and whether it can
    be, is found out first. With `kept_in` the history is written there.

    Raises:
        DrillError: it could not be run; no key of the drill is left, or its note says which.
    """
    async with open_existing(access, _OBSERVE_INTERVAL_S) as site:
        plan = await site.plan(settings)
        if plan.faults:
            reasons = "; ".join(f"{check.subject}: {check.found}" for check in plan.faults)
            raise DrillError(f"the drill is not begun: {reasons}")
        drill = _Drill(replace(settings, scenario=plan.scenario), site, display)
        try:
            return await _report_on(drill, kept_in)
        finally:
            await site.remove(drill.workload.asked_keys(), display.note)


async def plan_existing_drill(settings: DrillSettings, access: Access) -> ExistingDrillPlan:
    """Return what `run_existing_drill` would do, and what speaks against it; nothing is done.

    Raises:
        DrillError: as `run_existing_drill` before it begins.
    """
    async with open_existing(access, _OBSERVE_INTERVAL_S) as site:
        return await site.plan(settings)


async def _report_on(drill: _Drill, kept_in: Path | None) -> Report:
    """Run a drill and judge it; its history is kept if there is a directory for it."""
    site, settings = drill.site, drill.settings
    findings = await drill.run()
    if kept_in is not None:
        history = "".join(f"{event.to_json()}\n" for event in drill.workload.history)
        (kept_in / "history.jsonl").write_text(history)
    budget = settings.budget(site.deployment)
    return Report(
        scenario=settings.scenario,
        deployment=site.deployment,
        seed=settings.seed,
        writer_count=settings.writer_count,
        version=vedette.__version__,
        findings=findings,
        budget=budget,
        criteria=judge(findings, budget),
        kept_in=None if kept_in is None else str(kept_in),
    )


class _Drill:
    """One run: the state that its steps share."""

    #: Made by the fault.
    timeline: Timeline
    baseline: Baseline

    def __init__(self, settings: DrillSettings, site: Site, display: DrillDisplay) -> None:
        self.settings = settings
        self.site = site
        self.deployment = site.deployment
        self.observer = site.observer
        self.display = display
        self.injector = site.make_injector(settings.scenario.fault, display.note)
        self._client = site.make_client()
        self.workload = Workload(
            self._client,
            writer_count=settings.writer_count,
            seed=settings.seed,
            keys=site.keys,
        )
        self.probes = Probes(site.connector, site.keys)
        self.start_ns = 0
        self.end_ns = 0
        #: Whether the old master was seen to be no master after its return.
        self.is_demoted = False
        #: How long after the last write all was at rest; None if not, then what was missing.
        self.rest_ms: float | None = None
        self.not_at_rest: Sequence[str] = []
        self._writers_ended = trio.Event()

    async def run(self) -> Findings:
        """Carry out all steps and return what was found."""
        async with self._client as client, open_background_nursery() as nursery:
            nursery.start_soon(self._run_writers, name="writers")
            *steps, rest = self.settings.scenario.steps
            assert isinstance(rest, AwaitRest)
            async with open_background_nursery() as probing:
                self.probes.start(probing, client, self.deployment.nodes)
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
                down_after_ms = self.deployment.down_after_ms
                await trio.sleep((duration_ms + down_afters * down_after_ms) / 1000)
            case Inject(fault=fault):
                await self._inject(fault, nursery, probing)
            case Again():
                await self.injector.strike(nursery)
            case KillMajority():
                self.injector.kill_majority()
            case RestoreSentinels():
                self.injector.restore_sentinels()
            case AwaitFailover(timeout_ms=timeout_ms):
                await self._await_failover(timeout_ms)
            case Resume():
                await self.injector.undo()
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
        self, injection: Injection, nursery: trio.Nursery, probing: trio.Nursery
    ) -> None:
        master = self.injector.aim()
        self.baseline = Baseline(self.site)
        fault_ns = await self.injector.strike(nursery)
        self.timeline = Timeline(self.deployment, old_master=master, fault_ns=fault_ns)
        self.workload.mark(fault_ns)
        self.observer.add_listener(self.timeline.observe)
        for process in self.deployment.nodes:
            if process.name not in self.injector.gone:
                self._probe(process, probing)
        if self.settings.scenario.expects_failover:
            nursery.start_soon(self._await_order, name="order")
            nursery.start_soon(self._await_service, injection, name="service")
        nursery.start_soon(self.display.show_phases, self.timeline, name="display")
        if isinstance(injection, Order):
            await self.injector.give_order(injection)

    def _probe(self, process: Member, probing: trio.Nursery) -> None:
        def note_first(time_ns: int) -> None:
            # A master that is well, or back, takes writes without having been promoted.
            if process.name != self.timeline.old_master:
                self.timeline.accepted_write(process.name, time_ns)

        probing.start_soon(self.probes.write_to, process, note_first, name=f"probe {process.name}")

    async def _await_demotion(self, timeout_ms: int) -> None:
        def is_replica(view: View) -> bool:
            # As of a look after it was back: one from before may lie there.
            returned_ns = self.injector.returned_ns
            node = view.nodes[self.injector.victim]
            return returned_ns is not None and node.is_replica_since(returned_ns)

        with trio.move_on_after(timeout_ms / 1000):
            await self.observer.wait_for(is_replica)
            self.is_demoted = True

    async def _await_failover(self, timeout_ms: int) -> None:
        old_address = node_of(self.deployment, self.timeline.old_master).address

        def is_agreed(view: View) -> bool:
            named = {sentinel.master for sentinel in view.sentinels.values()}
            return len(named) == 1 and not named & {old_address, None}

        timeout_ms += self.deployment.down_after_ms
        with trio.move_on_after(timeout_ms / 1000) as scope:
            await self.observer.wait_for(is_agreed)
            await self.workload.wait_all_acknowledged()
        if scope.cancelled_caught:
            self.display.note(f"no failover served all writers within {timeout_ms} ms")

    async def _await_order(self) -> None:
        gone = self.injector.gone

        def is_in_order(view: View) -> bool:
            # Before there is a new master, all is in the old order.
            return self.timeline.new_master is not None and not missing_order(view, gone)

        self.timeline.converged(await self.observer.wait_for(is_in_order))

    async def _await_service(self, injection: Injection) -> None:
        if isinstance(injection, Order):
            # Until then the old master serves them, as ever.
            await self.observer.wait_for(lambda view: self.timeline.new_master is not None)
            self.workload.mark(time.monotonic_ns())
        await self.workload.wait_any_acknowledged()
        self.timeline.acknowledged(self.workload.first_ok_ns())
        await self.workload.wait_all_acknowledged()
        self.timeline.acknowledged(self.workload.first_ok_ns())

    async def _await_rest(self, timeout_ms: int) -> None:
        gone = self.injector.gone
        self.workload.stop()
        with trio.move_on_after(timeout_ms / 1000):
            await self._writers_ended.wait()
            self.end_ns = time.monotonic_ns()
            at_rest_ns = await self.observer.wait_for(lambda view: not missing_rest(view, gone))
            self.rest_ms = elapsed_ms(self.end_ns, at_rest_ns)
        if self.rest_ms is None:
            self.not_at_rest = missing_rest(self.observer.view, gone) or ["the writers"]

    async def _read_final(self) -> dict[str, str] | None:
        """Read all that the writers may have written, from the one master there is.

        Returns None if there is no single master, or it does not let itself be read.
        """
        masters = [name for name in self.observer.view.masters() if name not in self.injector.gone]
        if len(masters) != 1:
            return None
        self.display.note(f"reading all keys from {masters[0]}")
        try:
            async with self.site.connector.open(node_of(self.deployment, masters[0])) as connection:
                written = await self.site.list_written(connection, self.workload.asked_keys())
                return await read_values(connection, written)
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
            counter = check_counter(increments, int(final.pop(self.site.keys.counter, "0")))
            writes = check_set(sets, final)
        served = self.baseline.served_since(timeline.new_master)
        restored_ns = self.injector.restored_ns
        return Findings(
            fault_ns=timeline.fault_ns,
            old_master=timeline.old_master,
            new_master=timeline.new_master,
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
            sync_full=served.full,
            sync_partial=served.partial,
            ended=self._ended(),
            rest_ms=self.rest_ms,
            not_at_rest=self.not_at_rest,
            events=timeline.events,
            split_brain_ms=measure_split_brain(self.probes.taken, _SPLIT_PATIENCE_NS),
            stale_read_ms=measure_staleness(self.probes.beats, self.probes.reads),
            resyncs=self.baseline.received_since(self.injector.gone),
            demoted_ms=self._demoted_ms(),
            restored_ms=None if restored_ns is None else elapsed_ms(timeline.fault_ns, restored_ns),
            late_ms=self.probes.late_ms,
        )

    def _ended(self) -> dict[str, int] | None:
        codes = self.site.exit_codes()
        if codes is None:
            return None
        return {name: code for name, code in codes.items() if name not in self.injector.gone}

    def _demoted_ms(self) -> float | None:
        """Return how long after its return the old master took writes; None: to the end."""
        returned_ns = self.injector.returned_ns
        if not self.is_demoted or returned_ns is None:
            return None
        writes = self.probes.taken.get(self.timeline.old_master, [])
        last_ns = writes[-1].completed_ns if writes else 0
        return max(0.0, elapsed_ms(returned_ns, last_ns))


def _after_fault_ms(times_ns: Mapping[str, int], fault_ns: int) -> dict[str, float]:
    return {name: elapsed_ms(fault_ns, time_ns) for name, time_ns in times_ns.items()}
