"""The server as a program: from the arguments of the process to its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import structlog
import trio

from vedette import __version__
from vedette.conf import ConfigFileMissingError, fatal_message, parse_command_line, read_statements
from vedette.errors import ConfigError
from vedette.log import check_log_file
from vedette.runtime.process import Supervisor, become_daemon, find_supervisor, pid_file
from vedette.runtime.tls import TlsError

from .. import directives
from ..app import AofLostError, ListenError, LoadError, run_server, start_logging
from ..config import Configuration, load_configuration

log = structlog.get_logger()

_PROGRAM = f"Vedette {__version__}"


def start(arguments: Sequence[str]) -> int:
    """Run a server until it is told to stop; return the exit code.

    Whatever makes that impossible is said on standard error.
    """
    try:
        configuration = _load(arguments)
    except ConfigFileMissingError as error:
        sys.stderr.write(f"{error.reason}\n")
        return 1
    except ConfigError as error:
        sys.stderr.write(fatal_message(error, _PROGRAM))
        return 1
    supervisor = find_supervisor(configuration[directives.SUPERVISED])
    is_daemon = configuration[directives.DAEMONIZE] and supervisor is Supervisor.NOBODY
    if is_daemon and not become_daemon():
        return 0
    return _serve(configuration, supervisor)


def _load(arguments: Sequence[str]) -> Configuration:
    """Return the configuration, and enter its directory.

    Raises:
        ConfigError: it cannot be used.
    """
    command_line = parse_command_line(arguments)
    path = os.path.abspath(command_line.file) if command_line.file is not None else ""
    statements = read_statements(command_line, sys.stdin.read)
    configuration = load_configuration(statements, path=path)
    directory = configuration[directives.DIRECTORY]
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            culprit = [each for each in statements if each.name == directives.DIRECTORY.name][-1]
            raise culprit.error(f"Can't chdir to '{directory}': {error.strerror}") from error
    return configuration


def _serve(configuration: Configuration, supervisor: Supervisor) -> int:
    """Run the server; say on standard error why it could not."""
    try:
        try:
            check_log_file(configuration[directives.LOG_FILE])
        except OSError as failure:
            raise ConfigError(f"Can't open the log file: {failure.strerror}") from failure
        start_logging(configuration)
        with pid_file(configuration[directives.PID_FILE]):
            trio.run(run_server, configuration, supervisor)
    except* ConfigError as refused:
        for error in refused.exceptions:
            assert isinstance(error, ConfigError)
            sys.stderr.write(fatal_message(error, _PROGRAM))
        return_code = 1
    except* (AofLostError, ListenError, LoadError, TlsError, OSError) as group:
        for each in group.exceptions:
            log.error("server.failed", error=str(each))
            sys.stderr.write(f"Vedette server: {each}\n")
        return_code = 1
    else:
        return_code = 0
    return return_code
