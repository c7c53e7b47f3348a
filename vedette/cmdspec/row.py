"""One row of the command table, and the decorators that write it beside its function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from .flags import Flag
from .keys import NO_KEYS, Channels, Keys

#: `(context, argv) -> reply`, or a `vedette.clients.Block` where the reply has to wait. The table
#: knows neither that type nor the context's (the server's or the sentinel's own): hence Any.
Handler: TypeAlias = Callable[[Any, list[bytes]], Any]
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


class CommandRow:
    """All that is known of a command; the one mutable part is its statistics.

    `arity` counts the name: positive is exact, negative a minimum. A container (`CLIENT`) has
    `subcommands` by upper-case name and no handler. `full_name` is lower case, `client|id` for a
    subcommand. `is_hidden` rows run but are not listed. `categories` replaces the ACL category that
    the group implies (what the flags imply comes on top in any case); None: as the group says.
    `channels` are those that take permission: to publish, or to begin to listen.
    """

    __slots__ = (
        "arity",
        "calls",
        "categories",
        "channels",
        "complexity",
        "deprecated_since",
        "failed_calls",
        "flags",
        "full_name",
        "group",
        "handler",
        "is_hidden",
        "keys",
        "max_arguments",
        "min_arguments",
        "name",
        "rejected_calls",
        "replaced_by",
        "seconds",
        "since",
        "subcommands",
        "summary",
        "tips",
    )

    def __init__(
        self,
        name: str,
        *,
        arity: int,
        flags: Flag,
        keys: Keys = NO_KEYS,
        channels: Channels | None = None,
        group: str,
        since: str,
        summary: str = "",
        complexity: str = "",
        deprecated_since: str = "",
        replaced_by: str = "",
        tips: Iterable[str] = (),
        categories: tuple[str, ...] | None = None,
        is_hidden: bool = False,
        handler: Handler | None = None,
    ) -> None:
        self.full_name = name.lower()
        self.name = self.full_name.rpartition("|")[2]
        self.arity = arity
        self.min_arguments = abs(arity)
        #: So large when there is no maximum that no request reaches it.
        self.max_arguments = arity if arity > 0 else 1 << 62
        self.flags = flags
        self.keys = keys
        self.channels = channels
        self.group = group
        self.since = since
        self.summary = summary
        self.complexity = complexity
        self.deprecated_since = deprecated_since
        self.replaced_by = replaced_by
        self.tips = tuple(tips)
        self.categories = categories
        self.is_hidden = is_hidden
        self.handler = handler
        self.subcommands: dict[bytes, CommandRow] = {}
        self.reset_statistics()

    def __repr__(self) -> str:
        return f"<CommandRow {self.full_name} arity={self.arity}>"

    def reset_statistics(self) -> None:
        """Forget calls and times (CONFIG RESETSTAT)."""
        self.calls = 0
        self.seconds = 0.0
        self.rejected_calls = 0
        self.failed_calls = 0

    def copy(self) -> CommandRow:
        """Return a row of the same specification with statistics of its own."""
        row = CommandRow(
            self.full_name,
            arity=self.arity,
            flags=self.flags,
            keys=self.keys,
            channels=self.channels,
            group=self.group,
            since=self.since,
            summary=self.summary,
            complexity=self.complexity,
            deprecated_since=self.deprecated_since,
            replaced_by=self.replaced_by,
            tips=self.tips,
            categories=self.categories,
            is_hidden=self.is_hidden,
            handler=self.handler,
        )
        row.subcommands = {name: sub.copy() for name, sub in self.subcommands.items()}
        return row


def command(
    name: str,
    *,
    arity: int,
    flags: Flag,
    keys: Keys = NO_KEYS,
    channels: Channels | None = None,
    group: str,
    since: str,
    summary: str,
    complexity: str = "",
    deprecated_since: str = "",
    replaced_by: str = "",
    tips: Iterable[str] = (),
    categories: tuple[str, ...] | None = None,
    is_hidden: bool = False,
) -> Callable[[HandlerT], HandlerT]:
    """Write the row of a command over its function: `@command("CLIENT|ID", arity=2, ...)`.

    The row is kept on the function as `command_rows`, whence `CommandTable.of` collects it; several
    decorators make several names for one function.
    """
    row = CommandRow(
        name,
        arity=arity,
        flags=flags,
        keys=keys,
        channels=channels,
        group=group,
        since=since,
        summary=summary,
        complexity=complexity,
        deprecated_since=deprecated_since,
        replaced_by=replaced_by,
        tips=tips,
        categories=categories,
        is_hidden=is_hidden,
    )

    def keep(handler: HandlerT) -> HandlerT:
        row.handler = handler
        rows = [*getattr(handler, "command_rows", ()), row]
        handler.command_rows = rows  # type: ignore[attr-defined]  # functions take attributes
        return handler

    return keep


def container(
    name: str, *, arity: int = -2, flags: Flag = Flag.NONE, group: str, since: str, summary: str
) -> CommandRow:
    """Return the row of a command that is but the sum of its subcommands; keep it in the module."""
    return CommandRow(name, arity=arity, flags=flags, group=group, since=since, summary=summary)
