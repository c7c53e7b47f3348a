"""What an interpreter asks of those around it."""

from __future__ import annotations

from typing import Any, Protocol

# Any: what Lua gives and takes, for which lupa has no types.


class Runner(Protocol):
    """The run in progress, as its script reaches it."""

    #: The version of RESP that the script chose.
    protocol: int
    #: That of the client.
    client_protocol: int

    def call(self, argv: list[bytes]) -> Any:
        """Run a command and return its reply for Lua.

        Raises:
            ScriptError: it is refused, or fails.
        """

    def is_allowed(self, argv: list[bytes]) -> bool:
        """Return whether the user may run a command.

        Raises:
            ScriptError: there is no such command.
        """

    def set_replication(self, flags: int) -> None:
        """Say who is to see what follows: 1 the append-only file, 2 the replicas, or both."""

    def is_killed(self) -> bytes | None:
        """Let others be served if the run takes too long; return why it is to end, or None."""


class Loader(Protocol):
    """The loading of a function library, as its code reaches it."""

    def register(self, name: bytes, description: bytes | None, flags: bytes, callback: Any) -> None:
        """Take a function; `flags` have commas between them.

        Raises:
            ScriptError: it cannot be taken.
        """

    def is_killed(self) -> bytes | None:
        """Return why the loading is to end, or None."""


class ScriptHost(Protocol):
    """What scripts reach whether or not one runs."""

    def log(self, level: int, text: bytes) -> None:
        """Write to the server's log; `level` 0 (debug) to 3 (warning)."""

    def note_error(self, text: bytes, is_counted: bool) -> None:
        """Note an error that is part of a reply; `is_counted`: the statistics have it already."""

    def random(self) -> float:
        """Return a number from 0 up to 1."""

    def seed_random(self, seed: int) -> None:
        """Have `random` repeat itself from here on."""
