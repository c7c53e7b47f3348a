"""The command line: what is printed, and what makes a start impossible."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from sentinel.__main__ import run
from tests.support.processes import console_script, free_port
from vedette import __version__


@pytest.fixture(autouse=True)
def _logging_is_left_as_it_was() -> Iterator[None]:
    """A start that gets far enough sets logging up, on the standard output of this test alone."""
    yield
    structlog.reset_defaults()


def check_refused(arguments: list[str], capsys: pytest.CaptureFixture[str], *texts: str) -> None:
    """Check that a start with `arguments` ends with code 1 and says `texts`."""
    code = run(arguments)

    printed = capsys.readouterr().err
    assert code == 1
    for text in texts:
        assert text in printed


def test_version_and_help_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts look for `v=` as in redis-sentinel's own answer."""
    codes = [run(["--version"]), run(["-h"])]

    printed = capsys.readouterr().out
    assert codes == [0, 0]
    assert f"v={__version__} " in printed
    assert "Usage: vedette-sentinel FILE" in printed


def test_file_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file there is nowhere to keep a vote."""
    check_refused([], capsys, "Sentinel needs config file on disk to save state.")
    check_refused(["--port", "1"], capsys, "Sentinel needs config file on disk to save state.")


def test_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo in a path must not look like anything else."""
    path = str(tmp_path / "none.conf")

    check_refused([path], capsys, f"Fatal error, can't open config file '{path}'")


def test_bad_line_is_reported_with_file_line_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The administrator sees where to look."""
    path = tmp_path / "sentinel.conf"
    path.write_text("port 1\nsentinel monitor m 127.0.0.1 1 0\n")

    check_refused(
        [str(path)],
        capsys,
        f"*** FATAL CONFIG FILE ERROR (Vedette {__version__}) ***",
        f"Reading the configuration file, at line 2 of {path}",
        ">>> 'sentinel monitor m 127.0.0.1 1 0'",
        "Quorum must be 1 or greater.",
    )


def test_bad_option_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options are checked like lines."""
    path = tmp_path / "sentinel.conf"
    path.write_text("port 1\n")

    check_refused(
        [str(path), "--maxmaxmemory", "1gb"],
        capsys,
        "at line 1 of command line",
        "Bad directive or wrong number of arguments",
    )


def test_directory_that_does_not_exist_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Relative script paths would mean something else elsewhere."""
    path = tmp_path / "sentinel.conf"
    path.write_text(f"dir {tmp_path}/none\n")

    check_refused([str(path)], capsys, "No such file or directory")


def test_port_0_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentinel that cannot be reached can neither vote nor be asked."""
    path = tmp_path / "sentinel.conf"
    path.write_text("port 0\n")

    check_refused([str(path)], capsys, "configured to not listen anywhere")


def test_port_in_use_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The usual reason why a second sentinel on a machine does not come up."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = tmp_path / "sentinel.conf"
        path.write_text(f"port {port}\nbind 127.0.0.1\n")

        check_refused([str(path)], capsys, f"cannot listen on port {port}: Address already in use")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_file_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentinel that cannot save must not promise to remember."""
    path = tmp_path / "sentinel.conf"
    path.write_text("port 1\n")
    path.chmod(0o400)

    check_refused([str(path)], capsys, "is not writable")


def test_file_that_cannot_be_replaced_is_refused_with_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's single-file mount: redis-sentinel goes on and forgets its votes."""
    path = tmp_path / "sentinel.conf"
    text = f"port {free_port()}\nbind 127.0.0.1\n"
    path.write_text(text)

    def rename(source: str, target: str) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(os, "rename", rename)
    check_refused([str(path)], capsys, str(path), "mounted as a single file", "state-file <path>")

    assert path.read_text() == text
    assert [each.name for each in tmp_path.iterdir()] == ["sentinel.conf"]


def test_state_file_without_a_directory_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Found at the start, not at the first vote; the path is relative to `dir`."""
    path = tmp_path / "sentinel.conf"
    text = f"port {free_port()}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel state-file none/state\n"
    path.write_text(text)
    here = os.getcwd()
    try:
        check_refused([str(path)], capsys, f"cannot write {tmp_path}/none/state: No such file")
    finally:
        os.chdir(here)


def test_directives_in_a_state_file_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the sentinel's; what an administrator says belongs into the configuration."""
    (tmp_path / "state").write_text("port 5\n")
    path = tmp_path / "sentinel.conf"
    path.write_text(f"sentinel state-file {tmp_path}/state\n")

    check_refused(
        [str(path)],
        capsys,
        f"at line 1 of {tmp_path}/state",
        "A state file holds nothing but the state of a sentinel",
    )


def test_why_it_cannot_start_is_said_in_the_log_if_there_is_one(tmp_path: Path) -> None:
    """Redis' suite takes a word on standard error for a failure."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        path = tmp_path / "sentinel.conf"
        path.write_text(f"bind 127.0.0.1\nport {port}\nlogfile {tmp_path}/log\n")

        # A process of its own, for the log file stays open until its end.
        ended = subprocess.run(
            [console_script("vedette-sentinel"), str(path)],
            capture_output=True,
            timeout=30,
            check=False,
        )

    assert (ended.returncode, ended.stderr) == (1, b"")
    assert f"cannot listen on port {port}" in (tmp_path / "log").read_text()
