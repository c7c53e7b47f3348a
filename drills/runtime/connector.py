"""How a drill connects to the nodes and sentinels of a deployment: with which login, over what."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Unpack

from vedette.runtime.connecting import open_connection
from vedette.runtime.connection import Connection, ServeOptions

from ..deployment import Member, Part


@dataclass(frozen=True, slots=True)
class Login:
    """A user and password; without a password nothing is sent."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """Opens connections to members. Without a context they are plain."""

    nodes: Login = Login()
    sentinels: Login = Login()
    tls_context: ssl.SSLContext | None = None

    @asynccontextmanager
    async def open(
        self, member: Member, connect_timeout_s: float = 5.0, **options: Unpack[ServeOptions]
    ) -> AsyncIterator[Connection]:
        """Open a connection to a member itself, past any proxy.

        Raises:
            VedetteError: it cannot be reached, or is lost within the block.
        """
        login = self.nodes if member.part is Part.NODE else self.sentinels
        async with open_connection(
            member.direct_address,
            connect_timeout_s=connect_timeout_s,
            username=login.username,
            password=login.password,
            tls_context=self.tls_context,
            **options,
        ) as connection:
            yield connection
