"""Subcommands that are programs of their own: `vedette server`, `sentinel` and `exporter`.

Nothing of their command line is interpreted here, `--help` included: redis-server's arguments are
not those of click, and one parser of them is enough. Each is the `main` of a package's `__main__`,
which reads `sys.argv` and returns the exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

import click


class RawCommand(click.Command):
    """A command that leaves every argument as it was written, in `ctx.args`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.args = list(args)
        return ctx.args


def _run(module_name: str, program: str, arguments: list[str]) -> None:
    """Call `main` of a program's module with `arguments` as its command line."""
    # Loaded only when called: a sentinel has no use for the datastore, nor the reverse.
    main: Callable[[], int | None] = import_module(module_name).main
    sys.argv = [program, *arguments]
    sys.exit(main())


@click.command(cls=RawCommand, add_help_option=False)
@click.pass_context
def server(ctx: click.Context) -> None:
    """Run a server; takes what redis-server takes."""
    _run("server.__main__", "vedette-server", ctx.args)


@click.command(cls=RawCommand, add_help_option=False)
@click.pass_context
def sentinel(ctx: click.Context) -> None:
    """Run a sentinel; takes what redis-sentinel takes. `replay FILE` runs a journal instead."""
    if ctx.args[:1] == ["replay"]:
        # Loaded only when called, as all programs are.
        from vedette_cli.replay import replay

        replay.main(ctx.args[1:], prog_name="vedette sentinel replay")
    _run("sentinel.__main__", "vedette-sentinel", ctx.args)


@click.command(cls=RawCommand, add_help_option=False)
@click.pass_context
def exporter(ctx: click.Context) -> None:
    """Serve metrics of other servers and sentinels."""
    _run("monitoring.__main__", "vedette exporter", ctx.args)
