"""`vedette-sentinel`: takes exactly what redis-sentinel takes.

    vedette-sentinel FILE [-] [--directive value ...]

Whatever makes a start impossible is said on standard error, in Redis' words where it has some, and
ends the process with code 1.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Sequence

import trio

from vedette import REDIS_VERSION, __version__
from vedette.conf import ConfigFileMissingError, fatal_message, parse_command_line, read_statements
from vedette.errors import ConfigError, VedetteError
from vedette.log import configure_logging
from vedette.runtime.process import become_daemon, pid_file
from vedette.types import RunId

from . import directives
from .app import ListenError, is_executable, resolve, run_sentinel
from .config import SentinelConfig, World, read_config

USAGE = """\
Usage: vedette-sentinel FILE [-] [--directive value ...]
       vedette-sentinel -v or --version
       vedette-sentinel -h or --help

FILE is the sentinel's configuration and the memory of its state, so it must be writable. A lone -
reads more configuration from standard input; --directive value overrides what the file says.

Examples:
       vedette-sentinel /etc/sentinel.conf
       vedette-sentinel ./sentinel.conf --port 26380 --loglevel verbose
"""


def main() -> int:
    """Run the program with the arguments of the process; return its exit code."""
    return run(sys.argv[1:])


def run(arguments: Sequence[str]) -> int:
    """Run the program with `arguments`; return its exit code."""
    if len(arguments) == 1 and arguments[0] in ("-v", "--version"):
        print(f"Vedette sentinel v={__version__} redis_version={REDIS_VERSION}")  # noqa: T201
        return 0
    if len(arguments) == 1 and arguments[0] in ("-h", "--help"):
        print(USAGE, end="")  # noqa: T201
        return 0
    try:
        config, path = _load(arguments)
    except _StartError as error:
        sys.stderr.write(str(error))
        return 1
    settings = config.settings
    if settings.value_of(directives.DAEMONIZE) and not become_daemon():
        return 0
    try:
        configure_logging(
            settings.value_of(directives.LOG_LEVEL), settings.value_of(directives.LOG_FILE)
        )
        with pid_file(settings.value_of(directives.PID_FILE)):
            trio.run(run_sentinel, config, path)
    except (ListenError, OSError) as error:
        sys.stderr.write(f"Vedette sentinel: {error}\n")
        return 1
    return 0


class _StartError(VedetteError):
    """The sentinel cannot start; `str(error)` is what is printed."""


def _load(arguments: Sequence[str]) -> tuple[SentinelConfig, str]:
    """Return the configuration, and the absolute path of its file; enter its directory.

    Raises:
        _StartError: there is no usable configuration.
    """
    command_line = parse_command_line(arguments)
    if command_line.file is None:
        raise _StartError("Sentinel needs config file on disk to save state. Exiting...\n")
    path = os.path.abspath(command_line.file)
    world = World(
        draw_id=lambda: RunId(secrets.token_hex(20)), is_executable=is_executable, resolve=resolve
    )
    try:
        statements = read_statements(command_line, sys.stdin.read)
        config = read_config(statements, world)
    except ConfigFileMissingError as error:
        raise _StartError(f"{error.reason}\n") from error
    except ConfigError as error:
        raise _StartError(fatal_message(error, f"Vedette {__version__}")) from error
    if not os.access(path, os.W_OK):
        raise _StartError(f"Sentinel config file {path} is not writable. Exiting...\n")
    directory = config.settings.value_of(directives.DIRECTORY)
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            culprit = [each for each in statements if each.name == directives.DIRECTORY.name][-1]
            reason = culprit.error(f"Can't chdir to '{directory}': {error.strerror}")
            raise _StartError(fatal_message(reason, f"Vedette {__version__}")) from error
    return config, path


if __name__ == "__main__":
    sys.exit(main())
