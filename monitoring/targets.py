"""Which server or sentinel to ask, as `redis://[[user]:password@]host[:port]` says it.

`rediss://` is the same over TLS. A target's `key` holds no credentials, so it can be shown, and is
how credentials configured at the start are found for what a scrape names. Unix sockets are not
spoken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import unquote, urlsplit

from vedette.errors import VedetteError
from vedette.types import Address, is_ip

DEFAULT_PORT: Final = 6379
_SCHEME: Final = "redis"
_TLS_SCHEME: Final = "rediss"
#: Labels as DNS has them, and `_`, which container runtimes give out.
_HOST_NAME: Final = re.compile(r"(?=.{1,253}$)(?!-)[\w-]{1,63}(?:\.(?!-)[\w-]{1,63})*\.?")


class BadTarget(VedetteError):
    """The text names no target that can be asked; says why, and shows no password."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address and what to log in with. `username` needs a password."""

    address: Address
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    uses_tls: bool = False

    @property
    def key(self) -> str:
        """The target without credentials."""
        return f"{_TLS_SCHEME if self.uses_tls else _SCHEME}://{self.address}"

    def over_tls(self) -> Target:
        """Return the same target, to be asked over TLS."""
        return replace(self, uses_tls=True)


def parse_target(text: str) -> Target:
    """Return the target that `text` names; the scheme may be left out.

    Raises:
        BadTarget: it names none, or a Unix socket.
    """
    try:
        parts = urlsplit(text if "://" in text else f"redis://{text}")
        port = parts.port
    except ValueError as error:
        raise BadTarget(f"not a target: {error}") from error
    if parts.scheme not in (_SCHEME, _TLS_SCHEME):
        known = f"{_SCHEME}://host:port or {_TLS_SCHEME}://host:port"
        raise BadTarget(f"targets are {known}, {parts.scheme}:// is not supported")
    if not parts.hostname:
        raise BadTarget("the target names no host")
    if not is_ip(parts.hostname) and not _HOST_NAME.fullmatch(parts.hostname):
        raise BadTarget(f"{parts.hostname!r} can be no host's name")
    if port == 0:
        raise BadTarget("nothing listens at port 0")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise BadTarget("a target ends with its port")
    password = unquote(parts.password) if parts.password else None
    username = unquote(parts.username) if parts.username and password else None
    return Target(
        Address(parts.hostname, DEFAULT_PORT if port is None else port),
        username,
        password,
        uses_tls=parts.scheme == _TLS_SCHEME,
    )


def with_credentials(target: Target, configured: dict[str, Target]) -> Target:
    """Return `target` as it was configured, if one of that address was; else as it came, without
    credentials: those of a request would stand in logs along its way.
    """
    return configured.get(target.key, Target(target.address, uses_tls=target.uses_tls))
