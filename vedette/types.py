"""Small value types shared by every package."""

from __future__ import annotations

from typing import NamedTuple, NewType

#: 40 lower-case hexadecimal digits that name one run of a server, or one sentinel for life.
RunId = NewType("RunId", str)


class Address(NamedTuple):
    """Where a node or sentinel listens; `host` is an IP literal or a host name."""

    host: str
    port: int

    def __str__(self) -> str:
        """`host:port`, with IPv6 literals in brackets as Redis prints them."""
        if ":" in self.host:
            return f"[{self.host}]:{self.port}"
        return f"{self.host}:{self.port}"
