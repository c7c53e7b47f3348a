"""SENTINEL subcommands that ask: what is known of masters, replicas, sentinels, and the votes.

Replies and error texts follow Redis' `sentinel.c: sentinelCommand`.
"""

from __future__ import annotations

from sentinel.context import PendingScript, SentinelContext
from sentinel.core import views
from sentinel.core.hosts import shown
from vedette.clients import Block
from vedette.cmdspec import Flag, command, container
from vedette.conf.quoting import decode_word, encode_word
from vedette.errors import CommandError
from vedette.resp.replies import NULL_ARRAY, MapReply, Reply, SimpleString

from .arguments import require_master
from .instances import master_map, peer_map, replica_map

SENTINEL = container(
    "SENTINEL",
    arity=-2,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="A container for Sentinel commands",
)

_HELP = (
    "SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CKQUORUM <master-name>",
    "    Say whether enough Sentinels live for the quorum and for a majority.",
    "CONFIG SET <param> <value> [<param> <value> ...]",
    "    Change parameters of the whole Sentinel.",
    "CONFIG GET <param> [<param> ...]",
    "    Show parameters of the whole Sentinel.",
    "DEBUG [<param> <milliseconds> ...]",
    "    Show the Sentinel's periods, or change some until its next start.",
    "DOCTOR <master-name>",
    "    Look for what would make a failover of the master fail.",
    "EVENTS SINCE <id>|$ [COUNT <n>] [BLOCK <ms>]",
    "    Return the events after the one with that id, or wait for the next.",
    "EXPLAIN <master-name>",
    "    Say who believes what of the master, and what a failover would do or waits for.",
    "FAILOVER <master-name> [COORDINATED]",
    "    Fail over without asking the other Sentinels; or by an election, with the",
    "    master handing over to the replica, so that no acknowledged write is lost.",
    "FLUSHCONFIG",
    "    Write configuration and state to disk.",
    "FORGET <master-name> <runid>|<ip:port> [<runid>|<ip:port> ...]",
    "    Forget replicas; or Sentinels, if all that stay agree.",
    "GET-MASTER-ADDR-BY-NAME <master-name>",
    "    Return ip and port of the master with that name.",
    "HISTORY <master-name> [COUNT <n>]",
    "    List the last failovers of the master, the newest first.",
    "INFO-CACHE <master-name> [<master-name> ...]",
    "    Return the INFO last read from the masters and their replicas.",
    "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
    "    Say whether this Sentinel believes the master down; with a runid, ask for its vote.",
    "MASTER <master-name>",
    "    Show the state of the master.",
    "MASTERS",
    "    Show the state of all masters.",
    "MONITOR <name> <ip> <port> <quorum>",
    "    Start monitoring a master.",
    "MYID",
    "    Return the ID of this Sentinel.",
    "PENDING-SCRIPTS",
    "    Show the scripts that run or wait.",
    "REMOVE <master-name>",
    "    Stop monitoring a master.",
    "REPLICAS <master-name>",
    "    Show the state of the master's replicas.",
    "RESET <pattern>",
    "    Forget replicas and Sentinels of the masters that match the pattern.",
    "SENTINELS <master-name>",
    "    Show the other Sentinels that monitor the master.",
    "SET <master-name> <option> <value> [<option> <value> ...]",
    "    Change options of a master.",
    "SIMULATE-FAILURE (CRASH-AFTER-ELECTION|CRASH-AFTER-PROMOTION|HELP) [...]",
    "    Crash in the next failover that this Sentinel leads.",
    "HELP",
    "    Print this help.",
)


@command(
    "SENTINEL|HELP",
    arity=2,
    flags=Flag.LOADING | Flag.STALE,
    group="sentinel",
    since="6.2.0",
    summary="Show the subcommands",
)
def sentinel_help(context: SentinelContext, argv: list[bytes]) -> Reply:
    return [SimpleString(line.encode()) for line in _HELP]


@command(
    "SENTINEL|MASTERS",
    arity=2,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="List the monitored masters",
)
@command(
    "SENTINEL|PRIMARIES",
    arity=2,
    flags=Flag.ADMIN,
    group="sentinel",
    since="7.2.0",
    summary="List the monitored masters",
    is_hidden=True,
)
def sentinel_masters(context: SentinelContext, argv: list[bytes]) -> Reply:
    now_ms = context.machine_now_ms
    return [master_map(context.state, master, now_ms) for master in context.state.masters.values()]


@command(
    "SENTINEL|MASTER",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Show the state of a master",
)
@command(
    "SENTINEL|PRIMARY",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="7.2.0",
    summary="Show the state of a master",
    is_hidden=True,
)
def sentinel_master(context: SentinelContext, argv: list[bytes]) -> Reply:
    return master_map(context.state, require_master(context, argv[2]), context.machine_now_ms)


@command(
    "SENTINEL|REPLICAS",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="5.0.0",
    summary="List the replicas of a master",
)
@command(
    "SENTINEL|SLAVES",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.0",
    summary="List the replicas of a master",
)
def sentinel_replicas(context: SentinelContext, argv: list[bytes]) -> Reply:
    master = require_master(context, argv[2])
    now_ms = context.machine_now_ms
    return [
        replica_map(context.state, master, replica, now_ms)
        for replica in master.replicas.values()
        if replica.is_announced
    ]


@command(
    "SENTINEL|SENTINELS",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="List the other sentinels that monitor a master",
)
def sentinel_sentinels(context: SentinelContext, argv: list[bytes]) -> Reply:
    master = require_master(context, argv[2])
    now_ms = context.machine_now_ms
    return [peer_map(context.state, master, peer, now_ms) for peer in master.peers.values()]


@command(
    "SENTINEL|GET-MASTER-ADDR-BY-NAME",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Return ip and port of the master of that name",
)
@command(
    "SENTINEL|GET-PRIMARY-ADDR-BY-NAME",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="7.2.0",
    summary="Return ip and port of the master of that name",
    is_hidden=True,
)
def sentinel_get_master_addr_by_name(context: SentinelContext, argv: list[bytes]) -> Reply:
    master = context.state.masters.get(decode_word(argv[2]))
    if master is None:
        return NULL_ARRAY
    host, port = shown(context.state, master.address)
    return [encode_word(host), b"%d" % port]


@command(
    "SENTINEL|IS-MASTER-DOWN-BY-ADDR",
    arity=6,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Say whether a master is believed down, and vote",
)
@command(
    "SENTINEL|IS-PRIMARY-DOWN-BY-ADDR",
    arity=6,
    flags=Flag.ADMIN,
    group="sentinel",
    since="7.2.0",
    summary="Say whether a master is believed down, and vote",
    is_hidden=True,
)
def sentinel_is_master_down_by_addr(context: SentinelContext, argv: list[bytes]) -> Reply | Block:
    return context.ask_vote(argv)


@command(
    "SENTINEL|MYID",
    arity=2,
    flags=Flag.ADMIN,
    group="sentinel",
    since="6.2.0",
    summary="Return the id of this sentinel",
)
def sentinel_myid(context: SentinelContext, argv: list[bytes]) -> Reply:
    return context.state.my_id.encode()


@command(
    "SENTINEL|PENDING-SCRIPTS",
    arity=2,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Show the scripts that run or wait",
)
def sentinel_pending_scripts(context: SentinelContext, argv: list[bytes]) -> Reply:
    return [_script_map(script) for script in context.around.pending_scripts()]


def _script_map(script: PendingScript) -> MapReply:
    is_running = script.process_id != 0
    return MapReply(
        [
            (b"argv", [encode_word(word) for word in script.argv]),
            (b"flags", b"running" if is_running else b"scheduled"),
            (b"pid", b"%d" % script.process_id),
            (b"run-time" if is_running else b"run-delay", b"%d" % script.time_ms),
            (b"retry-num", b"%d" % script.attempts),
        ]
    )


@command(
    "SENTINEL|CKQUORUM",
    arity=3,
    flags=Flag.ADMIN,
    group="sentinel",
    since="2.8.4",
    summary="Say whether quorum and majority can be reached",
)
def sentinel_ckquorum(context: SentinelContext, argv: list[bytes]) -> Reply:
    check = views.quorum_check(require_master(context, argv[2]))
    text = quorum_text(check).encode()
    if check.has_quorum and check.has_majority:
        return SimpleString(text)
    raise CommandError(text)


def quorum_text(check: views.QuorumCheck) -> str:
    """Return what CKQUORUM answers; it is an error unless it begins with OK."""
    if check.has_quorum and check.has_majority:
        return (
            f"OK {check.usable} usable Sentinels. Quorum and failover authorization can be reached"
        )
    lacks = []
    if not check.has_quorum:
        lacks.append("Not enough available Sentinels to reach the specified quorum for this master")
    if not check.has_majority:
        lacks.append(
            "Not enough available Sentinels to reach the majority and authorize a failover"
        )
    return f"NOQUORUM {check.usable} usable Sentinels. {'. '.join(lacks)}"
