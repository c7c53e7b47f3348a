"""`/metrics` over real sockets: formats, compression, and a collector that fails."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
import trio
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from vedette.runtime.listening import open_listeners
from vedette.runtime.metrics_endpoint import serve_metrics

OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def collect_few() -> Iterable[Metric]:
    """Return a gauge and a counter."""
    return [
        GaugeMetricFamily("redis_up", "x", value=1),
        CounterMetricFamily("redis_net_input_bytes", "x", value=7),
    ]


def collect_many() -> Iterable[Metric]:
    """Return enough to be worth compressing."""
    family = GaugeMetricFamily("a", "x", labels=["i"])
    for index in range(1000):
        family.add_metric([str(index)], index)
    return [family]


def collect_nothing() -> Iterable[Metric]:
    """Fail as a bug would."""
    raise ZeroDivisionError


@asynccontextmanager
async def serving(collect: Callable[[], Iterable[Metric]]) -> AsyncIterator[int]:
    """Serve the metrics and give the port."""
    (listener,) = open_listeners(["127.0.0.1"], 0, 16)
    port: int = listener.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_metrics, [listener], collect)
        yield port
        nursery.cancel_scope.cancel()


async def get(port: int, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Ask for `path` on a connection of its own."""
    lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await stream.send_all("\r\n".join([*lines, "", ""]).encode())
        data = b"".join([bytes(chunk) async for chunk in stream])
    head, _, body = data.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in rest)
    assert int(fields["content-length"]) == len(body)
    return Answer(int(first.split()[1]), fields, body)


async def test_metrics_are_text_unless_asked_otherwise() -> None:
    """curl and old scrapers get what everybody can read."""
    async with serving(collect_few) as port:
        answer = await get(port, "/metrics")

    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.body.decode().splitlines() == [
        "# HELP redis_up x",
        "# TYPE redis_up gauge",
        "redis_up 1.0",
        "# HELP redis_net_input_bytes_total x",
        "# TYPE redis_net_input_bytes_total counter",
        "redis_net_input_bytes_total 7.0",
    ]


async def test_open_metrics_is_given_to_who_prefers_it() -> None:
    """Prometheus does; the names stay the same."""
    async with serving(collect_few) as port:
        answer = await get(port, "/metrics", {"Accept": f"{OPEN_METRICS},text/plain;q=0.5"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    families = text_string_to_metric_families(  # type: ignore[no-untyped-call]
        answer.body.decode()
    )
    assert [sample.name for family in families for sample in family.samples] == [
        "redis_up",
        "redis_net_input_bytes_total",
    ]


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=x",
        "application/openmetrics-text; version=1.x",
        "text/plain; version=1.0.0; escaping=x",
        ";;,=",
        "*/*",
    ],
)
async def test_an_odd_wish_is_answered_with_text(accept: str) -> None:
    """A header is no reason to fail."""
    async with serving(collect_few) as port:
        answer = await get(port, "/metrics", {"Accept": accept})

    assert answer.status == 200
    assert b"redis_up 1.0\n" in answer.body


async def test_what_is_long_is_compressed_for_who_takes_it() -> None:
    """A sentinel of many masters has a lot to tell, over and over."""
    async with serving(collect_many) as port:
        packed = await get(port, "/metrics", {"Accept-Encoding": "deflate, gzip;q=1.0"})
        plain = await get(port, "/metrics")

    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 2
    assert gzip.decompress(packed.body) == plain.body
    assert "content-encoding" not in plain.headers


async def test_what_is_short_is_not_compressed() -> None:
    """It would not become shorter."""
    async with serving(collect_few) as port:
        answer = await get(port, "/metrics", {"Accept-Encoding": "gzip"})

    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/-/healthy"])
async def test_health_is_told_without_collecting(path: str) -> None:
    """It says that the process runs, and nothing else."""
    async with serving(collect_nothing) as port:
        assert (await get(port, path)).body == b"ok\n"


async def test_other_paths_name_the_right_one() -> None:
    """Whoever guesses finds the way."""
    async with serving(collect_few) as port:
        answer = await get(port, "/")

    assert answer.status == 404
    assert b"/metrics" in answer.body


async def test_a_collector_that_fails_is_a_500_each_time() -> None:
    """The scraper sees it, and the program goes on."""
    async with serving(collect_nothing) as port:
        answers = [await get(port, "/metrics") for _ in range(2)]

    assert [answer.status for answer in answers] == [500, 500]
