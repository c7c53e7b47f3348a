"""sentinel.conf: from its statements to the machine's durable state.

Owns the syntax of `sentinel ...` and of the state kept among it. It reads no file and resolves no
name itself: what it needs of the world it is handed as a `World`. Follows Redis' `sentinel.c:
queueSentinelConfig, sentinelHandleConfiguration`: lines may come in any order, since globals are
read first, then `monitor`, then the rest. `state_lines.py` is the way back.
"""

from __future__ import annotations

import hashlib
import ipaddress
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from vedette.conf import BadValueError, Settings, Statement
from vedette.conf.quoting import encode_word
from vedette.types import Address, RunId

from . import directives
from .core.model import DurableMaster, DurableState, GlobalOptions, MasterOptions

_RUN_ID = re.compile(r"[0-9a-zA-Z]{40}\Z")
_LEADING_NUMBER = re.compile(r"\s*[+-]?[0-9]+")

#: Other spellings of a statement -> the one written.
_SYNONYMS: Final = {
    "known-slave": "known-replica",
    "primary-reboot-down-after-period": "master-reboot-down-after-period",
}
#: `sentinel` statements about the sentinel itself, and about one master.
GLOBAL_STATEMENTS: Final = frozenset(
    {
        "announce-ip",
        "announce-port",
        "deny-scripts-reconfig",
        "sentinel-user",
        "sentinel-pass",
        "current-epoch",
        "myid",
        "resolve-hostnames",
        "announce-hostnames",
    }
)
MASTER_STATEMENTS: Final = frozenset(
    {
        "monitor",
        "down-after-milliseconds",
        "failover-timeout",
        "parallel-syncs",
        "notification-script",
        "client-reconfig-script",
        "auth-pass",
        "auth-user",
        "rename-command",
        "master-reboot-down-after-period",
        "config-epoch",
        "leader-epoch",
        "known-replica",
        "known-sentinel",
    }
)
#: Words of a rule for the default user that say no more than `requirepass` (or its absence) does.
_HARMLESS_USER_RULES: Final = frozenset({"on", "nopass", "sanitize-payload", "~*", "&*", "+@all"})


@dataclass(frozen=True, slots=True)
class World:
    """What reading a configuration needs to know from outside."""

    #: Return a fresh run id, for a first start.
    draw_id: Callable[[], RunId]
    #: Whether a script can be run.
    is_executable: Callable[[str], bool]
    #: Return an IP of a host name, or None if it does not resolve.
    resolve: Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentinelConfig:
    """All that sentinel.conf and the command line say."""

    settings: Settings
    durable: DurableState
    #: SENTINEL SET may not change script paths.
    denies_scripts_reconfig: bool


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


def read_config(statements: Iterable[Statement], world: World) -> SentinelConfig:
    """Return the configuration that `statements` make.

    Raises:
        ConfigError: a statement is unknown, wrong, or names a master that is not monitored.
    """
    settings = Settings(directives.TABLE)
    queue: list[Statement] = []
    users: list[Statement] = []
    settings.load(statements, {"sentinel": queue.append, "user": users.append})
    for statement in users:
        _check_user(statement, settings.value_of(directives.REQUIRE_PASS))
    reader = _Reader(settings, world)
    reader.read(queue)
    return SentinelConfig(
        settings=settings,
        durable=reader.finish(),
        denies_scripts_reconfig=reader.denies_scripts_reconfig,
    )


def _check_user(statement: Statement, requirepass: str) -> None:
    """Take the line that redis-sentinel writes for the default user, and no real ACL."""
    digest = hashlib.sha256(encode_word(requirepass)).hexdigest()
    password = [f"#{digest}"] if requirepass else []
    name, *rules = statement.values or ("",)
    if name != "default" or not _HARMLESS_USER_RULES.union(password).issuperset(rules):
        raise statement.error("Access control lists are not supported; use requirepass")


def statement_name(word: str) -> str:
    """Return a `sentinel` statement's name as it is written."""
    name = word.lower()
    return _SYNONYMS.get(name, name)


class _Reader:
    """Reads the queued `sentinel ...` statements."""

    def __init__(self, settings: Settings, world: World) -> None:
        self._world = world
        #: Scripts named by a relative path are looked for where the process is going to be.
        self._directory: str = settings.value_of(directives.DIRECTORY)
        self._masters: dict[str, _MasterDraft] = {}
        self._my_id: RunId | None = None
        self._current_epoch = 0
        self.denies_scripts_reconfig = True
        requirepass = settings.value_of(directives.REQUIRE_PASS)
        self._options = GlobalOptions(
            listening_port=settings.value_of(directives.PORT),
            requirepass=encode_word(requirepass) if requirepass else None,
        )

    def read(self, queue: Sequence[Statement]) -> None:
        """Read all statements: globals, then `monitor`, then the rest."""
        passes: tuple[list[Statement], list[Statement], list[Statement]] = ([], [], [])
        for statement in queue:
            name = statement_name(statement.values[0]) if statement.values else ""
            if name == "monitor":
                passes[1].append(statement)
            else:
                passes[0 if name in GLOBAL_STATEMENTS else 2].append(statement)
        for statements in passes:
            for statement in statements:
                try:
                    self._read_one(*statement.values)
                except BadValueError as error:
                    raise statement.error(str(error)) from error

    def finish(self) -> DurableState:
        """Return what was read."""
        return DurableState(
            my_id=self._my_id or self._world.draw_id(),
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
                    sentinels=tuple(draft.sentinels.items()),
                )
                for draft in self._masters.values()
            ),
        )

    def _read_one(self, name: str = "", *values: str) -> None:
        if not name:
            return  # the bare word `sentinel`, as `--sentinel` leaves it
        match statement_name(name), values:
            case "monitor", (master, host, port, quorum):
                self._monitor(master, host, port, quorum)
            case known, (value,) if known in GLOBAL_STATEMENTS:
                self._read_global(known, value)
            case known, (master, *rest) if known in MASTER_STATEMENTS and known != "monitor":
                draft = self._masters.get(master)
                if draft is None:
                    raise BadValueError("No such master with specified name.")
                self._read_for_master(draft, known, tuple(rest))
            case _:
                raise BadValueError("Unrecognized sentinel configuration statement.")

    def _read_global(self, name: str, value: str) -> None:
        match name:
            case "myid":
                if not _RUN_ID.match(value):
                    raise BadValueError("Malformed Sentinel id in myid option.")
                self._my_id = RunId(value)
            case "current-epoch":
                self._current_epoch = max(self._current_epoch, leading_number(value))
            case "announce-ip":
                self._options = replace(self._options, announce_ip=value or None)
            case "announce-port":
                self._options = replace(self._options, announce_port=_port(value))
            case "sentinel-user":
                self._options = replace(self._options, sentinel_user=encode_word(value) or None)
            case "sentinel-pass":
                self._options = replace(self._options, sentinel_pass=encode_word(value) or None)
            case "deny-scripts-reconfig":
                self.denies_scripts_reconfig = _yes_or_no(
                    value, "Please specify yes or no for the deny-scripts-reconfig options."
                )
            case "resolve-hostnames":
                answer = _yes_or_no(
                    value, "Please specify yes or no for the resolve-hostnames option."
                )
                self._options = replace(self._options, resolve_hostnames=answer)
            case _:
                answer = _yes_or_no(
                    value, "Please specify yes or no for the announce-hostnames option."
                )
                self._options = replace(self._options, announce_hostnames=answer)

    def _monitor(self, name: str, host: str, port: str, quorum: str) -> None:
        votes = leading_number(quorum)
        if votes < 1:
            raise BadValueError("Quorum must be 1 or greater.")
        if name in self._masters:
            raise BadValueError("Duplicate master name.")
        address = self._address(host, port)
        self._masters[name] = _MasterDraft(name, address, MasterOptions(quorum=votes))

    def _address(self, host: str, port: str) -> Address:
        """Return the address of an instance; a name is kept only if names are announced."""
        found = usable_host(host, self._options, self._world.resolve)
        if found is None:
            raise BadValueError("Can't resolve instance hostname.")
        return Address(found, _port(port))

    def _read_for_master(self, draft: _MasterDraft, name: str, values: tuple[str, ...]) -> None:
        match name, values:
            case "config-epoch", (value,):
                draft.config_epoch = leading_number(value)
            case "leader-epoch", (value,):
                draft.leader_epoch = leading_number(value)
            case "known-replica", (host, port):
                address = self._address(host, port)
                if address in draft.replicas:
                    raise BadValueError("Duplicate hostname and port for replica.")
                draft.replicas.append(address)
            case "known-sentinel", (host, port, run_id):
                if run_id in draft.sentinels:
                    raise BadValueError("Duplicate runid for sentinel.")
                draft.sentinels[RunId(run_id)] = self._address(host, port)
            case "known-sentinel", (_, _):
                pass  # the form of very old sentinels, without the id: of no use
            case "rename-command", (old, new):
                draft.options = _with_rename(draft.options, old, new)
            case _, (value,):
                draft.options = self._with_option(draft.options, name, value)
            case _:
                raise BadValueError("Unrecognized sentinel configuration statement.")

    def _with_option(self, options: MasterOptions, name: str, value: str) -> MasterOptions:
        match name:
            case "down-after-milliseconds":
                return replace(options, down_after_ms=_positive_time(value))
            case "failover-timeout":
                return replace(options, failover_timeout_ms=_positive_time(value))
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
            case "auth-pass":
                return replace(options, auth_pass=encode_word(value) or None)
            case "auth-user":
                return replace(options, auth_user=encode_word(value) or None)
            case "notification-script":
                self._check_script("Notification script", value)
                return replace(options, notification_script=value)
            case "client-reconfig-script":
                self._check_script("Client reconfiguration script", value)
                return replace(options, client_reconfig_script=value)
            case _:
                raise BadValueError("Unrecognized sentinel configuration statement.")

    def _check_script(self, what: str, path: str) -> None:
        if not self._world.is_executable(posixpath.join(self._directory, path)):
            raise BadValueError(f"{what} seems non existing or non executable.")


def usable_host(
    host: str, options: GlobalOptions, resolve: Callable[[str], str | None]
) -> str | None:
    """Return how an instance at `host` is known: its IP, or its name if names are announced.

    None: `host` is a name and names are not allowed, or it does not resolve.
    """
    if is_ip(host):
        return host
    if not options.resolve_hostnames:
        return None
    # With names announced a master is known by its name, whether or not it resolves just now.
    return host if options.announce_hostnames else resolve(host)


def is_ip(host: str) -> bool:
    """Whether `host` is a literal IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def leading_number(word: str) -> int:
    """Return the number a word begins with, 0 if none (as C's `atoi`, which Redis uses here)."""
    match = _LEADING_NUMBER.match(word)
    return int(match[0]) if match else 0


def _positive_time(word: str) -> int:
    time_ms = leading_number(word)
    if time_ms < 1:
        raise BadValueError("negative or zero time parameter.")
    return time_ms


def _port(word: str) -> int:
    port = leading_number(word)
    if not 0 <= port <= 65535:
        raise BadValueError("Invalid port number.")
    return port


def _yes_or_no(word: str, reason: str) -> bool:
    if word.lower() not in ("yes", "no"):
        raise BadValueError(reason)
    return word.lower() == "yes"


def _with_rename(options: MasterOptions, old: str, new: str) -> MasterOptions:
    name = encode_word(old).upper()
    if name in options.renamed_commands:
        raise BadValueError("Same command renamed multiple times with rename-command.")
    renamed: Mapping[bytes, bytes] = {**options.renamed_commands, name: encode_word(new)}
    return replace(options, renamed_commands=renamed)
