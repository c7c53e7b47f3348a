"""Reading and removing what a drill has written, once its writers have ended."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from vedette.errors import VedetteError
from vedette.runtime.connection import Connection

READ_TIMEOUT_S = 30.0
_BATCH = 500


class UnreadableError(VedetteError):
    """The data could not be read in time."""


async def list_keys(connection: Connection, prefix: str) -> list[str]:
    """Return the names of all keys that begin so. It holds the node up: for laboratories only.

    Raises:
        VedetteError: the node refuses, or is lost.
    """
    keys: list[bytes] = await connection.execute("KEYS", f"{prefix}*")
    return [key.decode("utf-8", "replace") for key in keys]


async def read_values(connection: Connection, keys: Sequence[str]) -> dict[str, str]:
    """Return the values of those of the keys that there are.

    Raises:
        VedetteError: the node refuses, is lost, or takes longer than `READ_TIMEOUT_S`.
    """
    found: dict[str, str] = {}
    with trio.move_on_after(READ_TIMEOUT_S):
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            values: list[bytes | None] = await connection.execute("MGET", *batch)
            for key, value in zip(batch, values, strict=True):
                if value is not None:
                    found[key] = value.decode("utf-8", "replace")
        return found
    raise UnreadableError(f"not read within {READ_TIMEOUT_S:g} s")


async def remove_keys(connection: Connection, keys: Sequence[str]) -> None:
    """Remove the keys.

    Raises:
        VedetteError: the node refuses, or is lost.
    """
    for start in range(0, len(keys), _BATCH):
        await connection.execute("DEL", *keys[start : start + _BATCH])
