"""One row of the command table, and the decorators that write it beside its function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from ..resp.replies import Reply
from .flags import Flag

#: `(context, argv) -> reply`. The context's type is the package's own (server or sentinel), which
#: the table cannot know: hence Any.
Handler: TypeAlias = Callable[[Any, list[bytes]], Reply]
HandlerT = TypeVar("HandlerT", bound=Callable[..., Reply])


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a command's keys stand in its arguments.

    `first` is the index of the first key (0: no keys), `last` that of the last (negative counts
    from the end), `step` the distance between two. `access` is what COMMAND shows of the key
    specification: its flags, upper case, e.g. `("RW", "UPDATE")`. `keynum_index`, if not 0, is the
    index of an argument that says how many keys follow it.
    """

    first: int = 0
    last: int = 0
    step: int = 0
    access: tuple[str, ...] = ()
    keynum_index: int = 0

    def of(self, argv: list[bytes]) -> list[bytes]:
        """Return the keys in `argv`; an unusable key count gives none."""
        if self.keynum_index:
            try:
                count = int(argv[self.keynum_index])
            except (ValueError, IndexError):
                return []
            return argv[self.keynum_index + 1 : self.keynum_index + 1 + max(0, count)]
        if not self.first:
            return []
        last = self.last if self.last >= 0 else len(argv) + self.last
        return argv[self.first : last + 1 : self.step or 1]


NO_KEYS = Keys()


class CommandRow:
    """All that is known of a command; the one mutable part is its statistics.

    `arity` counts the name: positive is exact, negative a minimum. A container (`CLIENT`) has
    `subcommands` by upper-case name and no handler. `full_name` is lower case, `client|id` for a
    subcommand. `is_hidden` rows run but are not listed.
    """

    __slots__ = (
        "arity",
        "calls",
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
        group: str,
        since: str,
        summary: str = "",
        tips: Iterable[str] = (),
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
        self.group = group
        self.since = since
        self.summary = summary
        self.tips = tuple(tips)
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
            group=self.group,
            since=self.since,
            summary=self.summary,
            tips=self.tips,
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
    group: str,
    since: str,
    summary: str,
    tips: Iterable[str] = (),
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
        group=group,
        since=since,
        summary=summary,
        tips=tips,
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
