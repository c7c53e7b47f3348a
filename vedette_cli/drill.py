"""`vedette drill`: the catalogue of drills, and running one."""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import click
import trio
from rich.console import Console

from drills.checkers import CLIENT
from drills.lab import PlanError, PortBases, Topology
from drills.report import Report, render_report, to_json
from drills.runtime.display import DrillDisplay
from drills.runtime.lab import LabError
from drills.runtime.runner import DrillError, DrillSettings, run_drill
from drills.runtime.stopping import stopped_by_signals
from drills.scenarios import NAMES, SCENARIOS
from drills.verdict import lost_beyond
from monitoring.drill_metrics import DrillOutcome, merge_outcome
from vedette.runtime.durable_file import write_durably

from .lab_options import EXIT_FAILED, EXIT_PASSED, EXIT_UNABLE, lab_options

#: Where the search for free ports begins at random, away from those that people use and from those
#: that the kernel hands out to outgoing connections.
_PORT_RANGE = range(10_000, 20_000, 20)


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
@click.option(
    "--writers",
    "writer_count",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    metavar="N",
    help="Tasks that write at the same time.",
)
@click.option("--seed", type=int, help="Seed of the writers' choices.  [default: random]")
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
    "with a redis-sentinel]",
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
    "--metrics",
    "metrics_path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Put the outcome into FILE, for the textfile collector of node_exporter.",
)
@click.option("--keep", is_flag=True, help="Keep configuration, logs and the history.")
def run(
    name: str,
    nodes: str,
    sentinels: str,
    replica_count: int,
    sentinel_count: int,
    down_after_ms: int,
    failover_timeout_ms: int,
    parallel_syncs: int,
    is_tls: bool,
    writer_count: int,
    seed: int | None,
    outage_ms: int | None,
    demotion_ms: int | None,
    json_target: str | None,
    metrics_path: Path | None,
    keep: bool,
) -> None:
    """Run DRILL in a laboratory of its own.

    Exit code: 0 it passed, 1 it failed, 2 it could not be run, 130 it was interrupted.
    """
    base = random.choice(_PORT_RANGE)
    settings = DrillSettings(
        scenario=NAMES[name],
        topology=Topology(
            nodes=nodes,
            sentinels=sentinels,
            replica_count=replica_count,
            sentinel_count=sentinel_count,
            down_after_ms=down_after_ms,
            failover_timeout_ms=failover_timeout_ms,
            parallel_syncs=parallel_syncs,
        ),
        ports=PortBases(node=base, sentinel=base, metrics=None),
        seed=random.randrange(2**32) if seed is None else seed,
        writer_count=writer_count,
        outage_ms=outage_ms,
        demotion_ms=demotion_ms,
        is_tls=is_tls,
    )
    display = DrillDisplay(Console(stderr=True))
    try:
        result = _run_in_directory(settings, display, keeps=keep)
    except (PlanError, LabError, DrillError) as error:
        click.echo(f"vedette drill: {error}", err=True)
        sys.exit(EXIT_UNABLE)
    if isinstance(result, signal.Signals):
        sys.exit(128 + result)  # as a shell reports a program that a signal ended
    _write_report(result, json_target)
    if metrics_path is not None:
        _write_metrics(result, metrics_path)
    sys.exit(EXIT_PASSED if result.passed else EXIT_FAILED)


def _run_in_directory(
    settings: DrillSettings, display: DrillDisplay, *, keeps: bool
) -> Report | signal.Signals:
    if keeps:
        directory = Path(tempfile.mkdtemp(prefix=f"vedette-{settings.scenario.name}-"))
        return trio.run(_run_until_stopped, settings, directory, display, keeps)
    with tempfile.TemporaryDirectory(prefix="vedette-drill-") as temporary:
        return trio.run(_run_until_stopped, settings, Path(temporary), display, keeps)


async def _run_until_stopped(
    settings: DrillSettings, directory: Path, display: DrillDisplay, keeps: bool
) -> Report | signal.Signals:
    """Return the report, or the signal that ended the drill before there was one."""
    async with stopped_by_signals() as received:
        return await run_drill(settings, directory, display, keeps=keeps)
    # Reached only when a signal cancelled the block above; every process is gone.
    return received[0]


def _write_metrics(report: Report, path: Path) -> None:
    """Put the outcome into a file that may have those of other drills."""
    findings = report.findings
    writes = findings.writes
    stale_ms = findings.stale_read_ms.get(CLIENT)
    outage_ms = findings.outage.max_ms
    outcome = DrillOutcome(
        drill=report.scenario.name,
        passed=report.passed,
        ended_s=time.time(),
        outage_s=None if outage_ms is None else outage_ms / 1000,
        lost_writes=None if writes is None else len(writes.lost),
        beyond_budget=None
        if writes is None
        else len(lost_beyond(findings, writes, report.budget.loss_window_ms)),
        duplicates=None if findings.counter is None else findings.counter.excess,
        stale_read_s=None if stale_ms is None else stale_ms / 1000,
        split_brain_s=findings.split_brain_ms / 1000,
        resyncs={"full": findings.sync_full, "partial": findings.sync_partial},
        seed=report.seed,
        version=report.version,
    )
    try:
        before = path.read_text() if path.exists() else ""
        write_durably(str(path), merge_outcome(before, outcome).encode())
    except (OSError, ValueError) as error:
        raise click.ClickException(f"cannot write {path}: {error}") from error


def _write_report(report: Report, json_target: str | None) -> None:
    if json_target is not None:
        document = json.dumps(to_json(report), indent=2, ensure_ascii=False)
        if json_target == "-":
            click.echo(document)
            return
        Path(json_target).write_text(document + "\n")
    Console().print(render_report(report))
