"""Reading all that the writers of a drill have written, once they have ended."""

from __future__ import annotations

import trio

from vedette.errors import VedetteError
from vedette.runtime.connection import Connection

from .workload import COUNTER_KEY, KEY_PREFIX

READ_TIMEOUT_S = 30.0
_READ_BATCH = 500


class UnreadableError(VedetteError):
    """The data could not be read in time."""


async def read_keys(connection: Connection) -> dict[str, str]:
    """Return every key of the writers, and their counter, with its value.

    Raises:
        VedetteError: the node refuses, is lost, or takes longer than `READ_TIMEOUT_S`.
    """
    with trio.move_on_after(READ_TIMEOUT_S):
        return await _read(connection)
    raise UnreadableError(f"not read within {READ_TIMEOUT_S:g} s")


async def _read(connection: Connection) -> dict[str, str]:
    keys: list[bytes] = await connection.execute("KEYS", f"{KEY_PREFIX}*")
    keys.append(COUNTER_KEY.encode())
    found: dict[str, str] = {}
    for start in range(0, len(keys), _READ_BATCH):
        batch = keys[start : start + _READ_BATCH]
        values: list[bytes | None] = await connection.execute("MGET", *batch)
        for key, value in zip(batch, values, strict=True):
            if value is not None:
                found[key.decode()] = value.decode("utf-8", "replace")
    return found
