"""Everything that can happen to the machine.

Each event carries `now_ms`, the runtime's monotonic clock in milliseconds at the moment the event
is handed to `SentinelCore.step`; it never goes backwards. There is no wall clock in the machine.

**What the runtime promises about links.** A `LinkId` names one connection attempt and is never used
again. For every `Connect` there is at most one `LinkUp`, then any number of `RepliesReceived` and
`MessageReceived`, and exactly one `LinkDown` unless the machine asked for `Disconnect` first (a
`LinkDown` after that is allowed and ignored). Events of a link the machine has forgotten are
harmless, so the runtime need not suppress what was already on its way.

**What it promises about requests.** `request` in the administrative events is a number of the
runtime's choosing, unique while unanswered. Each is answered by exactly one `Answer` action, in
this step or a later one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NewType, TypeAlias

from vedette.resp.exchange import Received
from vedette.types import Address, RunId

from .link_state import LinkId
from .model import SimulatedFailure
from .options import GlobalOptions, MasterOptions
from .timing import Periods

#: Names a client's request that waits for its `Answer`; chosen by the runtime.
RequestId = NewType("RequestId", int)


class LinkLoss(Enum):
    """Why a connection is gone, or never came to be."""

    REFUSED = "refused"  # a living kernel with no listener
    UNREACHABLE = "unreachable"  # no route, network down, name does not resolve
    TIMEOUT = "timeout"  # the connect did not complete in time
    EOF = "eof"
    RESET = "reset"
    PROTOCOL = "protocol"  # bytes that are not RESP, or more than the limits allow
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Started:
    """The process is up and the state is loaded. The first event, once."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class TimePassed:
    """`next_wakeup_ms` has come. Waking early or twice does no harm."""

    now_ms: int


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The TCP (and TLS) connection stands; nothing has been sent on it.

    `local_host` is our own IP on that connection, which the hello message announces unless
    `sentinel announce-ip` says otherwise.
    """

    now_ms: int
    link: LinkId
    local_host: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The connection could not be made, or was lost. Replies still owed will not come."""

    now_ms: int
    link: LinkId
    reason: LinkLoss


@dataclass(frozen=True, slots=True)
class RepliesReceived:
    """All replies to one `Send` have come: as many as it had commands, in their order.

    A reply is what `vedette.resp.exchange` yields: bytes for bulk and simple strings, int, None,
    list, `ReplyError` for an error (also inside a list).
    """

    now_ms: int
    link: LinkId
    token: int
    replies: tuple[Received, ...]


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message on `__sentinel__:hello` came over a pub/sub link; `payload` is its body."""

    now_ms: int
    link: LinkId
    payload: bytes


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """A client PUBLISHed `payload` to `__sentinel__:hello` on our port (fellow sentinels do)."""

    now_ms: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Persisted:
    """The save that `Persist(save_id)` asked for ended.

    `is_saved`: the record is on disk, fsynced and renamed, its directory too. A runtime that skips
    to the newest of several waiting saves reports the newest; that settles all earlier ones.
    `error` is for notices only.
    """

    now_ms: int
    save_id: int
    is_saved: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class NameResolved:
    """A look-up of a host name ended; `ips` is empty if it failed."""

    now_ms: int
    host: str
    ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VoteRequested:
    """SENTINEL IS-MASTER-DOWN-BY-ADDR from a fellow sentinel (or anybody).

    `candidate` is None for `*`: only our opinion of the address is asked. `asker` is the client's
    name, b"" when it has none; fellow sentinels call themselves `sentinel-<8 hex>-cmd`.
    Answered by `[down (0|1), leader run id or b"*", leader epoch]`, behind a save when that vote is
    new.
    """

    now_ms: int
    request: RequestId
    address: Address
    epoch: int
    candidate: RunId | None
    asker: bytes = b""


@dataclass(frozen=True, slots=True)
class MonitorRequested:
    """SENTINEL MONITOR, with arguments already checked by the command (name new, quorum > 0)."""

    now_ms: int
    request: RequestId
    name: str
    address: Address
    quorum: int


@dataclass(frozen=True, slots=True)
class RemoveRequested:
    """SENTINEL REMOVE."""

    now_ms: int
    request: RequestId
    name: str


@dataclass(frozen=True, slots=True)
class OptionsRequested:
    """SENTINEL SET, parsed and checked by the command.

    `options` is the complete new record. `applied` holds one tuple of words for each option that
    changed, as `+set` shall show them (a password already masked): `(b"quorum", b"2")`. `error` is
    what stopped the command half-way (Redis keeps the options before it), or None.
    """

    now_ms: int
    request: RequestId
    name: str
    options: MasterOptions
    applied: tuple[tuple[bytes, ...], ...]
    error: bytes | None = None


@dataclass(frozen=True, slots=True)
class GlobalOptionsRequested:
    """SENTINEL CONFIG SET, parsed and checked; `options` is the complete new record."""

    now_ms: int
    request: RequestId
    options: GlobalOptions


@dataclass(frozen=True, slots=True)
class ResetRequested:
    """SENTINEL RESET; `names` are the masters matched. Answered by their number."""

    now_ms: int
    request: RequestId
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FailoverRequested:
    """SENTINEL FAILOVER: an operator's order to fail over.

    Plain, nobody is asked. `is_coordinated`: by an election, and without loss.
    """

    now_ms: int
    request: RequestId
    name: str
    is_coordinated: bool = False


@dataclass(frozen=True, slots=True)
class ForgetRequested:
    """SENTINEL FORGET; either `sentinels` or `replicas` holds something, none of them unknown."""

    now_ms: int
    request: RequestId
    name: str
    sentinels: tuple[RunId, ...] = ()
    replicas: tuple[Address, ...] = ()


class ForgetStep(Enum):
    """What a fellow says about forgetting sentinels; the value is the word on the wire."""

    AGREE = "agree"
    DONE = "done"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class ForgetStepRequested:
    """SENTINEL FORGET-STEP from a fellow sentinel.

    `known` are all sentinels that the asker knows, itself included, `forgotten` those it has
    forgotten before. AGREE is answered by our epoch once our agreement is on disk.
    """

    now_ms: int
    request: RequestId
    name: str
    step: ForgetStep
    asker: RunId
    epoch: int
    targets: tuple[RunId, ...]
    known: tuple[RunId, ...]
    forgotten: tuple[RunId, ...]


@dataclass(frozen=True, slots=True)
class SaveRequested:
    """SENTINEL FLUSHCONFIG."""

    now_ms: int
    request: RequestId


@dataclass(frozen=True, slots=True)
class PeriodsChanged:
    """SENTINEL DEBUG, parsed and checked; `periods` is the complete new record. Not answered."""

    now_ms: int
    periods: Periods


@dataclass(frozen=True, slots=True)
class FailureSimulated:
    """SENTINEL SIMULATE-FAILURE; `failures` replaces what was ordered before. Not answered."""

    now_ms: int
    failures: SimulatedFailure


Event: TypeAlias = (
    Started
    | TimePassed
    | LinkUp
    | LinkDown
    | RepliesReceived
    | MessageReceived
    | HelloReceived
    | Persisted
    | NameResolved
    | VoteRequested
    | MonitorRequested
    | RemoveRequested
    | OptionsRequested
    | GlobalOptionsRequested
    | ResetRequested
    | FailoverRequested
    | ForgetRequested
    | ForgetStepRequested
    | SaveRequested
    | PeriodsChanged
    | FailureSimulated
)
