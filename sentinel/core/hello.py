"""The hello message: its eight fields, read and written.

Pure text work; what a message means for the state is decided in `gossip.py`. Reference:
`sentinel.c: sentinelSendHello, sentinelProcessHelloMessage`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from vedette.types import Address, RunId, is_run_id

_FIELD_COUNT: Final = 8
_PORT_MAX: Final = 65535
_EPOCH_MAX: Final = 2**63 - 1
#: Many times what names and addresses can take; it is saved, and told to whoever asks.
_SIZE_MAX_BYTES: Final = 4096
_LINE_BREAKER: Final = re.compile(rb"[ \t\r\n\0]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a sentinel says of itself and of one master."""

    address: Address
    run_id: RunId
    current_epoch: int
    master_name: str
    master_address: Address
    config_epoch: int


def format_hello(hello: Hello) -> bytes:
    """The message's body."""
    fields = (
        hello.address.host,
        hello.address.port,
        hello.run_id,
        hello.current_epoch,
        hello.master_name,
        hello.master_address.host,
        hello.master_address.port,
        hello.config_epoch,
    )
    return ",".join(str(field) for field in fields).encode()


def parse_hello(payload: bytes) -> Hello | None:
    """The message, or None for anything that is not one: such are counted and passed over.

    Stricter than Redis, which reads `12x` as 12 and takes any text for a run id: who sends such is
    no sentinel.
    """
    return _parse(payload) if len(payload) <= _SIZE_MAX_BYTES else None


# The same message comes through every node's channel and directly, and again two seconds later: of
# each fellow one for each master.
@lru_cache(maxsize=8192)
def _parse(payload: bytes) -> Hello | None:
    try:
        fields = payload.decode().split(",")
    except UnicodeDecodeError:
        return None
    if len(fields) != _FIELD_COUNT:
        return None
    host, port, run_id, current_epoch, name, master_host, master_port, config_epoch = fields
    if not (host and is_run_id(run_id) and name and master_host):
        return None
    if _LINE_BREAKER.search(payload):
        return None  # would break the line it is written to in sentinel.conf
    numbers = [_number(text) for text in (port, current_epoch, master_port, config_epoch)]
    if any(number is None for number in numbers):
        return None
    port_number, current, master_port_number, config = (number or 0 for number in numbers)
    if not 0 < port_number <= _PORT_MAX or not 0 < master_port_number <= _PORT_MAX:
        return None
    if current > _EPOCH_MAX or config > _EPOCH_MAX:
        return None
    return Hello(
        address=Address(host, port_number),
        run_id=RunId(run_id),
        current_epoch=current,
        master_name=name,
        master_address=Address(master_host, master_port_number),
        config_epoch=config,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
