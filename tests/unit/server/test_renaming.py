"""`rename-command`: commands under other names, or under none."""

from __future__ import annotations

import pytest

from tests.support.engine import TestEngine
from vedette.errors import ConfigError


def test_a_renamed_command_answers_to_its_new_name_only() -> None:
    """In any case; subcommands go along, and HELP still finds them."""
    engine = TestEngine('rename-command config Secret-Config\nrename-command KEYS ""')

    assert engine.error("CONFIG", "GET", "port").startswith("ERR unknown command 'CONFIG'")
    assert engine.error("KEYS", "*").startswith("ERR unknown command 'KEYS'")
    assert engine.call("SECRET-config", "GET", "port") == [b"port", b"6379"]
    assert engine.call("secret-config", "HELP")[0].startswith(b"CONFIG <subcommand>")
    assert engine.call("COMMAND", "INFO", "config", "keys") == [None, None]
    assert engine.call("COMMAND", "INFO", "secret-config")[0][0] == b"config"


def test_access_rules_know_a_command_by_its_own_name() -> None:
    """A rule must not lose its meaning where a command was renamed."""
    engine = TestEngine("rename-command GET fetch")
    engine.call("ACL", "SETUSER", "default", "-get")

    assert "no permissions to run the 'get' command" in engine.error("FETCH", "k")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("rename-command nope other", "No such command in rename-command"),
        ("rename-command GET set", "Target command name already exists"),
        ("rename-command GET", "wrong number of arguments"),
        ('rename-command GET ""\nrename-command GET x', "No such command in rename-command"),
    ],
)
def test_a_name_that_is_not_there_or_taken_stops_the_start(line: str, reason: str) -> None:
    """With Redis' words."""
    with pytest.raises(ConfigError) as caught:
        TestEngine(line)

    assert caught.value.reason == reason
