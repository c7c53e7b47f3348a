"""What a fellow sends behind a request for a vote, put to the machine before its turn.

A vote is answered when it is on disk, and replies keep the order of a client's requests. A fellow
that stands for fifty masters at once asks for fifty votes over one connection, and announces over
it the new masters that others of them have: one after the other each would wait for a save of its
own. So while a request for a vote waits, those behind it are put to the machine as well, and hello
messages with them: one save serves all votes, and news need none. Replies still come in their turn.

Only what changes nothing about who asks is passed on the way: who asks for a vote may have changed
its user before the next. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from vedette.clients import Block, Session
from vedette.clients.commands.arguments import parse_integer
from vedette.conf.quoting import decode_word
from vedette.errors import CommandError
from vedette.types import Address, RunId

from .core.events import RequestId, VoteRequested

MakeVoteRequest = Callable[[int, RequestId], VoteRequested]

_VOTE_COMMANDS: Final = frozenset(
    {"sentinel|is-master-down-by-addr", "sentinel|is-primary-down-by-addr"}
)
_VOTE_WORDS: Final = frozenset({b"IS-MASTER-DOWN-BY-ADDR", b"IS-PRIMARY-DOWN-BY-ADDR"})


def read_vote_request(argv: list[bytes], asker: bytes) -> MakeVoteRequest:
    """Return what makes the event of `SENTINEL IS-MASTER-DOWN-BY-ADDR ip port epoch runid`.

    Raises:
        CommandError: port or epoch is no number.
    """
    port = parse_integer(argv[3])
    epoch = parse_integer(argv[4])
    address = Address(decode_word(argv[2]), port)
    candidate = None if argv[5] == b"*" else RunId(decode_word(argv[5]))
    return lambda now_ms, request: VoteRequested(now_ms, request, address, epoch, candidate, asker)


class RequestsAhead:
    """Which of the requests that wait were put to the machine already.

    `ask(session, make_event)` puts a request for a vote to it and returns its number;
    `hear(session, argv)` does so with a PUBLISH, and returns False if it is not such as may be.
    """

    def __init__(
        self,
        ask: Callable[[Session, MakeVoteRequest], RequestId],
        hear: Callable[[Session, list[bytes]], bool],
    ) -> None:
        self._ask = ask
        self._hear = hear
        #: By the identity of a waiting request, which is held here so that it stays unique; without
        #: a number for a hello message.
        self._put: dict[int, tuple[list[bytes], Session, RequestId | None]] = {}

    def look(self, session: Session) -> None:
        """Put the requests behind a vote that `session` waits for to the machine."""
        wait = session.blocked
        if wait is None or not _is_for_vote(wait):
            return
        for argv in session.waiting_requests:
            name = argv[0].upper()
            if name == b"PING" or id(argv) in self._put:
                continue
            if name == b"PUBLISH":
                if self._hear(session, argv):
                    self._put[id(argv)] = argv, session, None
                continue
            if name != b"SENTINEL" or len(argv) != 6 or argv[1].upper() not in _VOTE_WORDS:
                return
            try:
                make_event = read_vote_request(argv, session.name)
            except CommandError:
                return  # is refused in its turn
            self._put[id(argv)] = argv, session, self._ask(session, make_event)

    def take(self, argv: list[bytes]) -> RequestId | None:
        """Return the number of a vote whose turn has come, if it was put to the machine."""
        found = self._put.pop(id(argv), None)
        return None if found is None else found[2]

    def was_heard(self, argv: list[bytes]) -> bool:
        """Return whether a PUBLISH whose turn has come was put to the machine, and forget it."""
        return self._put.pop(id(argv), None) is not None

    def forget(self, session: Session) -> list[RequestId]:
        """Forget the requests of a session that is gone; return the numbers of its votes."""
        gone = [key for key, (_, owner, _) in self._put.items() if owner is session]
        requests = [self._put.pop(key)[2] for key in gone]
        return [request for request in requests if request is not None]


def _is_for_vote(wait: Block) -> bool:
    return wait.request is not None and wait.request[0].full_name in _VOTE_COMMANDS
