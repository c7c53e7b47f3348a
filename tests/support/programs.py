"""Console programs run as people run them: output collected, signals sent, exit code awaited."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import console_script
from tests.support.waiting import wait_until

__all__ = ["RunningProgram", "is_alive"]


class RunningProgram:
    """A console script of this environment, started on entering and killed, if need be, on leaving.

    Standard output and error go to one file each; neither is a terminal.
    """

    def __init__(self, name: str, *args: str) -> None:
        self._command = [console_script(name), *args]
        self._directory = tempfile.TemporaryDirectory(prefix="vedette-program-")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the program has not been started"
        return self._process

    @property
    def stdout(self) -> str:
        return (Path(self._directory.name) / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (Path(self._directory.name) / "stderr").read_text()

    def __enter__(self) -> Self:
        directory = Path(self._directory.name)
        with (directory / "stdout").open("wb") as out, (directory / "stderr").open("wb") as err:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=directory
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            # It has processes of its own to end, which SIGKILL would not let it do.
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._directory.cleanup()

    def wait_for(self, pattern: str, timeout_s: float = 30.0) -> re.Match[str]:
        """Wait until the output (of either kind) matches `pattern`, and return the match.

        Raises:
            AssertionError: it did not in time, or the program ended without it.
        """

        def found() -> re.Match[str] | bool | None:
            has_ended = self.process.poll() is not None
            match = re.search(pattern, self.stdout + self.stderr, re.MULTILINE)
            return match or has_ended

        match = wait_until(found, timeout_s, f"{pattern!r} in the output of {self._command}")
        assert isinstance(match, re.Match), (
            f"ended with {self.process.returncode} and without {pattern!r}:\n"
            f"{self.stdout}\n{self.stderr}"
        )
        return match

    def lab_pids(self) -> dict[str, int]:
        """Return the pids of a laboratory's processes by name, once it is up."""
        self.wait_for("the laboratory is up")
        lines = re.findall(r"^(\S+-\d+) .* pid (\d+)", self.stdout + self.stderr, re.MULTILINE)
        return {name: int(pid) for name, pid in lines}

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait for the end of the program and return its exit code."""
        return self.process.wait(timeout_s)

    def interrupt(self) -> None:
        """Send what Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)


def is_alive(pid: int) -> bool:
    """Return whether a process with this id runs; one that only waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
