"""The program's surface: what it lists, what it imports, what it passes on."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from vedette import __version__
from vedette_cli.main import SUBCOMMANDS, cli
from vedette_cli.programs import exporter, sentinel, server


def test_help_lists_every_subcommand() -> None:
    result = CliRunner().invoke(cli, ["--help"])

    assert result.exit_code == 0
    for name in ("server", "sentinel", "up", "drill", "exporter", "doctor", "version"):
        assert f"\n  {name} " in result.output


def test_help_imports_no_subcommand() -> None:
    """`vedette --help` answers at once: trio, rich and the servers stay on disk."""
    code = (
        "import sys; from vedette_cli.main import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        "print([m for m in ('trio', 'rich', 'server', 'sentinel', 'drills') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("package", ["server", "sentinel"])
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_programs_say_what_they_are_at_once(package: str, option: str) -> None:
    """Package managers and scripts ask for versions; that took as long as a start."""
    code = (
        f"import sys; from {package}.__main__ import run\n"
        f"run(['{option}'])\n"
        f"print([m for m in ('trio', 'structlog', '{package}.app') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_programs_start_without_what_only_scrapers_need() -> None:
    """Encoding metrics takes an HTTP server and its relatives, a sixth of a start."""
    code = (
        "import sys, server.runtime.program, sentinel.runtime.program\n"
        "print([m for m in ('prometheus_client', 'http.server') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", list(SUBCOMMANDS))
def test_every_subcommand_can_be_loaded(name: str) -> None:
    """A name in the table whose module is gone would only be noticed by who calls it."""
    command = cli.get_command(click.Context(cli), name)

    assert isinstance(command, click.Command)
    assert command.name == name


def test_unknown_subcommands_are_refused() -> None:
    result = CliRunner().invoke(cli, ["serve"])

    assert result.exit_code == 2
    assert "No such command 'serve'" in result.output


def test_ctrl_c_is_not_taken_for_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a subcommand is being imported, too; 1 is what a drill that failed ends with."""

    def interrupted(name: str) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("vedette_cli.main.import_module", interrupted)
    result = CliRunner().invoke(cli, ["drill", "list"])

    assert result.exit_code == 130


@pytest.mark.parametrize("words", [["version"], ["--version"], ["-v"]])
def test_version_names_ours_and_redis(words: list[str]) -> None:
    result = CliRunner().invoke(cli, words)

    assert result.exit_code == 0
    assert result.output.startswith(f"vedette {__version__} (Redis 7.")


@pytest.mark.parametrize("program", [server, sentinel, exporter])
def test_arguments_of_the_programs_are_passed_on_untouched(program: click.Command) -> None:
    """They are Redis': `--`, `-`, `--help` and unknown options all mean something there."""
    arguments = ["-", "--port", "7000", "--help", "--", "--save", "", "-x"]

    context = program.make_context(program.name, list(arguments))

    assert context.args == arguments


def test_a_drill_that_does_not_exist_is_refused_by_name() -> None:
    result = CliRunner().invoke(cli, ["drill", "run", "no-such"])

    assert result.exit_code == 2
    assert "no-such" in result.output
    assert "master-crash" in result.output


def test_drills_are_listed() -> None:
    result = CliRunner().invoke(cli, ["drill", "list"])

    assert result.exit_code == 0
    assert re.match(r"master-crash +kill -9 the master", result.output)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["up", "--nodes", "keydb"], "'keydb' is no list of kinds"),
        (["up", "--sentinels", "redis,,redis"], "is no list of kinds"),
        (["drill", "run", "master-crash", "--down-after", "0"], "--down-after"),
        (["up", "--sentinel-count", "0"], "--sentinel-count"),
        (["drill", "run", "hang", "--plan", "--master", "m"], "--master, --plan: only with"),
        (["drill", "run", "hang", "--sentinel", "a:x"], "'a:x' is no sentinel's host and port"),
        (["drill", "run", "hang", "--sentinel", "a", "--nodes", "redis"], "--nodes: these are of"),
        (["drill", "run", "hang", "--sentinel", "a", "--tls"], "must say whom to trust"),
        (["drill", "run", "hang", "--sentinel", "a", "--insecure"], "no use without --tls"),
    ],
)
def test_bad_options_are_refused_with_the_reason(arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(cli, arguments)

    assert result.exit_code == 2
    assert complaint in result.output


def test_more_kinds_than_processes_are_refused() -> None:
    result = CliRunner().invoke(cli, ["up", "--sentinels", "redis,redis,redis,redis"])

    assert result.exit_code == 2
    assert "names 4 kinds for 3 processes" in result.output
