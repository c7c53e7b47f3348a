"""What a reply, or the lack of one, allows to do next.

    replied, no error that tells of a wrong node      -> DONE, the reply is the caller's
    replied that this node is no master (any more),
    or is not ready to be one                         -> ELSEWHERE: not executed, so find the master
                                                         and run it there
    no reply, not sent                                -> AGAIN
    no reply, sent, repeating is safe                 -> AGAIN
    no reply, sent, repeating is not safe             -> UNCERTAIN

Other refusals (OOM, NOREPLICAS, MISCONF, NOAUTH, WRONGTYPE) are answers: to wait for them to go
away is the caller's decision.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from vedette.resp.exchange import Received, ReplyError

#: Codes of a node that executes nothing at present, of which nothing was executed.
_NOT_SERVING: Final = frozenset(["READONLY", "LOADING", "MASTERDOWN", "REDIRECT"])

#: READONLY as proxies and scripts wrap it: `ERR READONLY ...`, `ERR Error running script (call to
#: f_1): @user_script:1: -READONLY You can't write...`, `EXECABORT ... READONLY You can't ...`.
#: Code of users may say the word too, so more than the word is asked for.
_WRAPPED_READONLY: Final = re.compile(
    r"(?:ERR|EXECABORT) (?:-?READONLY\b|.*READONLY You can't write against a read only)"
)


class Verdict(enum.Enum):
    """What to do with a command; see the module."""

    DONE = "done"
    ELSEWHERE = "elsewhere"
    AGAIN = "again"
    UNCERTAIN = "uncertain"


def find_refusal(reply: Received, *, may_hold_errors: bool = False) -> ReplyError | None:
    """Return the error by which a node tells that it is no master, or None.

    `may_hold_errors` has a list searched too: EXEC answers READONLY inside its list on servers that
    let a transaction begin on a replica, and nothing that writes was executed then.
    """
    if isinstance(reply, ReplyError):
        return reply if tells_of_no_master(reply) else None
    if may_hold_errors and isinstance(reply, list):
        for item in reply:
            if isinstance(item, ReplyError) and tells_of_no_master(item):
                return item
    return None


def judge_loss(*, was_sent: bool, may_repeat: bool) -> Verdict:
    """Return AGAIN or UNCERTAIN for a command without a reply."""
    return Verdict.AGAIN if may_repeat or not was_sent else Verdict.UNCERTAIN


def tells_of_no_master(error: ReplyError) -> bool:
    """Return whether a node refuses because it is a replica, or not serving yet."""
    return error.code in _NOT_SERVING or _WRAPPED_READONLY.match(error.text) is not None
