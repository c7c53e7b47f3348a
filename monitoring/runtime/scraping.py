"""Asking one server or sentinel for all that its metrics are made of, in bounded time.

A connection for each scrape: nothing is held open at a server that nobody looks at, and a scrape
begins with the test that matters most, whether one can connect.
"""

from __future__ import annotations

import ssl
import time

import trio

from vedette.errors import VedetteError
from vedette.info import parse_info
from vedette.resp.exchange import Received, ReplyError
from vedette.runtime.connecting import open_connection
from vedette.runtime.connection import Connection
from vedette.runtime.tls import TlsError

from ..families import Families
from ..metrics import DIRECTIVES, add_target
from ..node_families import UP
from ..replies import Answers, MasterSeen, config_of, instances_of, master_seen, slow_log_of
from ..scrapes import add_outcome
from ..targets import Target


async def scrape(
    target: Target, timeout_s: float, tls_context: ssl.SSLContext | None = None
) -> Families:
    """Return the metrics of `target`; if it can't be asked, `redis_up 0` and why."""
    families = Families()
    began_s = trio.current_time()
    connect_s = None
    error = ""
    try:
        if target.uses_tls and tls_context is None:
            raise TlsError("the exporter was started without --cacert, so it trusts nobody")
        with trio.fail_after(timeout_s):
            async with open_connection(
                target.address,
                connect_timeout_s=timeout_s,
                username=target.username,
                password=target.password,
                tls_context=tls_context if target.uses_tls else None,
            ) as connection:
                connect_s = trio.current_time() - began_s
                answers = await _ask(connection)
        add_target(families, answers, now_s=time.time())
    except trio.TooSlowError:
        error = f"no answer within {timeout_s:g} s"
    except (VedetteError, ReplyError) as refusal:
        error = str(refusal)
    if error:
        families.add(UP, 0)
    elapsed_s = trio.current_time() - began_s
    add_outcome(families, error=error, elapsed_s=elapsed_s, connect_s=connect_s)
    return families


async def _ask(connection: Connection) -> Answers:
    """Return what the other side tells of itself.

    Raises:
        ReplyError: it refused INFO.
        ConnectionLost: it went away.
    """
    text = await connection.execute("INFO", "all")
    info = parse_info(text if isinstance(text, bytes) else b"")
    if "sentinel" in (info.get("redis_mode"), info.get("server_mode")):
        return Answers(info, masters=await _ask_masters(connection))
    commands = [["CONFIG", "GET", directive] for directive in DIRECTIVES]
    commands += [["SLOWLOG", "LEN"], ["SLOWLOG", "GET", "1"]]
    *config, length, newest = await connection.execute_many(commands)
    return Answers(info, config_of(config), slow_log_of(length, newest))


async def _ask_masters(connection: Connection) -> list[MasterSeen]:
    """Return what a sentinel knows of each of its masters, in two round trips."""
    masters = instances_of(await connection.execute("SENTINEL", "MASTERS"))
    questions = ("CKQUORUM", "SENTINELS", "REPLICAS")
    replies: list[Received] = await connection.execute_many(
        [["SENTINEL", word, master.get("name", "")] for master in masters for word in questions]
    )
    return [
        master_seen(master, *replies[index * len(questions) : (index + 1) * len(questions)])
        for index, master in enumerate(masters)
    ]
