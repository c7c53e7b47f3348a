"""Whether a request is allowed, and which of its words it is refused for."""

from __future__ import annotations

import pytest

from tests.support.acl import TABLE, user
from vedette.acl import Denial, DenialReason, KeyAccess, check
from vedette.acl.check import may_run_over_all_keys


def denial_of(rules: str, request: str) -> Denial | None:
    """Check the words of `request` for a user of `rules`, which stand apart by two spaces."""
    argv = request.encode().split()
    return check(user(*filter(None, rules.split("  "))), TABLE.find(argv), argv)


COMMAND = Denial(DenialReason.COMMAND)


def key(position: int) -> Denial:
    """The refusal of a key."""
    return Denial(DenialReason.KEY, position)


def channel(position: int) -> Denial:
    """The refusal of a channel."""
    return Denial(DenialReason.CHANNEL, position)


@pytest.mark.parametrize(
    ("rules", "request_words", "denial"),
    [
        ("", "GET k", COMMAND),
        ("+get", "GET k", key(1)),
        ("+get  ~k", "GET k", None),
        ("+@all  ~a*", "MGET a1 a2 b", key(3)),
        ("+@all  %R~k", "SET k v", key(1)),
        ("+@all  %W~k", "SET k v", None),
        ("+@all  %W~k", "APPEND k v", None),
        ("+@all  %R~k", "DEL k", key(1)),
        # What tells nothing of the value needs a pattern of any kind.
        ("+@all  %W~k", "STRLEN k", None),
        ("+@all  ~x", "STRLEN k", key(1)),
        ("+@all", "SUBSCRIBE c", channel(1)),
        ("+@all  &c", "SUBSCRIBE c d", channel(2)),
        ("+@all  &c*", "SUBSCRIBE c1 c2", None),
        ("+@all  &c*", "PSUBSCRIBE c1", channel(1)),
        ("+@all  &c*", "PSUBSCRIBE c*", None),
        ("+@all", "UNSUBSCRIBE c", None),
        # Everybody may log in.
        ("", "AUTH p", None),
        ("", "HELLO 3", None),
        ("", "PING", COMMAND),
        # One selector must allow all of it.
        ("+get  (~k)", "GET k", key(1)),
        ("+get  (+set ~k)", "GET k", key(1)),
        ("+set  ~s  (+get ~g)", "GET g", None),
        ("(+mget ~a)  (+mget ~b)", "MGET a b", key(2)),
        ("(+mget ~b)  (+mget ~a)", "MGET a b", key(2)),
        ("(+mget ~a)  (+mget ~b)", "MGET a a", None),
        ("(+get)  ~k", "SET k v", COMMAND),
    ],
)
def test_requests_are_checked_command_keys_and_channels(
    rules: str, request_words: str, denial: Denial | None
) -> None:
    """Of several refusals the one is told that came furthest."""
    assert denial_of(rules, request_words) == denial


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("+get  %R~*", True),
        ("+get  ~*", True),
        ("+get  ~k", False),
        ("+set  ~*", False),
        ("(+get ~k)  (%R~*)", False),
    ],
)
def test_access_to_any_other_key_is_asked_of_the_selector_that_allows_the_request(
    rules: str, expected: bool
) -> None:
    """For commands whose keys are not all among their arguments."""
    argv = [b"GET", b"k"]

    made = user(*rules.split("  "))
    assert may_run_over_all_keys(made, TABLE.find(argv), argv, KeyAccess.READ) is expected
