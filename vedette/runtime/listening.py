"""Opening the sockets that clients connect to. Follows Redis 7.0 `server.c: listenToPort`."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Sequence


def open_listeners(hosts: Sequence[str], port: int, backlog: int) -> list[socket.socket]:
    """Return listening sockets for `port` on each of `hosts`.

    `*` is every IPv4 address, `::*` every IPv6 one; a host with a leading `-` may be missing from
    this machine (Redis' `bind` rules). The caller closes them.

    Raises:
        OSError: a required address cannot be bound; those opened before it are closed.
    """
    listeners: list[socket.socket] = []
    try:
        for name in hosts:
            host = name.removeprefix("-")
            host = {"*": "0.0.0.0", "::*": "::"}.get(host, host)
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.socket(family, socket.SOCK_STREAM)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                listener.bind((host, port))
                listener.listen(backlog)
            except OSError as error:
                listener.close()
                is_missing = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
                if name.startswith("-") and is_missing:
                    continue
                raise
            listeners.append(listener)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def open_unix_listener(path: str, *, mode: int, backlog: int) -> socket.socket:
    """Return a Unix socket that listens at `path`, in place of whatever is there.

    `mode` is its permissions, 0: as the process makes files. The caller closes it.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        if mode:
            os.chmod(path, mode)
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    return listener
