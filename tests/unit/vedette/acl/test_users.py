"""All users: changes as a whole, what they mean for connections, and the ACL file."""

from __future__ import annotations

import pytest

from tests.support.acl import INDEX
from vedette.acl import AclFileError, RuleError, Users, UsersChange, describe_users
from vedette.acl.users import may_stay_subscribed

DEFAULT_LINE = b"user default on nopass ~* &* +@all"


def words(rules: str) -> list[bytes]:
    """The rules of a line."""
    return rules.encode().split()


def set_user(users: Users, name: str, rules: str) -> UsersChange:
    """ACL SETUSER."""
    return users.set_user(name.encode(), words(rules))


def test_there_is_a_default_user_who_may_do_everything() -> None:
    """Until told otherwise; it stays the same object, since connections have it."""
    users = Users(INDEX)
    default = users.default

    assert describe_users(users) == [DEFAULT_LINE]
    set_user(users, "default", "reset")
    users.load(b"", "f")
    assert users.default is default
    assert describe_users(users) == [DEFAULT_LINE]


def test_a_wrong_rule_leaves_everything_as_it_was() -> None:
    """Even those before it."""
    users = Users(INDEX)
    set_user(users, "alice", "on +get")
    before = describe_users(users)

    for name in ("alice", "bob"):
        with pytest.raises(RuleError) as caught:
            set_user(users, name, "+set nonsense off")
        assert str(caught.value) == "Error in ACL SETUSER modifier 'nonsense': Syntax error"
    with pytest.raises(RuleError, match=r"^Unmatched parenthesis in acl selector .* '\(\+get'\.$"):
        set_user(users, "alice", "(+get")

    assert describe_users(users) == before


def test_users_are_in_the_order_of_their_names() -> None:
    """As ACL LIST has them, and a file that is compared with the last one."""
    users = Users(INDEX)
    for name in ("zoe", "alice", "Bob"):
        set_user(users, name, "")

    assert [user.name for user in users] == [b"Bob", b"alice", b"default", b"zoe"]


@pytest.mark.parametrize(
    ("old", "new", "is_narrowed"),
    [
        ("&a", "&b", False),
        ("&a", "resetchannels", True),
        ("&a", "resetchannels &a &b", False),
        ("&a", "resetchannels &a*", True),
        ("&a", "allchannels", False),
        ("allchannels", "resetchannels &a", True),
        ("&a (&b)", "clearselectors", True),
        ("&a (&b)", "clearselectors &b", False),
        ("", "+get", False),
    ],
)
def test_whoever_loses_a_channel_is_reported(old: str, new: str, is_narrowed: bool) -> None:
    """His subscribers have to be looked at."""
    users = Users(INDEX)
    set_user(users, "alice", old)

    change = set_user(users, "alice", new)

    assert change == UsersChange(narrowed=users.get(b"alice") if is_narrowed else None)


def test_who_may_stay_subscribed() -> None:
    """Channels by pattern, patterns literally."""
    users = Users(INDEX)
    set_user(users, "alice", "&a* (&b)")
    alice = users.get(b"alice")
    assert alice is not None

    assert may_stay_subscribed(alice, [b"a1", b"b"], [b"a*", b"b"])
    assert not may_stay_subscribed(alice, [b"c"], [])
    assert not may_stay_subscribed(alice, [], [b"a1"])
    assert may_stay_subscribed(users.default, [b"c"], [b"*"])


def test_the_deleted_are_reported() -> None:
    """Once each, and only those there were."""
    users = Users(INDEX)
    set_user(users, "alice", "")
    alice = users.get(b"alice")

    assert users.delete([b"alice", b"nobody", b"alice"]) == UsersChange(gone=(alice,))  # type: ignore[arg-type]  # she is there
    assert users.get(b"alice") is None


def test_new_users_have_the_channels_that_the_configuration_says() -> None:
    """And so have those that are reset, and new selectors; others keep what they have."""
    users = Users(INDEX)
    set_user(users, "old", "")
    users.allows_channels_by_default = True
    set_user(users, "new", "(+get)")
    set_user(users, "old", "+get")

    assert describe_users(users)[1:] == [
        b"user new off &* -@all (&* -@all +get)",
        b"user old off resetchannels -@all +get",
    ]
    set_user(users, "old", "reset")
    assert describe_users(users)[2] == b"user old off sanitize-payload &* -@all"


# --- files ---


def test_a_file_replaces_all_users() -> None:
    """All but the default one are others from then on, even of the same name."""
    users = Users(INDEX)
    set_user(users, "alice", "on +get")
    set_user(users, "bob", "on")
    gone = tuple(user for user in users if user is not users.default)

    change = users.load(
        b"\nuser default on >p ~* +@all\r\n\n  user alice  on (+get ~a) ( ~b +set )\n", "users.acl"
    )

    assert change.gone == gone
    assert describe_users(users) == [
        b"user alice on resetchannels -@all"
        b" (~a resetchannels -@all +get) (~b resetchannels -@all +set)",
        b"user default on #148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940 ~*"
        b" resetchannels +@all",
    ]


def test_a_saved_file_makes_the_same_users() -> None:
    """What ACL SAVE writes, ACL LOAD reads."""
    users = Users(INDEX)
    set_user(users, "alice", "on >p ~a %R~b &c +@string -get +select|0 (+get ~x &y)")
    set_user(users, "default", "-@dangerous")
    lines = describe_users(users)

    again = Users(INDEX)
    again.load(b"".join([line + b"\n" for line in lines]), "users.acl")

    assert describe_users(again) == lines


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("usr alice", "f:1 should start with user keyword followed by the username. "),
        ("user", "f:1 should start with user keyword followed by the username. "),
        ("# comment", "f:1 should start with user keyword followed by the username. "),
        ("user a\tb", "'f:1: username 'a\tb' contains invalid characters. "),
        ("user a\nuser a", "WARNING: Duplicate user 'a' found on line 2. "),
        ("user a (+get", "f:1: Unmatched parenthesis in selector definition."),
        (
            "user a +nosuch",
            "f:1: Error in applying operation '+nosuch': Unknown command or category name in ACL. ",
        ),
        ("user a on >secret\n\nuser b #bad nonsense", "f:3: The password hash must be exactly 64"),
        ("user a ~k\nuser b bad bad\nuser c bad", "f:2: Syntax error. f:3: Syntax error. "),
    ],
)
def test_a_file_with_a_fault_changes_nothing(text: str, fault: str) -> None:
    """Every line at fault is named, in Redis' words; of what may be a password nothing is."""
    users = Users(INDEX)
    set_user(users, "alice", "on +get")
    before = describe_users(users)

    with pytest.raises(AclFileError) as caught:
        users.load(text.encode(), "f")

    assert str(caught.value).startswith(fault)
    assert str(caught.value).endswith(
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    )
    assert describe_users(users) == before
