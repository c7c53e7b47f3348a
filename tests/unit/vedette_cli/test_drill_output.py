"""Whether the outcome of a drill can be written, asked before the drill."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from vedette_cli.drill_output import OutputError, Outputs
from vedette_cli.main import cli


def outputs(path: Path) -> Outputs:
    return Outputs(json="-", markdown=None, junit=path, metrics=None)


def test_files_that_can_be_written_are_not_made_yet(tmp_path: Path) -> None:
    outputs(tmp_path / "new").require_writable()

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "reason"), [("no/file", "there is no such directory"), (".", "Is a directory")]
)
def test_files_that_cannot_be_written_are_named(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(OutputError, match=reason):
        outputs(tmp_path / name).require_writable()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permissions_are_looked_at(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    with pytest.raises(OutputError, match="Permission denied"):
        outputs(tmp_path / "new").require_writable()


def test_no_drill_is_run_for_nothing(tmp_path: Path) -> None:
    """Twenty seconds later the outcome would have been lost, with a traceback."""
    path = tmp_path / "no" / "report.json"
    result = CliRunner().invoke(cli, ["drill", "run", "master-crash", "--json", str(path)])

    assert result.exit_code == 2
    assert result.output == f"vedette drill: cannot write {path}: there is no such directory\n"


def test_drill_without_a_replica_is_not_run() -> None:
    result = CliRunner().invoke(cli, ["drill", "run", "master-crash", "--replicas", "0"])

    assert result.exit_code == 2
    assert result.output == "vedette drill: master-crash needs a replica that can be promoted\n"


def test_reports_of_different_drills_are_not_compared(tmp_path: Path) -> None:
    names = ["master-crash", "master-hang"]
    for name in names:
        run = {"drill": name, "passed": True, "phases_ms": {}, "outage_ms": {}, "writes": None}
        (tmp_path / name).write_text(json.dumps(run))

    result = CliRunner().invoke(cli, ["drill", "compare", *(str(tmp_path / it) for it in names)])

    assert result.exit_code == 1
    assert "of different drills: master-crash, master-hang" in result.output
