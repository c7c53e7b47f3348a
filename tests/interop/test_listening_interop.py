"""CONFIG SET of `port` and `bind`: clients find the server where it says, and none is cut off."""

from __future__ import annotations

import socket
import urllib.request

import pytest

from tests.support.client import BlockingClient, ReplyError
from tests.support.processes import VedetteServer, free_port
from tests.support.waiting import wait_until


def test_the_port_moves_and_connections_stay() -> None:
    """To a port that is taken it does not move, and all that was asked for with it is set back."""
    with VedetteServer() as server, VedetteServer() as other:
        old_port, new_port = server.port, free_port()
        with BlockingClient(old_port) as client:
            assert client.call("CONFIG", "SET", "port", new_port) == b"OK"
            assert client.call("PING") == b"PONG"
            with BlockingClient(new_port) as newcomer:
                assert newcomer.call("CONFIG", "GET", "port") == [b"port", b"%d" % new_port]
            with pytest.raises(ConnectionRefusedError):
                BlockingClient(old_port)

            with pytest.raises(ReplyError, match="Unable to listen on this port"):
                client.call("CONFIG", "SET", "maxmemory", "1gb", "port", other.port)
            assert client.call("CONFIG", "GET", "maxmemory") == [b"maxmemory", b"0"]
            with BlockingClient(new_port) as newcomer:
                assert newcomer.call("PING") == b"PONG"


def test_the_addresses_change_and_go_back_where_one_cannot_be_had() -> None:
    """203.0.113.9 is no address of this machine: it is for documentation."""
    with VedetteServer() as server, BlockingClient(server.port) as client:
        assert client.call("CONFIG", "SET", "bind", "127.0.0.1 127.0.0.2") == b"OK"
        with BlockingClient(server.port, host="127.0.0.2") as newcomer:
            assert newcomer.call("PING") == b"PONG"

        with pytest.raises(ReplyError, match="Failed to bind to specified addresses"):
            client.call("CONFIG", "SET", "bind", "203.0.113.9")
        assert client.call("CONFIG", "GET", "bind") == [b"bind", b"127.0.0.1 127.0.0.2"]
        with BlockingClient(server.port, host="127.0.0.2") as newcomer:
            assert newcomer.call("PING") == b"PONG"


def is_listening(port: int) -> bool:
    """Return whether anybody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def scrape(port: int) -> str:
    """Return what `/metrics` answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text: bytes = response.read()
    return text.decode()


def test_metrics_move_are_switched_off_and_on() -> None:
    """Without a restart; a port that is taken is refused."""
    with VedetteServer() as server, BlockingClient(server.port) as client:
        for port in (free_port(), free_port()):
            assert client.call("CONFIG", "SET", "metrics-port", port) == b"OK"
            assert "redis_up 1.0" in scrape(port)
        with pytest.raises(ReplyError, match="Unable to listen on this port"):
            client.call("CONFIG", "SET", "metrics-port", server.port)
        assert "redis_up 1.0" in scrape(port)

        client.call("CONFIG", "SET", "metrics-port", free_port(), "maxmemory", "1gb")
        client.call("CONFIG", "SET", "metrics-port", 0)
        wait_until(lambda: not is_listening(port))
