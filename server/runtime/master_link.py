"""The task that follows the master: one `LinkAttempt` after another, while there is a master."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Final

import structlog
import trio

from vedette.clients import Session
from vedette.runtime.pump import Pump
from vedette.types import Address

from ..engine import ServerEngine
from ..replication.events import LinkFailed, LinkFailure
from .clock import wall_clock_ms
from .link_attempt import LinkAttempt
from .master_connection import MasterConnection

log = structlog.get_logger()

#: Failures that need a human: the master's data cannot be had as things are.
_GRAVE: Final = frozenset(
    {LinkFailure.AUTH_REFUSED, LinkFailure.SNAPSHOT_UNUSABLE, LinkFailure.STREAM_UNUSABLE}
)


class MasterLink:
    """Follows the master that `engine.replication` names, for as long as it names one."""

    def __init__(
        self,
        engine: ServerEngine,
        pump: Pump,
        *,
        snapshot_path: Callable[[], str],
        source_address: Callable[[], str] = lambda: "",
        tls_context: Callable[[], ssl.SSLContext | None] = lambda: None,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Prepare.

        `snapshot_path` is where this server keeps its own snapshot, `source_address` the local
        address to connect from (`bind-source-addr`), or empty; `tls_context` is given when the link
        is to go over TLS (`tls-replication`).
        """
        self._engine = engine
        self._replication = engine.replication
        self._pump = pump
        self._snapshot_path = snapshot_path
        self._source_address = source_address
        self._tls_context = tls_context
        self._clock_ms = clock_ms
        #: Set when the master to follow may have changed; replaced when that was noticed.
        self._changed = trio.Event()
        #: The link that is up or being made.
        self._attempt: LinkAttempt | None = None
        #: What was last logged of failures, so that each is told once and not at each attempt.
        self._told: tuple[LinkFailure, str] | None = None

    # --- what others ask -------------------------------------------------------------------------

    def relink(self) -> None:
        """End the present attempt and begin anew with the master that is now to be followed."""
        self._told = None
        self._changed.set()
        if self._attempt is not None:
            self._attempt.cancel()

    def drain(self) -> None:
        """Apply what of the master's stream has arrived."""
        if self._attempt is not None:
            self._attempt.drain()

    def forget(self, session: Session) -> None:
        """Note that `session` was closed: if it is the master's, the link is made anew."""
        if self._attempt is not None and self._attempt.runs_in(session):
            self._attempt.cancel()

    def on_synced(self) -> None:
        """Note that more of the stream is on the disk; the master may wait to hear of it."""
        if self._attempt is not None:
            self._attempt.on_synced()

    # --- the task --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow for ever; while there is no master, wait for one."""
        while True:
            self._changed = trio.Event()
            master = self._replication.master
            if master is None:
                await self._changed.wait()
                continue
            retry_after_ms = await self._follow_once(master)
            with trio.move_on_after(retry_after_ms / 1000):
                await self._changed.wait()

    async def _follow_once(self, master: Address) -> int:
        """Make one link and serve it to its end; return how long to wait before the next, in ms."""

        async def connect() -> MasterConnection:
            return await MasterConnection.open(master, self._source_address(), self._tls_context())

        self._attempt = attempt = LinkAttempt(
            self._engine,
            self._pump,
            connect,
            snapshot_path=self._snapshot_path,
            clock_ms=self._clock_ms,
        )
        self._replication.follow = attempt.follow
        try:
            await attempt.run()
        finally:
            self._attempt = None
            if attempt.failed is not None and self._replication.follow is attempt.follow:
                self._note_end(master, attempt.failed, was_up=attempt.was_up)
            # Else another master was named meanwhile: the state is no longer about this link.
        return 0 if attempt.failed is None else attempt.failed.retry_after_ms

    def _note_end(self, master: Address, failed: LinkFailed, *, was_up: bool) -> None:
        """Have the state know that the link is over, and say why, unless that was said before."""
        replication = self._replication
        replication.follow = None
        replication.end_link(
            failed.detail,
            was_up=was_up,
            keeps_position=failed.keeps_position,
            now_ms=self._clock_ms(),
        )
        settings = replication.settings
        self._engine.set_link_state(is_down=True, serves_stale_data=settings.serves_stale_data)
        if was_up or self._told != (failed.failure, failed.detail):
            self._told = (failed.failure, failed.detail)
            tell = log.error if failed.failure in _GRAVE else log.warning
            tell(
                "link.failed",
                master=str(master),
                failure=failed.failure.value,
                error=failed.detail,
                offset=replication.offset,
            )
