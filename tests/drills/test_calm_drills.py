"""The drills after which nothing may have changed, on real processes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.programs import RunningProgram


@pytest.mark.parametrize("name", ["replica-crash", "short-hang"])
def test_nothing_changes(name: str) -> None:
    """With a down-after that a busy machine does not reach by itself."""
    with RunningProgram(
        "vedette", "drill", "run", name, "--down-after", "2000", "--seed", "7", "--json",
        "--max-outage", "60000",
    ) as drill:  # fmt: skip
        exit_code = drill.wait(110)
        assert exit_code in (0, 1), drill.stderr
        # Any: a JSON document.
        report: dict[str, Any] = json.loads(drill.stdout)

    assert [each for each in report["criteria"] if not each["passed"]] == []
    assert exit_code == 0
    assert report["new_master"] is None
    assert report["writes"]["acknowledged"] > 100
