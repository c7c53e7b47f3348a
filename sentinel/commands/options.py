"""SENTINEL SET: pairs of option and value, read into a new record of options.

Pure. An option after a bad one is not looked at and those before it stay applied, as in Redis
(`sentinel.c: sentinelSetCommand`); the caller hands all of it to the machine in one event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sentinel.core.options import MasterOptions
from vedette.clients.commands.arguments import parse_integer
from vedette.conf.quoting import decode_word
from vedette.errors import CommandError

_SCRIPTS_DENIED = (
    b"ERR Reconfiguration of scripts path is denied for security reasons. Check the "
    b"deny-scripts-reconfig configuration directive in your Sentinel configuration"
)


@dataclass(frozen=True, slots=True)
class ScriptRules:
    """What decides whether a script path may be set."""

    denies_reconfig: bool
    is_executable: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class ParsedOptions:
    """The outcome: the complete new record, the words of each `+set`, and what stopped it."""

    options: MasterOptions
    applied: tuple[tuple[bytes, ...], ...]
    error: bytes | None


class _BadArgumentError(Exception):
    """A value of the option at hand is wrong: the last, unless it is told which."""

    def __init__(self, value: bytes | None = None) -> None:
        super().__init__(value)
        self.value = value


class _RefusedError(Exception):
    """The option is refused with a text of its own."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


def parse_options(
    current: MasterOptions, arguments: list[bytes], rules: ScriptRules
) -> ParsedOptions:
    """Return what `arguments` (after the master's name) make of `current`."""
    options = current
    applied: list[tuple[bytes, ...]] = []
    position = 0
    while position < len(arguments):
        name = arguments[position].lower()
        size = 2 if name == b"rename-command" else 1
        values = arguments[position + 1 : position + 1 + size]
        if name not in _PARSERS or len(values) < size:
            text = b"ERR Unknown option or number of arguments for SENTINEL SET '%b'"
            return ParsedOptions(options, tuple(applied), text % arguments[position])
        try:
            options = _PARSERS[name](options, values, rules)
        except _RefusedError as error:
            return ParsedOptions(options, tuple(applied), error.text)
        except _BadArgumentError as error:
            value = values[-1] if error.value is None else error.value
            text = b"ERR Invalid argument '%b' for SENTINEL SET '%b'"
            return ParsedOptions(options, tuple(applied), text % (value, arguments[position]))
        shown = (b"******",) if name == b"auth-pass" else tuple(values)
        applied.append((arguments[position], *shown))
        position += 1 + size
    return ParsedOptions(options, tuple(applied), None)


def _positive(value: bytes) -> int:
    number = _number(value)
    if number <= 0:
        raise _BadArgumentError
    return number


def _number(value: bytes) -> int:
    try:
        return parse_integer(value)
    except CommandError as error:
        raise _BadArgumentError from error


def _script(value: bytes, rules: ScriptRules, what: bytes) -> str | None:
    if rules.denies_reconfig:
        raise _RefusedError(_SCRIPTS_DENIED)
    path = decode_word(value)
    if path and not rules.is_executable(path):
        raise _RefusedError(b"ERR %b seems non existing or non executable" % what)
    return path or None


def _set_down_after(o: MasterOptions, values: list[bytes], rules: ScriptRules) -> MasterOptions:
    return replace(o, down_after_ms=_positive(values[0]))


def _set_failover_timeout(
    o: MasterOptions, values: list[bytes], rules: ScriptRules
) -> MasterOptions:
    return replace(o, failover_timeout_ms=_positive(values[0]))


def _set_parallel_syncs(o: MasterOptions, values: list[bytes], rules: ScriptRules) -> MasterOptions:
    return replace(o, parallel_syncs=_positive(values[0]))


def _set_quorum(o: MasterOptions, values: list[bytes], rules: ScriptRules) -> MasterOptions:
    return replace(o, quorum=_positive(values[0]))


def _set_reboot_down_after(
    o: MasterOptions, values: list[bytes], rules: ScriptRules
) -> MasterOptions:
    period_ms = _number(values[0])
    if period_ms < 0:
        raise _BadArgumentError
    return replace(o, reboot_down_after_ms=period_ms)


def _set_empty_restart_guard(
    o: MasterOptions, values: list[bytes], rules: ScriptRules
) -> MasterOptions:
    word = values[0].lower()
    if word not in (b"yes", b"no"):
        raise _BadArgumentError
    return replace(o, guards_empty_restart=word == b"yes")


def _set_refused_after(o: MasterOptions, values: list[bytes], rules: ScriptRules) -> MasterOptions:
    refused_after_ms = _number(values[0])
    if refused_after_ms < 0:
        raise _BadArgumentError
    return replace(o, refused_after_ms=refused_after_ms)


def _set_notification_script(
    o: MasterOptions, values: list[bytes], rules: ScriptRules
) -> MasterOptions:
    return replace(o, notification_script=_script(values[0], rules, b"Notification script"))


def _set_client_reconfig_script(
    o: MasterOptions, values: list[bytes], rules: ScriptRules
) -> MasterOptions:
    path = _script(values[0], rules, b"Client reconfiguration script")
    return replace(o, client_reconfig_script=path)


def _set_auth_pass(o: MasterOptions, values: list[bytes], rules: ScriptRules) -> MasterOptions:
    return replace(o, auth_pass=values[0] or None)


def _set_auth_user(o: MasterOptions, values: list[bytes], rules: ScriptRules) -> MasterOptions:
    return replace(o, auth_user=values[0] or None)


def _set_rename(o: MasterOptions, values: list[bytes], rules: ScriptRules) -> MasterOptions:
    old, new = values
    if not (old and new):
        raise _BadArgumentError(b"")
    renamed = {name: to for name, to in o.renamed_commands.items() if name != old.upper()}
    if old.upper() != new.upper():
        renamed[old.upper()] = new
    return replace(o, renamed_commands=renamed)


_Parser = Callable[[MasterOptions, list[bytes], ScriptRules], MasterOptions]

_PARSERS: Mapping[bytes, _Parser] = {
    b"down-after-milliseconds": _set_down_after,
    b"failover-timeout": _set_failover_timeout,
    b"parallel-syncs": _set_parallel_syncs,
    b"quorum": _set_quorum,
    b"master-reboot-down-after-period": _set_reboot_down_after,
    b"primary-reboot-down-after-period": _set_reboot_down_after,
    b"refused-after-milliseconds": _set_refused_after,
    b"empty-restart-guard": _set_empty_restart_guard,
    b"notification-script": _set_notification_script,
    b"client-reconfig-script": _set_client_reconfig_script,
    b"auth-pass": _set_auth_pass,
    b"auth-user": _set_auth_user,
    b"rename-command": _set_rename,
}
