"""HELP of a container, made from the rows of its subcommands."""

from __future__ import annotations

from vedette.clients import Context
from vedette.clients.commands import arguments
from vedette.resp.replies import Reply


def help_reply(ctx: Context, name: str) -> Reply:
    """Return what `<name> HELP` answers: each subcommand and what it does."""
    row = ctx.engine.table.by_own_name(name)
    assert row is not None
    entries = tuple(
        (subcommand.name.upper(), subcommand.summary)
        for subcommand in sorted(row.subcommands.values(), key=lambda each: each.name)
        if subcommand.name != "help" and not subcommand.is_hidden
    )
    return arguments.help_reply(name, entries)
