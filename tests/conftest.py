"""Fixtures shared by all tests, and the summary's count of tests skipped for want of Redis."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.processes import VedetteServer
from tests.support.redis import SKIP_PREFIX, RedisServer

# The same examples for everybody: what fails here is the change's doing (`make conformance` draws
# new ones). How long they take to draw and run says how busy the machine is, not what is tested.
settings.register_profile(
    "the same everywhere",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("the same everywhere")


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """Yield a fresh real redis-server; skips where there is none."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def vedette_server() -> Iterator[VedetteServer]:
    """Yield a fresh vedette-server process."""
    with VedetteServer() as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests did not run because a real Redis program is missing, and which."""
    pattern = re.compile(re.escape(SKIP_PREFIX) + r".*?(?=, not found)")
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        found = pattern.search(str(report.longrepr))
        if found:
            reasons[found.group()] += 1
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"skipped for want of Redis: {count} ({reason})", yellow=True)
