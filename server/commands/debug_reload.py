"""DEBUG RELOAD: the dataset saved to its file and loaded from there (Redis 7.0 `debug.c`)."""

from __future__ import annotations

from typing import Final

from vedette.errors import CommandError
from vedette.resp.replies import OK, Reply

from ..engine import SaveInProgress, ServerContext
from ..engine.datasets import adopt_loaded
from ..persistence.rdb.errors import RdbError
from ..persistence.snapshot import LoadedKeyspace, SnapshotLoad

_CANNOT_LOAD: Final = b"ERR Error trying to load the RDB dump"


def reload(ctx: ServerContext, argv: list[bytes]) -> Reply:
    """Save, then replace dataset and functions by what the file holds, or join it to them."""
    options = {word.upper() for word in argv[2:]}
    if not options <= {b"MERGE", b"NOFLUSH", b"NOSAVE"}:
        raise CommandError(b"ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    engine = ctx.engine
    if b"NOSAVE" not in options:
        try:
            engine.host.save()
        except (SaveInProgress, OSError) as error:
            raise CommandError(b"ERR") from error
    loaded = LoadedKeyspace()
    try:
        SnapshotLoad(
            engine.host.read_snapshot(),
            loaded,
            drop_expired_at_ms=None if engine.is_replica else ctx.now_ms,
            database_count=len(ctx.keyspace.databases),
        ).run()
    except (OSError, RdbError) as error:
        raise CommandError(_CANNOT_LOAD) from error
    functions = engine.scripting.functions
    try:
        libraries = functions.load_apart(loaded.libraries)
        if b"NOFLUSH" in options:
            replaces = b"MERGE" in options
            _join_present(ctx, loaded, replaces=replaces)
            functions.libraries.join(libraries, replaces=replaces)
        else:
            functions.adopt(libraries)
    except CommandError as error:
        raise CommandError(_CANNOT_LOAD) from error
    adopt_loaded(engine, loaded)
    engine.on_flush()
    return OK


def _join_present(ctx: ServerContext, loaded: LoadedKeyspace, *, replaces: bool) -> None:
    """Add to what was loaded what is there.

    Raises:
        CommandError: a key is in both, and the loaded one is not to replace it.
    """
    for database in ctx.keyspace.databases:
        values = loaded.values.setdefault(database.index, {})
        expires = loaded.expire_at_ms.setdefault(database.index, {})
        for key, value in database.values.items():
            if key not in values:
                values[key] = value
                if key in database.expires:
                    expires[key] = database.expires[key]
            elif not replaces:
                raise CommandError(_CANNOT_LOAD)
