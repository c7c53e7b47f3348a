"""Users in the configuration: at start, and in a file that is rewritten."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.acl import TABLE
from tests.support.engine import FakeAclFile
from vedette.acl import AccessControl, describe_users
from vedette.acl.directives import key_of_user, set_up, user_lines
from vedette.conf import parse_text, rewrite_text
from vedette.errors import ConfigError

HASH = hashlib.sha256(b"p").hexdigest()


def started(text: str, password: str = "", file: FakeAclFile | None = None) -> AccessControl:
    """Return the users that the `user` lines of `text` make."""
    access = AccessControl(TABLE)
    set_up(access, password=password, users=parse_text(text, "test.conf"), file=file)
    return access


def lines_of(access: AccessControl) -> list[str]:
    """The users, without the word `user`."""
    return [line.decode()[5:] for line in describe_users(access.users)]


@pytest.mark.parametrize(
    ("text", "password", "users"),
    [
        ("", "", ["default on nopass ~* &* +@all"]),
        ("", "p", [f"default on #{HASH} ~* &* +@all"]),
        # What the line says of the default user takes the place of the password.
        (
            "user default on nopass ~k +get",
            "p",
            ["default on nopass sanitize-payload ~k resetchannels -@all +get"],
        ),
        ("user default on nopass sanitize-payload ~* &* +@all", "", None),
        (
            'user alice on >p ( ~a +get ) "(~b +set)"',
            "",
            [
                f"alice on #{HASH} resetchannels -@all (~a resetchannels -@all +get)"
                " (~b resetchannels -@all +set)",
                "default on nopass ~* &* +@all",
            ],
        ),
        ("user alice", "", ["alice off resetchannels -@all", "default on nopass ~* &* +@all"]),
    ],
)
def test_users_are_made_at_start(text: str, password: str, users: list[str] | None) -> None:
    """A file that redis-server or redis-sentinel has written makes the same users."""
    expected = ["default on nopass sanitize-payload ~* &* +@all"] if users is None else users

    assert lines_of(started(text, password)) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("user", "Bad directive or wrong number of arguments"),
        ('user "a b" on', "Spaces not allowed in ACL usernames"),
        ("user alice nonsense", "Error in user declaration 'nonsense': Syntax error"),
        (
            "user alice +nosuch",
            "Error in user declaration '+nosuch': Unknown command or category name in ACL",
        ),
        ("user alice (+get", "Unmatched parenthesis in acl selector starting at '(+get'."),
        (
            "user bob",
            "Error in user declaration 'bob': Duplicate user found. A user can only be defined once"
            " in config files",
        ),
    ],
)
def test_a_wrong_line_stops_the_start(line: str, reason: str) -> None:
    """With its place."""
    with pytest.raises(ConfigError) as caught:
        started(f"user bob\n{line}")

    assert caught.value.reason == reason
    assert (caught.value.file, caught.value.line) == ("test.conf", 2)


def test_an_acl_file_is_read_in_place_of_the_configuration() -> None:
    """Both together are refused; with the file requirepass does not count, as in Redis."""
    file = FakeAclFile("users.acl")
    file.text = b"user alice on nopass\n"

    access = started("", "p", file)

    assert lines_of(access)[1] == "default on nopass ~* &* +@all"
    assert user_lines(access, password="p") == []
    with pytest.raises(ConfigError, match="but not both"):
        started("user bob", "", file)


@pytest.mark.parametrize("text", [None, b"nonsense"])
def test_an_acl_file_that_cannot_be_used_stops_the_start(text: bytes | None) -> None:
    """Not there, or wrong."""
    file = FakeAclFile("users.acl")
    file.text = text
    fault = "opening file 'users.acl': No such file" if text is None else "users.acl:1 should start"

    with pytest.raises(ConfigError, match=f"Aborting startup because of ACL errors: .*{fault}"):
        started("", "", file)


def test_a_rewritten_file_makes_the_same_users() -> None:
    """Changed lines in their place, those of the deleted gone, new ones at the end."""
    text = "user bob on\n# mine\nuser alice on nopass\nport 1\n"
    access = started("user bob on\nuser alice on nopass")
    access.users.delete([b"bob"])
    access.users.set_user(b"alice", [b"~a", b"(~b +get)"])
    access.users.set_user(b"zoe", [b">p"])

    rewritten = rewrite_text(text, user_lines(access, password=""), key_of_user)

    assert rewritten.splitlines()[:3] == [
        "# mine",
        "user alice on nopass ~a resetchannels -@all (~b resetchannels -@all +get)",
        "port 1",
    ]
    kept = "\n".join(line for line in rewritten.splitlines() if line.startswith("user "))
    assert lines_of(started(kept)) == lines_of(access)


def test_the_default_user_is_written_only_if_requirepass_does_not_say_it_all() -> None:
    """Else a password changed in the file would be overruled by its old self."""
    usual, changed = started("", "p"), started("", "p")
    changed.users.set_user(b"default", [b"-get"])

    assert rewrite_text("port 1\n", user_lines(usual, password="p"), key_of_user) == "port 1\n"
    assert "user default on" in rewrite_text(
        "port 1\n", user_lines(changed, password="p"), key_of_user
    )
