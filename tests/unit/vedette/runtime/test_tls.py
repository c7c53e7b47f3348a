"""TLS under the pump, and contexts: what good, slow, plain and silent peers get."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
import trustme

from tests.support.kernel import START_MS, KernelEngine, as_request
from tests.support.waiting import wait_until_async
from vedette.conf.tls import TlsSettings
from vedette.runtime.background import open_background_nursery
from vedette.runtime.listening import open_listeners
from vedette.runtime.pump import Pump
from vedette.runtime.tls import TlsContexts, TlsError, client_context, secure, server_context

PING = as_request("PING")
PONG = b"+PONG\r\n"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    """Return settings with a certificate of an authority of their own."""
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(directory / "ca"))
    certificate.cert_chain_pems[0].write_to_path(str(directory / "cert"))
    certificate.private_key_pem.write_to_path(str(directory / "key"))
    return TlsSettings(
        cert_file=str(directory / "cert"),
        key_file=str(directory / "key"),
        ca_cert_file=str(directory / "ca"),
    )


@asynccontextmanager
async def serving(settings: TlsSettings) -> AsyncIterator[tuple[KernelEngine, int]]:
    """Serve an engine over TLS until the body ends; yield it and its port."""
    engine = KernelEngine()
    context = server_context(settings)
    pump = Pump(engine, clock_ms=lambda: START_MS, tls_context=lambda: context)
    [listener] = open_listeners(["127.0.0.1"], 0, 100)
    with listener, trio.fail_after(20):
        async with open_background_nursery() as nursery:
            await nursery.start(pump.serve, [], [listener])
            yield engine, listener.getsockname()[1]


async def connect(port: int, settings: TlsSettings) -> trio.abc.Stream:
    return await secure(await trio.open_tcp_stream("127.0.0.1", port), client_context(settings))


async def ask(stream: trio.abc.Stream) -> bytes:
    """Send PING and return the next reply."""
    await stream.send_all(PING)
    return await read(stream, len(PONG))


async def read(stream: trio.abc.Stream, size: int) -> bytes:
    """Return the next `size` bytes, or fewer if the stream ends before."""
    received = bytearray()
    while len(received) < size and (data := await stream.receive_some()):
        received += data
    return bytes(received)


async def test_values_larger_than_any_buffer_go_both_ways(settings: TlsSettings) -> None:
    """Records, half-decrypted reads and sockets that are full must not lose or reorder a byte."""
    value = bytes(range(256)) * 20_000
    async with serving(settings) as (_, port):
        stream = await connect(port, settings)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                stream.send_all, as_request("STORE", "k", value) + as_request("FETCH", "k") * 3
            )
            expected = b"+OK\r\n" + b"$%d\r\n%b\r\n" % (len(value), value) * 3
            received = await read(stream, len(expected))
        await trio.aclose_forcefully(stream)

    assert received == expected


async def test_peers_that_speak_no_tls_or_nothing_disturb_nobody(settings: TlsSettings) -> None:
    """A handshake that never comes holds nothing up."""
    async with serving(settings) as (engine, port):
        silent = await trio.open_tcp_stream("127.0.0.1", port)
        plain = await trio.open_tcp_stream("127.0.0.1", port)
        await plain.send_all(PING)
        stream = await connect(port, settings)

        assert await ask(stream) == PONG
        await wait_until_async(lambda: len(engine.clients) == 2)  # the plain one is closed
        await plain.aclose()
        await silent.aclose()
        await wait_until_async(lambda: len(engine.clients) == 1)
        await trio.aclose_forcefully(stream)


async def test_clients_without_a_certificate_get_no_reply(settings: TlsSettings) -> None:
    """TLS 1.3 tells them only when they read."""
    context = ssl.create_default_context(cafile=settings.ca_cert_file)
    context.check_hostname = False
    async with serving(settings) as (engine, port):
        plain = await trio.open_tcp_stream("127.0.0.1", port)
        stream = await secure(plain, context)
        with pytest.raises(trio.BrokenResourceError):
            await ask(stream)
        await trio.aclose_forcefully(stream)
        await wait_until_async(lambda: len(engine.clients) == 0)


async def test_servers_of_another_authority_are_not_trusted(
    settings: TlsSettings, tmp_path: Path
) -> None:
    """A link must not hand its password to whoever sits at the address."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other"))
    suspicious = TlsSettings(ca_cert_file=str(tmp_path / "other"))
    async with serving(settings) as (_, port):
        with pytest.raises(OSError, match="certificate verify failed"):
            await connect(port, suspicious)


async def test_a_client_that_verifies_nobody_needs_no_authority(settings: TlsSettings) -> None:
    """And still shows its own certificate to a server that asks for it."""
    own = TlsSettings(cert_file=settings.cert_file, key_file=settings.key_file)
    context = client_context(own, verifies_peers=False)
    async with serving(settings) as (_, port):
        stream = await secure(await trio.open_tcp_stream("127.0.0.1", port), context)
        assert await ask(stream) == PONG
        await trio.aclose_forcefully(stream)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cert_file": ""}, "tls-cert-file and tls-key-file are needed"),
        ({"ca_cert_file": ""}, "tls-ca-cert-file or tls-ca-cert-dir is needed"),
        ({"ca_cert_file": "/missing"}, "/missing cannot be used: No such file"),
        ({"ca_cert_dir": "/missing"}, "/missing is no directory"),
        ({"key_file": "/missing"}, "cannot be used"),
        ({"protocols": "TLSv1.2 SSLv3"}, "tls-protocols: sslv3 is none of"),
        ({"ciphers": "nonsense"}, "tls-ciphers"),
        ({"dh_params_file": "/missing"}, "tls-dh-params-file"),
    ],
)
def test_settings_that_cannot_be_used_are_named(
    settings: TlsSettings, change: dict[str, str], reason: str
) -> None:
    """The start stops with it."""
    fields = {name: getattr(settings, name) for name in TlsSettings.__slots__}

    with pytest.raises(TlsError, match=reason):
        server_context(TlsSettings(**{**fields, **change}))


def test_versions_of_the_protocol_are_those_listed(settings: TlsSettings) -> None:
    """Old ones are off unless asked for."""
    assert server_context(settings).minimum_version is ssl.TLSVersion.TLSv1_2
    only = TlsSettings(ca_cert_file=settings.ca_cert_file, protocols="TLSv1.3")
    assert client_context(only).minimum_version is ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
@pytest.mark.parametrize("caching", [True, False])
def test_tickets_are_given_unless_sessions_are_not_to_be_cached(
    settings: TlsSettings, version: str, *, caching: bool
) -> None:
    """A ticket resumes a session after the server has restarted with the same key, or not."""
    settings = replace(settings, session_caching=caching, protocols=version)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(settings).wrap_bio(to_server, to_client, server_side=True)
    client = client_context(settings).wrap_bio(to_client, to_server)
    for _ in range(4):
        for side in (client, server):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    server.write(b"x")  # tickets of TLS 1.3 come with the first data
    client.read(1)

    assert client.session is not None
    assert client.session.has_ticket is caching


def test_ends_of_the_certificates_in_use_are_known(settings: TlsSettings, tmp_path: Path) -> None:
    """Of new files when they are taken; a process that uses none has none that may expire."""
    current = settings
    contexts = TlsContexts(lambda: current, listens=lambda: True, connects=lambda: False)
    before = contexts.expiries_s
    until = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    certificate = trustme.CA().issue_cert("127.0.0.1", not_after=until)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "new"))
    current = replace(settings, cert_file=str(tmp_path / "new"), key_file=str(tmp_path / "new"))
    contexts.renew()
    idle = TlsContexts(lambda: settings, listens=lambda: False, connects=lambda: False)

    assert before.keys() == {"own", "authority"}
    assert contexts.expiries_s == {**before, "own": until.timestamp()}
    assert idle.expiries_s == {}
