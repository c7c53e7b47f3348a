"""What is executed or repeated as a whole: one command, or a transaction.

Owns the reading of a unit's replies. Knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from vedette.resp.exchange import Received, ReplyError

from .kinds import Kind
from .verdicts import Verdict, find_refusal, judge_loss

Argv: TypeAlias = Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Commands that go out together and are repeated only together.

    A transaction has MULTI first and EXEC last.
    """

    argvs: Sequence[Argv]
    kind: Kind
    #: Whether to repeat it if it was sent and no reply came.
    may_repeat: bool

    @property
    def name(self) -> str:
        """What errors call it."""
        if len(self.argvs) > 1:
            return "a transaction"
        return self.argvs[0][0].decode("utf-8", "replace").upper()

    @staticmethod
    def transaction(parts: Sequence[Unit]) -> Unit:
        """Wrap commands into MULTI and EXEC."""
        is_read = all(part.kind is Kind.READ for part in parts)
        return Unit(
            argvs=[[b"MULTI"], *(argv for part in parts for argv in part.argvs), [b"EXEC"]],
            kind=Kind.READ if is_read else Kind.WRITE,
            may_repeat=all(part.may_repeat for part in parts),
        )

    def refusal(self, replies: Sequence[Received]) -> ReplyError | None:
        """Return the reply that tells that this node executes nothing of it, if there is one."""
        for reply in replies:
            # Only scripts and EXEC put errors into lists; they are no reads.
            error = find_refusal(reply, may_hold_errors=self.kind is Kind.WRITE)
            if error is not None:
                return error
        return None

    def result(self, replies: Sequence[Received]) -> Received:
        """Return the unit's reply: EXEC's, or the error that made it fail.

        If a command was refused when it was queued, that error says more than EXECABORT.
        """
        if len(replies) == 1:
            return replies[0]
        return next((reply for reply in replies if isinstance(reply, ReplyError)), replies[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of the units that an attempt was made at."""

    #: Why the node is no master, if one of the replies told so.
    refusal: str | None
    #: Units that are to be sent (again), by index.
    unsettled: Sequence[int]
    #: Units that were sent, may not be repeated, and have no reply. They count as settled.
    uncertain: Sequence[int]
    #: Writes that were sent without a reply and are to be repeated: should no repetition get a
    #: reply, they are uncertain too.
    pending: Sequence[int]


class Batch:
    """The units of one call, with their results as they come in.

    Attributes:
        units: in the order of the call.
        results: of the same length; a reply or an exception once a unit is settled.
    """

    __slots__ = ("_remaining", "results", "units")

    def __init__(self, units: Sequence[Unit]) -> None:
        self.units = units
        self.results: list[Received] = [None] * len(units)
        #: Indices of units without a result, in order.
        self._remaining: Sequence[int] = range(len(units))

    @property
    def remaining(self) -> Sequence[int]:
        """Indices of the units without a result."""
        return self._remaining

    def argvs(self) -> list[Argv]:
        """Return the commands of the units without a result."""
        return [argv for index in self._remaining for argv in self.units[index].argvs]

    def take(self, replies: Sequence[Received], *, was_sent: bool) -> Taken:
        """Settle what `replies` to `argvs()` settle.

        They are too few if the connection broke; `was_sent` tells of those without a reply.
        """
        refusal: str | None = None
        uncertain, pending, unsettled = [], [], []
        position = 0
        for index in self._remaining:
            unit = self.units[index]
            answers = replies[position : position + len(unit.argvs)]
            position += len(unit.argvs)
            error = unit.refusal(answers)
            if error is not None:
                verdict, refusal = Verdict.ELSEWHERE, error.text
            elif len(answers) == len(unit.argvs):
                verdict = Verdict.DONE
            else:
                verdict = judge_loss(was_sent=was_sent, may_repeat=unit.may_repeat)
            if verdict is Verdict.DONE:
                self.results[index] = unit.result(answers)
            elif verdict is Verdict.UNCERTAIN:
                uncertain.append(index)
            else:
                unsettled.append(index)
                if verdict is Verdict.AGAIN and was_sent and unit.kind is not Kind.READ:
                    pending.append(index)
        self._remaining = unsettled
        return Taken(refusal=refusal, unsettled=unsettled, uncertain=uncertain, pending=pending)
