"""Logging: where lines go."""

from __future__ import annotations

import json
import os
import sys
import syslog
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from vedette.log import Syslog, check_log_file, configure_logging


@pytest.fixture(autouse=True)
def _logging_is_left_as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_lines_go_to_the_systems_log_as_well(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With `syslog-enabled yes`, at the priority that the level stands for."""
    opened: list[tuple[object, ...]] = []
    sent: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *words: opened.append(words))
    monkeypatch.setattr(syslog, "syslog", lambda priority, line: sent.append((priority, line)))

    configure_logging("notice", "", Syslog("mine", "local3"))
    log = structlog.get_logger()
    log.debug("too.quiet")
    log.warning("link.lost", addr="10.0.0.1:1")
    log.error("state.lost")

    assert opened == [("mine", syslog.LOG_PID, syslog.LOG_LOCAL3)]
    assert sent == [
        (syslog.LOG_WARNING, "level=warning event=link.lost addr=10.0.0.1:1"),
        (syslog.LOG_ERR, "level=error event=state.lost"),
    ]
    assert "event=link.lost" in capfd.readouterr().out


def test_json_lines_hold_the_same_keys(capfd: pytest.CaptureFixture[str]) -> None:
    """So that a log shipper needs no pattern; exceptions are text in them."""
    configure_logging(log_format="json")
    log = structlog.get_logger()
    log.warning("sentinel.event", sentinel_event="+sdown", payload='a "b"', event_id=7)
    try:
        raise ValueError("broken")
    except ValueError as error:
        log.error("client.command_crashed", exc_info=error)

    first, second = (json.loads(line) for line in capfd.readouterr().out.splitlines())

    assert first["event"] == "sentinel.event"
    assert (first["sentinel_event"], first["payload"], first["event_id"]) == ("+sdown", 'a "b"', 7)
    assert {"timestamp", "pid", "level"} <= first.keys()
    assert second["exception"].endswith("ValueError: broken")


def test_a_terminal_is_told_of_a_crash_without_what_variables_held(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where rich draws tracebacks, local variables stand beside each line: passwords too."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    configure_logging()
    password = "correct-horse"
    try:
        raise ValueError(len(password))
    except ValueError as error:
        structlog.get_logger().error("client.command_crashed", exc_info=error)
    printed = capfd.readouterr().out

    assert "ValueError" in printed
    assert "\x1b[" in printed, "no terminal's renderer"
    assert password not in printed


def test_logfmt_is_what_a_console_is_without_a_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """`logfmt` insists on it where there is one."""
    lines = []
    for log_format in ("console", "logfmt"):
        configure_logging(log_format=log_format)
        structlog.get_logger().warning("link.lost", addr="x")
        lines.append(capfd.readouterr().out.split(" ", 1)[1])

    assert lines[0] == lines[1]
    assert "level=warning event=link.lost addr=x" in lines[0]


@pytest.mark.parametrize("level", ["debug", "verbose", "notice", "warning", "nothing"])
def test_every_level_of_redis_lets_through_what_it_says(
    level: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """`nothing` is new in 7.2, and hides errors as well."""
    configure_logging(level)
    log = structlog.get_logger()
    log.debug("a.debugged")
    log.info("a.told")
    log.error("a.failed")
    written = capfd.readouterr().out

    assert ("a.debugged" in written) is (level == "debug")
    assert ("a.told" in written) is (level in ("debug", "verbose", "notice"))
    assert ("a.failed" in written) is (level != "nothing")


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """Debian's logrotate tells redis-server nothing, and so nothing tells us either."""
    path = tmp_path / "log"
    configure_logging(file=str(path))
    log = structlog.get_logger()
    log.warning("a.said")
    path.rename(tmp_path / "log.1")
    log.warning("b.said")

    assert "event=b.said" in path.read_text()
    assert "event=b.said" not in (tmp_path / "log.1").read_text()


def test_a_line_that_cannot_be_written_is_lost_and_counted(tmp_path: Path) -> None:
    """A full disk of logs would otherwise end the servers and all sentinels that log there."""
    path = tmp_path / "log"
    configure_logging(file=str(path), log_format="json")
    log = structlog.get_logger()
    path.symlink_to("/dev/full")
    log.warning("a.said")
    log.warning("b.said")
    path.unlink()
    log.warning("c.said")
    log.warning("d.said")

    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["event"], line.get("lost_lines")) for line in written] == [
        ("c.said", 2),
        ("d.said", None),
    ]


def test_a_pipe_that_nobody_reads_any_more_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As in `vedette-server | head`."""
    configure_logging()
    log = structlog.get_logger()
    reading, writing = os.pipe()
    os.close(reading)
    with monkeypatch.context() as patch, open(writing, "w", encoding="utf-8") as pipe:
        patch.setattr(sys, "stdout", pipe)
        log.warning("a.said")
    log.warning("b.said")

    written = capfd.readouterr().out
    assert "event=a.said" not in written
    assert "event=b.said lost_lines=1" in written


def test_a_file_that_cannot_be_opened_is_said_at_the_start(tmp_path: Path) -> None:
    """Later it is lines that are lost."""
    check_log_file("")
    check_log_file(str(tmp_path / "log"))
    with pytest.raises(FileNotFoundError):
        check_log_file(str(tmp_path / "none" / "log"))
