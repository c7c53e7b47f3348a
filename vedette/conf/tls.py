"""The directives of TLS that server and sentinel share; names and defaults are Redis' (`config.c`).

What they lead to is built by `vedette.runtime.tls`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from .kinds import Choice, Integer, Text, YesNo
from .settings import Directive, Flag

TLS_PORT: Final = Directive("tls-port", Integer(0, 65535), 0, Flag.IMMUTABLE)
TLS_REPLICATION: Final = Directive("tls-replication", YesNo(), False)
TLS_AUTH_CLIENTS: Final = Directive("tls-auth-clients", Choice("no", "yes", "optional"), "yes")
TLS_CERT_FILE: Final = Directive("tls-cert-file", Text(), "")
TLS_KEY_FILE: Final = Directive("tls-key-file", Text(), "")
TLS_KEY_FILE_PASS: Final = Directive("tls-key-file-pass", Text(), "", Flag.SENSITIVE)
TLS_CLIENT_CERT_FILE: Final = Directive("tls-client-cert-file", Text(), "")
TLS_CLIENT_KEY_FILE: Final = Directive("tls-client-key-file", Text(), "")
TLS_CLIENT_KEY_FILE_PASS: Final = Directive("tls-client-key-file-pass", Text(), "", Flag.SENSITIVE)
TLS_CA_CERT_FILE: Final = Directive("tls-ca-cert-file", Text(), "")
TLS_CA_CERT_DIR: Final = Directive("tls-ca-cert-dir", Text(), "")
TLS_DH_PARAMS_FILE: Final = Directive("tls-dh-params-file", Text(), "")
TLS_PROTOCOLS: Final = Directive("tls-protocols", Text(), "")
TLS_CIPHERS: Final = Directive("tls-ciphers", Text(), "")
TLS_PREFER_SERVER_CIPHERS: Final = Directive("tls-prefer-server-ciphers", YesNo(), False)
TLS_SESSION_CACHING: Final = Directive("tls-session-caching", YesNo(), True)

#: Those that say something here.
TLS_DIRECTIVES: Final[tuple[Directive[Any], ...]] = (
    TLS_PORT,
    TLS_REPLICATION,
    TLS_AUTH_CLIENTS,
    TLS_CERT_FILE,
    TLS_KEY_FILE,
    TLS_KEY_FILE_PASS,
    TLS_CLIENT_CERT_FILE,
    TLS_CLIENT_KEY_FILE,
    TLS_CLIENT_KEY_FILE_PASS,
    TLS_CA_CERT_FILE,
    TLS_CA_CERT_DIR,
    TLS_DH_PARAMS_FILE,
    TLS_PROTOCOLS,
    TLS_CIPHERS,
    TLS_PREFER_SERVER_CIPHERS,
    TLS_SESSION_CACHING,
)
#: Those that tune what Python's ssl keeps to itself.
TLS_WITHOUT_EFFECT: Final[tuple[Directive[Any], ...]] = (
    Directive("tls-session-cache-size", Integer(), 20480),
    Directive("tls-session-cache-timeout", Integer(), 300),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """What the directives say, by their names without `tls-`."""

    auth_clients: str = "yes"
    cert_file: str = ""
    key_file: str = ""
    key_file_pass: str = ""
    client_cert_file: str = ""
    client_key_file: str = ""
    client_key_file_pass: str = ""
    ca_cert_file: str = ""
    ca_cert_dir: str = ""
    dh_params_file: str = ""
    protocols: str = ""
    ciphers: str = ""
    prefer_server_ciphers: bool = False
    session_caching: bool = True


def tls_settings(value_of: Callable[[Directive[Any]], Any]) -> TlsSettings:
    """Return the settings that a configuration gives."""
    fields = {
        each.name.removeprefix("tls-").replace("-", "_"): value_of(each)
        for each in TLS_DIRECTIVES
        if each not in (TLS_PORT, TLS_REPLICATION)
    }
    return TlsSettings(**fields)
