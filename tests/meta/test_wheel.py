"""The wheel is what people install: it must hold all of Vedette and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"vedette", "vedette_cli", "server", "sentinel", "ha_client", "monitoring", "drills"}
EXAMPLES = {"sentinel.conf", "vedette.conf"}
SOURCES = {*PACKAGES, *EXAMPLES, "pyproject.toml", "README.md", "LICENSE"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, so that nothing is left in the checkout."""
    sources = tmp_path_factory.mktemp("sources")
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in names:
        if name.split("/")[0] in SOURCES and (ROOT / name).is_file():
            target = sources / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    output = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(output)]
    result = subprocess.run([*command, str(sources)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return next(output.glob("*.whl"))


def test_wheel_holds_exactly_the_top_level_packages(wheel: Path) -> None:
    """Generic names such as `server` are bearable only if no other ones slip in."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}

    assert {*PACKAGES} == {top for top in tops if not top.endswith((".dist-info", ".data"))}


def test_wheel_brings_the_programs_and_every_module(wheel: Path) -> None:
    """What the checkout can start, an installation can start."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        programs = archive.read(entry_points).decode()

    for program in ("vedette =", "vedette-server =", "vedette-sentinel ="):
        assert program in programs
    for package in PACKAGES:
        for module in (ROOT / package).rglob("*.py"):
            assert module.relative_to(ROOT).as_posix() in names
    assert {"monitoring/alerts/vedette.yml", "monitoring/dashboards/vedette.json"} <= names


def test_wheel_brings_the_annotated_configurations(wheel: Path) -> None:
    """Who installs it with pip alone has nothing else to begin from."""
    with zipfile.ZipFile(wheel) as archive:
        brought = {
            name.rpartition("/")[2]: archive.read(name)
            for name in archive.namelist()
            if "/data/share/vedette/" in name
        }

    assert brought == {name: (ROOT / name).read_bytes() for name in EXAMPLES}


def test_wheel_needs_nothing_that_must_be_compiled(wheel: Path) -> None:
    """`pip install` has to work where there is no compiler: sdist-only packages stay extras."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = next(name for name in archive.namelist() if name.endswith("METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    required = [
        line.removeprefix("Requires-Dist: ").split(">=")[0]
        for line in lines
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]

    assert sorted(required) == [
        "anycrc",
        "click",
        "hiredis",
        "lupa",
        "prometheus-client",
        "rich",
        "structlog",
        "trio",
    ]
