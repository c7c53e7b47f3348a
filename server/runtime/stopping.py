"""The end of a server that was asked for: waiting for replicas, then what is to be kept made safe.

Theory of operation. A request pauses writes. If replicas lack something of the stream they are
asked to say when they have it, and the shutdown waits (`engine.shutdown`) until they have, or
`shutdown-timeout` is over, or it is called off. Then a rewrite that nothing depends on is given up
and the last snapshot is written. What cannot be made safe ends the shutdown, unless it is forced:
the server goes on, and whoever asked is told.

Follows Redis 7.0 `server.c: prepareForShutdown, finishShutdown, cancelShutdown`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from vedette.clients import PausePurpose

from .. import directives
from ..engine.host import ShutdownRequest
from ..engine.shutdown import SHUTDOWN
from ..persistence.aof.log import AofState
from .clock import wall_clock_ms

if TYPE_CHECKING:
    from ..engine import ServerEngine

log = structlog.get_logger()

#: The pause of writes that ends with the process.
_FOR_EVER_MS: Final = 365 * 24 * 3600 * 1000


class Saver(Protocol):
    """What a shutdown asks of the process (see `ServerHost`)."""

    @property
    def engine(self) -> ServerEngine:
        """The engine that is to end."""

    def save(self) -> None:
        """See `Host`."""

    def abort_background_save(self) -> None:
        """See `Host`."""


class Stopping:
    """Carries a shutdown out; the only writer of `engine.shutdown`."""

    def __init__(
        self,
        host: Saver,
        on_end: Callable[[], None],
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        """Prepare. `on_end` is called when all is done, and nothing calls the end off any more."""
        self._host = host
        self._on_end = on_end
        self._clock_ms = clock_ms
        self._is_decided = False
        #: What a signal asked for while timers are paused: they carry it out, as in Redis.
        self._held: ShutdownRequest | None = None

    def request_by_signal(self, request: ShutdownRequest) -> None:
        """Do what `request` does, but not before timers run again (DEBUG PAUSE-CRON)."""
        if self._host.engine.are_timers_paused:
            self._held = request
        else:
            self.request(request)

    def request(self, request: ShutdownRequest) -> None:
        """See `Host.request_shutdown`. From here on writes wait: none may be acknowledged and lost.

        While one waits a second joins it, or ends the waiting if it is to be now.
        """
        engine = self._host.engine
        shutdown, replication = engine.shutdown, engine.replication
        if self._is_decided:
            return
        if shutdown.is_waiting:
            if request.is_now:
                self._finish(request)
            return
        now_ms = self._clock_ms()
        log.warning("server.shutdown_requested")
        engine.pause(now_ms + _FOR_EVER_MS, writes_only=True, purpose=PausePurpose.SHUTDOWN)
        timeout_s = 0 if request.is_now else engine.configuration[directives.SHUTDOWN_TIMEOUT]
        shutdown.begin(request, replication.offset, now_ms + timeout_s * 1000)
        if shutdown.is_over(replication.feeds.values(), now_ms):
            self._finish(request)
            return
        replication.wants_acknowledgements = True
        log.info("server.shutdown_waits_for_replicas", offset=shutdown.target_offset)

    def advance(self) -> None:
        """End the wait if it is time; to be called ten times a second, and when a replica has
        acknowledged.
        """
        engine = self._host.engine
        if self._held is not None and not engine.are_timers_paused:
            held, self._held = self._held, None
            with suppress(OSError):  # as below
                self.request(held)
        request = engine.shutdown.request
        if request is not None and engine.shutdown.is_over(
            engine.replication.feeds.values(), self._clock_ms()
        ):
            with suppress(OSError):  # it is in the log, and whoever waits is told
                self._finish(request)

    def abort(self) -> bool:
        """See `Host.abort_shutdown`."""
        if self._held is None and not self._host.engine.shutdown.is_waiting:
            return False
        log.warning("server.shutdown_aborted")
        self._held = None
        self._cancel()
        return True

    def _finish(self, request: ShutdownRequest) -> None:
        """Make safe what is to be kept, and end.

        Raises:
            OSError: it cannot be, and the end is not forced; the server goes on.
        """
        engine = self._host.engine
        self._tell_lagging()
        self._host.abort_background_save()
        try:
            self._stop_rewriting(is_forced=request.is_forced)
            self._save(request)
        except OSError:
            log.error("server.shutdown_failed")
            self._cancel()
            raise
        # Clients that wait for the end go on waiting: they get it.
        engine.shutdown.end()
        self._is_decided = True
        self._on_end()
        engine.scripting.end_run()

    def _cancel(self) -> None:
        """Go on serving, writes too; whoever waits for the end is told that it does not come."""
        engine = self._host.engine
        engine.shutdown.end()
        engine.wake(SHUTDOWN)
        engine.unpause(PausePurpose.SHUTDOWN)

    def _tell_lagging(self) -> None:
        """Say how many replicas have all of the stream, and which do not."""
        shutdown = self._host.engine.shutdown
        feeds = self._host.engine.replication.feeds.values()
        lagging = shutdown.lagging(feeds)
        for feed in lagging:
            log.warning(
                "replica.lags_at_shutdown",
                replica=feed.host,
                port=feed.options.listening_port,
                state=feed.state.value,
                missing_bytes=shutdown.target_offset - feed.reached_offset,
                lag_s=feed.lag_s(self._clock_ms()),
            )
        if feeds:
            in_sync = len(feeds) - len(lagging)
            log.info("server.replicas_in_sync_at_shutdown", in_sync=in_sync, replicas=len(feeds))

    def _stop_rewriting(self, *, is_forced: bool) -> None:
        """Give up a rewrite, before it slows what is to be saved.

        Raises:
            OSError: it is the first, nothing else holds the dataset yet, and the end is not forced.
        """
        aof = self._host.engine.aof
        if not aof.rewrite.is_in_progress:
            return
        if aof.state is AofState.AWAITING_REWRITE:
            if not is_forced:
                log.error("server.stop_refused", error="Writing initial AOF, can't exit")
                raise OSError("Writing initial AOF, can't exit")
            log.warning("aof.rewrite_killed", error="the dataset is in no append-only file")
        assert aof.port is not None
        aof.port.stop_rewriting()

    def _save(self, request: ShutdownRequest) -> None:
        """Write the last snapshot if one is asked for.

        Raises:
            OSError: it cannot be written, and the end is not forced.
        """
        engine = self._host.engine
        points = engine.configuration[directives.SAVE]
        # What is not loaded yet must not take the place of what is being loaded.
        is_loading = engine.load.started_ms is not None
        if is_loading or not (request.save or (request.save is None and points)):
            return
        try:
            self._host.save()
        except OSError as error:
            log.error("snapshot.failed", error=str(error))
            if not request.is_forced:
                raise
