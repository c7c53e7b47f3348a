"""Opening listening sockets: which addresses must be there, and which may be missing."""

from __future__ import annotations

import socket

import pytest

from vedette.runtime.listening import open_listeners


def test_a_missing_address_may_be_optional() -> None:
    """`bind -::1` on a machine without IPv6; 192.0.2.1 is nobody's address."""
    listeners = open_listeners(["127.0.0.1", "-192.0.2.1"], 0, 10)

    assert [listener.getsockname()[0] for listener in listeners] == ["127.0.0.1"]
    for listener in listeners:
        listener.close()


def test_an_address_that_cannot_be_bound_leaves_none_bound() -> None:
    """A server that cannot listen where it should does not half start."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            open_listeners(["127.0.0.2", "127.0.0.1"], port, 10)
        again = open_listeners(["127.0.0.2"], port, 10)

    assert again[0].getsockname() == ("127.0.0.2", port)
    again[0].close()


def test_a_star_is_every_address() -> None:
    """Of IPv4; `::*` would be IPv6's."""
    [listener] = open_listeners(["*"], 0, 10)
    with listener:
        assert listener.getsockname()[0] == "0.0.0.0"
