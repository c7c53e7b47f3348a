"""HELP of a container, made from the rows of its subcommands."""

from __future__ import annotations

from vedette.clients import Context
from vedette.resp.replies import Reply, SimpleString


def help_reply(ctx: Context, name: bytes) -> list[Reply]:
    """Return what `<name> HELP` answers: each subcommand and what it does."""
    row = ctx.engine.table.named(name)
    assert row is not None
    lines = [b"%b <subcommand> [<arg> [value] [opt] ...]. Subcommands are:" % name]
    for subcommand in sorted(row.subcommands.values(), key=lambda each: each.name):
        if not subcommand.is_hidden:
            lines += [subcommand.name.upper().encode(), b"    " + subcommand.summary.encode()]
    return [SimpleString(line) for line in lines]
