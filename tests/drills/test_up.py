"""`vedette up` as people run it: it starts, shows what happens, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest
import trio

from drills.lab import PortBases, Topology, plan_lab
from drills.runtime.lab import LabError, open_lab
from tests.support.processes import VedetteServer, free_port
from tests.support.programs import RunningProgram, is_alive
from tests.support.redis import require_redis
from tests.support.waiting import wait_until


def start_up(kind: str, *args: str) -> RunningProgram:
    return RunningProgram(
        "vedette", "up", "--nodes", kind, "--sentinels", kind, "--port", str(free_port()),
        "--sentinel-port", str(free_port()), "--metrics-port", str(free_port()),
        "--down-after", "500", *args,
    )  # fmt: skip


@pytest.fixture(params=["vedette", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "redis":
        require_redis()
    return name


def test_a_killed_master_is_shown_and_ctrl_c_stops_the_rest(kind: str) -> None:
    """What it exists for: kill -9 the master and watch; then Ctrl-C, and all is gone."""
    with start_up(kind) as up:
        pids = up.lab_pids()
        assert len(pids) == 6
        os.kill(pids["node-1"], signal.SIGKILL)
        up.wait_for(r"node-1 +killed by SIGKILL")
        up.wait_for(r"sentinel-\d +\+switch-master mymaster 127\.0\.0\.1")
        up.wait_for(r"node-[23] +is a master")
        up.interrupt()

        assert up.wait() == 0
        assert not [name for name, pid in pids.items() if is_alive(pid)]
        assert "was killed" not in up.stdout, "a process did not end by SIGTERM in time"


def test_over_tls_clients_need_the_certificates_that_are_shown(tmp_path: Path) -> None:
    """And nobody is served without."""
    require_redis("redis-cli")
    with start_up("vedette", "--tls", "--dir", str(tmp_path)) as up:
        up.lab_pids()
        command = up.wait_for(r"over TLS: (redis-cli .*)$")[1].split()
        run = partial(subprocess.run, capture_output=True, text=True, timeout=20, check=False)

        assert run([*command, "ROLE"]).stdout.startswith("master")
        assert "master" not in run(["redis-cli", *command[-2:], "ROLE"]).stdout
        assert (tmp_path / "tls" / "process.key").stat().st_mode & 0o077 == 0


def test_processes_die_with_their_parent(tmp_path: Path) -> None:
    """Even SIGKILL, after which nothing can be cleaned up, must not leave servers behind."""
    require_redis()
    with start_up(
        "redis", "--replicas", "1", "--sentinel-count", "1", "--dir", str(tmp_path)
    ) as up:
        pids = up.lab_pids()
        up.process.kill()
        up.wait()

        wait_until(lambda: not any(map(is_alive, pids.values())), 10.0, "the processes to die")


def test_a_process_that_does_not_start_is_reported_with_its_output() -> None:
    require_redis()
    with start_up("redis", "--failover-timeout", "99999999999999999999") as up:
        assert up.wait() == 1
        assert re.search(r"sentinel-\d \(redis-sentinel, port \d+\) ended with code 1", up.stderr)
        assert "its last output" in up.stderr


async def test_a_port_that_another_takes_meanwhile_is_no_node_of_ours(tmp_path: Path) -> None:
    """What answered there was once taken for the master that had not even started."""
    with VedetteServer() as other:
        ports = PortBases(node=other.port, sentinel=free_port(), metrics=None)
        topology = Topology(replica_count=0, sentinel_count=1)
        plan = plan_lab(topology, tmp_path, ports, lambda port: True)

        with trio.fail_after(60), pytest.raises(LabError) as caught:
            async with open_lab(plan, observe_interval_s=0.05):
                raise AssertionError("it took a stranger for its master")

    assert f"node-1 (vedette-server, port {other.port}) ended with code 1" in str(caught.value)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with start_up("vedette", "--dir", str(tmp_path / "file" / "lab")) as up:
        assert up.wait() == 1
        assert up.stderr == (
            f"vedette up: cannot write {tmp_path}/file/lab/node-1/node.conf: Not a directory\n"
        )


def test_missing_programs_are_named_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with start_up("redis") as up:
        assert up.wait() == 2
        assert "redis-sentinel and redis-server not found" in up.stderr
        assert "starting" not in up.stdout
