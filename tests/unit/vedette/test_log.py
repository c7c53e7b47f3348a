"""Logging: where lines go."""

from __future__ import annotations

import syslog
from collections.abc import Iterator

import pytest
import structlog

from vedette.log import Syslog, configure_logging


@pytest.fixture(autouse=True)
def _logging_is_left_as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_lines_go_to_the_systems_log_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
    assert "event=link.lost" in capsys.readouterr().out
