"""Loading the snapshot that a server finds when it starts."""

from __future__ import annotations

import time
from typing import Final

import structlog
import trio

from vedette.errors import CommandError, VedetteError

from ..engine import ServerEngine
from ..persistence.rdb.errors import RdbError
from ..persistence.snapshot import LoadedKeyspace, SnapshotLoad
from ..replication.events import Position

log = structlog.get_logger()

#: How long loading may keep the other tasks (PING, INFO) waiting at a time.
_SLICE_S: Final = 0.05


class LoadError(VedetteError):
    """The snapshot at start cannot be used; the text says why. Going on would lose the data."""


async def load_at_start(engine: ServerEngine, path: str) -> None:
    """Load the file at `path` into the empty keyspace of `engine`; no file is an empty dataset.

    From the call to its end clients are answered LOADING: a replica that asked meanwhile would
    be given the empty dataset.

    Raises:
        LoadError: the file is damaged, from a newer Redis, or holds what this server has not.
    """
    engine.set_loading(True)
    try:
        await _load(engine, path)
    finally:
        engine.set_loading(False)


async def _load(engine: ServerEngine, path: str) -> None:
    try:
        data = await trio.Path(path).read_bytes()
    except FileNotFoundError:
        return
    except OSError as error:
        raise LoadError(f"{path}: {error.strerror}") from error
    began_s = time.monotonic()
    now_ms = time.time_ns() // 1_000_000
    loaded = LoadedKeyspace()
    databases = engine.keyspace.databases
    replication = engine.replication
    load = SnapshotLoad(
        data,
        loaded,
        drop_expired_at_ms=None if replication.is_replica else now_ms,
        database_count=len(databases),
    )
    try:
        slice_ends_s = time.monotonic() + _SLICE_S
        while load.step():
            if time.monotonic() >= slice_ends_s:
                await trio.lowlevel.checkpoint()
                slice_ends_s = time.monotonic() + _SLICE_S
    except RdbError as error:
        raise LoadError(f"{path}: {error}") from error
    functions = engine.scripting.functions
    try:
        functions.adopt(functions.load_apart(loaded.libraries))
    except CommandError as error:
        raise LoadError(f"{path}: a function library cannot be loaded: {error}") from error
    for index, values in loaded.values.items():
        databases[index].adopt(values, loaded.expire_at_ms.get(index, {}))
    engine.saves.last_load_keys_loaded = load.keys_loaded
    engine.saves.last_load_keys_expired = load.keys_expired
    position = load.replication
    if position is not None:
        saved = Position(position.run_id.encode(), position.offset)
        replication.restore(saved, max(0, position.selected_db), now_ms)
    log.info(
        "snapshot.loaded",
        path=path,
        keys=load.keys_loaded,
        expired=load.keys_expired,
        elapsed_ms=int((time.monotonic() - began_s) * 1000),
    )
