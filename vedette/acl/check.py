"""Whether a user may run a request, and if not, for which of its words.

Follows Redis 7.0 `acl.c: ACLSelectorCheckCmd, ACLCheckAllUserCommandPerm`.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass

from ..cmdspec import CommandRow, Flag
from .selector import KeyAccess, Selector
from .user import User


class DenialReason(enum.Enum):
    """Why something is refused, as ACL LOG calls it."""

    COMMAND = "command"
    KEY = "key"
    CHANNEL = "channel"
    AUTH = "auth"


@dataclass(frozen=True, slots=True)
class Denial:
    """Why a request is refused, and at which of its words (0 where it is the command itself)."""

    reason: DenialReason
    position: int = 0


_NO_COMMAND = Denial(DenialReason.COMMAND)

#: Which of two denials tells more: a command that may be run, but not so, over one that may not.
_WEIGHTS = {DenialReason.COMMAND: 0, DenialReason.KEY: 1, DenialReason.CHANNEL: 2}


def check(user: User, row: CommandRow, argv: list[bytes]) -> Denial | None:
    """Return why `user` may not run the request `argv` of the command `row`, or None.

    Where several selectors refuse it for different reasons, the one given is that of the selector
    that came furthest.
    """
    told = _NO_COMMAND
    for selector in user.selectors:
        denial = _check_selector(selector, row, argv)
        if denial is None:
            return None
        if (_WEIGHTS[denial.reason], denial.position) > (_WEIGHTS[told.reason], told.position):
            told = denial
    return told


def may_run_over_all_keys(user: User, row: CommandRow, argv: list[bytes], access: int) -> bool:
    """Return whether a selector allows the request, and `access` to any other key too.

    For commands that touch keys which they are not given (SORT's BY and GET).
    """
    return any(
        _check_selector(selector, row, argv) is None and selector.may_access_all_keys(access)
        for selector in user.selectors
    )


def _check_selector(selector: Selector, row: CommandRow, argv: list[bytes]) -> Denial | None:
    if not row.flags & Flag.NO_AUTH and not selector.may_run(row, argv):
        return _NO_COMMAND
    if not selector.allows_all_keys:
        for position, spec in row.keys.positions(argv):
            if not selector.may_access_key(argv[position], access_of(spec.access)):
                return Denial(DenialReason.KEY, position)
    if row.channels is not None and not selector.allows_all_channels:
        for position in row.channels.positions(argv):
            is_pattern = row.channels.is_pattern
            if not selector.may_use_channel(argv[position], is_pattern=is_pattern):
                return Denial(DenialReason.CHANNEL, position)
    return None


@functools.cache
def access_of(words: tuple[str, ...]) -> int:
    """Return what `KeySpec.access` says is done to the keys of a group, as far as access goes.

    A command that neither reads nor changes the value (TYPE, EXISTS) needs any pattern at all.
    """
    access = KeyAccess.NONE
    for word in words:
        if word == "ACCESS":
            access |= KeyAccess.READ
        elif word in ("INSERT", "UPDATE", "DELETE"):
            access |= KeyAccess.WRITE
    return access
