"""All users of one program, and the text of a file that holds them.

One change is made as a whole or not at all. Connections are not known here: a change says what it
means for them. Follows Redis 7.0 `acl.c: ACLStringSetUser, ACLLoadFromFile, ACLSaveToFile`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..errors import VedetteError
from .commands import CommandIndex
from .selector import RuleError, allows_channel, has_blank
from .user import DEFAULT_USER, User, merge_selectors

_DEFAULT_RULES: Final = (b"+@all", b"~*", b"&*", b"on", b"nopass")


class AclFileError(VedetteError):
    """An ACL file cannot be used; `str(error)` names every fault with file and line."""


@dataclass(frozen=True, slots=True)
class UsersChange:
    """What a change of users means for those who are connected."""

    #: These users are no more: their connections are to be closed.
    gone: tuple[User, ...] = ()
    #: This user may have lost channels: see `may_stay_subscribed`.
    narrowed: User | None = None


class Users:
    """Users by name. There always is the default user, and it always is the same object."""

    def __init__(self, index: CommandIndex) -> None:
        self._index = index
        #: Whether new users may use all channels (`acl-pubsub-default`).
        self.allows_channels_by_default = False
        self.default = self._new_default()
        self._by_name = {DEFAULT_USER: self.default}

    def __iter__(self) -> Iterator[User]:
        """Iterate over the users in the order of their names."""
        return iter([self._by_name[name] for name in sorted(self._by_name)])

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: bytes) -> User | None:
        """Return the user called `name`, if there is one."""
        return self._by_name.get(name)

    def _new_default(self) -> User:
        user = User(DEFAULT_USER, self._index)
        for rule in _DEFAULT_RULES:
            user.apply(rule)
        return user

    def _new(self, name: bytes) -> User:
        return User(name, self._index, allows_all_channels=self.allows_channels_by_default)

    def _apply(self, user: User, rule: bytes) -> None:
        user.apply(rule, allows_all_channels=self.allows_channels_by_default)

    # --- changes ---------------------------------------------------------------------------------

    def set_user(self, name: bytes, rules: Sequence[bytes]) -> UsersChange:
        """Create or change a user as ACL SETUSER does: all of `rules` or none.

        Raises:
            RuleError: a rule is wrong; the text is what ACL SETUSER answers.
        """
        user = self._by_name.get(name)
        draft = self._new(name)
        if user is not None:
            draft.assign(user)
        for rule in merge_selectors(rules):
            try:
                self._apply(draft, rule)
            except RuleError as error:
                text = rule.decode("utf-8", "surrogateescape")
                raise RuleError(f"Error in ACL SETUSER modifier '{text}': {error}") from error
        if user is None:
            self._by_name[name] = draft
            return UsersChange()
        has_lost = _has_lost_channels(user, draft)
        user.assign(draft)
        return UsersChange(narrowed=user if has_lost else None)

    def delete(self, names: Iterable[bytes]) -> UsersChange:
        """Remove the users of these names, as far as there are any; not the default user."""
        gone = []
        for name in names:
            assert name != DEFAULT_USER
            user = self._by_name.pop(name, None)
            if user is not None:
                gone.append(user)
        return UsersChange(gone=tuple(gone))

    def set_default_password(self, password: bytes) -> None:
        """Make `password` the default user's only one; empty: none is needed (`requirepass`)."""
        self.default.apply(b"resetpass")
        self.default.apply(b">" + password if password else b"nopass")

    def configure(self, name: bytes, rules: Sequence[bytes]) -> User:
        """Create a user as a `user` directive says; the default user begins anew.

        Raises:
            RuleError: a rule is wrong; the program is not to start.
        """
        if has_blank(name):
            raise RuleError("Spaces not allowed in ACL usernames")
        user = self._by_name.setdefault(name, self._new(name))
        if user is self.default:
            self._apply(user, b"reset")
        for rule in merge_selectors(rules):
            try:
                self._apply(user, rule)
            except RuleError as error:
                text = rule.decode("utf-8", "surrogateescape")
                raise RuleError(f"Error in user declaration '{text}': {error}") from error
        return user

    # --- files -----------------------------------------------------------------------------------

    def load(self, text: bytes, path: str) -> UsersChange:
        """Replace all users by those of an ACL file; without a default user there is a new one.

        Raises:
            AclFileError: a line is wrong; nothing has been changed.
        """
        loaded: dict[bytes, User] = {}
        faults: list[str] = []
        for number, line in enumerate(text.partition(b"\0")[0].split(b"\n"), start=1):
            words = line.strip(b" \t\r\n").split(b" ")
            if words != [b""]:
                faults += self._load_line(loaded, words, f"{path}:{number}", number)
        if faults:
            raise AclFileError(
                "".join(faults) + "WARNING: ACL errors detected, no change to the previously active"
                " ACL rules was performed"
            )
        self.default.assign(loaded.get(DEFAULT_USER) or self._new_default())
        gone = tuple(user for user in self if user is not self.default)
        self._by_name = {**loaded, DEFAULT_USER: self.default}
        return UsersChange(gone=gone)

    def _load_line(
        self, loaded: dict[bytes, User], words: list[bytes], where: str, number: int
    ) -> list[str]:
        """Enter the user of one line into `loaded`; return what is wrong with it."""
        if words[0] != b"user" or len(words) < 2:
            return [f"{where} should start with user keyword followed by the username. "]
        name = words[1].decode("utf-8", "surrogateescape")
        if has_blank(words[1]):
            return [f"'{where}: username '{name}' contains invalid characters. "]
        if words[1] in loaded:
            return [f"WARNING: Duplicate user '{name}' found on line {number}. "]
        user = loaded[words[1]] = self._new(words[1])
        try:
            rules = merge_selectors(words[2:])
        except RuleError:
            return [f"{where}: Unmatched parenthesis in selector definition."]
        faults: list[str] = []
        has_syntax_error = False
        for rule in rules:
            rule = rule.strip(b"\t\r\n")
            try:
                self._apply(user, rule)
            except RuleError as error:
                if error.is_unknown_name:
                    text = rule.decode("utf-8", "surrogateescape")
                    faults.append(f"{where}: Error in applying operation '{text}': {error}. ")
                elif not has_syntax_error:
                    # Of other faults only the first: a rule may hold a password, and what follows
                    # may only be wrong because of it.
                    has_syntax_error = True
                    faults.append(f"{where}: {error}. ")
        return faults


def describe_users(users: Iterable[User]) -> list[bytes]:
    """Return a line for each of `users`, as in an ACL file."""
    return [b"user %b %b" % (user.name, user.describe()) for user in users]


def may_stay_subscribed(user: User, channels: Iterable[bytes], patterns: Iterable[bytes]) -> bool:
    """Return whether `user` may still listen to all of `channels` and `patterns`."""
    if any(selector.allows_all_channels for selector in user.selectors):
        return True
    allowed = _channels_of(user)
    return all(allows_channel(allowed, each, is_pattern=False) for each in channels) and all(
        allows_channel(allowed, each, is_pattern=True) for each in patterns
    )


def _channels_of(user: User) -> dict[bytes, None]:
    return {pattern: None for selector in user.selectors for pattern in selector.channels}


def _has_lost_channels(old: User, new: User) -> bool:
    """Return whether `new` lacks a channel pattern that `old` has, taken literally."""
    if any(selector.allows_all_channels for selector in new.selectors):
        return False
    if any(selector.allows_all_channels for selector in old.selectors):
        return True
    return not _channels_of(old).keys() <= _channels_of(new).keys()
