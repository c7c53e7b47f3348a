"""What SENTINEL DOCTOR asks of nodes, fellows, name servers and the disk.

Connections of its own, a few at a time, so that the links of the machine are not disturbed; each
with a time limit. It only asks; what the answers mean is `sentinel.doctor`'s to say.
"""

from __future__ import annotations

import os
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias, TypeVar

import trio

from sentinel import checkup
from sentinel.checkup import DiskFacts, Facts, NameFacts, NodeFacts, PeerFacts
from sentinel.core.model import SentinelState
from sentinel.core.options import GlobalOptions, MasterOptions
from sentinel.sources import Sources
from vedette.errors import VedetteError
from vedette.resp.exchange import Received, ReplyError
from vedette.runtime.connection import Connection, ConnectionLost, serve_connection
from vedette.runtime.tls import secure
from vedette.types import Address, RunId, is_ip

from .link import Resolve, open_socket

#: For one node or fellow, one name, and the disk.
TIME_LIMIT_S: Final = 3.0
#: How many are asked at the same time.
PARALLEL: Final = 16


T = TypeVar("T")

#: Connects to an address. Raises OSError.
_Dial: TypeAlias = Callable[[Address], Awaitable[trio.abc.Stream]]


class ExaminationError(VedetteError):
    """Somebody could not be asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is to be examined: copied, for the state may change meanwhile."""

    name: str
    options: MasterOptions
    own: GlobalOptions
    nodes: tuple[Address, ...]
    peers: tuple[tuple[RunId, Address], ...]


def patient_of(state: SentinelState, name: str) -> Patient:
    """What there is to examine of a master that is known."""
    master = state.masters[name]
    return Patient(
        name,
        master.options,
        state.options,
        tuple(node.address for node in master.nodes()),
        tuple((peer.run_id, peer.address) for peer in master.peers.values()),
    )


async def examine(
    patient: Patient,
    path: str,
    failed_saves: int,
    sources: Sources,
    resolve: Resolve,
    tls_context: ssl.SSLContext | None = None,
) -> Facts:
    """Ask everybody; never raises for what is wrong with them."""
    limiter = trio.CapacityLimiter(PARALLEL)
    dial = partial(_connect, sources, resolve, tls_context)
    nodes: dict[Address, NodeFacts] = {}
    peers: dict[RunId, PeerFacts] = {}
    names: dict[str, NameFacts] = {}
    disks: list[DiskFacts] = []

    async def ask_node(address: Address) -> None:
        try:
            nodes[address] = await _in_time(_ask_node, patient.options, address, dial)
        except ExaminationError as error:
            nodes[address] = NodeFacts(address=address, error=str(error))

    async def ask_peer(run_id: RunId, address: Address) -> None:
        try:
            peers[run_id] = await _in_time(_ask_peer, patient, run_id, address, dial)
        except ExaminationError as error:
            peers[run_id] = PeerFacts(run_id=run_id, address=address, error=str(error))

    async def look_up(host: str) -> None:
        names[host] = await _look_up(host, resolve)

    async def try_disk() -> None:
        disk = DiskFacts(path=path, error="it hangs", fsync_ms=0, failed_saves=failed_saves)
        with trio.move_on_after(TIME_LIMIT_S):
            # The thread is left behind if the disk never answers.
            disk = await trio.to_thread.run_sync(
                _try_disk, path, failed_saves, abandon_on_cancel=True
            )
        disks.append(disk)

    async def limited(run: Callable[..., Awaitable[None]], *words: object) -> None:
        async with limiter:
            await run(*words)

    known = [*patient.nodes, *(address for _, address in patient.peers)]
    async with trio.open_nursery() as nursery:
        for address in patient.nodes:
            nursery.start_soon(limited, ask_node, address)
        for run_id, address in patient.peers:
            nursery.start_soon(limited, ask_peer, run_id, address)
        for host in {address.host for address in known if not is_ip(address.host)}:
            nursery.start_soon(limited, look_up, host)
        nursery.start_soon(try_disk)
    return Facts(
        nodes=[nodes[address] for address in patient.nodes],
        peers=[peers[run_id] for run_id, _ in patient.peers],
        names=[names[host] for host in sorted(names)],
        disk=disks[0],
    )


async def _in_time(ask: Callable[..., Awaitable[T]], *words: object) -> T:
    """Run a question within its time. Raises ExaminationError for whatever goes wrong."""
    try:
        with trio.fail_after(TIME_LIMIT_S):
            return await ask(*words)
    except trio.TooSlowError as error:
        raise ExaminationError(f"no answer within {TIME_LIMIT_S:.0f} s") from error
    except OSError as error:
        text = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ExaminationError(text) from error
    except ConnectionLost as error:
        raise ExaminationError(error.reason) from error


async def _ask_node(options: MasterOptions, address: Address, dial: _Dial) -> NodeFacts:
    stream = await dial(address)
    async with serve_connection(stream, address) as connection:
        await _log_in(connection, options.auth_user, options.auth_pass)
        asked_ms = time.time_ns() // 1_000_000
        answers = await connection.perform(checkup.questions(options))
        refused = [each.text for each in answers if _is_refused(each)]
        if len(refused) == len(answers):
            raise ExaminationError(refused[0])
        user = checkup.user_of(answers[0], options)
        permissions = await connection.perform(checkup.permission_questions(options, user))
    return checkup.read_node(address, options, answers, permissions, asked_ms)


def _is_refused(reply: Received) -> bool:
    return isinstance(reply, ReplyError) and reply.code == "NOAUTH"


async def _ask_peer(patient: Patient, run_id: RunId, address: Address, dial: _Dial) -> PeerFacts:
    stream = await dial(address)
    async with serve_connection(stream, address) as connection:
        await _log_in(connection, patient.own.sentinel_user, patient.own.sentinel_pass)
        asked_ms = time.time_ns() // 1_000_000
        name = patient.name.encode("utf-8", "surrogateescape")
        answers = await connection.perform([(b"SENTINEL", b"MASTER", name), (b"INFO", b"server")])
    return checkup.read_peer(run_id, address, answers, asked_ms)


async def _connect(
    sources: Sources, resolve: Resolve, tls_context: ssl.SSLContext | None, address: Address
) -> trio.abc.Stream:
    host = address.host
    if not is_ip(host):
        found = await resolve(host)
        if not found:
            raise ExaminationError("its name does not resolve")
        host = found[0]
    connection = await open_socket(Address(host, address.port), sources)
    return await secure(trio.SocketStream(trio.socket.from_stdlib_socket(connection)), tls_context)


async def _log_in(connection: Connection, user: bytes | None, password: bytes | None) -> None:
    """Log in, if there is a password. Raises ExaminationError when it is refused."""
    if password is None:
        return
    words = (b"AUTH", password) if user is None else (b"AUTH", user, password)
    (reply,) = await connection.perform([words])
    # ERR: it wants no password, so that the links of the machine work as well.
    if isinstance(reply, ReplyError) and reply.code != "ERR":
        raise ExaminationError(reply.text)


async def _look_up(host: str, resolve: Resolve) -> NameFacts:
    began_s = trio.current_time()
    found = await resolve(host)
    took_ms = (trio.current_time() - began_s) * 1_000
    return NameFacts(host=host, address=found[0] if found else None, took_ms=took_ms)


def _try_disk(path: str, failed_saves: int) -> DiskFacts:
    """Write and fsync beside the state file, as a save does. Blocks."""
    error_text = ""
    began = time.perf_counter()
    try:
        with tempfile.NamedTemporaryFile(
            dir=os.path.dirname(path) or ".", prefix=".vedette-doctor-"
        ) as file:
            file.write(b"x" * 4_096)
            file.flush()
            os.fsync(file.fileno())
        if not os.access(path, os.W_OK):
            error_text = "permission denied"
    except OSError as error:
        error_text = error.strerror or str(error)
    return DiskFacts(
        path=path,
        error=error_text,
        fsync_ms=(time.perf_counter() - began) * 1_000,
        failed_saves=failed_saves,
    )
