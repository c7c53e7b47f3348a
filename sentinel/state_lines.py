"""The sentinel's state as lines of its memory: which lines, and whose they are.

The counterpart of `config.py`, which reads them back; pure as well. Follows Redis' `sentinel.c:
rewriteConfigSentinelOption`: a setting that has its default is not added, epochs always are. A
setting that is said outside of the memory counts as a default, and one that was taken back is
written as what undoes it: an empty value, or `removed` for a whole master.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from vedette.conf import ConfigLine
from vedette.conf.quoting import decode_word

from .config import Outside
from .core.durable import DurableMaster, DurableState
from .core.options import GlobalOptions, MasterOptions
from .statements import GLOBAL_STATEMENTS, MASTER_STATEMENTS, statement_name

#: Never rewritten: it is the administrator's alone.
_KEPT_STATEMENTS: Final = frozenset({"deny-scripts-reconfig", "state-file"})


class StateLines:
    """The `sentinel ...` lines of one memory; what `outside` of it says is not repeated.

    Between two saves most masters stay as they were, so the lines of each are kept.
    """

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._kept: dict[str, tuple[DurableMaster, list[ConfigLine]]] = {}

    def of(self, state: DurableState) -> list[ConfigLine]:
        """Return the lines of a memory that holds `state`."""
        outside = self._outside
        lines = [_line("myid", state.my_id)]
        kept = {master.name: self._of_master(master) for master in state.masters}
        self._kept = kept
        for _, of_master in kept.values():
            lines += of_master
        lines += [_line("removed", name) for name in outside.masters if name not in kept]
        lines.append(_line("current-epoch", str(state.current_epoch)))
        lines += _global_lines(state.options, outside.options)
        return lines

    def _of_master(self, master: DurableMaster) -> tuple[DurableMaster, list[ConfigLine]]:
        kept = self._kept.get(master.name)
        if kept is not None and kept[0] == master:
            return kept
        usual = self._outside.masters.get(master.name, MasterOptions(quorum=1))
        return master, _master_lines(master, usual)


def state_lines(state: DurableState, outside: Outside) -> list[ConfigLine]:
    """Return the `sentinel ...` lines of a memory that holds `state`."""
    return StateLines(outside).of(state)


def _line(name: str, *values: str, is_needed: bool = True) -> ConfigLine:
    words = ("sentinel", name, *values)
    key = key_of(words)
    assert key is not None, words
    return ConfigLine(key, words, is_needed)


def _master_lines(master: DurableMaster, usual: MasterOptions) -> list[ConfigLine]:
    name, options = master.name, master.options
    host, port = master.address
    lines = [_line("monitor", name, host, str(port), str(options.quorum))]
    for statement, number, usual_number in (
        ("down-after-milliseconds", options.down_after_ms, usual.down_after_ms),
        ("failover-timeout", options.failover_timeout_ms, usual.failover_timeout_ms),
        ("parallel-syncs", options.parallel_syncs, usual.parallel_syncs),
        (
            "master-reboot-down-after-period",
            options.reboot_down_after_ms,
            usual.reboot_down_after_ms,
        ),
        ("refused-after-milliseconds", options.refused_after_ms, usual.refused_after_ms),
    ):
        lines.append(_line(statement, name, str(number), is_needed=number != usual_number))
    guards = options.guards_empty_restart
    is_needed = guards != usual.guards_empty_restart
    lines.append(_line("empty-restart-guard", name, "yes" if guards else "no", is_needed=is_needed))
    for statement, text, usual_text in (
        ("notification-script", options.notification_script, usual.notification_script),
        ("client-reconfig-script", options.client_reconfig_script, usual.client_reconfig_script),
        ("auth-pass", options.auth_pass, usual.auth_pass),
        ("auth-user", options.auth_user, usual.auth_user),
    ):
        lines += _text_lines((statement, name), text, usual_text)
    lines += _rename_lines(name, options.renamed_commands, usual.renamed_commands)
    lines.append(_line("config-epoch", name, str(master.config_epoch)))
    lines.append(_line("leader-epoch", name, str(master.leader_epoch)))
    for host, port in master.replicas:
        lines.append(_line("known-replica", name, host, str(port)))
    for run_id, (host, port) in master.sentinels:
        lines.append(_line("known-sentinel", name, host, str(port), run_id))
    for run_id, (host, port) in master.leaving:
        lines.append(_line("leaving-sentinel", name, host, str(port), run_id))
    lines += [_line("forgotten-sentinel", name, run_id) for run_id in master.forgotten]
    return lines


def _text_lines(
    words: tuple[str, ...], value: str | bytes | None, usual: str | bytes | None
) -> list[ConfigLine]:
    """Return the line of a text, none for one that is not set and never was."""
    if not value and not usual:
        return []
    text = decode_word(value) if isinstance(value, bytes) else value or ""
    return [_line(*words, text, is_needed=value != usual)]


def _rename_lines(
    name: str, renamed: Mapping[bytes, bytes], usual: Mapping[bytes, bytes]
) -> list[ConfigLine]:
    undone = {old: old for old in usual if old not in renamed}
    return [
        _line(
            "rename-command",
            name,
            decode_word(old),
            decode_word(new),
            is_needed=usual.get(old) != new,
        )
        for old, new in {**renamed, **undone}.items()
    ]


def _global_lines(options: GlobalOptions, usual: GlobalOptions) -> list[ConfigLine]:
    port = options.announce_port
    lines = [_line("announce-port", str(port), is_needed=port != usual.announce_port)]
    for name, text, usual_text in (
        ("announce-ip", options.announce_ip, usual.announce_ip),
        ("sentinel-user", options.sentinel_user, usual.sentinel_user),
        ("sentinel-pass", options.sentinel_pass, usual.sentinel_pass),
    ):
        lines += _text_lines((name,), text, usual_text)
    for name, value, usual_value in (
        ("resolve-hostnames", options.resolve_hostnames, usual.resolve_hostnames),
        ("announce-hostnames", options.announce_hostnames, usual.announce_hostnames),
    ):
        lines.append(_line(name, "yes" if value else "no", is_needed=value != usual_value))
    return lines


def key_of(words: Sequence[str]) -> tuple[str, ...] | None:
    """Return the key under which a line of sentinel.conf is rewritten; None: not ours to touch."""
    if words[0] != "sentinel" or len(words) < 3:
        return None
    name = statement_name(words[1])
    if name in _KEPT_STATEMENTS:
        return None
    if name in GLOBAL_STATEMENTS:
        return ("sentinel", name)
    if name in MASTER_STATEMENTS:
        return ("sentinel", name, words[2])
    return None
