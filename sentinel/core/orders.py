"""The transaction that changes a node's role, and what its replies say.

One pipeline: MULTI, SLAVEOF, CONFIG REWRITE, CLIENT KILL TYPE normal and pubsub, EXEC; and INFO
behind it, which is the proof of what the node became, one round trip later. Unlike Redis the
replies are read. A node that refuses SLAVEOF is found out at once. One that merely refuses what
stands around it (no permission, no such command) has thrown the whole transaction away for that,
and is told again without: better a master whose clients are not driven away from the old one, and
that forgets its role with a restart, than none. Reference: `sentinel.c: sentinelSendSlaveOf`.
"""

from __future__ import annotations

from typing import Final

from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address

from . import links, notices
from .hosts import same, shown
from .machine import Machine, Request, RequestKind, SlaveOf
from .model import Node

#: What stands behind SLAVEOF in the transaction. CLIENT KILL, so that no client goes on talking to
#: what it takes for a master.
_BEHIND: Final = (
    (b"CONFIG", b"REWRITE"),
    (b"CLIENT", b"KILL", b"TYPE", b"normal"),
    (b"CLIENT", b"KILL", b"TYPE", b"pubsub"),
)
#: Without these there is no order; all others can be left out.
_NEEDED: Final = frozenset({b"MULTI", b"SLAVEOF", b"EXEC", b"INFO"})


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
    around = (*freeing, slaveof, *_BEHIND)
    inside = tuple(command for command in around if command[0] not in node.declined)
    commands = ((b"MULTI",), *inside, (b"EXEC",), (b"INFO",))
    request = Request(
        kind,
        machine.now_ms,
        len(commands),
        node,
        generation=machine.master_of(node).generation,
        epoch=epoch,
        order=SlaveOf(target, commands),
    )
    renamed = tuple(links.rename(machine, node, command) for command in commands)
    machine.send(node.link, request, renamed)


def was_reduced(
    machine: Machine, node: Node, order: SlaveOf, replies: tuple[Received, ...]
) -> bool:
    """Whether all that kept the order from being obeyed can be left out next time; say so then."""
    refused = [
        (command, reply)
        for command, reply in zip(order.commands, replies, strict=True)
        if isinstance(reply, ReplyError)
    ]
    if not refused or refused[-1][0] != (b"EXEC",):
        return False
    around = refused[:-1]
    if not around or any(command[0] in _NEEDED for command, _ in around):
        return False
    for command, reply in around:
        if command[0] not in node.declined:
            node.declined.add(command[0])
            words = b" ".join(command[:2]).decode()
            notices.about_node(machine, "+order-reduced", node, f" #{words}: {reply.text}")
    return True


def refusal(order: SlaveOf, replies: tuple[Received, ...]) -> str | None:
    """Why the SLAVEOF of `send_slaveof` did not happen, or None if it did.

    A CONFIG REWRITE that fails (there is no file) is no refusal. A transaction is aborted because
    one of its commands was not even queued (no permission, renamed, unknown): that is the reason.
    """
    place = next(n for n, command in enumerate(order.commands) if command[0] == b"SLAVEOF")
    if replies[place] == b"OK":
        return None  # there was no transaction: MULTI was refused, and so each was done for itself
    *queued, outcome, _ = replies
    if isinstance(outcome, ReplyError):
        return next((reply.text for reply in queued if isinstance(reply, ReplyError)), outcome.text)
    if not isinstance(outcome, list) or len(outcome) < place:
        return "transaction aborted"
    # Of those before it only FAILOVER ABORT may fail, where that has just ended.
    slaveof = outcome[place - 1]
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
