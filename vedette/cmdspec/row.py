"""One row of the command table, and the decorators that write it beside its function."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias, TypeVar

from ..resp.replies import RawReply
from .flags import Flag
from .histogram import LatencyHistogram
from .keys import NO_KEYS, Channels, Keys

#: `(context, argv) -> reply`, or a `vedette.clients.Block` where the reply has to wait. The table
#: knows neither that type nor the context's (the server's or the sentinel's own): hence Any.
Handler: TypeAlias = Callable[[Any, list[bytes]], Any]
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

#: Of more durations than this only one in `_SAMPLE_STEP` goes into the histogram, for as many.
_SAMPLED_FROM: Final = 1024
_SAMPLE_STEP: Final = 8


class CommandRow:
    """All that is known of a command. Statistics, `needs_care`, `descriptions` are what changes.

    `arity` counts the name: positive is exact, negative a minimum. A container (`CLIENT`) has
    `subcommands` by upper-case name and no handler. `full_name` is lower case, `client|id` for a
    subcommand. `is_hidden` rows run but are not listed. `categories` replaces the ACL category that
    the group implies (what the flags imply comes on top in any case); None: as the group says.
    `channels` are those that take permission: to publish, or to begin to listen.

    Whoever runs a command appends to `durations` how long it took (or, of several calls in a row
    that were timed together, their number and time to `groups`): that is all it costs at once.
    `calls`, `seconds` and `histogram` are brought up to date when they are read, and by `settle`,
    which is to be called every few thousand calls so that the lists stay short.
    """

    __slots__ = (
        "_calls",
        "_histogram",
        "_seconds",
        "arity",
        "categories",
        "channels",
        "complexity",
        "deprecated_since",
        "descriptions",
        "durations",
        "failed_calls",
        "flags",
        "full_name",
        "group",
        "groups",
        "handler",
        "has_histogram",
        "history",
        "is_hidden",
        "is_system_command",
        "is_timed_singly",
        "keys",
        "max_arguments",
        "min_arguments",
        "name",
        "needs_care",
        "rejected_calls",
        "replaced_by",
        "since",
        "subcommands",
        "summary",
        "syntax",
        "tips",
    )

    def __init__(
        self,
        name: str,
        *,
        arity: int,
        flags: int,
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
        #: Meant for servers and tests rather than for clients, as COMMAND DOCS tells.
        self.is_system_command = False
        #: Its arguments in the notation of `syntax.py`, for COMMAND DOCS; empty: they are not told.
        self.syntax = ""
        #: The versions that changed it, and how.
        self.history: tuple[tuple[str, str], ...] = ()
        self.handler = handler
        self.subcommands: dict[bytes, CommandRow] = {}
        #: What COMMAND has told of it, encoded, by what was asked and the version of the protocol.
        self.descriptions: dict[tuple[object, int], RawReply] = {}
        #: Whether each call is timed even among others of the same command in one pipeline: not
        #: where a call is over in a moment, and a look at the clock would be felt.
        self.is_timed_singly = not (flags & Flag.FAST or self.full_name == "set")
        #: Whether the state of whoever runs it asks for a closer look at each call; kept by him.
        self.needs_care = False
        #: Whether durations go into the histogram (latency-tracking).
        self.has_histogram = False
        self.durations: list[float] = []
        self.groups: list[tuple[int, float]] = []
        self.reset_statistics()

    def __repr__(self) -> str:
        return f"<CommandRow {self.full_name} arity={self.arity}>"

    def reset_statistics(self) -> None:
        """Forget calls and times (CONFIG RESETSTAT)."""
        self.durations.clear()
        self.groups.clear()
        self._calls = 0
        self._seconds = 0.0
        self._histogram: LatencyHistogram | None = None
        self.rejected_calls = 0
        self.failed_calls = 0

    @property
    def calls(self) -> int:
        """How often it was called."""
        return self._calls + len(self.durations) + sum(calls for calls, _ in self.groups)

    @property
    def seconds(self) -> float:
        """How long all its calls took together."""
        if not self.durations and not self.groups:  # most rows: INFO asks all of them
            return self._seconds
        return self._seconds + sum(self.durations) + sum(seconds for _, seconds in self.groups)

    @property
    def histogram(self) -> LatencyHistogram | None:
        """How long its calls took each, of those that ended while `has_histogram`; None: none."""
        self.settle()
        return self._histogram

    def settle(self) -> None:
        """Add up what was noted of calls since the last time."""
        self._calls, self._seconds = self.calls, self.seconds
        if self.has_histogram and (self.durations or self.groups):
            histogram = self._histogram = self._histogram or LatencyHistogram()
            count = len(self.durations)
            step = _SAMPLE_STEP if count >= _SAMPLED_FROM else 1
            for index in range(0, count, step):
                histogram.add(self.durations[index], min(step, count - index))
            for calls, seconds in self.groups:
                histogram.add(seconds / calls, calls)
        self.durations.clear()
        self.groups.clear()

    def copy(self) -> CommandRow:
        """Return a row of the same specification with statistics of its own."""
        row = copy.copy(self)
        row.durations, row.groups, row.descriptions = [], [], {}
        row.reset_statistics()
        row.subcommands = {name: sub.copy() for name, sub in self.subcommands.items()}
        return row


def command(
    name: str,
    *,
    arity: int,
    flags: int,
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
    name: str, *, arity: int = -2, flags: int = Flag.NONE, group: str, since: str, summary: str
) -> CommandRow:
    """Return the row of a command that is but the sum of its subcommands; keep it in the module."""
    return CommandRow(name, arity=arity, flags=flags, group=group, since=since, summary=summary)
