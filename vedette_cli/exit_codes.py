"""What the subcommands end with, so that scripts can tell one end from another."""

from __future__ import annotations

from typing import Final

EXIT_FINE: Final = 0
#: What was looked at is not well, or did not pass; or what was asked for could not be had.
EXIT_FAILED: Final = 1
#: What was to be looked at could not be: click ends so, too, where its arguments are wrong.
EXIT_UNABLE: Final = 2


def exit_code_of(number: int) -> int:
    """Return what a shell reports of a program that the signal `number` has ended."""
    return 128 + number
