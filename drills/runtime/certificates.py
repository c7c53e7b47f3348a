"""The certificates of a laboratory over TLS: an authority of its own, and one for all processes."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from vedette.conf.tls import TlsSettings
from vedette.runtime.tls import client_context

from ..lab import HOST, PlanError, TlsFiles

if TYPE_CHECKING:
    import trustme


def make_certificates(directory: Path) -> TlsFiles:
    """Write an authority, a certificate that it has signed, and its key, into `directory`.

    Raises:
        PlanError: the library that makes them is not installed, or they cannot be written.
    """
    try:
        import trustme  # optional: nothing else needs it, see docs/adr/0033
    except ImportError as error:
        raise PlanError(
            "--tls makes certificates with trustme: pip install 'vedette[certificates]'"
        ) from error
    try:
        return _write_certificates(trustme.CA(), directory)
    except OSError as error:
        raise PlanError(f"cannot write to {directory}: {error.strerror}") from error


def _write_certificates(authority: trustme.CA, directory: Path) -> TlsFiles:
    directory.mkdir(parents=True, exist_ok=True)
    files = TlsFiles(
        authority=directory / "ca.crt",
        certificate=directory / "process.crt",
        key=directory / "process.key",
    )
    certificate = authority.issue_cert(HOST, "localhost")
    authority.cert_pem.write_to_path(str(files.authority))
    files.certificate.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    files.key.touch(mode=0o600)
    certificate.private_key_pem.write_to_path(str(files.key))
    return files


def context_of(tls: TlsFiles | None) -> ssl.SSLContext | None:
    """Return what connections to the laboratory's processes are made with, None for plain ones."""
    if tls is None:
        return None
    return client_context(
        TlsSettings(
            ca_cert_file=str(tls.authority), cert_file=str(tls.certificate), key_file=str(tls.key)
        )
    )
