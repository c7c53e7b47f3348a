"""The command `vedette`: which subcommands there are, and how they are found.

Knows their names and one line about each, so that `vedette --help` imports none of them; a
subcommand's module is imported when the subcommand is called.
"""

from __future__ import annotations

import signal
from importlib import import_module
from typing import Any, cast

import click

from .exit_codes import exit_code_of
from .version import version_text

#: Name of each subcommand, its line in the help, and where its click command is defined.
SUBCOMMANDS = {
    "server": ("Run a server, as redis-server is run.", "vedette_cli.programs:server"),
    "sentinel": ("Run a sentinel, as redis-sentinel is run.", "vedette_cli.programs:sentinel"),
    "up": ("Start a master, replicas and sentinels, and watch them.", "vedette_cli.up:up"),
    "drill": ("Break a laboratory on purpose and judge what happened.", "vedette_cli.drill:drill"),
    "exporter": ("Serve metrics of other servers and sentinels.", "vedette_cli.programs:exporter"),
    "backup": ("Take a verified copy of a running server's data.", "vedette_cli.backup:backup"),
    "check-rdb": ("Check a snapshot (RDB file).", "vedette_cli.check_rdb:check_rdb"),
    "check-aof": ("Check or mend an append-only file.", "vedette_cli.check_aof:check_aof"),
    "doctor": ("Check that this machine and installation are fit.", "vedette_cli.doctor:doctor"),
    "version": ("Print the version.", "vedette_cli.version:version"),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in SUBCOMMANDS:
            return None
        module_name, _, attribute = SUBCOMMANDS[cmd_name][1].partition(":")
        return cast(click.Command, getattr(import_module(module_name), attribute))

    # Any: whatever the subcommand returns.
    def invoke(self, ctx: click.Context) -> Any:
        """Call the subcommand; Ctrl-C ends it as a shell reports it, where it does not itself."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # click would end with 1, by which a drill says that it failed.
            ctx.exit(exit_code_of(signal.SIGINT))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (text, _) in SUBCOMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version_text(), "-v", "--version", message="%(version)s")
def cli() -> None:
    """High availability for servers that speak Redis' protocol."""


def main() -> None:
    """Run the program; the entry point of the console script `vedette`."""
    cli(prog_name="vedette")
