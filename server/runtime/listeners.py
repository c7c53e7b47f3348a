"""The sockets that clients connect to, opened at start and moved by CONFIG SET.

Follows Redis 7.0 `server.c: changeListenPort, changeBindAddr`.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence

import structlog

from vedette.conf.tls import TLS_PORT
from vedette.errors import VedetteError
from vedette.runtime.accepting import Acceptor
from vedette.runtime.listening import open_listeners, open_unix_listener

from .. import directives
from ..config import ChangeRefused, Configuration

log = structlog.get_logger()


class ListenError(VedetteError):
    """A port or path cannot be listened on; the text says which and why."""


class Listeners:
    """The listening sockets of one server; `close` closes them.

    `plain` are those for connections without TLS, the Unix socket among them.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._port = configuration[directives.PORT]
        self._hosts = configuration[directives.BIND]
        self._tcp: list[socket.socket] = []
        self._unix: list[socket.socket] = []
        self.tls: list[socket.socket] = []

    @property
    def plain(self) -> list[socket.socket]:
        """See the class."""
        return [*self._tcp, *self._unix]

    def open(self) -> None:
        """Open everything that the configuration asks for: a port of 0 asks for none.

        Raises:
            ListenError: something cannot be had, or there is nothing; what was opened is for
                `close`.
        """
        configuration = self._configuration
        tls_port = configuration[TLS_PORT]
        if self._port:
            self._tcp = self._listen(self._hosts, self._port)
        if tls_port:
            self.tls = self._listen(self._hosts, tls_port)
        path = configuration[directives.UNIX_SOCKET]
        if path:
            mode = configuration[directives.UNIX_SOCKET_PERM]
            backlog = configuration[directives.TCP_BACKLOG]
            try:
                self._unix = [open_unix_listener(path, mode=mode, backlog=backlog)]
            except OSError as error:
                reason = error.strerror or error
                raise ListenError(f"cannot listen on {path}: {reason}") from error
        if not self.plain and not self.tls:
            raise ListenError("configured to listen nowhere")

    def close(self) -> None:
        """Close all, and remove the Unix socket."""
        for listener in [*self.plain, *self.tls]:
            listener.close()
        if self._unix:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._configuration[directives.UNIX_SOCKET])

    def follow_changes(self, acceptor: Acceptor) -> None:
        """Have CONFIG SET of `port` and `bind` take effect; `acceptor` has the sockets."""
        self._configuration.on_change(lambda: self._move_port(acceptor), directives.PORT)
        self._configuration.on_change(lambda: self._move_hosts(acceptor), directives.BIND)

    def listen_for_metrics(self, port: int) -> list[socket.socket]:
        """Return listening sockets for `port`, which the caller closes.

        Raises:
            ListenError: it cannot be had.
        """
        return self._listen(self._hosts, port)

    def _move_port(self, acceptor: Acceptor) -> None:
        port = self._configuration[directives.PORT]
        if port == self._port:
            return
        try:
            listeners = self._listen(self._hosts, port) if port else []
        except ListenError as error:
            log.warning("server.port_not_changed", error=str(error))
            reason = "Unable to listen on this port. Check server logs."
            raise ChangeRefused(reason) from error
        self._replace_tcp(acceptor, listeners)
        self._port = port

    def _move_hosts(self, acceptor: Acceptor) -> None:
        hosts = self._configuration[directives.BIND]
        if hosts == self._hosts:
            return
        # The ports are the same, so the old sockets have to go before the new ones are opened.
        tls_port = self._configuration[TLS_PORT]
        self._replace_tcp(acceptor, [])
        acceptor.drop(self.tls)
        try:
            self._reopen(acceptor, hosts, tls_port)
        except ListenError as error:
            log.warning("server.addresses_not_changed", error=str(error))
            self._reopen(acceptor, self._hosts, tls_port)
            raise ChangeRefused("Failed to bind to specified addresses.") from error
        self._hosts = hosts

    def _reopen(self, acceptor: Acceptor, hosts: Sequence[str], tls_port: int) -> None:
        tcp = self._listen(hosts, self._port) if self._port else []
        try:
            tls = self._listen(hosts, tls_port) if tls_port else []
        except ListenError:
            for listener in tcp:
                listener.close()
            raise
        self._replace_tcp(acceptor, tcp)
        self.tls = tls
        acceptor.add(tls, is_tls=True)

    def _replace_tcp(self, acceptor: Acceptor, listeners: list[socket.socket]) -> None:
        acceptor.drop(self._tcp)
        self._tcp = listeners
        acceptor.add(listeners)

    def _listen(self, hosts: Sequence[str], port: int) -> list[socket.socket]:
        try:
            return open_listeners(hosts, port, self._configuration[directives.TCP_BACKLOG])
        except OSError as error:
            reason = error.strerror or error
            raise ListenError(f"cannot listen on port {port}: {reason}") from error
