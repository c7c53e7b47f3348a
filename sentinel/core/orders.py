"""The transaction that changes a node's role, and what its replies say.

One pipeline: MULTI, SLAVEOF, CONFIG REWRITE, CLIENT KILL TYPE normal and pubsub, EXEC; and INFO
behind it, which is the proof of what the node became, one round trip later. Unlike Redis the
replies are read: a node that lacks the permission is found out at once. Reference: `sentinel.c:
sentinelSendSlaveOf`.
"""

from __future__ import annotations

from typing import Final

from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address

from . import links
from .hosts import same, shown
from .machine import Machine, Request, RequestKind
from .model import Node

#: Commands behind SLAVEOF in the transaction.
_AFTER_SLAVEOF: Final = 3


def send_slaveof(
    machine: Machine, node: Node, target: Address | None, kind: RequestKind, epoch: int = 0
) -> None:
    """Tell a node to follow `target`, or to become master; its link must be up.

    Nothing is sent to a node that by its name would be sent to itself.
    """
    if target is None:
        slaveof = (b"SLAVEOF", b"NO", b"ONE")
    else:
        assert target != node.address, "a node cannot follow itself"
        if same(machine.state, target, node.address):
            return  # two names that lead to one place: one of them is out of date
        host, port = shown(machine.state, target)
        slaveof = (b"SLAVEOF", host.encode(), str(port).encode())
    # Who is about to hand over obeys nobody else. Not said otherwise: old nodes do not know it, and
    # where it is not permitted the whole transaction would be refused.
    freeing = ((b"FAILOVER", b"ABORT"),) if node.is_failing_over else ()
    commands = (
        (b"MULTI",),
        *freeing,
        slaveof,
        (b"CONFIG", b"REWRITE"),
        # So that no client goes on talking to what it takes for a master.
        (b"CLIENT", b"KILL", b"TYPE", b"normal"),
        (b"CLIENT", b"KILL", b"TYPE", b"pubsub"),
        (b"EXEC",),
        (b"INFO",),
    )
    request = Request(kind, machine.now_ms, len(commands), node, epoch=epoch)
    renamed = tuple(links.rename(machine, node, command) for command in commands)
    machine.send(node.link, request, renamed)


def refusal(replies: tuple[Received, ...]) -> str | None:
    """Why the SLAVEOF of `send_slaveof` did not happen, or None if it did.

    A CONFIG REWRITE that fails (there is no file) is no refusal. A transaction is aborted because
    one of its commands was not even queued (no permission, renamed, unknown): that is the reason.
    """
    *queued, outcome, _ = replies
    if isinstance(outcome, ReplyError):
        return next((reply.text for reply in queued if isinstance(reply, ReplyError)), outcome.text)
    if not isinstance(outcome, list) or not outcome:
        return "transaction aborted"
    # Only FAILOVER ABORT may stand before it, and fails where that has just ended.
    slaveof = outcome[-_AFTER_SLAVEOF - 1] if len(outcome) > _AFTER_SLAVEOF else outcome[0]
    return slaveof.text if isinstance(slaveof, ReplyError) else None


def send_handover(
    machine: Machine, node: Node, target: Address, timeout_ms: int, epoch: int
) -> None:
    """Tell a master to make its replica `target` the master, as it knows it, within the time."""
    command = (
        b"FAILOVER",
        b"TO",
        target.host.encode(),
        str(target.port).encode(),
        b"TIMEOUT",
        str(timeout_ms).encode(),
    )
    _send_with_info(machine, node, command, RequestKind.HAND_OVER, epoch)


def send_rewrite(machine: Machine, node: Node) -> None:
    """Have a node that was promoted without SLAVEOF remember it over a restart."""
    command = links.rename(machine, node, (b"CONFIG", b"REWRITE"))
    request = Request(RequestKind.REWRITE, machine.now_ms, 1, node)
    machine.send(node.link, request, (command,))


def send_stay(machine: Machine, node: Node) -> None:
    """Tell a node that is about to hand over to be the master as before."""
    _send_with_info(machine, node, (b"FAILOVER", b"ABORT"), RequestKind.STAY)


def _send_with_info(
    machine: Machine, node: Node, command: tuple[bytes, ...], kind: RequestKind, epoch: int = 0
) -> None:
    commands = tuple(links.rename(machine, node, each) for each in (command, (b"INFO",)))
    request = Request(kind, machine.now_ms, len(commands), node, epoch=epoch)
    machine.send(node.link, request, commands)
