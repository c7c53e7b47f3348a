"""`/metrics` for Prometheus, and `/health`: what a program offers to monitoring over HTTP.

Owns the exposition: text or OpenMetrics as the scraper asks, compressed if it can take it. Knows no
metric: a function gives them, from what is in memory, so that a scrape never waits for anything and
disturbs nobody. Encoding is left to a worker thread, since with hundreds of masters it takes long
enough for a sentinel to notice.
"""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Final

import trio
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ..http import Request, Response, text_response
from .http_server import serve_http

METRICS_PATH: Final = "/metrics"
HEALTH_PATHS: Final = ("/health", "/-/healthy")
#: Bodies shorter than this are not worth compressing.
_GZIP_MIN_BYTES: Final = 1024
#: Levels above cost more time than they save bytes.
_GZIP_LEVEL: Final = 1


async def serve_metrics(
    listeners: Sequence[socket.socket],
    collect: Callable[[], Iterable[Metric]],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve what `collect` returns on `listeners`, until cancelled; closes them at the end.

    `collect` is called for every scrape, in trio's thread, and must not wait. If it raises the
    scraper gets a 500, and the log the reason.
    """

    async def handle(request: Request) -> Response:
        if request.path == METRICS_PATH:
            return await exposition(request, collect())
        return health_or_not_found(request)

    await serve_http(listeners, handle, task_status=task_status)


def health_or_not_found(request: Request) -> Response:
    """Return the answer to what is not metrics."""
    if request.path in HEALTH_PATHS:
        return text_response(HTTPStatus.OK, "ok")
    return text_response(HTTPStatus.NOT_FOUND, f"not found; metrics are at {METRICS_PATH}")


async def exposition(request: Request, metrics: Iterable[Metric]) -> Response:
    """Return `metrics` in the format and encoding that the scraper asks for."""
    return await trio.to_thread.run_sync(partial(_encode, request, metrics))


def _encode(request: Request, metrics: Iterable[Metric]) -> Response:
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except (ValueError, TypeError):  # for a version that is no number, the library raises either
        encode, content_type = choose_encoder("")
    body = encode(_Snapshot(metrics))
    headers = {"Vary": "Accept, Accept-Encoding"}
    if len(body) >= _GZIP_MIN_BYTES and gzip_accepted(request.headers.get("accept-encoding", "")):
        body = gzip.compress(body, _GZIP_LEVEL)
        headers["Content-Encoding"] = "gzip"
    return Response(HTTPStatus.OK, body, content_type, headers)


class _Snapshot(Collector):
    """Metrics in the shape of a registry, which is what encoders take."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics
