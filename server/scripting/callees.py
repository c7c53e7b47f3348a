"""Commands as scripts call them: what is asked of a row at each call, found once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vedette.cmdspec import CommandRow, Flag
from vedette.errors import CommandError

if TYPE_CHECKING:
    from ..engine import ServerEngine

#: So many spellings of names are kept.
_LIMIT: Final = 1024


@dataclass(frozen=True, slots=True)
class Callee:
    """A command; the booleans are its flags, which cost more to ask for than all the rest."""

    row: CommandRow
    fewest_arguments: int
    most_arguments: int
    is_no_script: bool
    is_allowed_stale: bool
    is_write: bool
    #: It writes, or is taken to in a script that may not (PUBLISH).
    may_write: bool
    needs_memory: bool
    is_read: bool


class Callees:
    """The commands of `engine` by the names that scripts use."""

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine
        self._known: dict[bytes, Callee] = {}

    def find(self, argv: list[bytes]) -> Callee | None:
        """Return the command that `argv` names, a subcommand where there is one; None: neither."""
        callee = self._known.get(argv[0])
        if callee is not None:
            return callee
        try:
            row = self._engine.table.find(argv)
        except CommandError:
            return None
        flags = row.flags
        callee = Callee(
            row,
            fewest_arguments=row.min_arguments,
            most_arguments=row.max_arguments,
            is_no_script=bool(flags & Flag.NOSCRIPT),
            is_allowed_stale=bool(flags & Flag.STALE),
            is_write=bool(flags & Flag.WRITE),
            may_write=bool(flags & (Flag.WRITE | Flag.MAY_REPLICATE)),
            needs_memory=bool(flags & Flag.DENYOOM),
            is_read=bool(flags & Flag.READONLY),
        )
        is_subcommand_or_container = "|" in row.full_name or row.subcommands
        if not is_subcommand_or_container and len(self._known) < _LIMIT:
            self._known[argv[0]] = callee
        return callee
