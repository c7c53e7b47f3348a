"""The real redis-server and redis-sentinel as context managers, where they are installed.

A test that needs them calls `require_redis()` (or enters one of the classes, which does it). Where
the program is missing the test is skipped with a reason the summary counts; with
VEDETTE_REQUIRE_REDIS=1 it fails instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.processes import ServerProcess, replicate

__all__ = ["SKIP_PREFIX", "RedisSentinel", "RedisServer", "require_redis"]

#: How the reason of every such skip begins; the summary counts by it.
SKIP_PREFIX = "needs a real "


def require_redis(*programs: str) -> None:
    """Skip the running test unless `programs` (redis-server and redis-sentinel) are on PATH.

    Raises:
        pytest.skip.Exception: one is missing.
        pytest.fail.Exception: one is missing although VEDETTE_REQUIRE_REDIS=1 promised it.
    """
    missing = [
        name for name in programs or ("redis-server", "redis-sentinel") if not shutil.which(name)
    ]
    if not missing:
        return
    reason = f"{SKIP_PREFIX}{' and '.join(missing)}, not found on PATH"
    if os.environ.get("VEDETTE_REQUIRE_REDIS") == "1":
        pytest.fail(f"{reason}, and VEDETTE_REQUIRE_REDIS=1 forbids skipping", pytrace=False)
    pytest.skip(reason)


class RedisServer(ServerProcess):
    """A real redis-server without persistence, which starts full synchronisations at once."""

    config_name = "redis.conf"

    def __init__(
        self,
        config: Mapping[str, str] | None = None,
        extra_lines: Sequence[str] = (),
        *,
        port: int | None = None,
        directory: Path | None = None,
    ) -> None:
        require_redis("redis-server")
        super().__init__(config, extra_lines, port=port, directory=directory)

    def command(self) -> list[str]:
        return ["redis-server"]

    def default_config(self) -> dict[str, str]:
        return {
            **super().default_config(),
            "save": '""',
            "repl-diskless-sync-delay": "0",
            "enable-debug-command": "yes",
        }

    def replicate(self, master: ServerProcess) -> None:
        """Make this server a replica of `master` and wait until its link is up."""
        replicate(self, master)


class RedisSentinel(ServerProcess):
    """A real redis-sentinel; `tests.support.processes.watching` gives its lines."""

    config_name = "sentinel.conf"

    def __init__(
        self,
        config: Mapping[str, str] | None = None,
        extra_lines: Sequence[str] = (),
        *,
        port: int | None = None,
        directory: Path | None = None,
    ) -> None:
        require_redis("redis-sentinel")
        super().__init__(config, extra_lines, port=port, directory=directory)

    def command(self) -> list[str]:
        return ["redis-sentinel"]
