"""Caching by clients: who may hold which keys, and telling them when one changes.

Theory of operation. A client that tracks (CLIENT TRACKING) is remembered under each key it reads;
when the key changes it is told, once, and forgotten under it. A client that tracks by broadcasting
is told of every key with one of its prefixes, read or not, at the end of each batch. What concerns
the client whose command is running waits until its reply is complete.

The table knows ids, not sessions, and keys of no particular database, as in Redis: a client that
has gone, or tracks no more, costs its entries until the keys change or nobody tracks. Follows Redis
7.0 `tracking.c`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Final

from vedette.clients import ClientRegistry, Session
from vedette.clients.session import Tracking
from vedette.resp.encode import encode_reply
from vedette.resp.replies import PushReply, Reply

CHANNEL: Final = b"__redis__:invalidate"
#: How many keys one call of `keep_within_limit` forgets; more while it remains exceeded.
_FORGOTTEN_AT_ONCE: Final = 100


@dataclass(slots=True)
class _Prefix:
    """Who is told of the keys with one prefix."""

    sessions: dict[Session, None] = field(default_factory=dict)
    #: Keys that changed in this batch, with the id of the client that did it last (0: none did).
    changed: dict[bytes, int] = field(default_factory=dict)


class TrackedKeys:
    """The table of one server.

    `put_off(act)` has `act` done when the reply of the running command is complete; `at_batch_end`
    likewise when the batch is.
    """

    def __init__(
        self,
        clients: ClientRegistry,
        *,
        put_off: Callable[[Callable[[], None]], None],
        at_batch_end: Callable[[Callable[[], None]], None],
    ) -> None:
        self._clients = clients
        self._put_off = put_off
        self._at_batch_end = at_batch_end
        #: tracking-table-max-keys; 0: no limit.
        self.max_keys = 1_000_000
        self._readers: dict[bytes, dict[int, None]] = {}
        #: How many (key, client) there are.
        self.item_count = 0
        self._prefixes: dict[bytes, _Prefix] = {}
        self._sessions: dict[Session, None] = {}
        self._is_broadcast_due = False
        self._times_over_limit = 0

    @property
    def key_count(self) -> int:
        """Keys that somebody is to be told of."""
        return len(self._readers)

    @property
    def prefix_count(self) -> int:
        """Prefixes that somebody broadcasts for."""
        return len(self._prefixes)

    @property
    def is_in_use(self) -> bool:
        """Whether any client tracks."""
        return bool(self._sessions)

    # --- who tracks ------------------------------------------------------------------------------

    def on_tracking_changed(self, session: Session) -> None:
        """Take note of what `session.tracking` says now."""
        tracking = session.tracking
        if tracking is None:
            self._sessions.pop(session, None)
        else:
            self._sessions[session] = None
        wanted = () if tracking is None else tracking.prefixes
        for name in [name for name in self._prefixes if name not in wanted]:
            prefix = self._prefixes[name]
            prefix.sessions.pop(session, None)
            if not prefix.sessions:
                del self._prefixes[name]
        if not self._sessions:
            self._forget_readers()
        for name in wanted:
            self._prefixes.setdefault(name, _Prefix()).sessions[session] = None

    # --- what is read ----------------------------------------------------------------------------

    def remember(self, session: Session, keys: Iterable[bytes]) -> None:
        """Note that `session`, which tracks, has read `keys`."""
        tracking = session.tracking
        if tracking is None or tracking.is_broadcast:
            return
        if (tracking.is_opt_in and not tracking.is_caching) or (
            tracking.is_opt_out and tracking.is_caching
        ):
            return
        for key in keys:
            readers = self._readers.setdefault(key, {})
            if session.id not in readers:
                readers[session.id] = None
                self.item_count += 1

    # --- what changes ----------------------------------------------------------------------------

    def on_change(self, key: bytes, changer: Session, *, is_its_doing: bool = True) -> None:
        """Tell whom it concerns that `key` has changed while a command of `changer` ran.

        Where that was not its doing (the key had expired, or a script that it runs did it) it is
        told by broadcast even if it does not want to hear of what it does itself.
        """
        for name, prefix in self._prefixes.items():
            if key.startswith(name):
                if not self._is_broadcast_due:
                    self._is_broadcast_due = True
                    self._at_batch_end(self._broadcast)
                prefix.changed[key] = changer.id if is_its_doing else 0
        self._invalidate(key, changer.id)

    def _invalidate(self, key: bytes, changer_id: int | None) -> None:
        readers = self._readers.pop(key, None)
        if readers is None:
            return
        self.item_count -= len(readers)
        for client_id in readers:
            session = self._clients.by_id(client_id)
            tracking = None if session is None else session.tracking
            if session is None or tracking is None or tracking.is_broadcast:
                continue
            is_own = client_id == changer_id
            if is_own and tracking.is_no_loop:
                continue
            if is_own or tracking.redirect == changer_id:
                # Whose command runs hears of it behind the reply, be it in place of another.
                self._put_off(partial(self._send, session, [key]))
            else:
                self._send(session, [key])

    def on_flush(self, changer: Session) -> None:
        """Tell all who track that every key is gone."""
        for session in list(self._sessions):
            tracking = session.tracking
            if changer.id in (session.id, 0 if tracking is None else tracking.redirect):
                self._put_off(partial(self._send, session, None))
            else:
                self._send(session, None)
        self._forget_readers()

    def _forget_readers(self) -> None:
        self._readers.clear()
        self.item_count = 0

    def _broadcast(self) -> None:
        self._is_broadcast_due = False
        for _, prefix in sorted(self._prefixes.items()):
            changed, prefix.changed = prefix.changed, {}
            for session in list(prefix.sessions):
                keys = sorted(changed)
                if session.tracking is not None and session.tracking.is_no_loop:
                    keys = [key for key in keys if changed[key] != session.id]
                if keys:
                    self._send(session, keys)

    def keep_within_limit(self) -> None:
        """Forget some keys if there are too many; whoever has them is told that they changed."""
        if not self.max_keys or len(self._readers) <= self.max_keys:
            self._times_over_limit = 0
            return
        self._times_over_limit += 1
        effort = _FORGOTTEN_AT_ONCE * self._times_over_limit
        excess = min(effort, len(self._readers) - self.max_keys)
        # Those read first by anyone: as good as some at random, which a dictionary has not.
        for key in list(islice(self._readers, excess)):
            self._invalidate(key, None)
        if len(self._readers) <= self.max_keys:
            self._times_over_limit = 0

    # --- telling ---------------------------------------------------------------------------------

    def _send(self, session: Session, keys: list[bytes] | None) -> None:
        """Tell `session`, or whom it redirects to, that `keys` have changed (None: all)."""
        tracking = session.tracking
        if tracking is None or session.is_closed:
            return
        target: Session | None = session
        if tracking.redirect:
            target = self._clients.by_id(tracking.redirect)
            if target is None:
                self._note_broken_redirection(session, tracking)
                return
        assert target is not None
        body: Reply = None if keys is None else list(keys)
        if target.protocol == 3:
            self._push(target, PushReply([b"invalidate", body]))
        elif tracking.redirect and target.is_subscribed:
            self._push(target, PushReply([b"message", CHANNEL, body]))

    def _note_broken_redirection(self, session: Session, tracking: Tracking) -> None:
        session.tracking = replace(tracking, is_redirect_broken=True)
        if session.protocol == 3:
            self._push(session, PushReply([b"tracking-redir-broken", tracking.redirect]))

    def _push(self, session: Session, push: PushReply) -> None:
        """Have `push` sent whatever CLIENT REPLY says."""
        if not session.is_close_requested:
            session.outbox.append(encode_reply(push, session.protocol))
            self._clients.note_unsent(session)
