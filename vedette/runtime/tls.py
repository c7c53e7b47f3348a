"""TLS under pump, links and connections: contexts, and a socket that behaves like a plain one.

Sockets here are non-blocking and served by whoever asked the kernel whether they are ready. So is a
`TlsSocket`: where TLS wants to read or write first, it says that nothing is there yet, as a plain
socket does. Follows Redis 7.0 `tls.c`: peers are verified by the authority that signed them, not
by the names in their certificates.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final

import trio

from ..certificates import expiry_s
from ..conf.tls import TlsSettings
from ..errors import VedetteError

_VERSIONS: Final = {
    "tlsv1": ssl.TLSVersion.TLSv1,
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
_DEFAULT_VERSIONS: Final = ("tlsv1.2", "tlsv1.3")
_VERIFY_CLIENTS: Final = {
    "no": ssl.CERT_NONE,
    "yes": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
}


class TlsError(VedetteError):
    """What the directives say of TLS cannot be used; the text says which and why."""


class TlsSocket(ssl.SSLSocket):
    """A socket over TLS that raises `BlockingIOError` whenever it has to wait for its peer.

    The handshake is made by whatever is received or sent first. Other errors are `OSError`s.
    """

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Return what has arrived, all of what was decrypted with it, or `b""` at the end."""
        try:
            data = super().recv(buflen, flags)
            while data and (held_back := self.pending()):
                data += super().recv(held_back, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError(errno.EAGAIN, "TLS waits for its peer") from error
        return data

    def send(self, data: bytes, flags: int = 0) -> int:  # type: ignore[override]  # as is called
        """Send what the socket takes of `data`; return how much that was."""
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError(errno.EAGAIN, "TLS waits for its peer") from error


class TlsContexts:
    """The contexts in force: made of the settings at start, and again when those have changed.

    `listens()` and `connects()` say which of the two is wanted at all.

    Raises:
        TlsError: what is wanted cannot be made.
    """

    def __init__(
        self,
        settings: Callable[[], TlsSettings],
        *,
        listens: Callable[[], bool],
        connects: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._listens = listens
        self._connects = connects
        self._server: ssl.SSLContext | None = None
        self._client: ssl.SSLContext | None = None
        #: When the first certificate of each file in use expires, Unix time: `own` (by which this
        #: process is known), `client` (where that is another when it connects), `authority`.
        self.expiries_s: dict[str, float] = {}
        self.renew()

    def renew(self) -> None:
        """Make the contexts anew; those of connections that stand remain. Raises TlsError."""
        settings = self._settings()
        server = server_context(settings) if self._listens() else None
        client = client_context(settings) if self._connects() else None
        self._server, self._client = server, client
        self.expiries_s = _expiries_s(settings) if server or client else {}

    def for_server(self) -> ssl.SSLContext:
        """Return the context for an accepted connection."""
        assert self._server is not None
        return self._server

    def for_client(self) -> ssl.SSLContext | None:
        """Return the context for an outgoing connection; None: it is to be a plain one."""
        return self._client


def _expiries_s(settings: TlsSettings) -> dict[str, float]:
    files = {
        "own": settings.cert_file,
        "client": settings.client_cert_file,
        "authority": settings.ca_cert_file,
    }
    found: dict[str, float] = {}
    for name, path in files.items():
        if not path:
            continue
        try:
            with open(path, encoding="ascii", errors="replace") as file:
                expires_s = expiry_s(file.read())
        except (OSError, ValueError):
            continue  # OpenSSL could use it, which is what counts; only its end stays unknown
        if expires_s is not None:
            found[name] = expires_s
    return found


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context for connections that are accepted.

    Raises:
        TlsError: a file cannot be used, or the certificate, its key or the authority is missing.
    """
    if not settings.cert_file or not settings.key_file:
        raise TlsError("tls-cert-file and tls-key-file are needed to listen for TLS")
    context = _context(ssl.PROTOCOL_TLS_SERVER, settings)
    _load_certificate(context, settings.cert_file, settings.key_file, settings.key_file_pass)
    context.verify_mode = _VERIFY_CLIENTS[settings.auth_clients]
    if settings.dh_params_file:
        try:
            context.load_dh_params(settings.dh_params_file)
        except OSError as error:
            raise _unusable("tls-dh-params-file", settings.dh_params_file, error) from error
    if settings.prefer_server_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if not settings.session_caching:
        # No tickets, in any version. What TLS 1.2 remembers by number Python's ssl cannot forbid.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def client_context(settings: TlsSettings, *, verifies_peers: bool = True) -> ssl.SSLContext:
    """Return the context for connections that are opened.

    Raises:
        TlsError: a file cannot be used, or the authority is missing that peers are verified by.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, settings, verifies_peers=verifies_peers)
    if settings.client_cert_file:
        own = settings.client_cert_file, settings.client_key_file, settings.client_key_file_pass
        _load_certificate(context, *own)
    elif settings.cert_file:
        _load_certificate(context, settings.cert_file, settings.key_file, settings.key_file_pass)
    return context


def _context(
    protocol: int, settings: TlsSettings, *, verifies_peers: bool = True
) -> ssl.SSLContext:
    if verifies_peers and not settings.ca_cert_file and not settings.ca_cert_dir:
        raise TlsError("tls-ca-cert-file or tls-ca-cert-dir is needed to verify peers")
    context = ssl.SSLContext(protocol)
    context.sslsocket_class = TlsSocket
    context.check_hostname = False
    names = settings.protocols.lower().split() or list(_DEFAULT_VERSIONS)
    unknown = [name for name in names if name not in _VERSIONS]
    if unknown:
        raise TlsError(f"tls-protocols: {unknown[0]} is none of {', '.join(_VERSIONS)}")
    versions = [_VERSIONS[name] for name in names]
    context.minimum_version, context.maximum_version = min(versions), max(versions)
    try:
        if settings.ciphers:
            context.set_ciphers(settings.ciphers)
    except ssl.SSLError as error:
        raise TlsError(f"tls-ciphers: {_reason_of(error)}") from error
    if not verifies_peers:
        context.verify_mode = ssl.CERT_NONE
        return context
    file, directory = settings.ca_cert_file, settings.ca_cert_dir
    if directory and not os.path.isdir(directory):
        raise TlsError(f"tls-ca-cert-dir: {directory} is no directory")
    try:
        context.load_verify_locations(file or None, directory or None)
    except OSError as error:
        raise _unusable("tls-ca-cert-file", file or directory, error) from error
    return context


def _load_certificate(
    context: ssl.SSLContext, certificate_file: str, key_file: str, password: str
) -> None:
    try:
        # Without a password given here a locked key would have one asked for at the terminal.
        context.load_cert_chain(certificate_file, key_file or None, lambda: password)
    except OSError as error:
        raise _unusable("certificate", f"{certificate_file}, {key_file}", error) from error


def _unusable(what: str, where: str, error: OSError) -> TlsError:
    return TlsError(f"{what}: {where} cannot be used: {_reason_of(error)}")


def _reason_of(error: OSError) -> str:
    """Return OpenSSL's word for what is wrong, or else the operating system's."""
    return getattr(error, "reason", None) or error.strerror or str(error)


def accept_tls(connection: socket.socket, context: ssl.SSLContext) -> socket.socket:
    """Return an accepted non-blocking connection as one over TLS, its handshake to come.

    The connection given is used up. Raises OSError if it is gone already.
    """
    return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)


async def open_tls(connection: socket.socket, context: ssl.SSLContext) -> socket.socket:
    """Return a connected non-blocking socket as one over TLS, once the handshake is made.

    The connection given is used up, and closed if the handshake fails.

    Raises:
        OSError: the peer is gone, speaks no TLS or is not trusted, or does not trust us.
    """
    secured = context.wrap_socket(connection, do_handshake_on_connect=False)
    try:
        while True:
            try:
                secured.do_handshake()
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(secured)
            except ssl.SSLWantWriteError:
                await trio.lowlevel.wait_writable(secured)
            else:
                return secured
    except BaseException:
        secured.close()
        raise


async def secure(
    stream: trio.abc.Stream, context: ssl.SSLContext | None, host: str | None = None
) -> trio.abc.Stream:
    """Return a stream that was connected as one over TLS, once the handshake is made.

    Without a context it is returned as it is. `host` is the name that a context which checks names
    looks for in the certificate. The stream is closed if the handshake fails.

    Raises:
        OSError: as `open_tls`.
    """
    if context is None:
        return stream
    # Peers close without the goodbye of TLS, as Redis does: the end of their stream is the end.
    secured = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await secured.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise (
            error.__cause__
            if isinstance(error.__cause__, OSError)
            else ConnectionError("the TLS handshake failed")
        ) from error
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secured
