"""`vedette-server`: takes exactly what redis-server takes.

    vedette-server [FILE] [-] [--directive value ...]

Whatever makes a start impossible is said on standard error, in Redis' words where it has some, and
ends the process with code 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vedette import REDIS_VERSION, __version__
from vedette.runtime.starting import importing_much

USAGE = """\
Usage: vedette-server [FILE] [-] [--directive value ...]
       vedette-server -v or --version
       vedette-server -h or --help

Without FILE every directive has its default. A lone - reads more configuration from standard input;
--directive value overrides what the file says.

Examples:
       vedette-server
       vedette-server /etc/vedette.conf
       vedette-server --port 7777
       vedette-server --port 7777 --replicaof 127.0.0.1 8888
       vedette-server /etc/vedette.conf --loglevel verbose
       echo 'maxclients 128' | vedette-server -
"""


def main() -> int:
    """Run the program with the arguments of the process; return its exit code."""
    return run(sys.argv[1:])


def run(arguments: Sequence[str]) -> int:
    """Run the program with `arguments`; return its exit code."""
    if len(arguments) == 1 and arguments[0] in ("-v", "--version"):
        print(f"Vedette server v={__version__} redis_version={REDIS_VERSION}")  # noqa: T201
        return 0
    if len(arguments) == 1 and arguments[0] in ("-h", "--help"):
        print(USAGE, end="")  # noqa: T201
        return 0
    with importing_much():
        from .runtime.program import start  # whoever asks for help need not wait for it
    return start(arguments)


if __name__ == "__main__":
    sys.exit(main())
