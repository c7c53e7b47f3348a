"""Running the commands of an append-only file, a piece at a time: a dataset as it once was.

Nothing of it is propagated or counted as a change, nobody's rights are asked, and no key expires:
the file has a DEL for each that did. Commands between MULTI and EXEC run when EXEC has come; if it
never comes none of them has. Follows Redis 7.0 `aof.c: loadSingleAppendOnlyFile`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vedette.clients import Session
from vedette.cmdspec import CommandRow
from vedette.errors import CommandError

from ..persistence.aof.reading import WINDOW_BYTES, AofReader, CorruptAofError, TruncatedAofError

if TYPE_CHECKING:
    from .engine import ServerEngine

#: How many commands that failed are told of.
_ERRORS_KEPT: Final = 10


class Replay:
    """Runs what `reader` gives in `engine`, whose sinks must be empty while `step` runs."""

    def __init__(self, engine: ServerEngine, reader: AofReader) -> None:
        self._engine = engine
        self._reader = reader
        self._session = Session(0)
        self._session.is_deaf = True
        self._multi = engine.table.find([b"MULTI"])
        self._exec = engine.table.find([b"EXEC"])
        #: The commands since MULTI; None outside a transaction.
        self._queue: list[tuple[CommandRow, list[bytes], int]] | None = None
        #: Up to here everything was run; a transaction that is not over does not count.
        self.complete_offset = reader.position
        self._offset = reader.position
        self.command_count = 0
        #: Offset and text of commands that failed, the first few of them.
        self.errors: list[tuple[int, str]] = []
        self.error_count = 0

    def step(self, now_ms: int, window_bytes: int = WINDOW_BYTES) -> bool:
        """Run the commands of about `window_bytes`; return False when there are none left.

        Raises:
            TruncatedAofError: the file ends within a command or a transaction; everything up to
                `complete_offset` was run.
            CorruptAofError: it is damaged, or holds what this server does not know.
        """
        engine = self._engine
        commands, ends = self._reader.read(window_bytes)
        if not commands:
            if self._queue is not None:
                raise TruncatedAofError(self.complete_offset)
            self.complete_offset = self._reader.position
            return False
        before = engine.context.session
        engine.begin_batch(now_ms)
        engine.enter(self._session)
        try:
            self._run(commands, ends)
        finally:
            if before is not None:
                engine.enter(before)
        return True

    def _run(self, commands: list[list[bytes]], ends: list[int]) -> None:
        engine = self._engine
        context = engine.context
        find = engine.table.by_usual_name.get
        multi, exec_ = self._multi, self._exec
        offset = self._offset
        for argv, end in zip(commands, ends, strict=True):
            row = find(argv[0])
            if row is None or row.subcommands:
                row = self._find(argv, offset)
            if not row.min_arguments <= len(argv) <= row.max_arguments:
                raise CorruptAofError(offset, f"wrong number of arguments for {argv[0]!r}")
            if row is exec_:
                self._run_transaction(offset)
                self.complete_offset = end
            elif row is multi:
                if self._queue is not None:
                    raise CorruptAofError(offset, "MULTI within a transaction")
                self._queue = []
            elif self._queue is not None:
                self._queue.append((row, argv, offset))
            else:
                try:
                    row.handler(context, argv)  # type: ignore[misc]  # there is one
                except CommandError as error:
                    self._note(error, offset)
                context.changes = 0
                context.effects = None
                self.complete_offset = end
            offset = self._offset = end
        self.command_count += len(commands)

    def _find(self, argv: list[bytes], offset: int) -> CommandRow:
        try:
            row = self._engine.table.find(argv)
        except CommandError:
            row = None
        if row is None or row.handler is None:
            name = argv[0].decode("utf-8", "replace")
            raise CorruptAofError(offset, f"Unknown command '{name}'")
        return row

    def _run_transaction(self, offset: int) -> None:
        queue, self._queue = self._queue, None
        if queue is None:
            raise CorruptAofError(offset, "EXEC without MULTI")
        engine = self._engine
        context = engine.context
        engine.begin_transaction()
        try:
            for row, argv, at in queue:
                try:
                    row.handler(context, argv)  # type: ignore[misc]  # as above
                except CommandError as error:
                    self._note(error, at)
                context.changes = 0
                context.effects = None
        finally:
            engine.end_transaction()

    def _note(self, error: CommandError, offset: int) -> None:
        self.error_count += 1
        if len(self.errors) < _ERRORS_KEPT:
            self.errors.append((offset, error.text.decode("utf-8", "replace")))
