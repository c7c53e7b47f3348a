"""`vedette doctor`: checks whether this machine and this installation are fit to run Vedette.

Each check gives one line: what was looked at, what was found, and whether it is fine, worth knowing
or a fault. Only faults make the exit code 1; a missing redis-server, say, is no fault, for Vedette
needs none.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import trio

import vedette
from drills.checks import Check, Status
from drills.lab import NODE_PORT, SENTINEL_PORT, Topology
from drills.runtime.lab import is_port_free
from monitoring.runtime.tls_options import TlsOptions, collect_tls, tls_options
from monitoring.targets import parse_target
from vedette.errors import VedetteError
from vedette.resp.exchange import ReplyError

from .exit_codes import EXIT_FAILED, EXIT_FINE
from .sentinel_doctor import findings_of, has_fault, lines_of

PACKAGES = ("vedette", "vedette_cli", "server", "sentinel", "ha_client", "monitoring", "drills")
OTHER_PROGRAMS = (
    "redis-server",
    "redis-sentinel",
    "redis-cli",
    "valkey-server",
    "valkey-sentinel",
)
OLDEST_PYTHON = (3, 11)
#: Below the first a laboratory cannot run; below the second a server for many clients cannot.
FEWEST_FILES = 256
ENOUGH_FILES = 4096
FSYNC_COUNT = 20
#: Every vote of a sentinel waits for one fsync or two; slower ones are felt in a failover.
SLOW_FSYNC_MS = 20.0


def check_python() -> Check:
    """Check the version of the running Python."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < OLDEST_PYTHON:
        return Check("Python", Status.FAULT, f"{version}; 3.11 is the oldest that will do")
    return Check("Python", Status.FINE, f"{version} ({sys.executable})")


def check_packages(find_origin: Callable[[str], str | None]) -> Iterator[Check]:
    """Check that every package is ours: that it lies in the same folder as `vedette`.

    `server`, `sentinel` and `monitoring` are names that a stranger's distribution may have, too;
    which one is imported is then a matter of the order of `sys.path`.
    """
    home = Path(vedette.__file__).resolve().parent.parent
    strangers = 0
    for name in PACKAGES:
        origin = find_origin(name)
        if origin is None:
            strangers += 1
            yield Check("packages", Status.FAULT, f"{name} cannot be imported")
        elif Path(origin).resolve().parent.parent != home:
            strangers += 1
            yield Check("packages", Status.FAULT, f"{name} is a stranger's: {origin}")
    if not strangers:
        yield Check("packages", Status.FINE, f"{', '.join(PACKAGES)} are ours ({home})")


def find_package_origin(name: str) -> str | None:
    """Return the file that importing `name` would run, or None if there is none."""
    spec = find_spec(name)
    return spec.origin if spec is not None else None


def check_dependencies(requirements: list[str] | None) -> Iterator[Check]:
    """Check that every distribution in `requirements` (as metadata spells them) is installed."""
    if requirements is None:
        yield Check("dependencies", Status.FAULT, "vedette is not installed as a distribution")
        return
    for requirement in requirements:
        if "extra ==" in requirement:
            continue
        matched = re.match(r"[A-Za-z0-9._-]+", requirement)
        assert matched is not None, f"metadata gave a requirement without a name: {requirement!r}"
        name = matched.group()
        try:
            yield Check("dependencies", Status.FINE, f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            yield Check("dependencies", Status.FAULT, f"{requirement} is not installed")


def read_requirements() -> list[str] | None:
    """Return what the installed distribution requires, or None if it is not installed."""
    try:
        return metadata.requires("vedette") or []
    except metadata.PackageNotFoundError:
        return None


def check_other_programs(programs: tuple[str, ...] = OTHER_PROGRAMS) -> Iterator[Check]:
    """Look for Redis' and Valkey's own programs, which only mixed laboratories need."""
    for name in programs:
        maker = name.partition("-")[0].capitalize()
        path = shutil.which(name)
        if path is None:
            yield Check(maker, Status.NOTE, f"{name} is not on PATH (only mixtures need it)")
            continue
        try:
            answer = subprocess.run(
                [path, "--version"], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            yield Check(maker, Status.NOTE, f"{name} cannot be run ({path}): {error}")
            continue
        version = re.search(r"\d+\.\d+\.\d+", answer.stdout)
        found = version.group() if version else "of unknown version"
        yield Check(maker, Status.FINE, f"{name} {found} ({path})")


def check_ports(is_free: Callable[[int], bool]) -> Check:
    """Check that the ports that `vedette up` begins with are free."""
    topology = Topology()
    wanted = [
        *range(NODE_PORT, NODE_PORT + topology.node_count),
        *range(SENTINEL_PORT, SENTINEL_PORT + topology.sentinel_count),
    ]
    taken = [str(port) for port in wanted if not is_free(port)]
    if taken:
        return Check(
            "ports", Status.NOTE, f"{', '.join(taken)} taken; `vedette up` goes on upwards"
        )
    return Check("ports", Status.FINE, f"{NODE_PORT}.. and {SENTINEL_PORT}.. are free")


def check_open_files(limit: int) -> Check:
    """Check the limit of open files, which bounds the clients of a server."""
    if limit < FEWEST_FILES:
        return Check("open files", Status.FAULT, f"{limit}; raise it with ulimit -n")
    if limit < ENOUGH_FILES:
        return Check("open files", Status.NOTE, f"{limit}, so at most about as many clients")
    return Check("open files", Status.FINE, str(limit))


def check_fsync(directory: Path) -> Check:
    """Measure how long the disk under `directory` takes to make a small write durable."""
    subject = f"fsync in {directory}"
    try:
        times_ms = measure_fsync_ms(directory)
    except OSError as error:
        return Check(subject, Status.FAULT, f"cannot write there: {error.strerror}")
    return judge_fsync(subject, times_ms)


def judge_fsync(subject: str, times_ms: list[float]) -> Check:
    """Judge how long writes took, in milliseconds, ascending."""
    median_ms, worst_ms = times_ms[len(times_ms) // 2], times_ms[-1]
    found = f"median {median_ms:.1f} ms, worst {worst_ms:.1f} ms of {len(times_ms)}"
    if median_ms > SLOW_FSYNC_MS:
        return Check(subject, Status.NOTE, f"{found}; each vote of a sentinel waits as long")
    return Check(subject, Status.FINE, found)


def measure_fsync_ms(directory: Path) -> list[float]:
    """Return how long each of some writes with fsync took, ascending.

    Raises:
        OSError: the directory cannot be written to.
    """
    times_ms = []
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(FSYNC_COUNT):
            start_s = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            times_ms.append((time.perf_counter() - start_s) * 1000)
    return sorted(times_ms)


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where data and sentinel.conf will be kept.  [default: here]",
)
@click.option(
    "--sentinel",
    "target",
    metavar="[redis[s]://[[USER]:PASSWORD@]]HOST:PORT",
    help="Ask this sentinel of Vedette what is wrong with its masters, instead.",
)
@tls_options
# Any: what `tls_options` gives, which `collect_tls` takes.
def doctor(directory: Path, target: str | None, **tls_words: Any) -> None:
    """Check that this machine and installation are fit.

    Exit code: 0, or 1 if there is a fault.
    """
    if target is not None:
        sys.exit(_ask_sentinel(target, collect_tls(**tls_words)))
    open_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    checks = [
        check_python(),
        *check_packages(find_package_origin),
        *check_dependencies(read_requirements()),
        *check_other_programs(),
        check_ports(is_port_free),
        check_open_files(open_files),
        check_fsync(directory.absolute()),
    ]
    for check in checks:
        click.echo(str(check))
    has_faults = any(check.status is Status.FAULT for check in checks)
    sys.exit(EXIT_FAILED if has_faults else EXIT_FINE)


def _ask_sentinel(text: str, tls: TlsOptions) -> int:
    """Print a sentinel's own diagnosis; return the exit code."""
    try:
        target = tls.applied_to(parse_target(text))
        found = trio.run(findings_of, target, tls.context_for(target))
    except (VedetteError, ReplyError) as error:
        raise click.ClickException(str(error)) from error
    except trio.TooSlowError as error:
        raise click.ClickException("the sentinel does not answer") from error
    for name, findings in found.items():
        click.echo(f"{name}:")
        for line in lines_of(findings):
            click.echo(f"  {line}")
    return EXIT_FAILED if any(map(has_fault, found.values())) else EXIT_FINE
