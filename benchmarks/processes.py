"""What the benchmarks share: programs beside which they measure, free ports, waiting for one to
listen, CPU and memory of a process, the file of figures."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from typing import Any

START_TIMEOUT_S = 60.0
#: Below the range from which Linux takes the ports of outgoing connections: a sentinel of many
#: masters has thousands of them, and would take one that was found free for the next.
_PORTS = range(10_000, 32_000)


def require(*programs: str) -> None:
    """End this process with code 2 unless all of `programs` are installed."""
    for program in programs:
        if shutil.which(program) is None:
            print(
                f"{program} is not installed: there is nothing to measure beside", file=sys.stderr
            )
            raise SystemExit(2)


# Any: JSON of whatever was measured.
def write_json(path: str | None, figures: Any) -> None:
    """Write `figures` to the file at `path`, if one was asked for."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)


def vedette_program(name: str) -> str:
    """Return the path of one of Vedette's programs, as installed beside this Python."""
    return os.path.join(os.path.dirname(sys.executable), name)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody has bound, all different."""
    with contextlib.ExitStack() as probes:
        ports: list[int] = []
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(ports) == count:
                break
            probe = probes.enter_context(socket.socket())
            with contextlib.suppress(OSError):  # somebody else's
                probe.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def wait_until_listening(name: str, process: subprocess.Popen[bytes], port: int) -> None:
    """Return once `process` accepts connections; raises SystemExit if it does not."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{name} did not begin to listen on port {port}")


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU time, user and system, that the process has used: exact to the nanosecond."""
    clock = ~process.pid << 3 | 2  # what clock_getcpuclockid(3) gives on Linux
    return time.clock_gettime(clock)


def resident_bytes(process: subprocess.Popen[bytes]) -> int:
    """Return how much of the process is in memory."""
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
