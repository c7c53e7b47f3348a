"""Access control lists: users, what they may run and touch, and the log of what was refused.

    commands     numbers the commands of one table, so that a set of commands is the bits of an int
    selector     one set of permissions: commands, keys, channels
    describe     the shortest rules that make a set of commands, as ACL LIST prints them
    user         passwords, flags and selectors of one user; rules in, rules out
    check        whether a user may run a request
    log          what ACL LOG shows
    users        all users by name; the text of an ACL file
    access       the above for one program: logging in, refusing, counting
    directives   `user`, `aclfile` and their like: at start, and when a file is rewritten

Pure: no files, clock, randomness or connections. What a change of users means for connections is
the engine's (`vedette.clients`). Follows Redis 7.0 `acl.c`.
"""

from __future__ import annotations

from .access import AccessControl, AclFile
from .check import Denial, DenialReason, check
from .commands import CommandIndex
from .log import AclLog, LogEntry
from .selector import KeyAccess, RuleError, Selector, has_blank
from .user import DEFAULT_USER, User
from .users import AclFileError, Users, UsersChange, describe_users

__all__ = [
    "DEFAULT_USER",
    "AccessControl",
    "AclFile",
    "AclFileError",
    "AclLog",
    "CommandIndex",
    "Denial",
    "KeyAccess",
    "LogEntry",
    "DenialReason",
    "RuleError",
    "Selector",
    "User",
    "Users",
    "UsersChange",
    "check",
    "describe_users",
    "has_blank",
]
