"""What SENTINEL DOCTOR asks of nodes, fellows, names and disk, and how the answers are read.

Pure: `runtime/examination.py` asks, and fills `Facts`; what they mean is said in `doctor.py`.
Nothing that is asked changes anything anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from vedette.resp.exchange import Received, ReplyError
from vedette.types import Address, RunId

from .core.options import MasterOptions

Command = tuple[bytes, ...]

#: What a sentinel says to a node.
NODE_COMMANDS: Final[tuple[Command, ...]] = (
    (b"PING",),
    (b"INFO",),
    (b"CLIENT", b"SETNAME", b"x"),
    (b"PUBLISH", b"__sentinel__:hello", b"x"),
    (b"SUBSCRIBE", b"__sentinel__:hello"),
    (b"MULTI",),
    (b"SLAVEOF", b"NO", b"ONE"),
    (b"CONFIG", b"REWRITE"),
    (b"CLIENT", b"KILL", b"TYPE", b"normal"),
    (b"EXEC",),
    (b"SCRIPT", b"KILL"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What a node answered. `error` says why it could not be asked, "" if it could."""

    address: Address
    error: str = ""
    user: str = ""
    #: Commands (as they are called there) that are unknown, and that the user may not run.
    unknown: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    #: Why permissions could not be looked at, "" if they could.
    unchecked: str = ""
    #: Its clock's lead over ours; None: not told.
    skew_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFacts:
    """What a fellow sentinel answered."""

    run_id: RunId
    address: Address
    error: str = ""
    #: Its SENTINEL MASTER.
    master: Mapping[str, str] = field(default_factory=dict)
    skew_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFacts:
    """How a host name was looked up; `address` is None if it was not found."""

    host: str
    address: str | None
    took_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """How writing beside the state file went."""

    path: str
    error: str
    fsync_ms: float
    failed_saves: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was found out."""

    nodes: Sequence[NodeFacts]
    peers: Sequence[PeerFacts]
    names: Sequence[NameFacts]
    disk: DiskFacts


def node_commands(options: MasterOptions) -> list[Command]:
    """The commands as they are called at the nodes of a master."""
    return [
        (options.renamed_commands.get(command[0], command[0]), *command[1:])
        for command in NODE_COMMANDS
    ]


def questions(options: MasterOptions) -> list[Command]:
    """What a node is asked first: who we are to it, its time, which commands it knows."""
    names = dict.fromkeys(command[0] for command in node_commands(options))
    return [(b"ACL", b"WHOAMI"), (b"TIME",), (b"COMMAND", b"INFO", *names)]


def permission_questions(options: MasterOptions, user: str) -> list[Command]:
    """What it is asked then: whether this user may run each command."""
    return [(b"ACL", b"DRYRUN", user.encode(), *command) for command in node_commands(options)]


def user_of(whoami: Received, options: MasterOptions) -> str:
    """The user that the node takes us for."""
    if isinstance(whoami, bytes):
        return whoami.decode("utf-8", "replace")
    return (options.auth_user or b"default").decode("utf-8", "replace")


def read_node(
    address: Address,
    options: MasterOptions,
    answers: Sequence[Received],
    permissions: Sequence[Received],
    unix_ms: int,
) -> NodeFacts:
    """Make facts of a node's answers; `unix_ms` is our time when it was asked for its own."""
    whoami, time, table = answers
    commands = node_commands(options)
    names = list(dict.fromkeys(command[0] for command in commands))
    unknown: set[bytes] = set()
    if isinstance(table, list) and len(table) == len(names):
        unknown = {name for name, row in zip(names, table, strict=True) if not row}
    denied: list[str] = []
    unchecked = ""
    for command, reply in zip(commands, permissions, strict=True):
        if command[0] in unknown or reply == b"OK":
            continue
        if isinstance(reply, ReplyError):
            unchecked = reply.text
        elif isinstance(reply, bytes):
            denied.append(_shown(command))
    return NodeFacts(
        address=address,
        user=user_of(whoami, options),
        unknown=tuple(name.decode("utf-8", "replace") for name in names if name in unknown),
        denied=tuple(denied),
        unchecked=unchecked,
        skew_ms=_skew_ms(time, unix_ms),
    )


def _shown(command: Command) -> str:
    words = command[:2] if command[0] in (b"CLIENT", b"CONFIG", b"SCRIPT") else command[:1]
    return b" ".join(words).decode("utf-8", "replace")


def _skew_ms(time: Received, unix_ms: int) -> int | None:
    if not isinstance(time, list) or len(time) != 2:
        return None
    try:
        return int(time[0]) * 1_000 + int(time[1]) // 1_000 - unix_ms
    except (TypeError, ValueError):
        return None


def read_peer(
    run_id: RunId, address: Address, answers: Sequence[Received], unix_ms: int
) -> PeerFacts:
    """Make facts of a fellow's SENTINEL MASTER and INFO server."""
    master, info = answers
    if isinstance(master, ReplyError):
        return PeerFacts(run_id=run_id, address=address, error=master.text)
    fields: dict[str, str] = {}
    if isinstance(master, list) and all(isinstance(word, bytes) for word in master):
        words = [word.decode("utf-8", "replace") for word in master]
        fields = dict(zip(words[::2], words[1::2], strict=False))
    skew_ms: int | None = None
    if isinstance(info, bytes):
        for line in info.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name == b"server_time_usec" and value.isdigit():
                skew_ms = int(value) // 1_000 - unix_ms
    return PeerFacts(run_id=run_id, address=address, master=fields, skew_ms=skew_ms)
