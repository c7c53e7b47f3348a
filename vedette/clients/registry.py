"""All sessions of one server, by id, and which of them have something to send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .session import Session

if TYPE_CHECKING:
    from ..acl import User


class ClientRegistry:
    """Gives out ids, finds sessions and collects those with output or to be closed."""

    def __init__(self) -> None:
        self._by_id: dict[int, Session] = {}
        self._next_id = 1
        #: Sessions whose outbox is to be sent, or that are to be closed, each once.
        self.unsent: list[Session] = []
        self.accepted_count = 0
        self.rejected_count = 0

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    def open(
        self,
        *,
        address: str,
        local_address: str,
        now_ms: int,
        user: User | None = None,
        is_authenticated: bool = True,
        file_descriptor: int = -1,
    ) -> Session:
        """Create and enter a session; without a user it may do everything."""
        session = Session(
            self._next_id,
            address=address,
            local_address=local_address,
            now_ms=now_ms,
            user=user,
            is_authenticated=is_authenticated,
            file_descriptor=file_descriptor,
        )
        self._next_id += 1
        self.accepted_count += 1
        self._by_id[session.id] = session
        return session

    def remove(self, session: Session) -> None:
        """Take out a session whose connection is gone."""
        session.is_closed = True
        session.recheck()
        self._by_id.pop(session.id, None)

    def by_id(self, client_id: int) -> Session | None:
        """Return the session with that id; None: it is not there, or leaves as of now.

        Redis forgets a client that is killed at once, here it stays until the batch has been run.
        """
        session = self._by_id.get(client_id)
        return None if session is None or session.is_leaving else session

    def note_unsent(self, session: Session) -> None:
        """Remember that `session` has output, or is to be closed."""
        if not session.is_in_unsent:
            session.is_in_unsent = True
            self.unsent.append(session)

    def take_unsent(self) -> list[Session]:
        """Return the sessions noted since the last call, and forget them."""
        taken, self.unsent = self.unsent, []
        for session in taken:
            session.is_in_unsent = False
        return taken

    def request_close(self, session: Session, *, is_abrupt: bool = False) -> None:
        """Have `session` closed once what it is owed has been sent; at once if `is_abrupt`."""
        session.is_close_requested = True
        if is_abrupt:
            session.drop_output()
        session.recheck()
        self.note_unsent(session)
