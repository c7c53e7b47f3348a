"""`vedette-sentinel`: takes exactly what redis-sentinel takes.

    vedette-sentinel FILE [-] [--directive value ...]

Whatever makes a start impossible is said on standard error, in Redis' words where it has some, and
ends the process with code 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vedette import REDIS_VERSION, __version__
from vedette.runtime.starting import importing_much

USAGE = """\
Usage: vedette-sentinel FILE [-] [--directive value ...]
       vedette-sentinel -v or --version
       vedette-sentinel -h or --help

FILE is the sentinel's configuration and the memory of its state, so it must be writable unless
it names another place by `sentinel state-file PATH`. A lone - reads more configuration from
standard input; --directive value overrides what the file says.

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
    with importing_much():
        from .runtime.program import start  # whoever asks for help need not wait for it
    return start(arguments)


if __name__ == "__main__":
    sys.exit(main())
