"""One set of permissions: which commands, on which keys, on which channels.

Every user has a root selector and may have more; a request must be allowed by one of them as a
whole. Follows Redis 7.0 `acl.c: ACLSetSelector`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..cmdspec import CommandRow
from ..errors import VedetteError
from ..glob import matches_glob
from .commands import NONE, CommandIndex

if TYPE_CHECKING:
    from collections.abc import Iterable

_BLANKS: Final = b" \t\n\v\f\r\0"

UNKNOWN_NAME: Final = "Unknown command or category name in ACL"
SYNTAX_ERROR: Final = "Syntax error"
_AFTER_ALL_KEYS: Final = (
    "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have"
    " any effect. Try 'resetkeys' to start with an empty list of patterns"
)
_AFTER_ALL_CHANNELS: Final = (
    "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not"
    " have any effect. Try 'resetchannels' to start with an empty list of channels"
)
_ARGUMENT_OF_SUBCOMMAND: Final = "Allowing first-arg of a subcommand is not supported"


class RuleError(VedetteError):
    """A rule is wrong; `str(error)` is Redis' reason."""

    @property
    def is_unknown_name(self) -> bool:
        """Whether the rule is well formed, but names a command or category that is not there."""
        return str(self) == UNKNOWN_NAME


def has_blank(text: bytes) -> bool:
    """Return whether `text` holds white space or a zero byte, which names and patterns may not."""
    return any(byte in _BLANKS for byte in text)


class KeyAccess:
    """What may be done to the keys of a pattern, or is done to one by a command: bits of an `int`.

    No `enum.IntFlag`: its `&` takes longer than all else that is asked of a limited user.
    """

    NONE: Final = 0
    READ: Final = 1
    WRITE: Final = 2
    ALL: Final = 3


_ACCESS_SPELLINGS: Final = {
    KeyAccess.READ: b"%R~",
    KeyAccess.WRITE: b"%W~",
    KeyAccess.ALL: b"~",
}


class Selector:
    """Permissions, empty at first but for the channels that `acl-pubsub-default` gives."""

    __slots__ = (
        "_index",
        "allows_all_channels",
        "allows_all_commands",
        "allows_all_keys",
        "channels",
        "commands",
        "first_arguments",
        "key_patterns",
    )

    def __init__(self, index: CommandIndex, *, allows_all_channels: bool = False) -> None:
        self._index = index
        #: Every command may be run, without looking further.
        self.allows_all_commands = False
        self.allows_all_keys = False
        self.allows_all_channels = allows_all_channels
        #: The set of commands that may be run, as `CommandIndex` numbers them.
        self.commands = NONE
        #: By full name of a command that may not be run otherwise: the first arguments, in lower
        #: case or as given, with which it may.
        self.first_arguments: dict[str, list[bytes]] = {}
        #: Empty if all keys are allowed.
        self.key_patterns: dict[bytes, int] = {}
        #: Patterns in the order given; empty if all channels are allowed.
        self.channels: dict[bytes, None] = {}

    def copy(self) -> Selector:
        """Return a selector of the same permissions."""
        other = Selector(self._index, allows_all_channels=self.allows_all_channels)
        other.allows_all_commands = self.allows_all_commands
        other.allows_all_keys = self.allows_all_keys
        other.commands = self.commands
        other.first_arguments = {name: [*words] for name, words in self.first_arguments.items()}
        other.key_patterns = dict(self.key_patterns)
        other.channels = dict(self.channels)
        return other

    @property
    def is_unrestricted(self) -> bool:
        """Whether everything is allowed."""
        return self.allows_all_commands and self.allows_all_keys and self.allows_all_channels

    # --- rules -----------------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Change the permissions as `rule` says: `+get`, `-@admin`, `~key:*`, `resetchannels`, ...

        Raises:
            RuleError: it is not a rule, or makes no sense here; nothing has been changed.
        """
        match rule.lower():
            case b"allkeys" | b"~*":
                self._set_all_keys(True)
            case b"resetkeys":
                self._set_all_keys(False)
            case b"allchannels" | b"&*":
                self._set_all_channels(True)
            case b"resetchannels":
                self._set_all_channels(False)
            case b"allcommands" | b"+@all":
                self._set_all_commands(True)
            case b"nocommands" | b"-@all":
                self._set_all_commands(False)
            case _:
                self._apply_to_some(rule)

    def _set_all_keys(self, is_allowed: bool) -> None:
        self.allows_all_keys = is_allowed
        self.key_patterns.clear()

    def _set_all_channels(self, is_allowed: bool) -> None:
        self.allows_all_channels = is_allowed
        self.channels.clear()

    def _set_all_commands(self, is_allowed: bool) -> None:
        self.allows_all_commands = is_allowed
        self.commands = self._index.everything if is_allowed else NONE
        self.first_arguments.clear()

    def _apply_to_some(self, rule: bytes) -> None:
        match rule[:1]:
            case b"~" | b"%":
                self._add_key_pattern(rule)
            case b"&":
                self._add_channel(rule[1:])
            case b"+" if rule[1:2] == b"@":
                self._set_category(rule[2:], True)
            case b"-" if rule[1:2] == b"@":
                self._set_category(rule[2:], False)
            case b"+":
                self._allow_command(rule[1:])
            case b"-":
                self.set_command(self._find(rule[1:]), False)
            case _:
                raise RuleError(SYNTAX_ERROR)

    def _add_key_pattern(self, rule: bytes) -> None:
        if self.allows_all_keys:
            raise RuleError(_AFTER_ALL_KEYS)
        access, pattern = _parse_key_rule(rule)
        if has_blank(pattern):
            raise RuleError(SYNTAX_ERROR)
        self.key_patterns[pattern] = self.key_patterns.get(pattern, KeyAccess.NONE) | access

    def _add_channel(self, pattern: bytes) -> None:
        if self.allows_all_channels:
            raise RuleError(_AFTER_ALL_CHANNELS)
        if has_blank(pattern):
            raise RuleError(SYNTAX_ERROR)
        self.channels[pattern] = None

    def _find(self, name: bytes) -> CommandRow:
        row = self._index.find(name)
        if row is None:
            raise RuleError(UNKNOWN_NAME)
        return row

    def _allow_command(self, name: bytes) -> None:
        command, bar, argument = name.rpartition(b"|")
        if not bar:
            self.set_command(self._find(name), True)
            return
        row = self._find(command)
        if "|" in row.full_name:
            raise RuleError(_ARGUMENT_OF_SUBCOMMAND)
        # Redis lets blanks through, and so a line of one's own into the ACL file.
        if not argument or has_blank(argument):
            raise RuleError(SYNTAX_ERROR)
        if row.subcommands:
            self.set_command(self._find(name), True)
            return
        allowed = self.first_arguments.setdefault(row.full_name, [])
        if argument.lower() not in [each.lower() for each in allowed]:
            allowed.append(argument)

    def set_command(self, row: CommandRow, is_allowed: bool) -> None:
        """Allow or forbid a command with all its subcommands."""
        bits = self._index.reach_of(row)
        if is_allowed:
            self.commands |= bits
        else:
            self.commands &= ~bits
            self.allows_all_commands = False
        self.first_arguments.pop(row.full_name, None)

    def _set_category(self, name: bytes, is_allowed: bool) -> None:
        category = name.decode("latin-1").lower()
        if category not in self._index.reach:
            raise RuleError(UNKNOWN_NAME)
        for row in self._index.rows_in(category):
            self.set_command(row, is_allowed)

    # --- questions -------------------------------------------------------------------------------

    def may_run(self, row: CommandRow, argv: list[bytes]) -> bool:
        """Return whether `row` may be run at all with these arguments, whatever its keys."""
        if self.allows_all_commands or self.commands & self._index.bit_of(row):
            return True
        if len(argv) < 2:
            return False
        argument = argv[1].lower()
        allowed = self.first_arguments.get(row.full_name, ())
        return any(argument == each.lower() for each in allowed)

    def may_access_key(self, key: bytes, access: int) -> bool:
        """Return whether all of `access` is allowed on `key` by one pattern."""
        return self.allows_all_keys or any(
            allowed & access == access and matches_glob(pattern, key)
            for pattern, allowed in self.key_patterns.items()
        )

    def may_access_all_keys(self, access: int) -> bool:
        """Return whether `access` is allowed on every key there is or may be."""
        return (
            self.allows_all_keys or self.key_patterns.get(b"*", KeyAccess.NONE) & access == access
        )

    def may_use_channel(self, channel: bytes, *, is_pattern: bool) -> bool:
        """Return whether `channel` may be published or subscribed to."""
        return self.allows_all_channels or allows_channel(
            self.channels, channel, is_pattern=is_pattern
        )

    # --- descriptions ----------------------------------------------------------------------------

    def describe_keys(self) -> bytes:
        """Return the key rules, as ACL GETUSER shows them."""
        if self.allows_all_keys:
            return b"~*"
        return b" ".join(
            [_ACCESS_SPELLINGS[access] + pattern for pattern, access in self.key_patterns.items()]
        )

    def describe_channels(self) -> bytes:
        """Return the channel rules, as ACL GETUSER shows them."""
        if self.allows_all_channels:
            return b"&*"
        return b" ".join([b"&" + pattern for pattern in self.channels])


def allows_channel(patterns: Iterable[bytes], channel: bytes, *, is_pattern: bool) -> bool:
    """Return whether `patterns` allow `channel`; one that is a glob must be among them literally.

    Else a subscription to `*` would have to be compared with what every pattern can match.
    """
    if is_pattern:
        return channel in patterns
    return any(matches_glob(pattern, channel) for pattern in patterns)


def _parse_key_rule(rule: bytes) -> tuple[int, bytes]:
    """Return what `~pattern` or `%RW~pattern` allows, and on which keys."""
    if rule[:1] == b"~":
        return KeyAccess.ALL, rule[1:]
    letters, _, pattern = rule[1:].partition(b"~")
    access = KeyAccess.NONE
    for letter in letters.upper():
        flag = {ord("R"): KeyAccess.READ, ord("W"): KeyAccess.WRITE}.get(letter, KeyAccess.NONE)
        if not flag or flag & access:
            raise RuleError(SYNTAX_ERROR)
        access |= flag
    if not access:
        raise RuleError(SYNTAX_ERROR)
    return access, pattern
