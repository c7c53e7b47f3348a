"""Access control applied to connections: who each is, what it is refused, what changes mean for it.

`vedette.acl` knows users and requests; this knows sessions. Owned by the engine, which asks it for
every request of a session that is not wholly free. Follows Redis 7.0 `acl.c`, `networking.c:
clientSetDefaultAuth, authRequired`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..acl import AccessControl, Denial, DenialReason, UsersChange, check
from ..acl.access import refusal_text, refusal_text_at_exec, refusal_text_in_script, subject_of
from ..acl.users import may_stay_subscribed
from .describe import describe_client

if TYPE_CHECKING:
    from ..cmdspec import CommandRow
    from .registry import ClientRegistry
    from .session import Session


class Gate:
    """The users of one program at the sessions of `clients`."""

    def __init__(self, access: AccessControl, clients: ClientRegistry) -> None:
        self.access = access
        self._clients = clients

    # --- who a session is ------------------------------------------------------------------------

    def take_default_user(self, session: Session) -> None:
        """Make `session` one of the default user, logged in if that takes no password."""
        is_authenticated = not self.access.is_login_required
        session.take_user(self.access.users.default, is_authenticated=is_authenticated)

    def log_in(
        self, session: Session, name: bytes, password: bytes, *, command: bytes, now_ms: int
    ) -> bool:
        """Make `session` one of the user called `name`.

        False leaves it as it was, and enters into the log that `command` (AUTH or HELLO, as sent)
        failed.
        """
        user = self.access.log_in(name, password)
        if user is not None:
            session.take_user(user, is_authenticated=True)
            return True
        session.last_command = command.lower().decode("latin-1")
        context = "toplevel" if session.queued_commands is None else "multi"
        self._note(session, DenialReason.AUTH, command, context, now_ms, user_name=name)
        return False

    # --- what it is refused ----------------------------------------------------------------------

    def refusal(
        self, session: Session, row: CommandRow, argv: list[bytes], now_ms: int
    ) -> bytes | None:
        """Return the error that answers a request which its user may not run, or None."""
        denial = _denial_of(session, row, argv)
        if denial is None:
            return None
        context = "toplevel" if session.queued_commands is None else "multi"
        self._note(session, denial.reason, subject_of(denial, row, argv), context, now_ms)
        return refusal_text(denial, row)

    def refusal_at_exec(
        self, session: Session, row: CommandRow, argv: list[bytes], now_ms: int
    ) -> bytes | None:
        """Return the error in place of a queued command that may not be run any more, or None."""
        denial = _denial_of(session, row, argv)
        if denial is None:
            return None
        self._note(session, denial.reason, subject_of(denial, row, argv), "multi", now_ms)
        return refusal_text_at_exec(denial)

    def refusal_in_script(
        self, session: Session, row: CommandRow, argv: list[bytes], now_ms: int
    ) -> bytes | None:
        """Return the error that a script of `session` gets for what it may not run, or None."""
        denial = _denial_of(session, row, argv)
        if denial is None:
            return None
        self._note(session, denial.reason, subject_of(denial, row, argv), "lua", now_ms)
        return refusal_text_in_script(denial)

    def is_allowed(self, session: Session, row: CommandRow, argv: list[bytes]) -> bool:
        """Return whether the user of `session` may run a command, which is not logged."""
        return _denial_of(session, row, argv) is None

    def _note(
        self,
        session: Session,
        reason: DenialReason,
        subject: bytes,
        context: str,
        now_ms: int,
        *,
        user_name: bytes | None = None,
    ) -> None:
        self.access.note_denial(
            reason,
            context=context,
            subject=subject,
            user_name=session.user_name if user_name is None else user_name,
            client_info=describe_client(session, now_ms),
            now_ms=now_ms,
        )

    # --- changes ---------------------------------------------------------------------------------

    def put_into_effect(self, change: UsersChange, caller: Session) -> None:
        """Have every session be what `change` has made of its user.

        Connections that are to end are cut, but for that of `caller`, which has its reply first.
        """
        for session in self._clients:
            user = session.user
            if user is not None:
                is_gone = user in change.gone
                if is_gone:
                    session.take_user(self.access.users.default, is_authenticated=False)
                if is_gone or (user is change.narrowed and not _may_stay_subscribed(session)):
                    self._clients.request_close(session, is_abrupt=session is not caller)
            if not session.is_authenticated:
                session.parser.is_authenticated = not self.access.is_login_required
            session.recheck()


def _denial_of(session: Session, row: CommandRow, argv: list[bytes]) -> Denial | None:
    user = session.user
    return check(user, row, argv) if user is not None and session.is_restricted else None


def _may_stay_subscribed(session: Session) -> bool:
    assert session.user is not None
    channels = [*session.channels, *session.shard_channels]
    return may_stay_subscribed(session.user, channels, session.patterns)
