"""The kernel's engine with the commands that server and sentinel share, and a few of its own."""

from __future__ import annotations

from collections.abc import Callable

from vedette.clients import WAITING, Block, Context, Engine, ServingSettings, Session
from vedette.clients.blocking import Waiting
from vedette.clients.commands import COMMON_MODULES
from vedette.cmdspec import CommandRow, CommandTable, Flag, Keys, command
from vedette.errors import CommandError
from vedette.resp.encode import encode_command
from vedette.resp.replies import NO_REPLY, NULL_ARRAY, OK, Reply

__all__ = ["START_MS", "KernelEngine", "as_request"]

START_MS = 1_700_000_000_000

Words = tuple[bytes | str | int, ...]


def as_request(*words: bytes | str | int) -> bytes:
    """Return the multibulk request of `words`."""
    return encode_command(
        [word if isinstance(word, bytes) else str(word).encode() for word in words]
    )


class KernelEngine(Engine):
    """An engine whose clients are told by hand what arrives, and by hand when time passes.

    Beyond the common commands it has STORE key value (a write), FETCH key, HOLD [timeout-ms] (waits
    for `release`), MULTI and EXEC in their simplest form, REFUSED (answers an error) and CRASH.
    """

    def __init__(
        self,
        *,
        password: bytes = b"",
        on_crash: Callable[[Session, CommandRow, Exception], None] | None = None,
    ) -> None:
        settings = ServingSettings()
        rows = [row for handler in _HANDLERS for row in vars(handler)["command_rows"]]
        table = CommandTable([*CommandTable.of(COMMON_MODULES), *rows])
        self.seconds = 0.0
        super().__init__(table, settings, clock=self._tick, on_crash=on_crash)
        self.access.users.set_default_password(password)
        self.now_ms = START_MS
        self.begin_batch(START_MS)
        self.stored: dict[bytes, bytes] = {}
        #: Who changed something, by what.
        self.written: list[tuple[int, str]] = []
        self.released: Reply | Waiting = WAITING

    def _tick(self) -> float:
        self.seconds += 0.001
        return self.seconds

    def after_write(
        self, session: Session, row: CommandRow, argv: list[bytes], received: bytes = b""
    ) -> None:
        self.context.changes = 0
        self.written.append((session.id, row.full_name))

    def client(self, **fields: object) -> Session:
        """Open a client; `fields` are set on its session."""
        number = self.clients.accepted_count + 1
        session = self.open_client(
            address=f"127.0.0.1:{40_000 + number}",
            local_address="127.0.0.1:6379",
            now_ms=self.now_ms,
        )
        for name, value in fields.items():
            setattr(session, name, value)
        session.recheck()
        return session

    def advance(self, milliseconds: int) -> None:
        """Let time pass, ending the waits whose deadline is over."""
        self.now_ms += milliseconds
        self.begin_batch(self.now_ms)
        self.expire_waits()
        self.end_batch()

    def arrive(self, session: Session, data: bytes) -> bytes:
        """Have `data` arrive as one batch and return what the client is owed then."""
        self.receive(session, data)
        self.end_batch()
        return self.sent_to(session)

    def send(self, session: Session, *commands: Words) -> bytes:
        """Have whole requests arrive as one batch and return what the client is owed then."""
        return self.arrive(session, b"".join(as_request(*words) for words in commands))

    def sent_to(self, session: Session) -> bytes:
        """Return what the client is owed, and forget it."""
        output = b"".join(session.outbox)
        session.outbox.clear()
        return output

    def release(self, reply: Reply) -> None:
        """End the wait of all that HOLD, with `reply`."""
        self.released = reply
        self.wake("hold")
        self.end_batch()
        self.released = WAITING


class _ToyContext(Context):
    engine: KernelEngine


@command(
    "STORE",
    arity=3,
    flags=Flag.WRITE,
    keys=Keys(1, 1, 1, ("OW", "UPDATE")),
    group="string",
    since="1.0.0",
    summary="Sets a key.",
)
def _store(ctx: _ToyContext, argv: list[bytes]) -> Reply:
    ctx.engine.stored[argv[1]] = argv[2]
    ctx.changes += 1
    return OK


@command(
    "FETCH",
    arity=2,
    flags=Flag.READONLY | Flag.FAST,
    keys=Keys(1, 1, 1, ("RO", "ACCESS")),
    group="string",
    since="1.0.0",
    summary="Returns a key's value.",
)
def _fetch(ctx: _ToyContext, argv: list[bytes]) -> Reply:
    return ctx.engine.stored.get(argv[1])


@command("HOLD", arity=-1, flags=Flag.BLOCKING, group="generic", since="1.0.0", summary="Waits.")
def _hold(ctx: _ToyContext, argv: list[bytes]) -> Block:
    engine = ctx.engine
    deadline_ms = ctx.now_ms + int(argv[1]) if len(argv) > 1 else None
    return Block(("hold",), lambda now_ms: engine.released, lambda: NULL_ARRAY, deadline_ms)


@command(
    "MULTI", arity=1, flags=Flag.NOT_QUEUED, group="transactions", since="1.0.0", summary="Begins."
)
def _multi(ctx: _ToyContext, argv: list[bytes]) -> Reply:
    ctx.session.queued_commands = []
    ctx.session.recheck()
    return OK


@command(
    "EXEC", arity=1, flags=Flag.NOT_QUEUED, group="transactions", since="1.0.0", summary="Runs."
)
def _exec(ctx: _ToyContext, argv: list[bytes]) -> Reply:
    session = ctx.session
    queued, has_errors = session.queued_commands or [], session.errors_in_transaction
    ctx.engine.discard_transaction(session)
    if has_errors:
        raise CommandError(b"EXECABORT Transaction discarded because of previous errors.")
    return ctx.engine.run_queued(session, queued)


@command("REFUSED", arity=1, flags=Flag.NONE, group="generic", since="1.0.0", summary="Errs.")
def _refused(ctx: _ToyContext, argv: list[bytes]) -> Reply:
    raise CommandError(b"TOY not today")


@command("CRASH", arity=1, flags=Flag.NONE, group="generic", since="1.0.0", summary="Has a bug.")
def _crash(ctx: _ToyContext, argv: list[bytes]) -> Reply:
    raise ZeroDivisionError("a bug")


@command(
    "ONLYOUTSIDE", arity=1, flags=Flag.NO_MULTI, group="generic", since="1.0.0", summary="Runs."
)
def _only_outside(ctx: _ToyContext, argv: list[bytes]) -> Reply:
    return NO_REPLY


_HANDLERS = (_store, _fetch, _hold, _multi, _exec, _refused, _crash, _only_outside)
