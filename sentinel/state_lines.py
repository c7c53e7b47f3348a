"""The sentinel's state as lines of sentinel.conf: which lines, and whose they are.

The counterpart of `config.py`, which reads them back; pure as well. Follows Redis' `sentinel.c:
rewriteConfigSentinelOption`: a setting that has its default is not added, epochs always are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vedette.conf import ConfigLine
from vedette.conf.quoting import decode_word

from .config import GLOBAL_STATEMENTS, MASTER_STATEMENTS, statement_name
from .core.model import DurableMaster, DurableState, GlobalOptions, MasterOptions

#: Never rewritten: it is the administrator's alone.
_KEPT_STATEMENTS: Final = frozenset({"deny-scripts-reconfig"})


def state_lines(state: DurableState) -> list[ConfigLine]:
    """Return the `sentinel ...` lines of a file that holds `state`."""
    lines = [_line("myid", state.my_id)]
    for master in state.masters:
        lines += _master_lines(master)
    lines.append(_line("current-epoch", str(state.current_epoch)))
    lines += _global_lines(state.options)
    return lines


def _line(name: str, *values: str, is_needed: bool = True) -> ConfigLine:
    words = ("sentinel", name, *values)
    key = key_of(words)
    assert key is not None, words
    return ConfigLine(key, words, is_needed)


def _master_lines(master: DurableMaster) -> list[ConfigLine]:
    name, options = master.name, master.options
    default = MasterOptions(quorum=options.quorum)
    lines = [
        _line("monitor", name, master.address.host, str(master.address.port), str(options.quorum))
    ]
    for statement, value, usual in (
        ("down-after-milliseconds", options.down_after_ms, default.down_after_ms),
        ("failover-timeout", options.failover_timeout_ms, default.failover_timeout_ms),
        ("parallel-syncs", options.parallel_syncs, default.parallel_syncs),
        ("master-reboot-down-after-period", options.reboot_down_after_ms, 0),
    ):
        lines.append(_line(statement, name, str(value), is_needed=value != usual))
    for statement, text in (
        ("notification-script", options.notification_script),
        ("client-reconfig-script", options.client_reconfig_script),
        ("auth-pass", options.auth_pass and decode_word(options.auth_pass)),
        ("auth-user", options.auth_user and decode_word(options.auth_user)),
    ):
        if text:
            lines.append(_line(statement, name, text))
    for old, new in options.renamed_commands.items():
        lines.append(_line("rename-command", name, decode_word(old), decode_word(new)))
    lines.append(_line("config-epoch", name, str(master.config_epoch)))
    lines.append(_line("leader-epoch", name, str(master.leader_epoch)))
    for host, port in master.replicas:
        lines.append(_line("known-replica", name, host, str(port)))
    for run_id, (host, port) in master.sentinels:
        lines.append(_line("known-sentinel", name, host, str(port), run_id))
    return lines


def _global_lines(options: GlobalOptions) -> list[ConfigLine]:
    port = options.announce_port
    lines = [_line("announce-port", str(port), is_needed=port != 0)]
    if options.announce_ip:
        lines.append(_line("announce-ip", options.announce_ip))
    if options.sentinel_user:
        lines.append(_line("sentinel-user", decode_word(options.sentinel_user)))
    if options.sentinel_pass:
        lines.append(_line("sentinel-pass", decode_word(options.sentinel_pass)))
    for name, value in (
        ("resolve-hostnames", options.resolve_hostnames),
        ("announce-hostnames", options.announce_hostnames),
    ):
        lines.append(_line(name, "yes" if value else "no", is_needed=value))
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
