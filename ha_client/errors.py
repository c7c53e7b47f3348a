"""What may go wrong, told by what the caller may conclude about the command.

    VedetteError
    ├── ReplyError                the master answered with an error: refused, or failed there
    ├── FailoverClientError
    │   ├── MasterUnavailable     the deadline passed; the command was NOT executed
    │   ├── WriteUncertain        it was sent and no reply came; it may have been executed or not
    │   ├── UnsupportedCommand    it cannot run on a connection shared with other tasks; not sent
    │   └── ClientClosed          the client's `async with` block has ended; not sent
    └── (others of the kernel never leave this package)

A read is never uncertain: it is repeated until it is answered, or `MasterUnavailable`. A write that
the caller lets the client repeat is uncertain if it was sent once and no repetition was answered.

Errors name the command, the node and the epoch, never keys or values.
"""

from __future__ import annotations

from vedette.errors import VedetteError
from vedette.resp.exchange import ReplyError
from vedette.types import Address

__all__ = [
    "ClientClosed",
    "FailoverClientError",
    "MasterUnavailable",
    "ReplyError",
    "UnsupportedCommand",
    "WriteUncertain",
]


class FailoverClientError(VedetteError):
    """Root of the errors that the client raises by itself."""


class MasterUnavailable(FailoverClientError):
    """No master took the command within its deadline. It was not executed: repeating is safe.

    `reason` is what stood in the way when last tried, `elapsed_s` how long that was.
    """

    def __init__(self, command: str, reason: str, elapsed_s: float) -> None:
        super().__init__(f"no master served {command} within {elapsed_s:.1f} s: {reason}")
        self.command = command
        self.reason = reason
        self.elapsed_s = elapsed_s


class WriteUncertain(FailoverClientError):
    """The command was sent to `address` and no reply came: whether it was executed is unknown.

    To repeat it may apply it twice. `epoch` is the configuration epoch in which `address` was
    master, `reason` why the reply did not come.
    """

    def __init__(
        self, command: str, address: Address, epoch: int, reason: str, elapsed_s: float
    ) -> None:
        super().__init__(
            f"{command} was sent to {address} (epoch {epoch}) and may have been executed or not, "
            f"after {elapsed_s:.1f} s: {reason}"
        )
        self.command = command
        self.address = address
        self.epoch = epoch
        self.reason = reason
        self.elapsed_s = elapsed_s


class UnsupportedCommand(FailoverClientError):
    """The command would change or block the connection that all tasks share. It was not sent."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(f"{command} {reason}")
        self.command = command
        self.reason = reason


class ClientClosed(FailoverClientError):
    """The client is used outside its `async with` block."""
