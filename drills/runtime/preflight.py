"""What is looked at before a drill touches a deployment that somebody else runs.

Asks only; the one order that is given, DEBUG SLEEP 0, does nothing. What is found is a list of
checks, of which a single fault forbids the drill.
"""

from __future__ import annotations

from typing import Final

import trio

from vedette.info import parse_info
from vedette.resp.exchange import ReplyError
from vedette.runtime.connection import Connection

from ..checks import Check, Status
from ..deployment import Deployment, Member, node_of
from ..faults import Hang, Order, Shutdown
from ..keys import Keys
from ..observation import missing_order
from ..scenarios.scenario import Scenario
from .connector import Connector
from .discovery import asking
from .observer import Observer

#: How long the deployment may take to be seen in order.
_ORDER_TIMEOUT_S: Final = 5.0
#: Seconds since a replica's last acknowledgement from which on it is worth knowing.
_LAG_WORTH_KNOWING_S: Final = 2


async def examine(
    observer: Observer, connector: Connector, keys: Keys, scenario: Scenario
) -> list[Check]:
    """Return what speaks for and against running `scenario`.

    Raises:
        DrillError: a process stopped answering in between.
    """
    deployment = observer.deployment
    checks = [await _check_order(observer)]
    checks += [
        await _check_quorum(connector, sentinel, deployment.master_name)
        for sentinel in deployment.sentinels
    ]
    masters = observer.view.masters()
    if len(masters) != 1:
        return checks
    master = node_of(deployment, masters[0])
    checks.append(_check_lag(observer, master))
    checks += [
        await _check_replica(connector, node) for node in deployment.nodes if node is not master
    ]
    async with asking(connector, master) as connection:
        checks += [
            await _check_permission(connection, *words)
            for words in (
                ("SET", keys.beat, "1", "EX", "1"),
                ("INCR", keys.counter),
                ("MGET", keys.beat),
                ("DEL", keys.beat),
            )
        ]
        checks.append(await _check_eviction(connection))
        checks += await _check_injection(connection, deployment, scenario)
    return checks


async def _check_order(observer: Observer) -> Check:
    with trio.move_on_after(_ORDER_TIMEOUT_S):
        await observer.wait_for(lambda view: not missing_order(view, gone=()))
    missing = missing_order(observer.view, gone=())
    if missing:
        return Check("order", Status.FAULT, "; ".join(missing))
    return Check(
        "order", Status.FINE, "one master, every sentinel names it, every replica is linked to it"
    )


async def _check_quorum(connector: Connector, sentinel: Member, master_name: str) -> Check:
    subject = f"quorum, by {sentinel.name} ({sentinel.program})"
    async with asking(connector, sentinel) as connection:
        try:
            reply: bytes = await connection.execute("SENTINEL", "CKQUORUM", master_name)
        except ReplyError as error:
            return Check(subject, Status.FAULT, error.text)
    return Check(subject, Status.FINE, reply.decode("utf-8", "replace"))


def _check_lag(observer: Observer, master: Member) -> Check:
    view = observer.view
    lag_s = max(view.nodes[master.name].lag_s.values(), default=None)
    if lag_s is None:
        return Check("replicas", Status.FAULT, "there is none that could be promoted")
    newest = view.nodes[master.name].offset
    behind = max(newest - node.offset for node in view.nodes.values())
    found = f"last heard of {lag_s} s ago, {max(0, behind)} bytes behind, at worst"
    is_late = lag_s >= _LAG_WORTH_KNOWING_S
    return Check("replicas", Status.NOTE if is_late else Status.FINE, found)


async def _check_replica(connector: Connector, node: Member) -> Check:
    """A replica that takes writes would be taken for a second master, and keep what it took."""
    subject = f"replica {node.name} ({node.program})"
    async with asking(connector, node) as connection:
        info = parse_info(await connection.execute("INFO", "replication"))
    if info.get("slave_read_only") == "0":
        return Check(subject, Status.FAULT, "takes writes (replica-read-only no)")
    if info.get("slave_priority") == "0":
        return Check(subject, Status.NOTE, "is never promoted (replica-priority 0)")
    return Check(subject, Status.FINE, "may be promoted")


async def _check_permission(connection: Connection, *words: str) -> Check:
    """Ask whether the user may run a command, without running it."""
    subject = f"may {words[0]}"
    try:
        if await connection.execute("COMMAND", "INFO", words[0]) in ([None], []):
            return Check(subject, Status.FAULT, "the command was renamed, or is unknown")
        user: bytes = await connection.execute("ACL", "WHOAMI")
        reply: bytes = await connection.execute("ACL", "DRYRUN", user, *words)
    except ReplyError as error:
        return Check(subject, Status.NOTE, f"cannot be asked: {error.text}")
    if reply != b"OK":
        return Check(subject, Status.FAULT, reply.decode("utf-8", "replace"))
    return Check(subject, Status.FINE, f"user {user.decode('utf-8', 'replace')} may")


async def _check_eviction(connection: Connection) -> Check:
    """A key of the drill that is evicted would count as a lost write."""
    info = parse_info(await connection.execute("INFO", "memory"))
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory", "0") != "0" and policy != "noeviction":
        return Check("memory", Status.NOTE, f"{policy}: an evicted key counts as a lost write")
    return Check("memory", Status.FINE, "keys are not evicted")


async def _check_injection(
    connection: Connection, deployment: Deployment, scenario: Scenario
) -> list[Check]:
    """Check what only this drill needs; `connection` leads to the master."""
    match scenario.fault:
        case Hang():
            return [await _check_sleep(connection)]
        case Shutdown():
            return [
                await _check_permission(connection, "SHUTDOWN", "NOSAVE"),
                await _check_persistence(connection),
            ]
        case Order():
            able = [each.name for each in deployment.sentinels if each.knows_coordinated]
            found = f"known to {', '.join(able)}" if able else "no sentinel knows it"
            return [Check("COORDINATED", Status.FINE if able else Status.NOTE, found)]
    return []


async def _check_sleep(connection: Connection) -> Check:
    try:
        await connection.execute("DEBUG", "SLEEP", "0")
    except ReplyError as error:
        return Check("may DEBUG SLEEP", Status.FAULT, error.text)
    return Check("may DEBUG SLEEP", Status.FINE, "the master sleeps when it is told")


async def _check_persistence(connection: Connection) -> Check:
    """A master that is back empty, before it was replaced, empties its replicas, too."""
    try:
        save = await connection.execute("CONFIG", "GET", "save")
        append_only = await connection.execute("CONFIG", "GET", "appendonly")
    except ReplyError as error:
        return Check("persistence", Status.NOTE, f"cannot be asked: {error.text}")
    warning = "started again within down-after, before a replica is promoted, it would have"
    if append_only[1] == b"yes":
        return Check("persistence", Status.FINE, "append-only file")
    if save[1]:
        return Check("persistence", Status.NOTE, f"{warning} all replicas go back to its last save")
    return Check("persistence", Status.FAULT, f"none: {warning} all replicas empty themselves")
