"""The server's own `/metrics`, on the port that the configuration names at present."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import structlog
import trio

from .. import directives
from ..config import ChangeRefused, Configuration
from .listeners import ListenError, Listeners

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

log = structlog.get_logger()


class MetricsServing:
    """Serves scrapers; a CONFIG SET of `metrics-port` has it begin anew on another port."""

    def __init__(
        self,
        configuration: Configuration,
        listeners: Listeners,
        collect: Callable[[], Iterable[Metric]],
    ) -> None:
        """Open the port, if there is to be one.

        Raises:
            ListenError: it cannot be had.
        """
        self._configuration = configuration
        self._listeners = listeners
        self._collect = collect
        self._port = configuration[directives.METRICS_PORT]
        #: Open, and not yet being served; `serve_metrics` closes what it was given.
        self._waiting = self._open(self._port)
        self._scope = trio.CancelScope()
        configuration.on_change(self._move, directives.METRICS_PORT)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled."""
        task_status.started()
        while True:
            with trio.CancelScope() as self._scope:
                sockets, self._waiting = self._waiting, []
                if sockets:
                    # What encodes metrics takes longer to import than most of the server.
                    from vedette.runtime.metrics_endpoint import serve_metrics

                    await serve_metrics(sockets, self._collect)
                else:
                    await trio.sleep_forever()

    def close(self) -> None:
        """Close what is open and was never served."""
        for listener in self._waiting:
            listener.close()
        self._waiting = []

    def _open(self, port: int) -> list[socket.socket]:
        return self._listeners.listen_for_metrics(port) if port else []

    def _move(self) -> None:
        port = self._configuration[directives.METRICS_PORT]
        if port == self._port:
            return
        try:
            sockets = self._open(port)
        except ListenError as error:
            log.warning("metrics.port_not_changed", error=str(error))
            reason = "Unable to listen on this port. Check server logs."
            raise ChangeRefused(reason) from error
        self.close()
        self._port, self._waiting = port, sockets
        self._scope.cancel()
