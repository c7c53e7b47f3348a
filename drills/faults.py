"""The faults a drill can inject, and the orders it can give, as data: whom they hit and how.

`drills.runtime.injection` carries them out. A target is a role rather than a process, for which
node is the master is known only when the moment comes.
"""

from __future__ import annotations

import enum
import signal
from dataclasses import dataclass
from typing import TypeAlias


class Target(enum.Enum):
    """Whom a fault hits."""

    MASTER = "the master"
    REPLICA = "a replica"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A signal sent to the target's process."""

    name: str
    target: Target
    signal: signal.Signals
    #: Whether the process is gone for good; else it must take part in the convergence.
    ends_process: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an operator tells a sentinel in place of a fault: SENTINEL FAILOVER, with options."""

    name: str
    options: tuple[str, ...]

    #: Nobody is hit.
    ends_process = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Nothing gets through to and from the master, whoever sends it."""

    name: str

    ends_process = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """The master itself is told to serve nobody for down-after and some time more."""

    name: str
    beyond_down_after_ms: int

    ends_process = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    """The master itself is told to end; whoever runs it starts it again."""

    name: str

    #: It comes back, and has to take part in the convergence.
    ends_process = False


#: What a drill does to a deployment; the last two are for one that somebody else runs.
Injection: TypeAlias = Fault | Order | Partition | Hang | Shutdown

PARTITION_MASTER = Partition(name="partition")

#: Maintenance: the master is to hand over while all is well.
COORDINATED_FAILOVER = Order(name="SENTINEL FAILOVER COORDINATED", options=("COORDINATED",))

#: The same without a handover: what the old master takes meanwhile is lost.
PLAIN_FAILOVER = Order(name="SENTINEL FAILOVER", options=())

#: By protocol alone, a process can be made to stand still only for a time that is told before.
SLEEP_MASTER = Hang(name="DEBUG SLEEP", beyond_down_after_ms=5000)
END_MASTER = Shutdown(name="SHUTDOWN NOSAVE NOW")

#: The process vanishes between two instructions; the kernel resets its connections at once.
KILL_MASTER = Fault(name="kill -9", target=Target.MASTER, signal=signal.SIGKILL, ends_process=True)

#: A replica vanishes in the same way.
KILL_REPLICA = Fault(
    name="kill -9", target=Target.REPLICA, signal=signal.SIGKILL, ends_process=True
)

#: The process is there and answers nothing; the kernel goes on taking connections for it. What was
#: sent meanwhile is answered when it is resumed.
STOP_MASTER = Fault(name="SIGSTOP", target=Target.MASTER, signal=signal.SIGSTOP, ends_process=False)
