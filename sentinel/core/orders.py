"""The transaction that changes a node's role, and what its replies say.

One pipeline: MULTI, SLAVEOF, CONFIG REWRITE, CLIENT KILL TYPE normal and pubsub, EXEC; and INFO
behind it, which is the proof of what the node became, one round trip later. Unlike Redis the
replies are read: a node that lacks the permission is found out at once. Reference: `sentinel.c:
sentinelSendSlaveOf`.
"""

from __future__ import annotations

from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address

from . import links
from .hosts import same, shown
from .machine import Machine, Request, RequestKind
from .model import Node


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
    commands = (
        (b"MULTI",),
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
    if isinstance(outcome[0], ReplyError):
        return outcome[0].text
    return None
