"""The `sentinel ...` statements one by one: from their words to masters and options.

Lines may come in any order, since globals are read first, then `monitor`, then the rest; within
each of these layer by layer. The texts of refusals are Redis'. Reads no file and resolves no name.
Reference: `sentinel.c: queueSentinelConfig, sentinelHandleConfiguration`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from vedette.conf import BadValueError, Settings, Statement
from vedette.conf.quoting import encode_word
from vedette.conf.tls import TLS_PORT, TLS_REPLICATION
from vedette.types import Address, RunId, is_run_id

from . import directives
from .config_values import (
    instance_address,
    leading_number,
    port_number,
    positive_time,
    utf8_text,
    yes_or_no,
)
from .core.durable import DurableMaster, DurableState
from .core.options import GlobalOptions, MasterOptions
from .statements import GLOBAL_STATEMENTS, MASTER_STATEMENTS, WHOLE, statement_name, told


class Layer(enum.IntEnum):
    """Where a statement stands; a later layer overrules an earlier one."""

    OUTSIDE = 0
    MEMORY = 1
    COMMAND_LINE = 2


@dataclass(slots=True)
class _MasterDraft:
    """One master while its lines are being read."""

    name: str
    address: Address
    options: MasterOptions
    config_epoch: int = 0
    leader_epoch: int = 0
    replicas: list[Address] = field(default_factory=list)
    sentinels: dict[RunId, Address] = field(default_factory=dict)
    leaving: dict[RunId, Address] = field(default_factory=dict)
    forgotten: list[RunId] = field(default_factory=list)

    def staying_sentinels(self) -> Iterator[tuple[RunId, Address]]:
        """Return those that were not let go, even if a file outside of the memory names them."""
        for run_id, address in self.sentinels.items():
            if run_id not in self.leaving and run_id not in self.forgotten:
                yield run_id, address


class Reader:
    """Reads the queued `sentinel ...` statements.

    `is_executable` says whether a script can be run.
    """

    def __init__(self, settings: Settings, is_executable: Callable[[str], bool]) -> None:
        self._is_executable = is_executable
        self._masters: dict[str, _MasterDraft] = {}
        self._removed: set[str] = set()
        #: What must be said once in a layer, and was: such as ("monitor", "mymaster").
        self._said: set[tuple[object, ...]] = set()
        self._layer = Layer.MEMORY
        self._my_id: RunId | None = None
        self._current_epoch = 0
        self.denies_scripts_reconfig = True
        requirepass = settings.value_of(directives.REQUIRE_PASS)
        self._options = GlobalOptions(
            listening_port=settings.value_of(
                TLS_PORT if settings.value_of(TLS_REPLICATION) else directives.PORT
            ),
            requirepass=encode_word(requirepass) if requirepass else None,
        )

    def read(self, queue: Iterable[tuple[Layer, Statement]]) -> None:
        """Read all statements: globals, then what was removed and `monitor`, then the rest.

        Within each of these, layer by layer.
        """
        for self._layer, statement in sorted(queue, key=_reading_order):
            try:
                self._read_one(*statement.values)
            except BadValueError as error:
                raise statement.error(str(error)) from error

    def expect_master(self, name: str) -> None:
        """Have a master's options read although nothing says where it is."""
        self._masters.setdefault(name, _MasterDraft(name, Address("", 0), MasterOptions(quorum=1)))

    def options(self) -> tuple[GlobalOptions, dict[str, MasterOptions]]:
        """Return the options read, of the sentinel and of each master."""
        return self._options, {name: draft.options for name, draft in self._masters.items()}

    def finish(self, draw_id: Callable[[], RunId]) -> DurableState:
        """Return what was read; `draw_id` gives an id where none was."""
        return DurableState(
            my_id=self._my_id or draw_id(),
            current_epoch=self._current_epoch,
            options=self._options,
            masters=tuple(
                DurableMaster(
                    name=draft.name,
                    address=draft.address,
                    options=draft.options,
                    config_epoch=draft.config_epoch,
                    leader_epoch=draft.leader_epoch,
                    replicas=tuple(draft.replicas),
                    sentinels=tuple(draft.staying_sentinels()),
                    leaving=tuple(draft.leaving.items()),
                    forgotten=tuple(draft.forgotten),
                )
                for draft in self._masters.values()
            ),
        )

    def _read_one(self, *words: str) -> None:
        if not words:
            return  # the bare word `sentinel`, as `--sentinel` leaves it
        match statement_name(words[0]), words[1:]:
            case "monitor", (master, host, port, quorum):
                self._monitor(master, host, port, quorum)
            case known, (value,) if known in GLOBAL_STATEMENTS:
                self._read_global(known, value)
            case "removed", (master,):
                self._removed.add(master)
            case "known-sentinel", (_, _, _):
                pass  # the form of very old sentinels, without the id: of no use
            case known, (master, *rest) if _takes(known, rest):
                draft = self._masters.get(master)
                if draft is not None:
                    self._read_for_master(draft, known, tuple(rest))
                elif master not in self._removed:
                    raise BadValueError("No such master with specified name.")
            case _:
                raise BadValueError("Unrecognized sentinel configuration statement.")

    def _read_global(self, name: str, value: str) -> None:
        match name:
            case "myid":
                if not is_run_id(value):
                    raise BadValueError("Malformed Sentinel id in myid option.")
                self._my_id = RunId(value)
            case "current-epoch":
                self._current_epoch = max(self._current_epoch, leading_number(value))
            case "announce-ip":
                self._options = replace(self._options, announce_ip=utf8_text(value) or None)
            case "announce-port":
                self._options = replace(self._options, announce_port=port_number(value))
            case "sentinel-user":
                self._options = replace(self._options, sentinel_user=encode_word(value) or None)
            case "sentinel-pass":
                self._options = replace(self._options, sentinel_pass=encode_word(value) or None)
            case "state-file":
                pass  # asked for with `state_file_of`, before anything is read
            case "deny-scripts-reconfig":
                self.denies_scripts_reconfig = yes_or_no(
                    value, "Please specify yes or no for the deny-scripts-reconfig options."
                )
            case "resolve-hostnames":
                answer = yes_or_no(
                    value, "Please specify yes or no for the resolve-hostnames option."
                )
                self._options = replace(self._options, resolve_hostnames=answer)
            case _:
                answer = yes_or_no(
                    value, "Please specify yes or no for the announce-hostnames option."
                )
                self._options = replace(self._options, announce_hostnames=answer)

    def _monitor(self, name: str, host: str, port: str, quorum: str) -> None:
        votes = leading_number(quorum)
        if votes < 1:
            raise BadValueError("Quorum must be 1 or greater.")
        self._say_once("Duplicate master name.", "monitor", utf8_text(name))
        address = self._address(host, port)
        if name not in self._removed or self._layer is Layer.MEMORY:
            self._masters[name] = _MasterDraft(name, address, MasterOptions(quorum=votes))

    def _address(self, host: str, port: str) -> Address:
        return instance_address(host, port, may_be_name=self._options.resolve_hostnames)

    def _say_once(self, reason: str, *what: object) -> None:
        """Refuse what one layer says twice; another layer may say it again."""
        if (self._layer, *what) in self._said:
            raise BadValueError(reason)
        self._said.add((self._layer, *what))

    def _read_for_master(self, draft: _MasterDraft, name: str, values: tuple[str, ...]) -> None:
        match name, values:
            case "config-epoch", (value,):
                draft.config_epoch = leading_number(value)
            case "leader-epoch", (value,):
                draft.leader_epoch = leading_number(value)
            case "known-replica", (host, port):
                address = self._address(host, port)
                reason = "Duplicate hostname and port for replica."
                self._say_once(reason, name, draft.name, address)
                if address not in draft.replicas:
                    draft.replicas.append(address)
            case "known-sentinel", (host, port, run_id):
                self._say_once("Duplicate runid for sentinel.", name, draft.name, run_id)
                draft.sentinels[RunId(run_id)] = self._address(host, port)
            case "leaving-sentinel", (host, port, run_id):
                draft.leaving[RunId(run_id)] = self._address(host, port)
            case "forgotten-sentinel", (run_id,):
                draft.forgotten.append(RunId(run_id))
            case "rename-command", (old, new):
                reason = "Same command renamed multiple times with rename-command."
                self._say_once(reason, name, draft.name, old.upper())
                draft.options = _with_rename(draft.options, old, new)
            case _, (value,):
                draft.options = self._with_option(draft.options, name, value)
            case _:
                raise AssertionError(f"{name} does not take {values}")

    def _with_option(self, options: MasterOptions, name: str, value: str) -> MasterOptions:
        match name:
            case "down-after-milliseconds":
                return replace(options, down_after_ms=positive_time(value))
            case "failover-timeout":
                return replace(options, failover_timeout_ms=positive_time(value))
            case "parallel-syncs":
                count = leading_number(value)
                if count < 1:
                    raise BadValueError("parallel-syncs must be 1 or greater.")
                return replace(options, parallel_syncs=count)
            case "master-reboot-down-after-period":
                period_ms = leading_number(value)
                if period_ms < 0:
                    raise BadValueError("negative time parameter.")
                return replace(options, reboot_down_after_ms=period_ms)
            case "refused-after-milliseconds":
                refused_after_ms = leading_number(value)
                if refused_after_ms < 0:
                    raise BadValueError("negative time parameter.")
                return replace(options, refused_after_ms=refused_after_ms)
            case "empty-restart-guard":
                answer = yes_or_no(
                    value, "Please specify yes or no for the empty-restart-guard option."
                )
                return replace(options, guards_empty_restart=answer)
            case "auth-pass":
                return replace(options, auth_pass=encode_word(value) or None)
            case "auth-user":
                return replace(options, auth_user=encode_word(value) or None)
            case "notification-script":
                path = self._script("Notification script", value)
                return replace(options, notification_script=path)
            case "client-reconfig-script":
                path = self._script("Client reconfiguration script", value)
                return replace(options, client_reconfig_script=path)
            case _:
                raise AssertionError(f"{name} is no option of a master")

    def _script(self, what: str, path: str) -> str | None:
        if path and not self._is_executable(path):
            raise BadValueError(f"{what} seems non existing or non executable.")
        return path or None


def _takes(name: str, values: Sequence[str]) -> bool:
    """Whether a statement of this name is about a known master and takes so many values."""
    return name not in WHOLE and MASTER_STATEMENTS.get(name) == len(values)


def _reading_order(entry: tuple[Layer, Statement]) -> tuple[int, Layer]:
    layer, statement = entry
    name = told(statement)
    if name in GLOBAL_STATEMENTS:
        return 0, layer
    if name == "removed":
        return 1, layer
    return 2 if name == "monitor" else 3, layer


def _with_rename(options: MasterOptions, old: str, new: str) -> MasterOptions:
    """Return `options` with a command renamed; to its own name means: not renamed."""
    name = encode_word(old).upper()
    renamed = {each: to for each, to in options.renamed_commands.items() if each != name}
    if encode_word(new).upper() != name:
        renamed[name] = encode_word(new)
    return replace(options, renamed_commands=renamed)
