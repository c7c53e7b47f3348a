"""Commands about the sentinel as a process: INFO, ROLE, PUBLISH (hello only), SHUTDOWN."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from sentinel.context import SentinelContext
from sentinel.core import views
from sentinel.core.events import HelloReceived
from sentinel.directives import MAX_CLIENTS
from vedette import REDIS_VERSION, __version__
from vedette.clients import info_sections
from vedette.cmdspec import Flag, command
from vedette.conf.quoting import encode_word
from vedette.errors import CommandError
from vedette.info import render_sections
from vedette.resp.replies import NO_REPLY, Reply

HELLO_CHANNEL = b"__sentinel__:hello"

Fields: TypeAlias = Mapping[str, object]


@command(
    "ROLE",
    arity=1,
    flags=Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.FAST,
    categories=("admin", "dangerous"),
    group="server",
    since="2.8.12",
    summary="Return the role of the instance",
)
def role(context: SentinelContext, argv: list[bytes]) -> Reply:
    return [b"sentinel", [encode_word(name) for name in context.state.masters]]


@command(
    "PUBLISH",
    arity=3,
    flags=Flag.PUBSUB | Flag.LOADING | Flag.STALE | Flag.FAST,
    group="pubsub",
    since="2.0.0",
    summary="Take a hello message of a fellow sentinel",
)
def publish(context: SentinelContext, argv: list[bytes]) -> Reply:
    """Hand a hello message to the machine; it reaches no subscriber."""
    if argv[1] != HELLO_CHANNEL:
        raise CommandError(b"ERR Only HELLO messages are accepted by Sentinel instances.")
    payload = argv[2]
    context.tell(lambda now_ms: HelloReceived(now_ms, payload))
    return 1


@command(
    "SHUTDOWN",
    arity=-1,
    flags=Flag.ADMIN | Flag.NOSCRIPT | Flag.LOADING | Flag.STALE | Flag.NO_MULTI | Flag.ALLOW_BUSY,
    group="server",
    since="1.0.0",
    summary="Stop the sentinel",
)
def shutdown(context: SentinelContext, argv: list[bytes]) -> Reply:
    """Stop the process; the state is on disk at all times, so there is nothing to save."""
    words = {argument.lower() for argument in argv[1:]}
    if not words <= {b"nosave", b"save", b"now", b"force", b"abort"}:
        raise CommandError(b"ERR syntax error")
    if b"abort" in words:
        if len(words) > 1:
            raise CommandError(b"ERR syntax error")
        raise CommandError(b"ERR No shutdown in progress.")
    if {b"save", b"nosave"} <= words:
        raise CommandError(b"ERR syntax error")
    context.around.request_shutdown()
    return NO_REPLY


@command(
    "INFO",
    arity=-1,
    flags=Flag.LOADING | Flag.STALE,
    group="server",
    since="1.0.0",
    summary="Return facts and counters of the sentinel",
    categories=("dangerous",),
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)
def info(context: SentinelContext, argv: list[bytes]) -> Reply:
    return encode_word(info_text(context, argv[1:]))


def info_text(context: SentinelContext, wanted: Sequence[bytes] = ()) -> str:
    """Return the sections of INFO that are `wanted`, all if none are named."""
    asked = {argument.lower() for argument in wanted}
    takes_all = not asked or bool(asked & {b"default", b"all", b"everything"})
    sections = [
        (title, fields(context))
        for title, fields in _SECTIONS.items()
        if takes_all or title.lower().encode() in asked
    ]
    return render_sections(sections)


def _server(context: SentinelContext) -> Fields:
    facts = context.around.process_facts()
    return {
        "redis_version": REDIS_VERSION,
        "vedette_version": __version__,
        "redis_mode": "sentinel",
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": 64,
        "multiplexing_api": "epoll",
        "process_id": facts.process_id,
        "run_id": facts.run_id,
        "tcp_port": facts.tcp_port,
        "server_time_usec": context.now_ms * 1000,
        "uptime_in_seconds": facts.uptime_s,
        "uptime_in_days": facts.uptime_s // 86400,
        "hz": 10,
        "configured_hz": 10,
        "executable": facts.executable,
        "config_file": facts.config_file,
    }


def _clients(context: SentinelContext) -> Fields:
    max_clients: int = context.around.settings.value_of(MAX_CLIENTS)
    return info_sections.clients_fields(context.engine, max_clients)


def _stats(context: SentinelContext) -> Fields:
    return {
        **info_sections.traffic_fields(context.engine),
        **info_sections.pubsub_fields(context.engine),
        **info_sections.error_fields(context.engine),
    }


def _cpu(context: SentinelContext) -> Fields:
    facts = context.around.process_facts()
    return info_sections.cpu_fields(
        (
            facts.cpu_system_s,
            facts.cpu_user_s,
            facts.children_cpu_system_s,
            facts.children_cpu_user_s,
        )
    )


def _sentinel(context: SentinelContext) -> Fields:
    state = context.state
    scripts = context.around.pending_scripts()
    fields: dict[str, object] = {
        "sentinel_masters": len(state.masters),
        "sentinel_tilt": int(state.tilt_since_ms is not None),
        "sentinel_tilt_since_seconds": views.tilt_since_seconds(state, context.machine_now_ms),
        "sentinel_total_tilt": state.tilt_count,
        "sentinel_running_scripts": sum(script.process_id != 0 for script in scripts),
        "sentinel_scripts_queue_length": len(scripts),
        "sentinel_simulate_failure_flags": int(state.simulated_failures),
    }
    for index, master in enumerate(state.masters.values()):
        host, port = master.address
        fields[f"master{index}"] = (
            f"name={master.name},status={views.master_status(master)},address={host}:{port},"
            f"slaves={len(master.replicas)},sentinels={len(master.peers) + 1}"
        )
    return fields


#: In the order of the reply.
_SECTIONS: Mapping[str, Callable[[SentinelContext], Fields]] = {
    "Server": _server,
    "Clients": _clients,
    "Stats": _stats,
    "CPU": _cpu,
    "Sentinel": _sentinel,
}
