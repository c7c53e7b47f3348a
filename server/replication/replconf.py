"""REPLCONF: what a replica says of itself, before it asks for synchronisation and after.

Follows Redis 7.0 `replication.c: replconfCommand`, and 7.2 for the second offset of ACK.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from vedette.conf.quoting import UnbalancedQuotesError, split_arguments
from vedette.errors import CommandError

_MAX_ADDRESS_BYTES: Final = 255
_INTEGER: Final = re.compile(rb"-?(0|[1-9]\d{0,17})")


@dataclass(frozen=True, slots=True)
class SnapshotContent:
    """Which parts of a snapshot a replica asked for (`rdb-filter-only`); all unless it did."""

    has_data: bool = True
    has_functions: bool = True

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out."""
        return not (self.has_data and self.has_functions)

    @classmethod
    def parse(cls, value: bytes) -> SnapshotContent:
        """Return what `rdb-filter-only <value>` asks for: nothing but the parts that it names.

        Raises:
            CommandError: it names what is no part.
        """
        try:
            words = split_arguments(value)
        except UnbalancedQuotesError:
            raise CommandError(b"ERR Missing rdb-filter-only values") from None
        for word in words:
            if word.lower() != b"functions":
                raise CommandError(b"ERR Unsupported rdb-filter-only option: " + word)
        return cls(has_data=False, has_functions=bool(words))


EVERYTHING: Final = SnapshotContent()


@dataclass(slots=True)
class ReplicaOptions:
    """What a connection has said through REPLCONF, before it asks for synchronisation and after."""

    #: 0 until the replica says where it listens; so shown by INFO.
    listening_port: int = 0
    #: The address the replica wants to be known by; empty: the one it connects from.
    announced_address: str = ""
    #: The replica finds the end of a snapshot by a mark.
    knows_eof: bool = False
    #: The replica takes `+CONTINUE <new id>`.
    knows_psync2: bool = False
    #: The replica wants a snapshot and nothing after it.
    is_snapshot_only: bool = False
    #: What the snapshot shall hold.
    content: SnapshotContent = EVERYTHING


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """`REPLCONF ACK <offset> [FACK <offset>]`; None where an offset is missing or no number.

    It has no reply. The second offset is what the replica has on its disk (Redis 7.2).
    """

    offset: int | None
    synced_offset: int | None = None


@dataclass(frozen=True, slots=True)
class AcknowledgementWanted:
    """`REPLCONF GETACK *`, which only a master sends. It has no reply."""


def apply_replconf(
    options: ReplicaOptions, arguments: Sequence[bytes]
) -> Acknowledged | AcknowledgementWanted | None:
    """Take the options of `[b"REPLCONF", option, value, ...]` into `options`.

    Returns None when the reply is OK. ACK and GETACK end the command, as in Redis: they are
    returned, and what follows them is not looked at.

    Raises:
        CommandError: a wrong option or value; the options before it stay in force, as in Redis.
    """
    if len(arguments) % 2 == 0:
        raise CommandError(b"ERR syntax error")
    for index in range(1, len(arguments), 2):
        name, value = arguments[index].lower(), arguments[index + 1]
        match name:
            case b"listening-port":
                options.listening_port = _integer(value)
            case b"ip-address":
                if len(value) > _MAX_ADDRESS_BYTES:
                    raise CommandError(
                        b"ERR REPLCONF ip-address provided by replica instance is too long: "
                        b"%d bytes" % len(value)
                    )
                options.announced_address = value.decode("utf-8", "replace")
            case b"capa":
                # Capabilities that are not known are passed over: the replica is newer than we.
                options.knows_eof |= value.lower() == b"eof"
                options.knows_psync2 |= value.lower() == b"psync2"
            case b"ack":
                rest = arguments[index + 2 : index + 4]
                is_fack = len(rest) == 2 and rest[0].lower() == b"fack"
                return Acknowledged(_offset(value), _offset(rest[1]) if is_fack else None)
            case b"getack":
                return AcknowledgementWanted()
            case b"rdb-only":
                wanted = _integer(value)
                if wanted not in (0, 1):
                    raise CommandError(b"ERR value is out of range, must be between 0 and 1")
                options.is_snapshot_only = wanted == 1
            case b"rdb-filter-only":
                options.content = SnapshotContent.parse(value)
            case _:
                raise CommandError(b"ERR Unrecognized REPLCONF option: " + arguments[index])
    return None


def _offset(value: bytes) -> int | None:
    return int(value) if _INTEGER.fullmatch(value) else None


def _integer(value: bytes) -> int:
    if _INTEGER.fullmatch(value) is None:
        raise CommandError(b"ERR value is not an integer or out of range")
    return int(value)
