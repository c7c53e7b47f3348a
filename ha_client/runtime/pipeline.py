"""Several commands in one go, as one transaction or one by one.

Owns the list of commands; executing them is the client's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from vedette.resp.exchange import Argument, Received

from ..commands import CommandMethods

Commands = list[tuple[Argument, ...]]


class Pipeline(CommandMethods["Pipeline"]):
    """Collects commands until `execute`; leaving the block without it drops them.

    Every command's method returns the pipeline, so calls can be chained.
    """

    __slots__ = ("_commands", "_send")

    def __init__(self, send: Callable[[Commands], Awaitable[list[Received]]]) -> None:
        self._send = send
        self._commands: Commands = []

    def __len__(self) -> int:
        return len(self._commands)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.reset()

    def execute_command(self, *arguments: Argument) -> Self:
        """Add any command."""
        self._commands.append(arguments)
        return self

    def reset(self) -> None:
        """Drop the commands that were added."""
        self._commands.clear()

    async def execute(self, *, raise_on_error: bool = True) -> list[Received]:
        """Send what was added and return the replies in order; the pipeline is empty afterwards.

        With `raise_on_error` the first error among the replies is raised, else errors are values:
        `ReplyError`, and without a transaction `WriteUncertain` or `MasterUnavailable` too.

        Raises:
            WriteUncertain, MasterUnavailable: the transaction as a whole.
        """
        commands, self._commands = self._commands, []
        replies = await self._send(commands)
        if raise_on_error:
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    def _issue(self, *arguments: Argument) -> Pipeline:
        return self.execute_command(*arguments)
