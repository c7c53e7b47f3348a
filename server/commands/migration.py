"""MIGRATE: moving keys to another server (Redis 7.0 `cluster.c: migrateCommand`).

Redis serves nobody until the other server has answered. Here reads go on and only writes wait, so
that the values which were sent are still those that are deleted afterwards. In a transaction or a
script, which nothing may come between, everybody waits as with Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vedette.clients import WAITING, Block, PausePurpose
from vedette.cmdspec import Flag, Keys, KeySpec, command
from vedette.errors import CommandError
from vedette.resp.replies import OK, ErrorReply, Reply, SimpleString

from .. import directives
from ..engine import ServerContext, ServerEngine
from ..engine.keyspace_events import KeyspaceEvents
from ..engine.migration import MigratedKey, MigrationOutcome, MigrationRequest
from ..persistence.rdb.payload import dump_payload
from ..store.database import Database
from .arguments import parse_integer, syntax_error

_DEFAULT_TIMEOUT_MS: Final = 1000
#: The pause of writes ends with the transfer; this is but a bound.
_FOR_EVER_MS: Final = 365 * 24 * 3600 * 1000
_KEY_ACCESS: Final = ("RW", "ACCESS", "DELETE")
_GAVE_UP: Final = b"IOERR error or timeout reading to target instance"


def _key_places(argv: list[bytes]) -> range:
    """Return where the keys stand, as Redis finds them: it passes over options it does not know.

    KEYS as the very last word names none, and is not seen unless there is another.
    """
    has_list = any(word.upper() == b"KEYS" for word in argv[1:-1])
    options = iter(range(6, len(argv)))
    for index in options if has_list else ():
        match argv[index].upper():
            case b"AUTH":
                next(options, None)
            case b"AUTH2":
                next(options, None)
                next(options, None)
            case b"KEYS":
                return range(0) if argv[3] else range(index + 1, len(argv))
    return range(3, min(4, len(argv)))


def _first_key(argv: list[bytes]) -> range:
    places = _key_places(argv)
    return places if 3 in places else range(0)


def _listed_keys(argv: list[bytes]) -> range:
    places = _key_places(argv)
    return range(0) if 3 in places else places


@dataclass(slots=True)
class _Options:
    is_copy: bool = False
    replaces: bool = False
    credentials: tuple[bytes, ...] = ()

    def parse(self, argv: list[bytes]) -> int:
        """Read the options; return where the keys behind KEYS begin, 0 if there is no such word.

        Raises:
            CommandError: they make no sense.
        """
        index = 6
        while index < len(argv):
            left = len(argv) - index - 1
            match argv[index].upper():
                case b"COPY":
                    self.is_copy = True
                case b"REPLACE":
                    self.replaces = True
                case b"AUTH" if left >= 1:
                    self.credentials = (argv[index + 1],)
                    index += 1
                case b"AUTH2" if left >= 2:
                    self.credentials = (argv[index + 1], argv[index + 2])
                    index += 2
                case b"KEYS":
                    if argv[3]:
                        raise CommandError(
                            b"ERR When using MIGRATE KEYS option, the key argument must be set to"
                            b" the empty string"
                        )
                    return index + 1
                case _:
                    raise syntax_error()
            index += 1
        return 0


@command(
    "MIGRATE",
    arity=-6,
    flags=Flag.WRITE | Flag.MOVABLE_KEYS,
    keys=Keys(
        3,
        3,
        1,
        groups=(
            KeySpec(3, _KEY_ACCESS, find=_first_key),
            KeySpec(-2, (*_KEY_ACCESS, "INCOMPLETE"), last=-1, find=_listed_keys, keyword=b"KEYS"),
        ),
    ),
    group="generic",
    since="2.6.0",
    tips=("nondeterministic_output",),
    summary="Moves keys to another server, or copies them there.",
    complexity="O(N) where N is the size of the values",
    categories=("keyspace", "dangerous"),
)
def migrate(ctx: ServerContext, argv: list[bytes]) -> Reply | Block:
    options = _Options()
    first_key = options.parse(argv)
    timeout_ms = parse_integer(argv[5])
    database_index = parse_integer(argv[4])
    names = argv[first_key:] if first_key else argv[3:4]
    keys = tuple(key for name in names if (key := _dumped(ctx, name)) is not None)
    if not keys:
        return SimpleString(b"NOKEY")
    request = MigrationRequest(
        host=argv[1].decode("utf-8", "surrogateescape"),
        port=int(argv[2]) if argv[2].isdigit() else 0,
        timeout_s=(timeout_ms if timeout_ms > 0 else _DEFAULT_TIMEOUT_MS) / 1000,
        database_index=database_index,
        keys=keys,
        replaces=options.replaces,
        credentials=options.credentials,
    )
    port = ctx.engine.migrations
    if port is None:
        raise CommandError(b"IOERR error or timeout connecting to the client")
    if ctx.engine.is_in_transaction:
        outcome = port.transfer(request)
        return _end(ctx.engine, ctx.db, outcome, is_copy=options.is_copy)
    return _Migration(ctx, request, is_copy=options.is_copy).wait


def _dumped(ctx: ServerContext, name: bytes) -> MigratedKey | None:
    value = ctx.read(name)
    if value is None:
        return None
    payload = dump_payload(value, compress=ctx.engine.configuration[directives.RDB_COMPRESSION])
    expire_at_ms = ctx.db.expires.get(name)
    return MigratedKey(name, payload, 0 if expire_at_ms is None else expire_at_ms - ctx.now_ms)


def _end(
    engine: ServerEngine, database: Database, outcome: MigrationOutcome, *, is_copy: bool
) -> Reply:
    """Delete here what is there now, and return the reply."""
    if outcome.accepted and not is_copy:
        for key in outcome.accepted:
            database.delete(key)
            if engine.context.is_notifying:
                engine.publish_key_event(KeyspaceEvents.GENERIC, database.index, b"del", key)
        engine.keyspace.dirty += len(outcome.accepted)
        engine.propagate(database.index, [b"DEL", *outcome.accepted])
    return OK if outcome.error is None else engine.error_reply(outcome.error)


class _Migration:
    """A transfer under way, and the wait of the client that asked for it."""

    def __init__(self, ctx: ServerContext, request: MigrationRequest, *, is_copy: bool) -> None:
        self._engine = ctx.engine
        self._database = ctx.db
        self._is_copy = is_copy
        self._reply: Reply = None
        self._is_over = False
        self._reason = f"migration {id(self)}"
        self.wait = Block(
            (self._reason,),
            lambda now_ms: self._reply if self._is_over else WAITING,
            on_timeout=lambda: ErrorReply(_GAVE_UP),
        )
        # No other begins meanwhile: MIGRATE is a write.
        self._engine.pause(
            ctx.now_ms + _FOR_EVER_MS, writes_only=True, purpose=PausePurpose.MIGRATION
        )
        assert self._engine.migrations is not None
        self._engine.migrations.begin(request, self._on_end)

    def _on_end(self, outcome: MigrationOutcome) -> None:
        engine = self._engine
        engine.unpause(PausePurpose.MIGRATION)
        engine.enter(engine.nobody)
        # What became a replica meanwhile deletes nothing by itself.
        is_copy = self._is_copy or (engine.is_replica and engine.is_replica_read_only)
        self._reply = _end(engine, self._database, outcome, is_copy=is_copy)
        self._is_over = True
        engine.wake(self._reason)
