"""Having commands note the keys that they use.

Every command that uses keys gets, in place of its function, one that runs it and then marks the
keys that it names. So nothing is paid for while no marks are made. Marks are made

- always, under a policy of eviction that goes by them (`-lru`, `-lfu`);
- else for OBJECT IDLETIME alone, while the server has little to do: not under load, where they
  would cost a tenth of the throughput, and of no more keys than `_MOST_MARKS`. What was not noted
  meanwhile counts as used, so that an idle time is never said to be more than it is.

Figures are in docs/adr/0025.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from vedette.cmdspec import CommandRow, Flag
from vedette.cmdspec.row import Handler

from ..store.eviction import Policy
from ..store.usage import KeyUsage, Measure

if TYPE_CHECKING:
    from .context import ServerContext
    from .engine import ServerEngine

#: Commands a second up to which a server has little to do.
_QUIET_RATE: Final = 5000
#: How long it has to have had little to do before marks are made again: load comes in bursts.
_QUIET_MS: Final = 10_000
#: Marks made for OBJECT IDLETIME alone take 8 MB at most.
_MOST_MARKS: Final = 65_536


class UsageNotes:
    """Switches the marks of `usage` on and off, by wrapping the functions of the rows."""

    def __init__(self, engine: ServerEngine, usage: KeyUsage) -> None:
        self._engine = engine
        self._usage = usage
        self._rows = [row for row in engine.table.all_rows() if _uses_keys(row)]
        self._plain: dict[CommandRow, Handler] = {}
        self._is_always_on = False
        self._last: tuple[int, int] | None = None
        #: When there was more than a little to do; None: not yet.
        self._busy_ms: int | None = None
        self._switch_on(Measure.RECENCY)

    @property
    def is_on(self) -> bool:
        """Whether uses are noted."""
        return bool(self._plain)

    def set_policy(self, policy: Policy) -> None:
        """Note what `policy` needs to know."""
        self._is_always_on = policy.needs_usage
        measure = Measure.FREQUENCY if policy.order == "lfu" else Measure.RECENCY
        if policy.needs_usage or measure is not self._usage.measure:
            self._switch_off()
            self._switch_on(measure)

    def on_tick(self) -> None:
        """See whether there is time for notes; to be called some times a second."""
        if self._is_always_on:
            return
        now_ms, commands = self._engine.context.now_ms, self._engine.commands_processed
        last, self._last = self._last, (now_ms, commands)
        if last is None or now_ms <= last[0]:
            return
        is_quiet = (commands - last[1]) * 1000 <= _QUIET_RATE * (now_ms - last[0])
        if not is_quiet:
            self._busy_ms = now_ms
            self._switch_off()
        elif self._busy_ms is not None and 0 <= now_ms - self._busy_ms < _QUIET_MS:
            return
        elif not self.is_on or self._usage.mark_count() > _MOST_MARKS:
            self._switch_off()
            self._switch_on(Measure.RECENCY)

    def _switch_on(self, measure: Measure) -> None:
        self._usage.begin(measure, self._engine.context.now_ms // 1000)
        mark = (
            self._usage.mark_frequency if measure is Measure.FREQUENCY else self._usage.mark_recency
        )
        for row in self._rows:
            handler = row.handler
            assert handler is not None
            self._plain[row] = handler
            row.handler = _noting(row, handler, mark)

    def _switch_off(self) -> None:
        for row, handler in self._plain.items():
            row.handler = handler
        self._plain.clear()


def _uses_keys(row: CommandRow) -> bool:
    if row.handler is None or row.flags & Flag.NO_TOUCH or row.group in ("scripting", "server"):
        return False  # what a script uses, the commands that it calls note
    keys = row.keys
    return bool(keys.first or keys.keynum_index or keys.groups)


# Any: `(database, key, now_s)`; a handler's reply is whatever it is.
def _noting(row: CommandRow, handler: Handler, mark: Callable[..., None]) -> Handler:
    """Return a function that runs `handler` and then marks the keys that the request names."""
    ignores_no_touch = row.full_name == "touch"
    spec = row.keys.specs[0]
    is_single = (
        len(row.keys.specs) == 1
        and spec.index == 1
        and spec == type(spec)(1, spec.access, notes=spec.notes)
    )
    keys_of = row.keys.of

    def run(ctx: ServerContext, argv: list[bytes]) -> Any:
        reply = handler(ctx, argv)
        if not ctx.session.is_no_touch or ignores_no_touch:
            now_s = ctx.now_ms // 1000
            for key in argv[1:2] if is_single else keys_of(argv):
                mark(ctx.db, key, now_s)
        return reply

    return run
