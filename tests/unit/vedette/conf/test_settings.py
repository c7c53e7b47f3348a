"""The table of directives: start-up, CONFIG GET and CONFIG SET through one door."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vedette.conf import (
    Directive,
    DirectiveTable,
    Flag,
    Integer,
    Memory,
    SavePoint,
    SavePoints,
    Settings,
    Statement,
    Text,
    WordList,
    parse_text,
    rewrite_text,
)
from vedette.errors import CommandError, ConfigError


def even(value: int) -> str | None:
    """Refuse odd numbers."""
    return None if value % 2 == 0 else "argument must be even"


PORT = Directive("port", Integer(0, 65535), 6379)
TABLE = DirectiveTable(
    [
        PORT,
        Directive("save", SavePoints(), (SavePoint(3600, 1),)),
        Directive("bind", WordList(), ("*",)),
        Directive("maxmemory", Memory(), 0),
        Directive("databases", Integer(1), 16, Flag.IMMUTABLE),
        Directive("dir", Text(), ".", Flag.PROTECTED),
        Directive("debug-knob", Text(), "", Flag.HIDDEN),
        Directive("pairs", Integer(), 2, validate=even),
        Directive("replica-priority", Integer(), 100, aliases=("slave-priority",)),
    ]
)


def loaded(text: str) -> Settings:
    """Return settings with `text` read into them."""
    settings = Settings(TABLE)
    settings.load(parse_text(text, "x.conf"))
    return settings


def check_set_fails(pairs: Sequence[tuple[bytes, bytes]], text: bytes) -> None:
    """Check that CONFIG SET of `pairs` is refused with `text`."""
    with pytest.raises(CommandError) as caught:
        Settings(TABLE).plan(pairs)
    assert caught.value.text == text


def test_last_line_wins_and_aliases_set_the_same_value() -> None:
    """Old configurations with `slave-` names must go on working."""
    settings = loaded("port 1\nport 2\nslave-priority 7\n")

    assert settings.value_of(PORT) == 2
    assert settings["replica-priority"] == 7
    assert settings.is_default("pairs")


def test_save_lines_replace_the_default_and_then_add_up() -> None:
    """`save` is the one directive that people repeat on purpose."""
    assert loaded("save 900 1\nsave 300 10\n")["save"] == (SavePoint(900, 1), SavePoint(300, 10))
    assert loaded('save 900 1\nsave ""\n')["save"] == ()
    assert loaded('save "60 5"\n')["save"] == (SavePoint(60, 5),)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nonsense 1", "Bad directive or wrong number of arguments"),
        ("port", "wrong number of arguments"),
        ("port 1 2", "wrong number of arguments"),
        ("port x", "argument couldn't be parsed into an integer"),
        ("pairs 3", "argument must be even"),
    ],
)
def test_bad_line_stops_the_start_with_its_place(line: str, reason: str) -> None:
    """A process that starts with a setting it did not understand is a trap."""
    with pytest.raises(ConfigError) as caught:
        loaded(f"# first\n{line}\n")

    error = caught.value
    assert (error.file, error.line, error.statement, error.reason) == ("x.conf", 2, line, reason)


def test_handlers_take_what_the_table_does_not_hold() -> None:
    """`sentinel ...` lines go to their own reader, in order."""
    taken: list[Statement] = []
    settings = Settings(TABLE)

    settings.load(parse_text("user a\nport 3\nuser b\n", "x"), {"user": taken.append})

    assert [statement.values for statement in taken] == [("a",), ("b",)]
    assert settings["port"] == 3


def test_config_get_matches_globs_once_and_hides_hidden_names() -> None:
    """CONFIG GET takes several patterns; a hidden name must be asked for exactly."""
    settings = loaded("save 900 1 300 10\n")

    found = settings.matching([b"PORT", b"p*", b"save", b"d*"])

    expected = [
        (b"port", b"6379"),
        (b"pairs", b"2"),
        (b"save", b"900 1 300 10"),
        (b"databases", b"16"),
        (b"dir", b"."),
    ]
    assert found == expected
    assert settings.matching([b"debug-knob"]) == [(b"debug-knob", b"")]
    assert settings.matching([b"nothing"]) == []


def test_config_get_shows_an_alias_under_the_name_asked_for() -> None:
    """Clients look the value up under the name they sent."""
    found = Settings(TABLE).matching([b"slave-priority", b"*-priority"])

    assert found == [(b"slave-priority", b"100"), (b"replica-priority", b"100")]


def test_planned_change_is_in_force_only_once_committed_and_can_be_undone() -> None:
    """A shell that cannot bind the new port puts the old value back."""
    settings = Settings(TABLE)

    change = settings.plan([(b"port", b"7000"), (b"maxmemory", b"1mb")])
    before = settings["port"]
    undo = settings.commit(change)
    after = (settings["port"], settings["maxmemory"])
    settings.commit(undo)

    assert before == 6379
    assert after == (7000, 1024**2)
    assert (settings["port"], settings["maxmemory"]) == (6379, 0)


def test_config_set_splits_lists_at_spaces_and_replaces_save() -> None:
    """CONFIG SET has one argument for what a file writes as several words."""
    settings = loaded("save 900 1\n")

    settings.commit(settings.plan([(b"bind", b"127.0.0.1 ::1"), (b"SAVE", b"60 5")]))

    assert settings["bind"] == ("127.0.0.1", "::1")
    assert settings["save"] == (SavePoint(60, 5),)


def test_config_set_errors_have_redis_texts() -> None:
    """Texts as Redis 7.0.15 answers them."""
    failed = b"ERR CONFIG SET failed (possibly related to argument '%b') - %b"
    check_set_fails(
        [(b"foo", b"1")], b"ERR Unknown option or number of arguments for CONFIG SET - 'foo'"
    )
    check_set_fails(
        [(b"PORT", b"x")], failed % (b"port", b"argument couldn't be parsed into an integer")
    )
    check_set_fails([(b"port", b"1"), (b"port", b"2")], failed % (b"port", b"duplicate parameter"))
    check_set_fails([(b"databases", b"3")], failed % (b"databases", b"can't set immutable config"))
    check_set_fails([(b"dir", b"/x")], failed % (b"dir", b"can't set protected config"))
    check_set_fails([(b"pairs", b"3")], failed % (b"pairs", b"argument must be even"))


def test_rewritten_file_means_the_same_and_keeps_what_is_not_ours() -> None:
    """The round trip through CONFIG REWRITE must not lose or add meaning."""
    text = "# my node\nport 1\n\nslave-priority 7\nuser default on\nsave 900 1\n"
    settings = loaded(text.replace("user default on\n", ""))
    settings.commit(settings.plan([(b"port", b"2"), (b"bind", b"127.0.0.1")]))

    rewritten = rewrite_text(text, settings.config_lines(), settings.key_of)

    expected = (
        "# my node\nport 2\n\nreplica-priority 7\nuser default on\nsave 900 1\n"
        "\n# Generated by CONFIG REWRITE\nbind 127.0.0.1\n"
    )
    assert rewritten == expected
