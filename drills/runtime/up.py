"""Runs a laboratory until it is told to stop, and shows what happens in it.

In a terminal the picture of `drills.live_table` is redrawn a few times a second; elsewhere every
change becomes one line. A process that ends is shown, and nothing else is done about it.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import trio
from rich.console import Console
from rich.live import Live

from vedette.runtime.stopping import stopped_by_signals

from ..lab import PortBases, Topology, plan_lab
from ..live_table import describe_change, describe_start, describe_tls, render_lab
from ..observation import (
    NodeSeen,
    NodeView,
    Observation,
    SentinelSeen,
    SentinelView,
)
from .certificates import make_certificates
from .lab import Lab, is_port_free, open_lab

_REDRAW_INTERVAL_S = 0.25
_OBSERVE_INTERVAL_S = 0.2


async def run_up(
    topology: Topology,
    ports: PortBases,
    *,
    directory: Path | None,
    is_tls: bool,
    console: Console,
    show_table: bool,
) -> None:
    """Run the laboratory of `topology` until a signal comes; return when all of it has ended.

    `directory` is kept afterwards; without one a temporary directory is used.

    Raises:
        PlanError, LabError: it could not be planned or started; nothing is left running.
    """
    with (
        tempfile.TemporaryDirectory(prefix="vedette-up-")
        if directory is None
        else nullcontext(str(directory))
    ) as place:
        tls = make_certificates(Path(place) / "tls") if is_tls else None
        plan = plan_lab(topology, Path(place), ports, is_port_free, tls)
        async with (
            stopped_by_signals(),
            open_lab(plan, observe_interval_s=_OBSERVE_INTERVAL_S, report=console.print) as lab,
        ):
            if tls is not None:
                console.print(describe_tls(tls, plan.nodes[0].port), soft_wrap=True)
            if show_table:
                await _show_table(lab, console)
            else:
                await _show_lines(lab, console)


async def _show_table(lab: Lab, console: Console) -> None:
    start_ns = time.monotonic_ns()
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            picture = render_lab(
                lab.plan,
                lab.observer.view,
                lab.states(),
                start_ns=start_ns,
                width=console.width,
                height=console.height,
            )
            live.update(picture, refresh=True)
            await trio.sleep(_REDRAW_INTERVAL_S)


async def _show_lines(lab: Lab, console: Console) -> None:
    start_ns = time.monotonic_ns()
    view = lab.observer.view
    seen: dict[str, NodeView | SentinelView] = {**view.nodes, **view.sentinels}

    def show(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show_change(observation: Observation) -> None:
        line = describe_change(seen.get(observation.name), observation, start_ns)
        if isinstance(observation, NodeSeen | SentinelSeen):
            seen[observation.name] = observation.view
        if line is not None:
            show(line)

    for line in describe_start(lab.plan.processes, lab.states()):
        show(line)
    show("the laboratory is up; Ctrl-C stops it")
    lab.observer.add_listener(show_change)
    ended: set[str] = set()
    while True:
        for name, state in lab.states().items():
            if not state.is_running and name not in ended:
                ended.add(name)
                show(f"{(time.monotonic_ns() - start_ns) / 1e9:9.3f}  {name:<11} {state}")
        await trio.sleep(_REDRAW_INTERVAL_S)
