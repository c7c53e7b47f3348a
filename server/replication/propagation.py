"""What a master writes into its replication stream around the commands themselves.

The stream is a sequence of encoded commands. Where the database changes, SELECT goes before; the
effects of one transaction or script stand between MULTI and EXEC. Works on commands already
encoded, since the AOF takes the same bytes. Follows Redis 7.0 `replication.c:
replicationFeedSlaves` and `server.c: propagatePendingCommands, sendGetackToReplicas`.

A replica never encodes anything: what its master sent goes to its own replicas byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vedette.resp.encode import encode_command

MULTI: Final = encode_command([b"MULTI"])
EXEC: Final = encode_command([b"EXEC"])
PING: Final = encode_command([b"PING"])
GETACK: Final = encode_command([b"REPLCONF", b"GETACK", b"*"])

_SELECTS: Final = tuple(encode_command([b"SELECT", b"%d" % number]) for number in range(16))

#: What stands between two arguments: the end of one and the header of the next, by its size.
_JOINTS: Final = tuple(b"\r\n$%d\r\n" % size for size in range(1024))


def encode_effect(command: list[bytes]) -> bytes:
    """Return what `encode_command` does, in half the time for what most writes are.

    In a quarter of it for three words, the shape that is most frequent.
    """
    joints = _JOINTS
    try:
        if len(command) == 3:
            name, key, value = command
            parts = [
                b"*3",
                joints[len(name)],
                name,
                joints[len(key)],
                key,
                joints[len(value)],
                value,
            ]
        else:
            parts = [b"*%d" % len(command)]
            for word in command:
                parts += (joints[len(word)], word)
    except IndexError:
        return encode_command(command)
    parts.append(b"\r\n")
    return b"".join(parts)


def encode_select(database: int) -> bytes:
    """Return `SELECT <database>` encoded."""
    if database < len(_SELECTS):
        return _SELECTS[database]
    return encode_command([b"SELECT", b"%d" % database])


class StreamEncoder:
    """Remembers which database a stream has selected."""

    __slots__ = ("selected_database",)

    def __init__(self) -> None:
        #: The database a reader at the end of the stream is in; -1 when that is not known, so
        #: that the next command brings its SELECT.
        self.selected_database = -1

    def forget_database(self) -> None:
        """Make the next command bring a SELECT.

        Called whenever somebody starts to read at the end of the stream: each new full
        synchronisation, and a promotion.
        """
        self.selected_database = -1

    def encode(self, database: int, command: bytes) -> bytes:
        """Return `command`, run in `database`, as it goes into the stream."""
        if database == self.selected_database:
            return command
        self.selected_database = database
        return encode_select(database) + command

    def encode_transaction(self, effects: Sequence[tuple[int, bytes]]) -> bytes:
        """Return the (database, command) pairs of `effects` as one unit.

        One effect alone is atomic without MULTI; none leaves nothing.
        """
        if not effects:
            return b""
        if len(effects) == 1:
            return self.encode(*effects[0])
        parts = [self.encode(effects[0][0], MULTI)]
        parts += [self.encode(database, command) for database, command in effects]
        parts.append(EXEC)
        return b"".join(parts)


class EffectStream(StreamEncoder):
    """What commands did, on its way into one stream: to the replicas, or to the append-only file.

    Commands are encoded once for all streams. What they append stays here until the batch ends, or
    until somebody wants to know how long the stream is: to take many at once costs as much as one.
    """

    __slots__ = ("pending",)

    def __init__(self) -> None:
        super().__init__()
        #: What was not taken yet. A single effect in the selected database may be put here as it
        #: is, which spares a call for each write.
        self.pending: list[bytes] = []

    def append(self, effects: Sequence[tuple[int, bytes]]) -> None:
        """Add the (database index, encoded command) pairs of one unit: all are applied or none."""
        self.pending.append(self.encode_transaction(effects))

    def take(self) -> bytes:
        """Return what was appended since the last call."""
        pending, self.pending = self.pending, []
        return b"".join(pending)
