"""The table of all commands that one program answers, collected once at start and then frozen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType

from ..errors import CommandError, quotable
from .row import CommandRow


class CommandTable:
    """Commands by name, with subcommands inside their containers."""

    def __init__(self, rows: Iterable[CommandRow]) -> None:
        """Take copies of `rows`, containers before or after their subcommands.

        Raises:
            ValueError: two rows have one name, or a subcommand has no container.
        """
        self._rows: dict[bytes, CommandRow] = {}
        copies = [row.copy() for row in rows]
        for row in copies:
            if "|" not in row.full_name:
                self._add(self._rows, row)
        for row in copies:
            if "|" in row.full_name:
                parent = self._rows.get(row.full_name.partition("|")[0].upper().encode())
                if parent is None:
                    raise ValueError(f"{row.full_name} has no container")
                self._add(parent.subcommands, row)
        #: Rows by their own names, whatever they were renamed to.
        self._originals = dict(self._rows)
        #: Rows by name as it is usually sent; others are found by `find`.
        self.by_usual_name: dict[bytes, CommandRow] = {}
        self._note_rows()

    def _note_rows(self) -> None:
        self._shown_count = sum(not row.is_hidden for row in self._rows.values())
        self.by_usual_name.clear()
        for name, row in self._rows.items():
            self.by_usual_name[name] = row
            self.by_usual_name[name.lower()] = row
        self._all_rows = tuple(
            each
            for row in self._rows.values()
            for each in (row, *row.subcommands.values())
            if each.handler is not None
        )

    def rename(self, name: bytes, new_name: bytes) -> None:
        """Have the command `name` be called `new_name`, or by no name at all if that is empty.

        COMMAND and access control know it by its own name all the same. To be done before anyone
        uses the table.

        Raises:
            ValueError: there is no such command, or another has that name.
        """
        row = self._rows.get(name.upper())
        if row is None:
            raise ValueError("No such command in rename-command")
        if new_name and new_name.upper() in self._rows:
            raise ValueError("Target command name already exists")
        del self._rows[name.upper()]
        if new_name:
            self._rows[new_name.upper()] = row
        self._note_rows()

    def by_own_name(self, full_name: str) -> CommandRow | None:
        """Return the row whose own full name that is, also if it was renamed."""
        top, bar, sub = full_name.upper().encode().partition(b"|")
        row = self._originals.get(top)
        if row is not None and bar:
            return row.subcommands.get(sub)
        return row

    @staticmethod
    def _add(rows: dict[bytes, CommandRow], row: CommandRow) -> None:
        name = row.name.upper().encode()
        if name in rows:
            raise ValueError(f"two rows are called {row.full_name}")
        rows[name] = row

    @classmethod
    def of(cls, modules: Iterable[ModuleType]) -> CommandTable:
        """Collect the rows that `command` and `container` left in `modules`."""
        rows: list[CommandRow] = []
        for module in modules:
            for value in vars(module).values():
                if isinstance(value, CommandRow):
                    rows.append(value)
                elif getattr(value, "__module__", None) == module.__name__:
                    rows.extend(getattr(value, "command_rows", ()))
        return cls(rows)

    def __iter__(self) -> Iterator[CommandRow]:
        """Iterate over top-level rows, hidden ones left out."""
        return (row for row in self._rows.values() if not row.is_hidden)

    def __len__(self) -> int:
        return self._shown_count

    def top_rows(self) -> Iterator[CommandRow]:
        """Iterate over every row that is no subcommand, hidden ones too."""
        return iter(self._rows.values())

    def all_rows(self) -> tuple[CommandRow, ...]:
        """Return every row with a handler, subcommands included."""
        return self._all_rows

    def listed_rows(self) -> Iterator[CommandRow]:
        """Iterate over every row that COMMAND LIST names, containers and subcommands included."""
        for row in self:
            yield row
            yield from (sub for sub in row.subcommands.values() if not sub.is_hidden)

    def named(self, name: bytes) -> CommandRow | None:
        """Return the row called `name` in any case; `client|id` names a subcommand."""
        top, bar, sub = name.upper().partition(b"|")
        row = self._rows.get(top)
        if row is not None and bar:
            return row.subcommands.get(sub)
        return row

    def find(self, argv: list[bytes]) -> CommandRow:
        """Return the row that runs `argv`, a subcommand's where there is one.

        Raises:
            CommandError: there is no such command or subcommand (Redis' wording).
        """
        row = self._rows.get(argv[0].upper())
        if row is None:
            raise CommandError(unknown_command_text(argv))
        if row.subcommands and len(argv) > 1:
            sub = row.subcommands.get(argv[1].upper())
            if sub is not None:
                return sub
            raise CommandError(
                b"ERR unknown subcommand '%b'. Try %b HELP."
                % (quotable(argv[1][:128]), row.name.upper().encode())
            )
        return row


def unknown_command_text(argv: list[bytes]) -> bytes:
    """Return Redis' error text for a command that does not exist, quoting at most 128 bytes."""
    quoted = b""
    for argument in argv[1:]:
        if len(quoted) >= 128:
            break
        quoted += b"'%b' " % quotable(argument[: 128 - len(quoted)])
    return b"ERR unknown command '%b', with args beginning with: %b" % (
        quotable(argv[0][:128]),
        quoted,
    )


def wrong_arity_text(row: CommandRow) -> bytes:
    """Return Redis' error text for a wrong number of arguments."""
    return b"ERR wrong number of arguments for '%b' command" % row.full_name.encode()
