"""The session in which the master's stream is run, while the link is up.

It appears in CLIENT LIST and can be killed, which ends the link. What is run here goes byte for
byte to our own replicas.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from vedette.clients.session import ClientKind
from vedette.errors import CommandError

from ..engine import ServerEngine
from ..engine.applying import apply_stream
from ..engine.onlookers import Onlookers
from ..replication.events import FollowEvent, StreamPiece
from ..replication.follow import Follow

log = structlog.get_logger()


class MasterSession:
    """Runs pieces of the stream of one link. It may do everything, and its replies go nowhere."""

    def __init__(self, engine: ServerEngine, clock_ms: Callable[[], int]) -> None:
        """Open the session for the master that the engine follows."""
        self._engine = engine
        self._replication = engine.replication
        self._clock_ms = clock_ms
        self.onlookers = Onlookers(engine)
        engine.begin_batch(clock_ms())
        self.session = engine.clients.open(
            address=str(self._replication.master),
            local_address="",
            now_ms=engine.context.now_ms,
        )
        self.session.is_deaf = True
        self.session.kind = ClientKind.MASTER
        self.session.database_index = self._replication.stream_database

    def close(self) -> None:
        """Close the session."""
        self._engine.disconnect(self.session)

    def apply(self, follow: Follow, piece: StreamPiece) -> list[FollowEvent]:
        """Run the commands, then let the same bytes go to our own replicas with the batch.

        Returns what becomes of the link. The caller settles the batch.
        """
        engine, session = self._engine, self.session
        if session.is_closed:
            return []  # killed in this very batch; the link is being cancelled
        engine.begin_batch(self._clock_ms())
        session.last_interaction_ms = engine.context.now_ms
        errors_before = engine.error_replies
        if piece.commands:
            apply_stream(engine, session, piece.commands)
        self._replication.apply_raw(piece.raw)
        self._replication.stream_database = session.database_index
        self.onlookers.note_applied()
        error_count = engine.error_replies - errors_before
        if error_count:
            engine.unexpected_error_replies += error_count
            return self._judge_errors(follow, piece, error_count)
        return []

    def _judge_errors(
        self, follow: Follow, piece: StreamPiece, error_count: int
    ) -> list[FollowEvent]:
        """A command of the stream failed, so the dataset may not be the master's any more.

        One that is not known here certainly changed the master's data and not ours: the link ends,
        and the snapshot that follows tells whether the data can be had at all. Others are logged,
        as Redis does.
        """
        for command in piece.commands:
            try:
                self._engine.table.find(command)
            except CommandError as error:
                return follow.on_stream_unusable(str(error))
        log.error(
            "stream.command_failed",
            offset=piece.offset,
            commands=len(piece.commands),
            failed=error_count,
            error=self._engine.last_error.decode("utf-8", "replace"),
        )
        return []
