"""One user: passwords, flags, selectors, and the line that describes all of it."""

from __future__ import annotations

import hashlib

import pytest

from tests.support.acl import INDEX, user
from vedette.acl import RuleError, User
from vedette.acl.user import merge_selectors

HASH = hashlib.sha256(b"secret").hexdigest()


def test_a_new_user_can_do_nothing() -> None:
    """Not even log in."""
    made = user()

    assert not made.accepts(b"")
    assert made.is_restricted
    assert made.describe() == b"off resetchannels -@all"


@pytest.mark.parametrize(
    ("rules", "accepted", "refused"),
    [
        (["on"], [], ["", "secret"]),
        (["on", ">secret"], ["secret"], ["", "Secret", HASH]),
        (["on", f"#{HASH}"], ["secret"], [""]),
        (["on", ">secret", ">other"], ["secret", "other"], ["third"]),
        (["on", ">secret", ">other", "<secret"], ["other"], ["secret"]),
        (["on", ">secret", f"!{HASH}"], [], ["secret"]),
        (["on", ">secret", "nopass"], ["secret", "anything", ""], []),
        (["on", "nopass", ">secret"], ["secret"], ["other"]),
        (["on", ">secret", "resetpass"], [], ["secret"]),
        (["on", "nopass", "resetpass"], [], ["", "x"]),
        (["nopass"], [], [""]),
        (["on", "nopass", "off"], [], [""]),
        (["on", "nopass", "reset"], [], [""]),
    ],
)
def test_any_of_several_passwords_will_do(
    rules: list[str], accepted: list[str], refused: list[str]
) -> None:
    """Any of several will do; none is kept in clear."""
    made = user(*rules)

    assert [word for word in accepted if not made.accepts(word.encode())] == []
    assert [word for word in refused if made.accepts(word.encode())] == []
    assert b"secret" not in made.describe()


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("<none", "The password you are trying to remove from the user does not exist"),
        (f"!{HASH}", "The password you are trying to remove from the user does not exist"),
        ("#12", "The password hash must be exactly 64 characters"),
        (f"#{HASH.upper()}", "contain only lowercase hexadecimal characters"),
        ("!12", "The password hash must be exactly 64 characters"),
        ("nonsense", "Syntax error"),
        ("(on)", "Syntax error"),
        ("(+nosuch)", "Unknown command or category name in ACL"),
    ],
)
def test_what_is_wrong_changes_nothing(rule: str, reason: str) -> None:
    """The texts are Redis'."""
    made = user("on", ">p", "~k", "(+get)")
    before = made.describe()

    with pytest.raises(RuleError, match=reason):
        made.apply(rule.encode())
    assert made.describe() == before


def test_a_description_makes_the_same_user_again() -> None:
    """What a file keeps is what there was."""
    made = user(
        *("on", ">secret", "skip-sanitize-payload", "~a", "%R~b", "&c", "+@string", "-get"),
        *("(+get ~x)", "(allcommands allkeys allchannels)", "(&d)"),
    )

    again = user(*merge_selectors_of(made))

    assert again.describe() == made.describe()
    assert again.rules() == made.rules()


def merge_selectors_of(made: User) -> list[str]:
    """The words of a user's line, joined to rules as a file's are."""
    return [rule.decode() for rule in merge_selectors(made.describe().split(b" "))]


def test_who_may_do_everything_is_not_restricted() -> None:
    """The hot path goes by it, so it must follow every change."""
    made = user("allkeys", "allchannels", "+@all")
    assert not made.is_restricted
    for narrowing, widening in (
        ("-get", "+@all"),
        ("resetkeys", "allkeys"),
        ("resetchannels", "allchannels"),
        ("reset", "(+@all ~* &*)"),
        ("clearselectors", "allcommands"),
    ):
        made.apply(narrowing.encode())
        assert made.is_restricted, narrowing
        made.apply(widening.encode())
        assert made.is_restricted is (narrowing == "clearselectors"), widening


def test_an_assigned_user_shares_nothing_with_its_model() -> None:
    """ACL SETUSER works on a draft, which may be dropped."""
    model = user("on", ">a", "~k", "+select|0", "(+get)")
    copy = User(b"bob", INDEX)
    copy.assign(model)
    described = copy.describe()

    for rule in (b">b", b"~l", b"+select|1", b"(+set)", b"+@all", b"&c"):
        model.apply(rule)

    assert copy.describe() == described
    assert copy.name == b"bob"


@pytest.mark.parametrize(
    ("words", "rules"),
    [
        ("on +get", ["on", "+get"]),
        ("(+get ~a) on", ["(+get ~a)", "on"]),
        ("( +get ) (~b)", ["( +get )", "(~b)"]),
        ("(+get", None),
        ("on ( +get", None),
        ("+get)", ["+get)"]),
    ],
)
def test_words_in_parentheses_are_one_rule(words: str, rules: list[str] | None) -> None:
    """Whether or not they arrived as one."""
    given = words.encode().split()
    if rules is None:
        with pytest.raises(RuleError, match="Unmatched parenthesis"):
            merge_selectors(given)
    else:
        assert [rule.decode() for rule in merge_selectors(given)] == rules
