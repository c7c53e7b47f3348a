"""The sentinel as a program: from the arguments of the process to its exit code."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
import trio

from vedette import __version__
from vedette.conf import (
    ConfigFileMissingError,
    Statement,
    fatal_message,
    parse_command_line,
    read_statements,
)
from vedette.conf.quoting import decode_word
from vedette.errors import ConfigError, VedetteError
from vedette.log import check_log_file
from vedette.runtime.process import Supervisor, become_daemon, find_supervisor, pid_file
from vedette.runtime.tls import TlsError
from vedette.types import RunId

from .. import directives
from ..app import ListenError, StateError, is_executable, run_sentinel, start_logging
from ..config import SentinelConfig, World, parse_state_file, read_config, state_file_of
from .state_file import with_ledger

log = structlog.get_logger()


def start(arguments: Sequence[str]) -> int:
    """Run a sentinel until it is told to stop; return the exit code.

    Whatever makes that impossible is said on standard error.
    """
    try:
        loaded = _load(arguments)
    except _StartError as error:
        sys.stderr.write(str(error))
        return 1
    settings = loaded.config.settings
    supervisor = find_supervisor(settings.value_of(directives.SUPERVISED))
    is_daemon = settings.value_of(directives.DAEMONIZE) and supervisor is Supervisor.NOBODY
    if is_daemon and not become_daemon():
        return 0
    is_logged = False
    try:
        check_log_file(settings.value_of(directives.LOG_FILE))
        start_logging(settings)
        is_logged = bool(settings.value_of(directives.LOG_FILE))
        with pid_file(settings.value_of(directives.PID_FILE)):
            trio.run(run_sentinel, loaded.config, loaded.path, loaded.state_path, supervisor)
    except ConfigError as error:
        sys.stderr.write(fatal_message(error, f"Vedette {__version__}"))
        return 1
    except (ListenError, StateError, TlsError, OSError) as error:
        log.error("sentinel.not_started", error=str(error))
        if not is_logged:  # as Redis, that says it once; whoever has a log looks there
            sys.stderr.write(f"Vedette sentinel: {error}\n")
        return 1
    return 0


class _StartError(VedetteError):
    """The sentinel cannot start; `str(error)` is what is printed."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The configuration, and the absolute paths of its file and of the one that keeps the state."""

    config: SentinelConfig
    path: str
    state_path: str


def _load(arguments: Sequence[str]) -> _Loaded:
    """Read the configuration and the state; enter the directory that the configuration names.

    Raises:
        _StartError: there is no usable configuration, or no place for the state.
    """
    command_line = parse_command_line(arguments)
    if command_line.file is None:
        raise _StartError("Sentinel needs config file on disk to save state. Exiting...\n")
    path = os.path.abspath(command_line.file)
    world = World(draw_id=lambda: RunId(secrets.token_hex(20)), is_executable=is_executable)
    try:
        statements = read_statements(command_line, sys.stdin.read)
        _enter_directory(statements)
        where = state_file_of(statements)
        if where is None:
            _check_writable("config", path)
            config = read_config(statements, world, memory=command_line.file)
            return _Loaded(_with_ledger(config, path), path, path)
        state_path = _state_path(where)
        memory = _read_state_file(state_path)
        config = read_config([*statements, *memory], world, memory=state_path)
        return _Loaded(_with_ledger(config, state_path), path, state_path)
    except ConfigFileMissingError as error:
        raise _StartError(f"{error.reason}\n") from error
    except ConfigError as error:
        raise _StartError(fatal_message(error, f"Vedette {__version__}")) from error


def _with_ledger(config: SentinelConfig, path: str) -> SentinelConfig:
    """Add what a sentinel that crashed had on disk beside its file."""
    try:
        return replace(config, durable=with_ledger(config.durable, path))
    except OSError as error:
        reason = f"Sentinel ledger of {path} cannot be read: {error.strerror}. Exiting..."
        raise _StartError(f"{reason}\n") from error


def _enter_directory(statements: Sequence[Statement]) -> None:
    """Go where the last `dir` says; relative paths of scripts and files start from there."""
    named = [each for each in statements if each.name == directives.DIRECTORY.name and each.values]
    if not named or not named[-1].values[0]:
        return
    directory = named[-1].values[0]
    try:
        os.chdir(directory)
    except OSError as error:
        raise named[-1].error(f"Can't chdir to '{directory}': {error.strerror}") from error


def _state_path(where: Statement) -> str:
    """Return the absolute path that a `sentinel state-file PATH` names."""
    if len(where.values) != 2 or not where.values[1]:
        raise where.error("Unrecognized sentinel configuration statement.")
    return os.path.abspath(where.values[1])


def _read_state_file(path: str) -> list[Statement]:
    """Return what the state file says; nothing before the first start."""
    try:
        text = decode_word(Path(path).read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = f"Sentinel state file {path} cannot be read: {error.strerror}. Exiting..."
        raise _StartError(f"{reason}\n") from error
    _check_writable("state", path)
    return parse_state_file(text, path)


def _check_writable(what: str, path: str) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError as error:
        raise _StartError(
            f"Sentinel {what} file {path} is not writable: {error.strerror}. Exiting...\n"
        ) from error
