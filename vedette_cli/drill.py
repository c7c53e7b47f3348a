"""`vedette drill`: the catalogue of drills, and running one."""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import click
import trio
from rich.console import Console

from drills.lab import PlanError, PortBases, Topology
from drills.report import Report
from drills.runtime.display import DrillDisplay
from drills.runtime.existing import Access
from drills.runtime.lab import LabError
from drills.runtime.runner import plan_existing_drill, run_drill, run_existing_drill
from drills.scenarios import NAMES, SCENARIOS
from drills.series import BadDocumentError, Document, render_comparison, runs_of
from drills.settings import DrillError, DrillSettings, LabSettings
from vedette.runtime.stopping import stopped_by_signals

from .drill_output import OutputError, Outputs, show, write_outputs
from .existing_options import ExistingOptions, existing_options
from .exit_codes import EXIT_FAILED, EXIT_FINE, EXIT_UNABLE, exit_code_of
from .lab_options import lab_options

#: Where the search for free ports begins at random, away from those that people use and from those
#: that the kernel hands out to outgoing connections.
_PORT_RANGE = range(10_000, 20_000, 20)

#: What runs a drill once, and returns its report or the signal that ended it before there was one.
Place: TypeAlias = Callable[[DrillSettings, DrillDisplay], Report | signal.Signals]


@click.group()
def drill() -> None:
    """Break a laboratory on purpose and judge what happened."""


@drill.command("list")
def list_drills() -> None:
    """List the drills there are."""
    width = max(len(name) for name in SCENARIOS)
    for scenario in SCENARIOS.values():
        click.echo(f"{scenario.name:<{width}}  {scenario.summary}")


@drill.command("run")
@click.argument("name", type=click.Choice(list(NAMES)), metavar="DRILL")
@lab_options
@existing_options
@click.option(
    "--writers",
    "writer_count",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="Tasks that write at the same time.",
)
@click.option(
    "--seed",
    type=int,
    metavar="N",
    help="Seed of the writers' choices; counted up with --repeat.  [default: random]",
)
@click.option(
    "--repeat",
    "run_count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Run it so often, each time in a new laboratory, and show the spread.",
)
@click.option(
    "--max-outage",
    "outage_ms",
    type=click.IntRange(min=1),
    metavar="MS",
    help="Longest write outage that passes.  [default: down-after plus the scenario's allowance]",
)
@click.option(
    "--max-demotion",
    "demotion_ms",
    type=click.IntRange(min=1),
    metavar="MS",
    help="Longest that an old master may take writes after its return.  [default: 1000, or 20000 "
    "with a sentinel of others]",
)
@click.option(
    "--json",
    "json_target",
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help="Write the report as JSON to FILE, or to standard output instead of the table.",
)
@click.option(
    "--markdown",
    "markdown_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the report as Markdown too.",
)
@click.option(
    "--junit",
    "junit_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the criteria as JUnit's XML, for a build server.",
)
@click.option(
    "--metrics",
    "metrics_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Put the outcome into FILE, for the textfile collector of node_exporter.",
)
@click.option("--keep", is_flag=True, help="Keep configuration, logs and the history.")
def run(
    name: str,
    topology: Topology,
    is_tls: bool,
    existing: ExistingOptions | None,
    writer_count: int,
    seed: int | None,
    run_count: int,
    outage_ms: int | None,
    demotion_ms: int | None,
    json_target: str | None,
    markdown_path: Path | None,
    junit_path: Path | None,
    metrics_path: Path | None,
    keep: bool,
) -> None:
    """Run DRILL in a laboratory of its own, or (--sentinel) on a deployment that already runs.

    Exit code: 0 it passed, 1 it failed, 2 it could not be run, 130 it was interrupted.
    """
    settings = DrillSettings(
        scenario=NAMES[name],
        seed=random.randrange(2**32) if seed is None else seed,
        writer_count=writer_count,
        outage_ms=outage_ms,
        demotion_ms=demotion_ms,
    )
    outputs = Outputs(
        json=json_target, markdown=markdown_path, junit=junit_path, metrics=metrics_path
    )
    try:
        outputs.require_writable()
        if existing is None:
            place: Place = partial(_run_in_laboratory, topology, is_tls, keeps=keep)
        else:
            _ask_permission(settings, existing)
            place = partial(_run_on_existing, existing.access, keeps=keep)
        passed = _run_all(settings, run_count, outputs, place)
    except (PlanError, LabError, DrillError, OutputError) as error:
        click.echo(f"vedette drill: {error}", err=True)
        sys.exit(EXIT_UNABLE)
    sys.exit(EXIT_FINE if passed else EXIT_FAILED)


@drill.command("compare")
@click.argument("before", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("after", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def compare(before: Path, after: Path) -> None:
    """Show the figures of two reports (--json, of one run or of several) beside each other."""
    first, second = _read_runs(before), _read_runs(after)
    drills = {run["drill"] for run in [*first, *second]}
    if len(drills) > 1:
        raise click.ClickException(f"these are of different drills: {', '.join(sorted(drills))}")
    Console().print(render_comparison(str(before), first, str(after), second))


def _read_runs(path: Path) -> list[Document]:
    try:
        document = json.loads(path.read_text())
        if not isinstance(document, dict):
            raise BadDocumentError("it is no JSON object")
        return runs_of(document)
    except (OSError, ValueError, BadDocumentError) as error:
        raise click.ClickException(f"{path}: {error}") from error


def _run_all(settings: DrillSettings, run_count: int, outputs: Outputs, place: Place) -> bool:
    """Run a drill so often and report on it; return whether it passed each time.

    A signal ends the program, with the code of a shell, and without a report.
    """
    display = DrillDisplay(Console(stderr=True))
    reports: list[Report] = []
    for index in range(run_count):
        if run_count > 1:
            display.note(f"run {index + 1} of {run_count}")
        result = place(replace(settings, seed=settings.seed + index), display)
        if isinstance(result, signal.Signals):
            sys.exit(exit_code_of(result))
        reports.append(result)
        show(result, outputs)
    write_outputs(reports, outputs)
    return all(report.passed for report in reports)


def _run_in_laboratory(
    topology: Topology,
    is_tls: bool,
    settings: DrillSettings,
    display: DrillDisplay,
    *,
    keeps: bool,
) -> Report | signal.Signals:
    base = random.choice(_PORT_RANGE)
    ports = PortBases(node=base, sentinel=base, metrics=None)
    lab = LabSettings(topology=topology, ports=ports, is_tls=is_tls)

    def run_in(directory: Path) -> Report | signal.Signals:
        return _run_until_stopped(
            partial(run_drill, settings, lab, directory, display, keeps=keeps)
        )

    if keeps:
        return run_in(_kept_directory(settings))
    with tempfile.TemporaryDirectory(prefix="vedette-drill-") as temporary:
        return run_in(Path(temporary))


def _run_on_existing(
    access: Access, settings: DrillSettings, display: DrillDisplay, *, keeps: bool
) -> Report | signal.Signals:
    kept_in = _kept_directory(settings) if keeps else None
    return _run_until_stopped(partial(run_existing_drill, settings, access, display, kept_in))


def _kept_directory(settings: DrillSettings) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"vedette-{settings.scenario.name}-"))


def _run_until_stopped(drill: Callable[[], Awaitable[Report]]) -> Report | signal.Signals:
    """Return the report, or the signal that ended the drill before there was one."""

    async def run() -> Report | signal.Signals:
        async with stopped_by_signals() as received:
            return await drill()
        # Reached only when a signal cancelled the block above, and all was cleaned up.
        return received[0]

    return trio.run(run)


def _ask_permission(settings: DrillSettings, existing: ExistingOptions) -> None:
    """Show what would be done to a deployment that runs, and end the program unless it may be.

    Raises:
        DrillError: it cannot be done.
        click.Abort: a person at the terminal does not want it.
    """
    plan = trio.run(plan_existing_drill, settings, existing.access)
    for line in plan.lines():
        click.echo(line, err=not existing.plan_only)
    if existing.plan_only:
        click.echo("\nnothing was done")
        sys.exit(EXIT_UNABLE if plan.faults else EXIT_FINE)
    if plan.faults:
        raise DrillError("it is not begun: see FAULT above")
    if plan.may_lose_writes and not existing.may_break:
        _confirm("Acknowledged writes may be lost there. Go on?", "--break-existing")
    if plan.ends_master and not existing.is_restarted:
        _confirm("Will something, or you, start the master again?", "--restarted")


def _confirm(question: str, option: str) -> None:
    if not sys.stdin.isatty():
        raise DrillError(f"that has to be allowed by {option}")
    click.confirm(question, abort=True, err=True)
