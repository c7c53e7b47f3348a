"""Host names and IPs of one state: which lead to the same place, and which of them is spoken.

Pure functions of what `names.py` keeps in `SentinelState.host_names`.
"""

from __future__ import annotations

from vedette.types import Address

from .model import Master, SentinelState


def same(state: SentinelState, one: Address, other: Address) -> bool:
    """Whether two addresses lead to the same place, as far as is known."""
    if one.port != other.port:
        return False
    return one.host.lower() == other.host.lower() or ip_of(state, one.host) == ip_of(
        state, other.host
    )


def ip_of(state: SentinelState, host: str) -> str:
    """The IP of a host, or the name itself while that is not known."""
    name = state.host_names.get(host)
    return host if name is None or not name.ip else name.ip


def target(state: SentinelState, address: Address) -> Address:
    """Where to connect to."""
    return Address(ip_of(state, address.host), address.port) if state.host_names else address


def shown(state: SentinelState, address: Address) -> Address:
    """The address as it is told to clients, nodes and fellow sentinels."""
    return address if state.options.announce_hostnames else target(state, address)


def find_master(state: SentinelState, address: Address) -> Master | None:
    """The master at an address, by whichever name it is called.

    Who was found at an address before is looked at first: a fellow asks for fifty of a thousand.
    """
    masters, found_before = state.masters, state.found_masters
    known = masters.get(found_before.get(address, ""))
    if known is not None and known.address == address:
        return known
    for master in masters.values():
        if master.address == address:
            if len(found_before) > 2 * len(masters):
                found_before.clear()  # of addresses that are no master's any more
            found_before[address] = master.name
            return master
    if not state.host_names:
        return None
    found = (each for each in state.masters.values() if same(state, each.address, address))
    return next(found, None)
