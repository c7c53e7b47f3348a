"""What a client is told at its start: addresses that can be ones, numbers in their bounds, a URL.

Owns the checks and the URL's syntax. What the options do is said by `runtime.client`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from vedette.types import Address

DEFAULT_SENTINEL_PORT: Final = 26379
_SCHEMES: Final = {"redis+sentinel": False, "rediss+sentinel": True}
_TEXTS: Final = frozenset(["client_name", "sentinel_username", "sentinel_password"])
_FLAGS: Final = frozenset(["repeat_last_wins", "sentinel_tls"])
_COUNTS: Final = frozenset(["protocol", "max_pending"])
_TIMES: Final = frozenset(
    ["command_timeout_s", "reply_timeout_s", "connect_timeout_s", "ask_timeout_s",
     "poll_interval_s"]
)  # fmt: skip

Option = str | int | float | bool


def address_of(pair: tuple[str, int]) -> Address:
    """Return the address that a pair of host and port is.

    Raises:
        ValueError: it is none.
    """
    match pair:
        case (str(host), int(port)) if host and 0 < port < 65536 and not isinstance(port, bool):
            return Address(host, port)
    raise ValueError(f"{pair!r} is no pair of a host and a port, such as ('127.0.0.1', 26379)")


def check_times(**times_s: float) -> None:
    """Raise ValueError for the first time, in seconds, that is not above 0."""
    for name, time_s in times_s.items():
        if not time_s > 0:
            raise ValueError(f"{name} is {time_s}, and has to be above 0")


def check_numbers(*, protocol: int, database: int, max_pending: int) -> None:
    """Raise ValueError for the first number out of its bounds."""
    if protocol not in (2, 3):
        raise ValueError(f"protocol is {protocol}, and has to be 2 or 3")
    if database < 0:
        raise ValueError(f"database is {database}, and has to be 0 or above")
    if max_pending < 1:
        raise ValueError(f"max_pending is {max_pending}, and has to be 1 or above")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a URL names; `options` are arguments of `FailoverClient` by name."""

    master_name: str
    sentinels: tuple[Address, ...]
    uses_tls: bool
    options: Mapping[str, Option]


def parse_url(url: str) -> Place:
    """Read `redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/master[/database]`.

    `rediss+sentinel` is TLS. User and password are the masters'; options follow a `?`, by the names
    of the arguments, and may tell the sentinels' credentials.

    Raises:
        ValueError: it is no such URL. The message shows no password.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"not a URL: {error}") from error
    if parts.scheme not in _SCHEMES:
        raise ValueError("the URL of a client begins with redis+sentinel:// or rediss+sentinel://")
    login, _, hosts = parts.netloc.rpartition("@")
    master_name, _, database = parts.path.removeprefix("/").partition("/")
    if not master_name:
        raise ValueError("the URL names no master: redis+sentinel://host:port/mymaster")
    options: dict[str, Option] = dict(_login(login))
    if database:
        options["database"] = _number("database", database, int)
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        options[name] = _option(name, text)
    return Place(
        master_name=unquote(master_name),
        sentinels=tuple(sentinel_address(text) for text in hosts.split(",")),
        uses_tls=_SCHEMES[parts.scheme],
        options=options,
    )


def _login(text: str) -> Iterable[tuple[str, str]]:
    username, _, password = text.partition(":")
    if username:
        yield "username", unquote(username)
    if password:
        yield "password", unquote(password)


def sentinel_address(text: str) -> Address:
    """Return where `host[:port]` says that a sentinel listens.

    Raises:
        ValueError: it says no such thing.
    """
    try:
        parts = urlsplit(f"//{text}")
        port = DEFAULT_SENTINEL_PORT if parts.port is None else parts.port
        return address_of((parts.hostname or "", port))
    except ValueError as error:
        raise ValueError(f"{text!r} is no sentinel's host and port") from error


def _option(name: str, text: str) -> Option:
    if name in _TEXTS:
        return text
    if name in _FLAGS:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in words:
            raise ValueError(f"{name} is {text!r}, and has to be true or false")
        return words[text.lower()]
    if name in _COUNTS:
        return _number(name, text, int)
    if name in _TIMES:
        return _number(name, text, float)
    raise ValueError(f"the URL has an option {name!r}, which is none of a client")


def _number(name: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(f"{name} is {text!r}, and has to be a number") from error
