"""SENTINEL SET: pairs into options, Redis' texts, and nothing lost half-way."""

from __future__ import annotations

import pytest

from sentinel.commands.options import ParsedOptions, ScriptRules, parse_options
from sentinel.core.options import MasterOptions

CURRENT = MasterOptions(quorum=2, auth_pass=b"old", renamed_commands={b"CONFIG": b"x"})
OPEN = ScriptRules(denies_reconfig=False, is_executable=lambda path: path == "/bin/ok")
DENIED = ScriptRules(denies_reconfig=True, is_executable=lambda path: True)


def parse(*arguments: bytes, rules: ScriptRules = OPEN) -> ParsedOptions:
    """Return what the pairs make of `CURRENT`."""
    return parse_options(CURRENT, list(arguments), rules)


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        ((b"down-after-milliseconds", b"5"), "down_after_ms", 5),
        ((b"Failover-Timeout", b"6"), "failover_timeout_ms", 6),
        ((b"parallel-syncs", b"7"), "parallel_syncs", 7),
        ((b"quorum", b"8"), "quorum", 8),
        ((b"master-reboot-down-after-period", b"0"), "reboot_down_after_ms", 0),
        ((b"refused-after-milliseconds", b"100"), "refused_after_ms", 100),
        ((b"empty-restart-guard", b"No"), "guards_empty_restart", False),
        ((b"auth-pass", b""), "auth_pass", None),
        ((b"auth-user", b"u"), "auth_user", b"u"),
        ((b"notification-script", b"/bin/ok"), "notification_script", "/bin/ok"),
        ((b"client-reconfig-script", b""), "client_reconfig_script", None),
        (
            (b"rename-command", b"slaveof", b"y"),
            "renamed_commands",
            {b"CONFIG": b"x", b"SLAVEOF": b"y"},
        ),
        ((b"rename-command", b"config", b"CONFIG"), "renamed_commands", {}),
    ],
)
def test_option_is_set(arguments: tuple[bytes, ...], field: str, value: object) -> None:
    """Each option changes its own field and is reported for `+set`."""
    parsed = parse(*arguments)

    assert parsed.error is None
    assert getattr(parsed.options, field) == value
    assert len(parsed.applied) == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((b"quorum", b"0"), b"ERR Invalid argument '0' for SENTINEL SET 'quorum'"),
        ((b"quorum", b"2x"), b"ERR Invalid argument '2x' for SENTINEL SET 'quorum'"),
        (
            (b"master-reboot-down-after-period", b"-1"),
            b"ERR Invalid argument '-1' for SENTINEL SET 'master-reboot-down-after-period'",
        ),
        (
            (b"refused-after-milliseconds", b"-1"),
            b"ERR Invalid argument '-1' for SENTINEL SET 'refused-after-milliseconds'",
        ),
        (
            (b"foo", b"1"),
            b"ERR Unknown option or number of arguments for SENTINEL SET 'foo'",
        ),
        (
            (b"rename-command", b"a"),
            b"ERR Unknown option or number of arguments for SENTINEL SET 'rename-command'",
        ),
        (
            (b"notification-script", b"/nope"),
            b"ERR Notification script seems non existing or non executable",
        ),
    ],
)
def test_bad_option_is_refused(arguments: tuple[bytes, ...], error: bytes) -> None:
    """The texts are Redis'."""
    parsed = parse(*arguments)

    assert parsed == ParsedOptions(CURRENT, (), error)


def test_scripts_cannot_be_set_unless_the_file_allows_it() -> None:
    """Who may send commands must not be able to run programs."""
    parsed = parse(b"notification-script", b"/bin/ok", rules=DENIED)

    assert parsed.error is not None
    assert parsed.error.startswith(b"ERR Reconfiguration of scripts path is denied")
    assert parsed.options == CURRENT


def test_pairs_before_a_bad_one_stay_applied() -> None:
    """Redis' command is not atomic, and operators' tools know it."""
    parsed = parse(b"quorum", b"3", b"auth-pass", b"new", b"quorum", b"0", b"quorum", b"9")

    assert (parsed.options.quorum, parsed.options.auth_pass) == (3, b"new")
    assert parsed.applied == ((b"quorum", b"3"), (b"auth-pass", b"******"))
    assert parsed.error == b"ERR Invalid argument '0' for SENTINEL SET 'quorum'"
