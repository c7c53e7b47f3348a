"""What programs import when they start."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("program", ["server", "sentinel"])
def test_programs_start_without_what_draws_terminals(program: str) -> None:
    """And what is imported later finds it again."""
    code = f"""
import gc, sys
from vedette.runtime.starting import importing_much
with importing_much():
    import {program}.runtime.program
assert gc.isenabled()
assert gc.get_freeze_count() > 10_000
assert "structlog" in sys.modules
print([name for name in sys.modules if name.partition(".")[0] in ("rich", "pygments", "click")])
import rich
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert result.stdout == "[]\n"
