"""TLS on the command line, in redis-cli's words, for whatever asks servers and sentinels.

As with redis-cli the other side's certificate must come from an authority that is named, and may
carry any name.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from vedette.conf.tls import TlsSettings
from vedette.runtime.tls import TlsError, client_context

from ..targets import Target

# Any: whatever click makes a command of.
_Command = TypeVar("_Command", bound=Callable[..., Any])

_NO_AUTHORITY = "--cacert or --cacertdir must say whom to trust (or --insecure)"
_FILE = click.Path(exists=True, dir_okay=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """What was given on the command line."""

    #: Speak TLS to targets whose scheme does not say.
    is_wanted: bool
    authority_file: str | None
    authority_directory: str | None
    certificate_file: str | None
    key_file: str | None
    is_insecure: bool

    def applied_to(self, target: Target) -> Target:
        """Return the target, over TLS if that was asked for."""
        return target.over_tls() if self.is_wanted else target

    def context(self) -> ssl.SSLContext | None:
        """Return what to open connections with; None if nothing about TLS was said.

        Raises:
            TlsError: a file cannot be used, or nothing says whom to trust.
        """
        if bool(self.certificate_file) is not bool(self.key_file):
            raise TlsError("--cert and --key go together")
        if not (self.is_insecure or self.authority_file or self.authority_directory):
            if self.is_wanted or self.certificate_file:
                raise TlsError(_NO_AUTHORITY)
            return None
        return client_context(
            TlsSettings(
                ca_cert_file=self.authority_file or "",
                ca_cert_dir=self.authority_directory or "",
                cert_file=self.certificate_file or "",
                key_file=self.key_file or "",
            ),
            verifies_peers=not self.is_insecure,
        )

    def context_for(self, target: Target) -> ssl.SSLContext | None:
        """Return what to open a connection to `target` with; None: a plain one.

        Raises:
            TlsError: as `context`, or the target is to be asked over TLS and nobody is trusted.
        """
        context = self.context()
        if not target.uses_tls:
            return None
        if context is None:
            raise TlsError(_NO_AUTHORITY)
        return context


def tls_options(command: _Command) -> _Command:
    """Give a command the options from which `collect_tls` makes `TlsOptions`."""
    whether = click.option("--tls", is_flag=True, help="Speak TLS, whatever the scheme says.")
    return whether(certificate_options(command))


def certificate_options(command: _Command) -> _Command:
    """Give a command the same options without `--tls`, which it has of its own."""
    for decorate in reversed(
        (
            click.option("--cacert", type=_FILE, help="Authorities whose certificates are good."),
            click.option(
                "--cacertdir",
                type=click.Path(exists=True, file_okay=False),
                help="The same, as a hashed directory.",
            ),
            click.option("--cert", type=_FILE, help="Our certificate, where one is asked for."),
            click.option("--key", type=_FILE, help="Its private key."),
            click.option("--insecure", is_flag=True, help="Take any certificate for good."),
        )
    ):
        command = decorate(command)
    return command


def collect_tls(
    *,
    tls: bool,
    cacert: str | None,
    cacertdir: str | None,
    cert: str | None,
    key: str | None,
    insecure: bool,
) -> TlsOptions:
    """Return the options of `tls_options` as one record."""
    return TlsOptions(
        is_wanted=tls,
        authority_file=cacert,
        authority_directory=cacertdir,
        certificate_file=cert,
        key_file=key,
        is_insecure=insecure,
    )
