"""The doctor: each check tells fine from faulty, and only faults end with 1."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import vedette
from drills.checks import Check, Status
from vedette_cli.doctor import (
    PACKAGES,
    check_dependencies,
    check_fsync,
    check_open_files,
    check_other_programs,
    check_packages,
    check_ports,
    check_python,
    find_package_origin,
    judge_fsync,
    measure_fsync_ms,
)
from vedette_cli.main import cli


def check_statuses(checks: list[Check], expected: list[Status]) -> None:
    assert [check.status for check in checks] == expected


def test_this_python_will_do() -> None:
    assert check_python().status is Status.FINE


def test_our_own_packages_are_recognised() -> None:
    check_statuses(list(check_packages(find_package_origin)), [Status.FINE])


def test_a_strangers_package_is_a_fault() -> None:
    """Some other distribution's `server` before ours on sys.path would be started instead."""
    home = Path(vedette.__file__).parent.parent

    def find(name: str) -> str | None:
        if name == "monitoring":
            return None
        folder = Path("/elsewhere") if name == "server" else home
        return str(folder / name / "__init__.py")

    checks = list(check_packages(find))

    check_statuses(checks, [Status.FAULT, Status.FAULT])
    assert checks[0].found == "server is a stranger's: /elsewhere/server/__init__.py"
    assert checks[1].found == "monitoring cannot be imported"
    assert "server" in PACKAGES


def test_missing_dependencies_are_faults() -> None:
    checks = list(
        check_dependencies(["trio>=0.26", "no-such-distribution>=1", 'pytest; extra == "dev"'])
    )

    check_statuses(checks, [Status.FINE, Status.FAULT])
    assert checks[1].found == "no-such-distribution>=1 is not installed"


def test_without_an_installed_distribution_nothing_can_be_said() -> None:
    check_statuses(list(check_dependencies(None)), [Status.FAULT])


def test_redis_is_only_worth_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of ours needs it."""
    monkeypatch.setenv("PATH", "/nowhere")

    check_statuses(
        list(check_other_programs(("redis-server", "redis-cli"))), [Status.NOTE, Status.NOTE]
    )


@pytest.mark.parametrize(
    ("name", "maker"), [("redis-server", "Redis"), ("valkey-server", "Valkey")]
)
def test_versions_of_other_programs_are_read(
    name: str, maker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / name
    program.write_text(f"#!/bin/sh\necho '{maker} server v=7.0.15 sha=00000000:0 bits=64'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    (check,) = check_other_programs((name,))

    assert (check.subject, check.status) == (maker, Status.FINE)
    assert check.found == f"{name} 7.0.15 ({program})"


def test_a_program_that_cannot_be_run_is_worth_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another machine's kind, say: whoever asks the doctor wants to hear of it from him."""
    program = tmp_path / "redis-server"
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    (check,) = check_other_programs(("redis-server",))

    assert check.status is Status.NOTE
    assert check.found.startswith(f"redis-server cannot be run ({program}): ")


def test_taken_ports_are_named() -> None:
    assert check_ports(lambda port: True).status is Status.FINE
    check = check_ports(lambda port: port not in (6380, 26381))
    assert check.status is Status.NOTE
    assert check.found.startswith("6380, 26381 taken")


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(64, Status.FAULT), (1024, Status.NOTE), (20000, Status.FINE)],
)
def test_the_limit_of_open_files(limit: int, expected: Status) -> None:
    assert check_open_files(limit).status is expected


def test_fsync_is_measured_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is what is asked about: writes alone are quick anywhere."""
    monkeypatch.setattr("vedette_cli.doctor.os.fsync", lambda descriptor: time.sleep(0.002))
    times_ms = measure_fsync_ms(tmp_path)

    assert times_ms == sorted(times_ms)
    assert len(times_ms) == 20
    assert times_ms[0] >= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("median_ms", "expected"), [(20.0, Status.FINE), (20.1, Status.NOTE)])
def test_slow_disks_are_worth_a_note(median_ms: float, expected: Status) -> None:
    check = judge_fsync("fsync", [0.1, median_ms, 300.0])

    assert check.status is expected
    assert check.found.startswith(f"median {median_ms} ms, worst 300.0 ms of 3")


def test_a_directory_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    check = check_fsync(tmp_path / "missing")

    assert check.status is Status.FAULT
    assert "cannot write there" in check.found


def test_the_program_ends_by_its_faults(tmp_path: Path) -> None:
    good = CliRunner().invoke(cli, ["doctor", "--dir", str(tmp_path)])
    bad = CliRunner().invoke(cli, ["doctor", "--dir", str(tmp_path / "missing")])

    assert "fsync in" in good.output
    assert bad.exit_code == 1
    assert "FAULT" in bad.output
    assert good.exit_code == (1 if "FAULT" in good.output else 0)
