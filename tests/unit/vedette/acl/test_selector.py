"""Rules of one set of permissions: what they allow, what is refused, and how it is described."""

from __future__ import annotations

import pytest

from tests.support.acl import INDEX, TABLE
from vedette.acl import KeyAccess, RuleError, Selector
from vedette.acl.describe import describe_commands


def selector(*rules: str, allows_all_channels: bool = False) -> Selector:
    """Return a new selector to which `rules` have been applied."""
    made = Selector(INDEX, allows_all_channels=allows_all_channels)
    for rule in rules:
        made.apply(rule.encode())
    return made


def may_run(permissions: Selector, request: str) -> bool:
    """Whether the words of `request` may be run as far as the command goes."""
    argv = request.encode().split()
    return permissions.may_run(TABLE.find(argv), argv)


@pytest.mark.parametrize(
    ("rules", "allowed", "refused"),
    [
        ("", "", "get set client|id"),
        ("+get", "get", "set"),
        ("+GET -get", "", "get"),
        ("allcommands", "get set client|id", ""),
        ("+@all -set", "get client|id", "set"),
        ("+@all nocommands", "", "get set"),
        ("+client", "client|id client|kill", "get"),
        ("+client -client|kill", "client|id", "client|kill"),
        ("+client|id", "client|id", "client|kill"),
        ("+@all -client +client|id", "client|id get", "client|kill"),
        ("+@string", "get set strlen", "client|id ping"),
        ("+@STRING -@write", "get strlen", "set"),
        ("+@all -@dangerous", "get client|id", "client|kill"),
        # CLIENT itself is slow, so the whole of it is.
        ("+@slow", "client|id client|kill", "get"),
    ],
)
def test_rules_make_a_set_of_commands(rules: str, allowed: str, refused: str) -> None:
    """Later rules win over earlier ones."""
    made = selector(*rules.split())

    wrong = [name for name in allowed.split() if not may_run(made, name.replace("|", " "))]
    wrong += [name for name in refused.split() if may_run(made, name.replace("|", " "))]
    assert wrong == []


def test_a_command_can_be_allowed_with_one_first_argument_only() -> None:
    """Until it is allowed, or forbidden, as a whole."""
    made = selector("+select|0", "+select|A", "+select|a")

    assert may_run(made, "select 0")
    assert may_run(made, "SELECT a")
    assert not may_run(made, "select 1")
    assert not may_run(made, "select")
    assert made.first_arguments == {"select": [b"0", b"A"]}
    made.apply(b"-select")
    assert not may_run(made, "select 0")


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("+nosuch", "Unknown command or category name in ACL"),
        ("-nosuch", "Unknown command or category name in ACL"),
        ("+@nosuch", "Unknown command or category name in ACL"),
        ("+client|nosuch", "Unknown command or category name in ACL"),
        ("-get|x", "Unknown command or category name in ACL"),
        ("+", "Unknown command or category name in ACL"),
        ("+client|id|x", "Allowing first-arg of a subcommand is not supported"),
        ("+get|", "Syntax error"),
        ("+get|a b", "Syntax error"),
        ("+get|a\nuser evil on nopass +@all", "Syntax error"),
        ("~a b", "Syntax error"),
        ("~a\0", "Syntax error"),
        ("&a\tb", "Syntax error"),
        ("%X~a", "Syntax error"),
        ("%RR~a", "Syntax error"),
        ("%~a", "Syntax error"),
        ("on", "Syntax error"),
        ("", "Syntax error"),
    ],
)
def test_what_is_no_rule_changes_nothing(rule: str, reason: str) -> None:
    """The texts are Redis'."""
    made = selector("+set", "~k", "&c")

    with pytest.raises(RuleError) as caught:
        made.apply(rule.encode())

    assert str(caught.value) == reason
    assert caught.value.is_unknown_name == reason.startswith("Unknown")
    assert describe_commands(INDEX, made) == b"-@all +set"
    assert (made.describe_keys(), made.describe_channels()) == (b"~k", b"&c")


def test_patterns_after_all_are_refused() -> None:
    """They would have no effect, and whoever writes them thinks they have."""
    for rules, late, word in ((["allkeys"], "~k", "resetkeys"), (["&*"], "&c", "resetchannels")):
        with pytest.raises(RuleError, match=word):
            selector(*rules, late)


@pytest.mark.parametrize(
    ("rules", "key", "readable", "writable"),
    [
        ("", "k", False, False),
        ("~k", "k", True, True),
        ("~a:*", "a:b", True, True),
        ("~a:*", "b", False, False),
        ("%R~k", "k", True, False),
        ("%W~k", "k", False, True),
        ("%rw~k", "k", True, True),
        ("%R~k %W~k", "k", True, True),
        # Two patterns do not add up unless they are the same.
        ("%R~k* %W~*k", "k", True, True),
        ("allkeys", "k", True, True),
        ("allkeys resetkeys", "k", False, False),
    ],
)
def test_keys_are_for_reading_or_writing(
    rules: str, key: str, readable: bool, writable: bool
) -> None:
    """As in Redis 7."""
    made = selector(*rules.split())

    assert made.may_access_key(key.encode(), KeyAccess.READ) is readable
    assert made.may_access_key(key.encode(), KeyAccess.WRITE) is writable


def test_one_pattern_must_allow_all_that_is_done_to_a_key() -> None:
    """Reading by one and writing by another is not reading and writing."""
    made = selector("%R~k*", "%W~*k")

    assert not made.may_access_key(b"k", KeyAccess.ALL)
    assert made.may_access_all_keys(KeyAccess.READ) is False
    assert selector("%R~*").may_access_all_keys(KeyAccess.READ)
    assert not selector("%R~*").may_access_all_keys(KeyAccess.ALL)
    assert selector("~*").may_access_all_keys(KeyAccess.ALL)


def test_patterns_of_channels_are_taken_literally_when_subscribed_to() -> None:
    """What a glob may match cannot be compared with what another may."""
    made = selector("&news:*", "&a")

    assert made.may_use_channel(b"news:1", is_pattern=False)
    assert not made.may_use_channel(b"other", is_pattern=False)
    assert made.may_use_channel(b"news:*", is_pattern=True)
    assert not made.may_use_channel(b"news:1", is_pattern=True)
    assert selector(allows_all_channels=True).may_use_channel(b"*", is_pattern=True)


@pytest.mark.parametrize(
    ("rules", "description"),
    [
        ("", "-@all"),
        ("+@all", "+@all"),
        ("+get", "-@all +get"),
        ("+@all -get", "+@all -get"),
        ("+client|id", "-@all +client|id"),
        ("+command", "-@all +command"),
        ("+@all -command +command|docs", "+@all -command +command|docs"),
        ("+command -command|info", "-@all +command -command|info"),
        ("+@string", "-@all +@string"),
        ("+@all -@string", "+@all -@string"),
        ("+@all -@string +get", "+@all -@string +get"),
        ("+@pubsub +select|0 +select|1", "-@all +@pubsub +select|0 +select|1"),
        ("+@all -@all", "-@all"),
    ],
)
def test_commands_are_described_by_the_fewest_rules(rules: str, description: str) -> None:
    """As ACL LIST shows them."""
    made = selector(*rules.split())

    assert describe_commands(INDEX, made) == description.encode()


def test_a_description_makes_the_same_set_again() -> None:
    """For every mixture of a category and a command: a saved file must not change anything."""
    for base in ("+@all", "-@all"):
        for category in INDEX.members:
            for row in INDEX.rows:
                made = selector(base, f"-@{category}" if base == "+@all" else f"+@{category}")
                made.set_command(row, not made.commands & INDEX.bit_of(row))
                again = selector(*describe_commands(INDEX, made).decode().split())

                assert again.commands == made.commands
