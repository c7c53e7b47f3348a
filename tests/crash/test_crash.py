"""The short form of `make crash`: a few kills with each policy, other ones at each run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.rounds import POLICIES, CrashTest


@pytest.mark.parametrize("policy", POLICIES)
def test_a_killed_server_keeps_what_it_promised(policy: str, tmp_path: Path) -> None:
    """Under load, with rewrites and saves at times; nothing is there in part, or twice."""
    seed = random.randrange(1 << 32)
    with CrashTest(tmp_path, policy, seed) as test:
        for _ in range(2):
            try:
                test.run_round()
            except AssertionError as error:
                error.add_note(f"python -m tests.crash --policy {policy} --seed {seed} --kills 2")
                raise
        assert test.acknowledged_count
