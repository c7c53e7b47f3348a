"""One task per sentinel: stays connected and subscribed, asks when told to, reports.

Owns the connections to one sentinel. When to ask and to connect is the follower's to say; a
watcher without a connection waits until it is asked something.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import NoReturn

import trio

from vedette.errors import ProtocolError
from vedette.resp.exchange import Received, ReplyError
from vedette.runtime.background import open_background_nursery
from vedette.runtime.connecting import ConnectFailed, open_connection
from vedette.runtime.connection import Connection, ConnectionLost
from vedette.types import Address

from ..core.answers import (
    HINT_CHANNELS,
    SWITCH_CHANNEL,
    SentinelAnswer,
    Switch,
    hint_is_about,
    questions,
    read_answer,
    read_switch,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """How to reach sentinels; times in seconds."""

    master_name: str
    username: str | None
    password: str | None
    client_name: str | None
    connect_timeout_s: float
    ping_interval_s: float
    tls_context: ssl.SSLContext | None
    #: Where to connect to instead of what is told.
    address_map: Mapping[Address, Address]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """Whom a watcher tells; plain functions that return at once."""

    answered: Callable[[Address, SentinelAnswer], None]
    failed: Callable[[Address, str], None]
    switched: Callable[[Address, Switch], None]
    hinted: Callable[[Address], None]


class SentinelWatcher:
    """Watches the sentinel at `address`; `run` is its task."""

    def __init__(self, address: Address, options: WatchOptions, reports: Reports) -> None:
        self.address = address
        self.is_connected = False
        self._options = options
        self._reports = reports
        self._asked = trio.Event()
        self._scope = trio.CancelScope()

    def ask(self) -> None:
        """Have it asked soon; the outcome goes to `answered` or `failed`."""
        self._asked.set()

    def stop(self) -> None:
        """End `run`."""
        self._scope.cancel()

    async def run(self) -> None:
        """Connect when asked, and again after each loss when asked again, until stopped."""
        with self._scope:
            while True:
                await self._asked.wait()
                try:
                    reason = await self._serve()
                except (ConnectFailed, ConnectionLost) as error:
                    reason = error.reason
                except (ReplyError, ProtocolError) as error:
                    reason = str(error)
                self._asked = trio.Event()
                self._reports.failed(self.address, reason)

    async def _serve(self) -> str:
        """Serve one connection until it is of no more use; return why."""
        async with AsyncExitStack() as stack:
            asking = await stack.enter_async_context(self._open())
            # With RESP3 messages and replies share a connection; before it, a subscribed
            # connection takes no questions.
            listening = (
                asking if asking.protocol == 3 else await stack.enter_async_context(self._open())
            )
            # Subscribed before asking: what happens in between is then heard, or is in the answer.
            with trio.move_on_after(self._options.connect_timeout_s) as scope:
                await listening.execute("SUBSCRIBE", SWITCH_CHANNEL, *HINT_CHANNELS)
            if scope.cancelled_caught:
                return "did not confirm the subscription"
            self.is_connected = True
            try:
                async with open_background_nursery() as nursery:
                    nursery.start_soon(self._listen, listening, asking)
                    await self._answer_questions(asking)
            finally:
                self.is_connected = False

    def _open(self) -> AbstractAsyncContextManager[Connection]:
        options = self._options
        return open_connection(
            options.address_map.get(self.address, self.address),
            connect_timeout_s=options.connect_timeout_s,
            username=options.username,
            password=options.password,
            client_name=options.client_name,
            protocol=3,
            reply_timeout_s=options.connect_timeout_s,
            ping_interval_s=options.ping_interval_s,
            tls_context=options.tls_context,
        )

    async def _answer_questions(self, connection: Connection) -> NoReturn:
        """Put the question whenever asked.

        Raises:
            ConnectionLost: it ended, or the sentinel is silent.
        """
        while True:
            await self._asked.wait()
            self._asked = trio.Event()
            # It may take longer than a round of the follower: what comes late is news all the same.
            # A sentinel that hangs is given up by the connection.
            replies = await connection.execute_many(questions(self._options.master_name))
            self._reports.answered(self.address, read_answer(replies))

    async def _listen(self, listening: Connection, asking: Connection) -> None:
        """Pass on messages until the connection is lost; then the other one is of no use either."""
        try:
            while True:
                self._on_push(await listening.receive_push())
        except (ConnectionLost, ProtocolError) as error:
            asking.close(str(error))
            self._asked.set()

    def _on_push(self, items: list[Received]) -> None:
        if len(items) != 3 or items[0] != b"message":
            return
        channel, payload = items[1], items[2]
        if channel == SWITCH_CHANNEL:
            switch = read_switch(payload)
            if switch.name == self._options.master_name:
                self._reports.switched(self.address, switch)
        elif hint_is_about(self._options.master_name, payload):
            self._reports.hinted(self.address)
