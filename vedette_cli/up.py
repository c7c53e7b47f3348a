"""`vedette up`: a laboratory that runs until Ctrl-C, with a live picture of it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click
import trio
from rich.console import Console

from drills.lab import METRICS_PORT, NODE_PORT, SENTINEL_PORT, PlanError, PortBases, Topology
from drills.runtime.lab import LabError, MissingProgramError
from drills.runtime.up import run_up

from .exit_codes import EXIT_FAILED, EXIT_UNABLE
from .lab_options import lab_options


@click.command()
@lab_options
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=NODE_PORT,
    show_default=True,
    metavar="PORT",
    help="Port of the master; the replicas and whatever is taken push it upwards.",
)
@click.option(
    "--sentinel-port",
    type=click.IntRange(1, 65535),
    default=SENTINEL_PORT,
    show_default=True,
    metavar="PORT",
    help="Port of the first sentinel.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    default=METRICS_PORT,
    show_default=True,
    metavar="PORT",
    help="Port of the first /metrics of our own programs; 0 switches metrics off.",
)
@click.option(
    "--refused-after",
    "refused_after_ms",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    metavar="MS",
    help="Refused connections for so long count as a dead master; 0: only silence does.",
)
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where configuration, logs and data go, and stay.  [default: a temporary directory]",
)
@click.option("--no-table", is_flag=True, help="Print lines even in a terminal.")
def up(
    topology: Topology,
    is_tls: bool,
    port: int,
    sentinel_port: int,
    metrics_port: int,
    refused_after_ms: int,
    directory: Path | None,
    no_table: bool,
) -> None:
    """Start a master, replicas and sentinels as separate processes, and watch them.

    Ctrl-C stops all of them. Kill one with `kill -9` to see what the others do.
    """
    ports = PortBases(node=port, sentinel=sentinel_port, metrics=metrics_port or None)
    console = Console()
    try:
        trio.run(
            lambda: run_up(
                replace(topology, refused_after_ms=refused_after_ms),
                ports,
                directory=directory.absolute() if directory else None,
                is_tls=is_tls,
                console=console,
                show_table=console.is_terminal and not no_table,
            )
        )
    except (MissingProgramError, PlanError) as error:
        click.echo(f"vedette up: {error}", err=True)
        sys.exit(EXIT_UNABLE)
    except LabError as error:
        click.echo(f"vedette up: {error}", err=True)
        sys.exit(EXIT_FAILED)
