"""The directives about users, for any program that has them: at start, and when rewriting a file.

Follows Redis 7.0 `acl.c: ACLLoadUsersAtStartup`, `config.c: rewriteConfigUserOption`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..conf import Choice, ConfigLine, Directive, Flag, Integer, Statement, Text
from ..conf.kinds import INT64_MAX
from ..conf.quoting import decode_word, encode_word
from ..errors import ConfigError
from .access import AccessControl, AclFile
from .selector import RuleError
from .user import DEFAULT_USER
from .users import AclFileError, Users

#: The name of the directive that describes one user.
USER: Final = "user"

ACL_FILE: Final = Directive("aclfile", Text(), "", Flag.IMMUTABLE)
ACL_LOG_MAX_LEN: Final = Directive("acllog-max-len", Integer(0, INT64_MAX), 128)
ACL_PUBSUB_DEFAULT: Final = Directive(
    "acl-pubsub-default", Choice("allchannels", "resetchannels"), "resetchannels"
)

#: What every program with users takes, besides `user` and `requirepass`.
ACL_DIRECTIVES: Final = (ACL_FILE, ACL_LOG_MAX_LEN, ACL_PUBSUB_DEFAULT)

_FILE_AND_USERS: Final = (
    "Users are defined in the configuration and there is an ACL file as well: define either an ACL"
    " file or users in the configuration, but not both."
)
_DUPLICATE: Final = "Duplicate user found. A user can only be defined once in config files"


def set_up(
    access: AccessControl, *, password: str, users: Sequence[Statement], file: AclFile | None
) -> None:
    """Make the users that a configuration describes, before there are any connections.

    `password` is `requirepass`; a `user default` or an ACL file takes its place.

    Raises:
        ConfigError: a rule is wrong, a user is there twice, or the ACL file cannot be used.
    """
    if file is not None and users:
        raise users[0].error(_FILE_AND_USERS)
    if password:
        access.users.set_default_password(encode_word(password))
    seen: set[str] = set()
    for statement in users:
        if not statement.values:
            raise statement.error("Bad directive or wrong number of arguments")
        name, *rules = statement.values
        if name in seen:
            raise statement.error(f"Error in user declaration '{name}': {_DUPLICATE}")
        seen.add(name)
        try:
            access.users.configure(encode_word(name), [encode_word(rule) for rule in rules])
        except RuleError as error:
            raise statement.error(str(error)) from error
    access.file = file
    if file is not None:
        try:
            access.load_file()
        except AclFileError as error:
            raise ConfigError(f"Aborting startup because of ACL errors: {error}") from error


def user_lines(access: AccessControl, *, password: str) -> list[ConfigLine]:
    """Return the lines of a rewritten configuration that make the users there are.

    None where an ACL file holds them. The line of a default user who is as `password`
    (`requirepass`) makes him is not added, only kept up to date.
    """
    if access.file is not None:
        return []
    usual = Users(access.index)
    usual.set_default_password(encode_word(password))
    lines = []
    for user in access.users:
        is_usual = user.name == DEFAULT_USER and user.describe() == usual.default.describe()
        rules = [decode_word(word) for rule in user.rules() for word in rule.split(b" ")]
        words = (USER, decode_word(user.name), *rules)
        lines.append(ConfigLine((USER, words[1]), words, is_needed=not is_usual))
    return lines


def key_of_user(words: Sequence[str]) -> tuple[str, ...] | None:
    """Return the key of a `user` line in a file that is rewritten; None: another line."""
    return (USER, words[1]) if words[0] == USER and len(words) > 1 else None
