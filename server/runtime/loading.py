"""Loading a dataset while clients are served: the pace of it, and the snapshot found at start.

`Pacer` is for whoever loads in steps (snapshots at start and from a master, append-only files): it
gives the other tasks their turn every few milliseconds, keeps INFO's progress, and obeys
`key-load-delay`. A single key with so many elements that it would take long is decoded in a thread,
where the interpreter switches to the others by itself.
"""

from __future__ import annotations

import time
from typing import Final

import structlog
import trio

from vedette.errors import CommandError, VedetteError

from .. import directives
from ..engine import ServerEngine
from ..engine.datasets import adopt_loaded
from ..persistence.rdb.decode import RUN_SIZE
from ..persistence.rdb.errors import RdbError
from ..persistence.snapshot import LoadedKeyspace, SnapshotLoad
from ..replication.events import Position
from .clock import wall_clock_ms
from .mapped_file import map_file

log = structlog.get_logger()

#: How long loading may keep the other tasks (PING, INFO) waiting at a time.
SLICE_S: Final = 0.01
#: A delay is slept in pieces of at least so much: the sleep itself takes a tenth of it.
_LEAST_SLEEP_US: Final = 1000


class LoadError(VedetteError):
    """The dataset at start cannot be used; the text says why. Going on would lose the data."""


class Pacer:
    """The pace of one loading. The loader calls `after_step` after each of its steps."""

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine
        self._slice_ends_s = time.monotonic() + SLICE_S
        self._delayed_us = 0.0
        self._interval_end_bytes = 0

    @property
    def run_size(self) -> int:
        """How much of a snapshot one step may take, in bytes; 1: one key."""
        configuration = self._engine.configuration
        if configuration[directives.KEY_LOAD_DELAY]:
            return 1
        return min(RUN_SIZE, configuration[directives.LOADING_INTERVAL_BYTES])

    async def after_step(self, loaded_bytes: int, key_count: int) -> None:
        """Note the progress so far, `key_count` keys more, and let others run if it is time.

        A checkpoint now and then.
        """
        self._engine.load.loaded_bytes = loaded_bytes
        if self._delay(key_count):
            pause_us, self._delayed_us = self._delayed_us, 0.0
            await trio.sleep(pause_us / 1_000_000)
        elif time.monotonic() >= self._slice_ends_s or loaded_bytes >= self._interval_end_bytes:
            await trio.lowlevel.checkpoint()
        else:
            return
        self._slice_ends_s = time.monotonic() + SLICE_S
        interval_bytes = self._engine.configuration[directives.LOADING_INTERVAL_BYTES]
        self._interval_end_bytes = loaded_bytes + interval_bytes

    def _delay(self, key_count: int) -> bool:
        """Add up what `key-load-delay` asks for; return whether it is worth a sleep by now.

        Microseconds for each key; a negative value is the number of keys for one microsecond.
        """
        delay = self._engine.configuration[directives.KEY_LOAD_DELAY]
        self._delayed_us += delay * key_count if delay >= 0 else key_count / -delay
        return self._delayed_us >= _LEAST_SLEEP_US

    async def step(self, load: SnapshotLoad) -> bool:
        """Do one step of `load`, and what `after_step` does; return whether another is to be done.

        Raises: what `SnapshotLoad.step` raises.
        """
        key_count = load.keys_loaded
        if load.is_next_large:
            goes_on = await trio.to_thread.run_sync(load.step_large)
        else:
            goes_on = load.step(self.run_size)
        self._engine.load.used_memory_bytes = load.used_memory_bytes
        await self.after_step(load.loaded_bytes, load.keys_loaded - key_count)
        return goes_on


async def load_at_start(engine: ServerEngine, path: str) -> None:
    """Load the file at `path` into the empty keyspace of `engine`; no file is an empty dataset.

    Whoever calls has begun the loading (`engine.begin_loading`) and ends it: a replica that asked
    meanwhile would be given the empty dataset.

    Raises:
        LoadError: the file is damaged, from a newer Redis, or holds what this server has not.
    """
    try:
        data = map_file(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LoadError(f"{path}: {error.strerror}") from error
    began_s = time.monotonic()
    now_ms = wall_clock_ms()
    engine.load.total_bytes = len(data)
    loaded = LoadedKeyspace()
    databases = engine.keyspace.databases
    replication = engine.replication
    load = SnapshotLoad(
        data,
        loaded,
        drop_expired_at_ms=None if replication.is_replica else now_ms,
        database_count=len(databases),
    )
    pacer = Pacer(engine)
    try:
        while await pacer.step(load):
            pass
    except RdbError as error:
        raise LoadError(f"{path}: {error}") from error
    functions = engine.scripting.functions
    try:
        functions.adopt(functions.load_apart(loaded.libraries))
    except CommandError as error:
        raise LoadError(f"{path}: a function library cannot be loaded: {error}") from error
    adopt_loaded(engine, loaded)
    engine.saves.last_load_keys_loaded = load.keys_loaded
    engine.saves.last_load_keys_expired = len(load.expired)
    position = load.replication
    if position is not None:
        saved = Position(position.run_id.encode(), position.offset)
        replication.restore(saved, max(0, position.selected_db), now_ms)
        # The replicas of before the restart have these keys, and are about to go on.
        for index, key in load.expired:
            engine.propagate(index, [b"DEL", key])
    log.info(
        "snapshot.loaded",
        path=path,
        keys=load.keys_loaded,
        expired=len(load.expired),
        elapsed_ms=int((time.monotonic() - began_s) * 1000),
    )
