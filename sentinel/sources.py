"""From which local address connections are made to nodes and fellow sentinels.

Redis takes the first address of `bind` for all of them, so that a sentinel bound to the loopback
interface first, or to one IPv4 and one IPv6 address, reaches half of its nodes or none. Here each
connection gets the first bound address that can reach its target.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from vedette.types import is_ip


@dataclass(frozen=True, slots=True)
class Sources:
    """The addresses that connections may be made from."""

    #: `bind-source-addr`: for every target of its kind (IPv4 or IPv6); "" for none.
    ordered: str = ""
    #: `bind`, in its order.
    bound: tuple[str, ...] = ()

    def choose(self, target: str) -> str | None:
        """Return the source for connections to the IP `target`; None leaves it to the kernel."""
        return _choose(self, target)


@lru_cache(maxsize=10_000)
def _choose(sources: Sources, target: str) -> str | None:
    where = ipaddress.ip_address(target)
    if sources.ordered:
        source = ipaddress.ip_address(sources.ordered) if is_ip(sources.ordered) else None
        is_of_kind = source is None or source.version == where.version
        return sources.ordered if is_of_kind else None
    for name in sources.bound:
        host = name.removeprefix("-")
        if not is_ip(host):
            continue  # * and ::*, which stand for every address, or a name
        source = ipaddress.ip_address(host)
        if (
            source.version == where.version
            and not source.is_unspecified
            and source.is_loopback == where.is_loopback
            and source.is_link_local == where.is_link_local
        ):
            return host
    return None
