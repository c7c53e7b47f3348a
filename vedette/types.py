"""Small value types shared by every package."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final, NamedTuple, NewType

#: 40 lower-case hexadecimal digits that name one run of a server, or one sentinel for life; the
#: latter may be an administrator's choice, of any 40 letters and digits.
RunId = NewType("RunId", str)
RUN_ID_LENGTH: Final = 40


def is_run_id(text: str) -> bool:
    """Whether `text` can be a run id: 40 letters and digits of ASCII."""
    return len(text) == RUN_ID_LENGTH and text.isascii() and text.isalnum()


class Address(NamedTuple):
    """Where a node or sentinel listens; `host` is an IP literal or a host name."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, with IPv6 literals in brackets as Redis prints them."""
        if ":" in self.host:
            return f"[{self.host}]:{self.port}"
        return f"{self.host}:{self.port}"


@functools.lru_cache(maxsize=4096)
def is_ip(host: str) -> bool:
    """Whether `host` is a literal IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
