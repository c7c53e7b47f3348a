"""`vedette exporter`: metrics of servers and sentinels that do not serve their own.

- `/metrics`: the exporter's counters, and the target's metrics if exactly one was configured;
- `/scrape?target=redis://host:port`: the metrics of any target, with the credentials configured for
  it, if any were;
- `/health`.

The paths are redis_exporter's, so Prometheus' configuration for that serves this as well.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Sequence
from http import HTTPStatus

import structlog
import trio

from vedette import __version__
from vedette.http import Request, Response, text_response
from vedette.runtime.http_server import serve_http
from vedette.runtime.metrics_endpoint import METRICS_PATH, exposition, health_or_not_found
from vedette.runtime.process import stop_signals
from vedette.types import Address

from ..families import Families
from ..scrapes import ScrapeCounters
from ..targets import BadTarget, Target, parse_target, with_credentials
from .scraping import scrape
from .tls_options import TlsOptions

log = structlog.get_logger()

SCRAPE_PATH = "/scrape"


async def run_exporter(
    listeners: Sequence[socket.socket],
    targets: Sequence[Target],
    *,
    timeout_s: float,
    tls: TlsOptions,
) -> None:
    """Serve on `listeners` until SIGINT or SIGTERM; closes them.

    Raises:
        TlsError: what `tls` says cannot be used.
    """
    exporter = Exporter(targets, timeout_s=timeout_s, tls=tls)
    with stop_signals() as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_http, listeners, exporter.handle)
            log.info(
                "exporter.started",
                addr=" ".join(str(_address_of(listener)) for listener in listeners),
                targets=" ".join(target.key for target in targets),
            )
            nursery.start_soon(_warn_of_unknown_hosts, targets, timeout_s)
            async for number in signals:
                log.info("exporter.stopped", signal=signal.Signals(number).name)
                nursery.cancel_scope.cancel()
                break


async def _warn_of_unknown_hosts(targets: Sequence[Target], timeout_s: float) -> None:
    """Say at once which names lead nowhere: they may be mistyped.

    That stops nobody: where processes are started together a name may come to be known later.
    """
    for target in targets:
        try:
            with trio.fail_after(timeout_s):
                await trio.socket.getaddrinfo(*target.address)
        except trio.TooSlowError:
            error = f"no answer within {timeout_s:g} s"
        except OSError as unknown:
            error = unknown.strerror or str(unknown)
        else:
            continue
        log.warning("exporter.host_unknown", target=target.key, error=error)


def _address_of(listener: socket.socket) -> Address:
    host, port = listener.getsockname()[:2]
    return Address(host, port)


class Exporter:
    """Answers requests; keeps nothing but counters."""

    def __init__(self, targets: Sequence[Target], *, timeout_s: float, tls: TlsOptions) -> None:
        self._tls = tls
        self._tls_context = tls.context()
        self._configured = {target.key: target for target in targets}
        self._timeout_s = timeout_s
        self._counters = ScrapeCounters()

    async def handle(self, request: Request) -> Response:
        """Return the answer to one request."""
        if request.path == METRICS_PATH:
            return await self._metrics(request)
        if request.path == SCRAPE_PATH:
            return await self._scrape(request)
        return health_or_not_found(request)

    async def _metrics(self, request: Request) -> Response:
        families = Families()
        if len(self._configured) == 1:
            (target,) = self._configured.values()
            families = await self._ask(target)
        self._counters.add_to(families, __version__)
        return await exposition(request, families.metrics())

    async def _scrape(self, request: Request) -> Response:
        try:
            if not request.query.get("target"):
                raise BadTarget("the parameter 'target' is missing")
            named = self._tls.applied_to(parse_target(request.query["target"]))
        except BadTarget as error:
            self._counters.request_errors += 1
            return text_response(HTTPStatus.BAD_REQUEST, str(error))
        families = await self._ask(with_credentials(named, self._configured))
        return await exposition(request, families.metrics())

    async def _ask(self, target: Target) -> Families:
        began_s = trio.current_time()
        families = await scrape(target, self._timeout_s, self._tls_context)
        self._counters.scrapes += 1
        self._counters.seconds += trio.current_time() - began_s
        return families
