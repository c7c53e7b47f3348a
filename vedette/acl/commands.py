"""The commands of one table, numbered: a set of commands is an int, a command is one of its bits.

Also knows which bits a category stands for, in the two ways in which Redis counts them.
"""

from __future__ import annotations

from typing import Final

from ..cmdspec import CATEGORIES, CommandRow, CommandTable, Flag, categories_of

#: The set of no commands.
NONE: Final = 0


class CommandIndex:
    """The numbering of the rows of `table`, by full name (`get`, `client|id`)."""

    def __init__(self, table: CommandTable) -> None:
        #: In the order of their bits: a command, then its subcommands.
        self.rows: list[CommandRow] = []
        for row in table.top_rows():
            if row.is_hidden and row.flags & Flag.NO_AUTH:
                continue  # nobody is told of it, and everybody may run it: no rule concerns it
            self.rows.append(row)
            self.rows.extend(row.subcommands.values())
        self._bits = {row.full_name: 1 << number for number, row in enumerate(self.rows)}
        #: Set only by `+@all`: commands that are not there yet are allowed as well.
        self.future_bit = 1 << len(self.rows)
        self.everything = (self.future_bit << 1) - 1
        #: The commands that are in a category themselves, by its name; hidden ones left out.
        self.members: dict[str, int] = dict.fromkeys(CATEGORIES, NONE)
        #: What `+@category` allows: those, hidden ones, and all subcommands of their containers.
        self.reach: dict[str, int] = dict.fromkeys(CATEGORIES, NONE)
        self._rows_in: dict[str, list[CommandRow]] = {name: [] for name in CATEGORIES}
        self._reach = {row.full_name: self._with_subcommands(row) for row in self.rows}
        for row in self.rows:
            for category in categories_of(row):
                self._rows_in[category].append(row)
                if not row.is_hidden:
                    self.members[category] |= self.bit_of(row)
                self.reach[category] |= self.reach_of(row)
        self._by_name = {row.full_name.encode(): row for row in self.rows}

    def _with_subcommands(self, row: CommandRow) -> int:
        bits = self.bit_of(row)
        for subcommand in row.subcommands.values():
            bits |= self.bit_of(subcommand)
        return bits

    def find(self, name: bytes) -> CommandRow | None:
        """Return the row of that full name, in any case."""
        return self._by_name.get(name.lower())

    def bit_of(self, row: CommandRow) -> int:
        """Return the bit of `row`, or of the row of the same name in another table."""
        return self._bits.get(row.full_name, NONE)

    def reach_of(self, row: CommandRow) -> int:
        """Return what `+command` allows: the bits of `row` and of its subcommands."""
        return self._reach[row.full_name]

    def rows_in(self, category: str) -> list[CommandRow]:
        """Return the commands of a category, hidden ones too."""
        return self._rows_in[category]
