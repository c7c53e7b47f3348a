"""Access control of one program: who may log in, what is refused and in which words.

Owns the users, the log of refusals and their counts. The words are Redis 7.0's (`server.c:
processCommand`, `multi.c: execCommand`, `acl.c: aclCommand`).
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol

from ..cmdspec import CommandRow, CommandTable
from .check import Denial, DenialReason
from .commands import CommandIndex
from .log import AclLog
from .user import User
from .users import AclFileError, Users, UsersChange, describe_users

_AT_EXEC: Final = (
    b"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC"
    b" call. This command is no longer allowed for the following reason: "
)
_REASONS_AT_EXEC: Final = {
    DenialReason.COMMAND: b"no permission to execute the command or subcommand",
    DenialReason.KEY: b"no permission to touch the specified keys",
    DenialReason.CHANNEL: b"no permission to access one of the channels used as arguments",
}

_REASONS_IN_SCRIPT: Final = {
    DenialReason.COMMAND: b"can't run this command or subcommand",
    DenialReason.KEY: b"can't access at least one of the keys mentioned in the command arguments",
    DenialReason.CHANNEL: b"can't publish to the channel mentioned in the command",
}


class AclFile(Protocol):
    """The file that ACL LOAD reads and ACL SAVE writes."""

    @property
    def path(self) -> str:
        """The path as configured."""

    def read(self) -> bytes:
        """Return what the file holds.

        Raises:
            OSError: it cannot be read.
        """

    def write(self, text: bytes) -> None:
        """Have the file hold `text`, or what it held.

        Raises:
            OSError: it could not be written.
        """


class AccessControl:
    """The users of a program that answers the commands of `table`."""

    def __init__(self, table: CommandTable) -> None:
        self.index = CommandIndex(table)
        self.users = Users(self.index)
        self.log = AclLog()
        #: Where users are kept, if not in the configuration.
        self.file: AclFile | None = None
        #: How often something was refused, for INFO.
        self.denial_counts: Counter[DenialReason] = Counter()

    @property
    def is_login_required(self) -> bool:
        """Whether a new connection has to log in before anything else."""
        default = self.users.default
        return not (default.is_nopass and default.is_enabled)

    def log_in(self, name: bytes, password: bytes) -> User | None:
        """Return the user of that name if `password` is right and the user enabled."""
        user = self.users.get(name)
        return user if user is not None and user.accepts(password) else None

    def load_file(self) -> UsersChange:
        """Replace all users by those of the file; there is one.

        Raises:
            AclFileError: it cannot be read, or a line is wrong; nothing has been changed.
        """
        assert self.file is not None
        try:
            text = self.file.read()
        except OSError as error:
            reason = error.strerror or str(error)
            raise AclFileError(
                f"Error loading ACLs, opening file '{self.file.path}': {reason}"
            ) from error
        return self.users.load(text, self.file.path)

    def save_file(self) -> None:
        """Write all users into the file; there is one.

        Raises:
            OSError: it could not be written.
        """
        assert self.file is not None
        self.file.write(b"".join([line + b"\n" for line in describe_users(self.users)]))

    def note_denial(
        self,
        reason: DenialReason,
        *,
        context: str,
        subject: bytes,
        user_name: bytes,
        client_info: bytes,
        now_ms: int,
    ) -> None:
        """Count a refusal and enter it into the log (see `LogEntry`)."""
        self.denial_counts[reason] += 1
        self.log.add(
            reason,
            context=context,
            subject=subject,
            user_name=user_name,
            client_info=client_info,
            now_ms=now_ms,
        )


def subject_of(denial: Denial, row: CommandRow, argv: list[bytes]) -> bytes:
    """Return what was refused: the command's name, the key or the channel."""
    if denial.reason is DenialReason.COMMAND:
        return row.full_name.encode()
    return argv[denial.position]


def refusal_text(denial: Denial, row: CommandRow) -> bytes:
    """Return the error that answers a request."""
    if denial.reason is DenialReason.COMMAND:
        return b"NOPERM this user has no permissions to run the '%b' command" % (
            row.full_name.encode()
        )
    return b"NOPERM this user has no permissions to access one of the %bs used as arguments" % (
        denial.reason.value.encode()
    )


def refusal_text_at_exec(denial: Denial) -> bytes:
    """Return the error in the place of a queued command's reply."""
    return _AT_EXEC + _REASONS_AT_EXEC[denial.reason]


def refusal_text_in_script(denial: Denial) -> bytes:
    """Return the error that a script gets."""
    return b"ERR The user executing the script " + _REASONS_IN_SCRIPT[denial.reason]


def explanation(denial: Denial, row: CommandRow, argv: list[bytes]) -> bytes:
    """Return what ACL DRYRUN answers of a request that would be refused."""
    if denial.reason is DenialReason.COMMAND:
        return b"This user has no permissions to run the '%b' command" % row.full_name.encode()
    return b"This user has no permissions to access the '%b' %b" % (
        argv[denial.position],
        denial.reason.value.encode(),
    )
