"""The drill coordinated-switchover on real processes, run as people run it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.programs import RunningProgram
from tests.support.redis import require_redis


@pytest.mark.parametrize(
    ("nodes", "sentinels"), [("vedette", "vedette"), ("redis", "redis,vedette,vedette")]
)
def test_a_switchover_loses_nothing_and_tells_its_pause(nodes: str, sentinels: str) -> None:
    """By one of the names that people try first; of several kinds, one that knows it is told."""
    if nodes == "redis":
        require_redis()
    with RunningProgram(
        "vedette", "drill", "run", "switchover", "--nodes", nodes, "--sentinels", sentinels,
        "--down-after", "2000", "--seed", "7", "--json", "--max-outage", "60000",
    ) as drill:  # fmt: skip
        exit_code = drill.wait(120)
        assert exit_code in (0, 1), drill.stderr
        # Any: a JSON document.
        report: dict[str, Any] = json.loads(drill.stdout)

    assert [each for each in report["criteria"] if not each["passed"]] == []
    assert exit_code == 0
    assert report["writes"]["lost"] == 0
    assert report["pause_ms"] > 0
    assert report["old_master"] == "node-1"
    assert {"+elected-leader", "+coordinated-pause", "+switch-master"} <= {
        event["event"] for event in report["events"]
    }


def test_redis_sentinels_cannot_be_told_to() -> None:
    """They do not know the word, which is not a drill that failed."""
    require_redis()
    with RunningProgram(
        "vedette", "drill", "run", "coordinated-switchover", "--nodes", "redis",
        "--sentinels", "redis", "--down-after", "2000",
    ) as drill:  # fmt: skip
        assert drill.wait(60) == 2
        assert "coordinated-switchover needs a sentinel of Vedette" in drill.stderr
        assert "the laboratory is up" not in drill.stderr
