"""One user: name, passwords, whether it may log in, and what it may do then.

Follows Redis 7.0 `acl.c: ACLSetUser, ACLDescribeUser`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

from ..conf.quoting import UnbalancedQuotesError, split_arguments
from .commands import CommandIndex
from .describe import describe_commands
from .selector import RuleError, Selector

#: The user that every connection begins as.
DEFAULT_USER: Final = b"default"

_BAD_HASH: Final = (
    "The password hash must be exactly 64 characters and contain only lowercase hexadecimal"
    " characters"
)
_NO_SUCH_PASSWORD: Final = "The password you are trying to remove from the user does not exist"
_HEX_DIGITS: Final = frozenset(b"0123456789abcdef")


def hash_password(password: bytes) -> bytes:
    """Return how a password is kept: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(password).hexdigest().encode()


class User:
    """A user, who at first cannot log in and may do nothing.

    `is_restricted` is what the hot path goes by: whether requests have to be checked at all.
    """

    __slots__ = (
        "_description",
        "_index",
        "_selectors",
        "is_enabled",
        "is_nopass",
        "is_restricted",
        "name",
        "passwords",
        "sanitizes_payload",
    )

    def __init__(
        self, name: bytes, index: CommandIndex, *, allows_all_channels: bool = False
    ) -> None:
        self.name = name
        self._index = index
        self.is_enabled = False
        #: Any password will do.
        self.is_nopass = False
        #: What RESTORE is to do with payloads of this user; None: never said.
        self.sanitizes_payload: bool | None = None
        #: Hashes, in the order given.
        self.passwords: dict[bytes, None] = {}
        self._selectors = [Selector(index, allows_all_channels=allows_all_channels)]
        self._description: bytes | None = None
        self.is_restricted = True

    def __repr__(self) -> str:
        return f"<User {self.name.decode('latin-1')}>"

    @property
    def selectors(self) -> Sequence[Selector]:
        """The root selector, then the others; to be changed by rules only."""
        return self._selectors

    @property
    def root(self) -> Selector:
        """What rules outside of parentheses change."""
        return self._selectors[0]

    def assign(self, other: User) -> None:
        """Take over all of `other` but its name."""
        self.is_enabled = other.is_enabled
        self.is_nopass = other.is_nopass
        self.sanitizes_payload = other.sanitizes_payload
        self.passwords = dict(other.passwords)
        self._selectors = [selector.copy() for selector in other.selectors]
        self._on_change()

    def _on_change(self) -> None:
        self._description = None
        self.is_restricted = not any(each.is_unrestricted for each in self._selectors)

    # --- rules -----------------------------------------------------------------------------------

    def apply(self, rule: bytes, *, allows_all_channels: bool = False) -> None:
        """Change the user as `rule` says: `on`, `>password`, `(~k* +get)`, `reset`, `+get`, ...

        `allows_all_channels` is what `reset` and new selectors begin with (`acl-pubsub-default`).
        An empty rule says nothing.

        Raises:
            RuleError: it is not a rule, or makes no sense here; nothing has been changed.
        """
        if rule:
            self._apply(rule, allows_all_channels)
            self._on_change()

    def _apply(self, rule: bytes, allows_all_channels: bool) -> None:
        match rule.lower():
            case b"on":
                self.is_enabled = True
            case b"off":
                self.is_enabled = False
            case b"sanitize-payload":
                self.sanitizes_payload = True
            case b"skip-sanitize-payload":
                self.sanitizes_payload = False
            case b"nopass":
                self.is_nopass = True
                self.passwords.clear()
            case b"resetpass":
                self.is_nopass = False
                self.passwords.clear()
            case b"clearselectors":
                del self._selectors[1:]
            case b"reset":
                self.is_enabled = False
                self.is_nopass = False
                self.sanitizes_payload = True
                self.passwords.clear()
                self._selectors = [Selector(self._index, allows_all_channels=allows_all_channels)]
            case _:
                self._apply_with_value(rule, allows_all_channels)

    def _apply_with_value(self, rule: bytes, allows_all_channels: bool) -> None:
        match rule[:1]:
            case b">" | b"#":
                self.passwords[_password_of(rule)] = None
                self.is_nopass = False
            case b"<" | b"!":
                password = _password_of(rule)
                if password not in self.passwords:
                    raise RuleError(_NO_SUCH_PASSWORD)
                del self.passwords[password]
            case b"(" if rule.endswith(b")"):
                self._selectors.append(self._selector_of(rule[1:-1], allows_all_channels))
            case _:
                self.root.apply(rule)

    def _selector_of(self, text: bytes, allows_all_channels: bool) -> Selector:
        selector = Selector(self._index, allows_all_channels=allows_all_channels)
        try:
            rules = split_arguments(text)
        except UnbalancedQuotesError:
            rules = []  # as in Redis: a selector that allows nothing
        for rule in rules:
            selector.apply(rule)
        return selector

    # --- logging in ------------------------------------------------------------------------------

    def accepts(self, password: bytes) -> bool:
        """Return whether one may log in with `password`."""
        if not self.is_enabled:
            return False
        if self.is_nopass:
            return True
        digest = hash_password(password)
        # Every one is compared, in constant time, so that the time taken tells nothing.
        return sum(hmac.compare_digest(digest, each) for each in self.passwords) > 0

    # --- descriptions ----------------------------------------------------------------------------

    def flags(self) -> list[bytes]:
        """Return the flags that ACL GETUSER shows."""
        flags = [b"on" if self.is_enabled else b"off"]
        if self.is_nopass:
            flags.append(b"nopass")
        if self.sanitizes_payload is not None:
            flags.append(
                b"sanitize-payload" if self.sanitizes_payload else b"skip-sanitize-payload"
            )
        return flags

    def command_rules(self, selector: Selector) -> bytes:
        """Return the command rules of one of the user's selectors."""
        return describe_commands(self._index, selector)

    def rules(self) -> list[bytes]:
        """Return rules that make this user of a new one; a selector in parentheses is one rule."""
        rules = [*self.flags(), *[b"#" + digest for digest in self.passwords]]
        rules += self._rules_of(self.root)
        rules += [b"(%b)" % b" ".join(self._rules_of(each)) for each in self._selectors[1:]]
        return rules

    def describe(self) -> bytes:
        """Return `rules` in one line, as ACL LIST prints them after the name."""
        if self._description is None:
            self._description = b" ".join(self.rules())
        return self._description

    def _rules_of(self, selector: Selector) -> list[bytes]:
        rules = [selector.describe_keys()] if selector.describe_keys() else []
        if selector.allows_all_channels:
            rules.append(b"&*")
        else:
            rules += [b"resetchannels", *[b"&" + pattern for pattern in selector.channels]]
        return [*rules, *self.command_rules(selector).split(b" ")]


def _password_of(rule: bytes) -> bytes:
    """Return the hash that `>password`, `<password`, `#hash` or `!hash` speaks of."""
    value = rule[1:]
    if rule[:1] in (b">", b"<"):
        return hash_password(value)
    if len(value) != 64 or not _HEX_DIGITS.issuperset(value):
        raise RuleError(_BAD_HASH)
    return value


def merge_selectors(words: Sequence[bytes]) -> list[bytes]:
    """Return `words` with those between `(` and `)` joined to one, as each selector must be.

    Raises:
        RuleError: a parenthesis is not closed.
    """
    rules: list[bytes] = []
    opened: list[bytes] = []
    for word in words:
        if word.startswith(b"(") and not word.endswith(b")"):
            opened = [word]
        elif opened:
            opened.append(word)
            if word.endswith(b")"):
                rules.append(b" ".join(opened))
                opened = []
        else:
            rules.append(word)
    if opened:
        text = opened[0].decode("utf-8", "replace")
        raise RuleError(f"Unmatched parenthesis in acl selector starting at '{text}'.")
    return rules
