"""The sentinel's commands, bytes in and bytes out, over a machine that only records."""

from __future__ import annotations

import pytest

from sentinel.core.events import (
    Event,
    FailoverRequested,
    ForgetRequested,
    ForgetStep,
    ForgetStepRequested,
    GlobalOptionsRequested,
    HelloReceived,
    MonitorRequested,
    OptionsRequested,
    RemoveRequested,
    ResetRequested,
    SaveRequested,
)
from tests.support.desk import (
    CONFIG,
    MY_ID,
    NOW_MS,
    PEER_ID,
    Desk,
    flat_map,
)
from vedette.resp.replies import OK
from vedette.types import Address, RunId


def bulks(*words: str) -> bytes:
    """Return an array of bulk strings."""
    parts = [b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in words]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


MASTER_FIELDS = (
    "name ip port runid flags link-pending-commands link-refcount last-ping-sent "
    "last-ok-ping-reply last-ping-reply down-after-milliseconds info-refresh role-reported "
    "role-reported-time config-epoch num-slaves num-other-sentinels quorum failover-timeout "
    "parallel-syncs"
)
REPLICA_FIELDS = (
    "name ip port runid flags link-pending-commands link-refcount last-ping-sent "
    "last-ok-ping-reply last-ping-reply down-after-milliseconds info-refresh role-reported "
    "role-reported-time master-link-down-time master-link-status master-host master-port "
    "slave-priority slave-repl-offset replica-announced"
)
PEER_FIELDS = (
    "name ip port runid flags link-pending-commands link-refcount last-ping-sent "
    "last-ok-ping-reply last-ping-reply down-after-milliseconds last-hello-message voted-leader "
    "voted-leader-epoch"
)


def test_master_has_redis_fields_in_redis_order(desk: Desk) -> None:
    """Clients index into the flat reply by position."""
    fields = flat_map(desk.send("SENTINEL MASTER m"))

    assert " ".join(fields) == MASTER_FIELDS
    assert fields["flags"] == "master,disconnected"
    assert (fields["num-slaves"], fields["num-other-sentinels"], fields["quorum"]) == (
        "1",
        "1",
        "2",
    )


def test_down_master_shows_since_when(desk: Desk) -> None:
    """The optional fields stand where Redis puts them."""
    master = desk.machine.state.masters["m"]
    master.node.s_down_since_ms = NOW_MS - 30
    master.o_down_since_ms = NOW_MS - 20

    fields = flat_map(desk.send("SENTINEL MASTER m"))

    names = list(fields)
    position = names.index("last-ping-reply")
    assert names[position + 1 : position + 3] == ["s-down-time", "o-down-time"]
    assert (fields["s-down-time"], fields["o-down-time"]) == ("30", "20")
    assert fields["flags"].startswith("s_down,o_down,master")


@pytest.mark.parametrize("name", ["REPLICAS", "SLAVES", "slaves"])
def test_replicas_have_redis_fields_in_redis_order(desk: Desk, name: str) -> None:
    """redis-py reads these to find replicas to read from."""
    reply = desk.send(f"SENTINEL {name} m")

    count, _, rest = reply.partition(b"\r\n")
    fields = flat_map(rest)
    assert count == b"*1"
    assert " ".join(fields) == REPLICA_FIELDS
    assert (fields["name"], fields["master-host"]) == ("10.0.0.2:6379", "?")


def test_replica_that_is_not_announced_is_hidden(desk: Desk) -> None:
    """`replica-announced no` keeps a replica from clients, not from sentinels."""
    (replica,) = desk.machine.state.masters["m"].replicas.values()
    replica.is_announced = False

    assert desk.send("SENTINEL REPLICAS m") == b"*0\r\n"


def test_sentinels_have_redis_fields_in_redis_order(desk: Desk) -> None:
    """Clients find further sentinels by this reply."""
    fields = flat_map(desk.send("SENTINEL SENTINELS m").partition(b"\r\n")[2])

    assert " ".join(fields) == PEER_FIELDS
    assert (fields["name"], fields["runid"], fields["voted-leader"]) == (PEER_ID, PEER_ID, "?")


def test_resp3_gets_maps(desk: Desk) -> None:
    """HELLO 3 promises maps where there are names and values."""
    session = desk.open(protocol=3)

    one = desk.send("SENTINEL MASTER m", session)
    many = desk.send("SENTINEL MASTERS", session)

    assert one.startswith(b"%20\r\n$4\r\nname\r\n$1\r\nm\r\n")
    assert many == b"*1\r\n" + one


def test_address_of_a_master_and_null_for_an_unknown_one(desk: Desk) -> None:
    """The call every client makes first."""
    assert desk.send("SENTINEL get-master-addr-by-name m") == bulks("10.0.0.1", "6379")
    assert desk.send("SENTINEL get-master-addr-by-name x") == b"*-1\r\n"
    assert desk.send("SENTINEL get-master-addr-by-name x", desk.open(protocol=3)) == b"_\r\n"


def test_ckquorum_says_what_is_missing(desk: Desk) -> None:
    """Monitoring matches these texts."""
    fine = desk.send("SENTINEL CKQUORUM m")
    (peer,) = desk.machine.state.masters["m"].peers.values()
    peer.s_down_since_ms = 1
    lost = desk.send("SENTINEL CKQUORUM m")

    assert fine == (b"+OK 2 usable Sentinels. Quorum and failover authorization can be reached\r\n")
    assert lost == (
        b"-NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified "
        b"quorum for this master. Not enough available Sentinels to reach the majority and "
        b"authorize a failover\r\n"
    )


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("SENTINEL", "ERR wrong number of arguments for 'sentinel' command"),
        ("SENTINEL foo", "ERR unknown subcommand 'foo'. Try SENTINEL HELP."),
        ("SENTINEL MASTERS x", "ERR wrong number of arguments for 'sentinel|masters' command"),
        ("SENTINEL MASTER x", "ERR No such master with that name"),
        ("SENTINEL REPLICAS x", "ERR No such master with that name"),
        ("SENTINEL SENTINELS x", "ERR No such master with that name"),
        ("SENTINEL CKQUORUM x", "ERR No such master with that name"),
        ("SENTINEL FAILOVER x", "ERR No such master with that name"),
        ("SENTINEL REMOVE x", "ERR No such master with that name"),
        ("SENTINEL SET x quorum 1", "ERR No such master with that name"),
        (
            "SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 x 0 *",
            "ERR value is not an integer or out of range",
        ),
        (
            "SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 1 1.5 *",
            "ERR value is not an integer or out of range",
        ),
        ("SENTINEL MONITOR n 10.0.0.1 1 x", "ERR Invalid quorum"),
        ("SENTINEL MONITOR n 10.0.0.1 x 1", "ERR Invalid port"),
        ("SENTINEL MONITOR n 10.0.0.1 1 0", "ERR Quorum must be 1 or greater."),
        ("SENTINEL MONITOR n 300.0.0.1 1 1", "ERR Invalid IP address or hostname specified"),
        ("SENTINEL MONITOR m 10.0.0.1 1 1", "ERR Duplicate master name."),
        ("SENTINEL MONITOR n 10.0.0.1 70000 1", "ERR Invalid port number."),
        (
            'SENTINEL MONITOR "n\\nport 1" 10.0.0.1 1 1',
            "ERR Invalid argument at index 2 for SENTINEL MONITOR: "
            "control characters are not allowed",
        ),
        (
            'SENTINEL SET m quorum 3 auth-pass "x\\nsentinel notification-script m /bin/sh"',
            "ERR Invalid argument at index 6 for SENTINEL SET: control characters are not allowed",
        ),
        (
            'SENTINEL SET m rename-command CONFIG "\\x7f"',
            "ERR Invalid argument at index 5 for SENTINEL SET: control characters are not allowed",
        ),
        (
            'SENTINEL CONFIG SET sentinel-pass "a\\rb"',
            "ERR Invalid argument at index 4 for SENTINEL CONFIG SET: "
            "control characters are not allowed",
        ),
        (
            "SENTINEL MONITOR a,b 10.0.0.1 1 1",
            "ERR Invalid master name: it is empty, has a space or a comma, or is not UTF-8",
        ),
        (
            'SENTINEL MONITOR "m\\xff" 10.0.0.1 1 1',
            "ERR Invalid master name: it is empty, has a space or a comma, or is not UTF-8",
        ),
        ("SENTINEL SET m quorum 0", "ERR Invalid argument '0' for SENTINEL SET 'quorum'"),
        (
            "SENTINEL SET m foo 1",
            "ERR Unknown option or number of arguments for SENTINEL SET 'foo'",
        ),
        (
            "SENTINEL CONFIG SET foo bar",
            "ERR Invalid argument 'foo' to SENTINEL CONFIG SET",
        ),
        (
            "SENTINEL CONFIG SET announce-port abc",
            "ERR Invalid value 'abc' to SENTINEL CONFIG SET 'announce-port'",
        ),
        (
            "SENTINEL CONFIG SET loglevel debug announce-ip",
            "ERR Missing argument 'announce-ip' value",
        ),
        (
            "SENTINEL CONFIG SET loglevel debug loglevel debug",
            "ERR Duplicate argument 'loglevel' to SENTINEL CONFIG SET",
        ),
        (
            "SENTINEL CONFIG DROP x",
            "ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> "
            "[<param> <value> ...] are supported.",
        ),
        ("PUBLISH other x", "ERR Only HELLO messages are accepted by Sentinel instances."),
        ("SHUTDOWN WHAT", "ERR syntax error"),
        ("SHUTDOWN ABORT", "ERR No shutdown in progress."),
        ("GET x", "ERR unknown command 'GET', with args beginning with: 'x' "),
        (
            "CONFIG GET port",
            "ERR unknown command 'CONFIG', with args beginning with: 'GET' 'port' ",
        ),
    ],
)
def test_refusal_has_redis_text_and_reaches_no_machine(desk: Desk, line: str, error: str) -> None:
    """What is wrong with a request is said before anything happens."""
    reply = desk.send(line)

    assert reply == f"-{error}\r\n".encode()
    assert desk.machine.events == []


def test_address_to_announce_is_text(desk: Desk) -> None:
    """Every hello message would carry it."""
    reply = desk.send('SENTINEL CONFIG SET announce-ip "\\xff"')

    assert reply == b"-ERR Invalid value '\xff' to SENTINEL CONFIG SET 'announce-ip'\r\n"
    assert desk.machine.events == []


def test_answer_to_a_client_that_has_gone_is_dropped(desk: Desk) -> None:
    """A fellow sentinel that dies while we save its vote must leave nothing behind."""
    desk.send("SENTINEL FLUSHCONFIG")
    event = desk.event
    assert isinstance(event, SaveRequested)

    desk.engine.disconnect(desk.session)
    desk.engine.answer(event.request, OK)
    desk.engine.end_batch()

    assert desk.take() == b""
    assert not list(desk.engine.blocked_sessions())


@pytest.mark.parametrize(
    ("line", "kind", "attributes"),
    [
        (
            "SENTINEL MONITOR n 10.0.0.9 7000 3",
            MonitorRequested,
            {"name": "n", "address": Address("10.0.0.9", 7000), "quorum": 3},
        ),
        ("SENTINEL REMOVE m", RemoveRequested, {"name": "m"}),
        ("SENTINEL FAILOVER m", FailoverRequested, {"name": "m"}),
        ("SENTINEL RESET [lm]", ResetRequested, {"names": ("m",)}),
        ("SENTINEL FLUSHCONFIG", SaveRequested, {}),
        (
            "SENTINEL SET m quorum 3 auth-pass s quorum 0",
            OptionsRequested,
            {
                "name": "m",
                "applied": ((b"quorum", b"3"), (b"auth-pass", b"******")),
                "error": b"ERR Invalid argument '0' for SENTINEL SET 'quorum'",
            },
        ),
    ],
)
def test_administration_becomes_one_event(
    desk: Desk, line: str, kind: type[Event], attributes: dict[str, object]
) -> None:
    """What is decided about it is the machine's business, and so is the reply."""
    reply = desk.send(line)

    assert reply == b""
    assert isinstance(desk.event, kind)
    assert {name: getattr(desk.event, name) for name in attributes} == attributes


def test_host_name_is_looked_up_without_blocking() -> None:
    """A slow name server must not keep the sentinel from noticing failures."""
    named = Desk(CONFIG + "sentinel resolve-hostnames yes\n")
    waiting = named.send("SENTINEL MONITOR n db.example 7000 1")
    ((host, on_found),) = named.lookups

    on_found("10.0.0.9")
    named.engine.end_batch()

    assert waiting == b""
    assert host == "db.example"
    assert isinstance(named.event, MonitorRequested)
    assert named.event.address == Address("db.example", 7000)
    named.engine.answer(named.event.request, OK)
    named.engine.end_batch()
    assert named.take() == b"+OK\r\n"


def test_host_name_that_does_not_resolve_is_refused() -> None:
    """The error comes when the look-up ends."""
    named = Desk(CONFIG + "sentinel resolve-hostnames yes\n")
    named.send("SENTINEL MONITOR n db.example 7000 1")

    named.lookups[0][1](None)
    named.engine.end_batch()

    assert named.take() == b"-ERR Invalid IP address or hostname specified\r\n"


def test_reset_of_nothing_answers_zero_at_once(desk: Desk) -> None:
    """No master, nothing to ask the machine."""
    assert desk.send("SENTINEL RESET x*") == b":0\r\n"
    assert desk.machine.events == []


def test_config_get_shows_globals_in_redis_order(desk: Desk) -> None:
    """redis_exporter reads `CONFIG GET *`."""
    fields = flat_map(desk.send("SENTINEL CONFIG GET * announce-*"))

    expected = {
        "resolve-hostnames": "no",
        "announce-hostnames": "no",
        "announce-ip": "",
        "announce-port": "0",
        "sentinel-user": "",
        "sentinel-pass": "",
        "loglevel": "notice",
    }
    assert list(fields.items()) == list(expected.items())


def test_config_set_is_one_change(desk: Desk) -> None:
    """All pairs are checked first, then the machine gets one complete record."""
    desk.send("SENTINEL CONFIG SET announce-ip 1.2.3.4 announce-port 7 loglevel debug")

    assert isinstance(desk.event, GlobalOptionsRequested)
    assert (desk.event.options.announce_ip, desk.event.options.announce_port) == ("1.2.3.4", 7)
    assert desk.log_levels == ["debug"]


def test_hello_published_to_us_reaches_the_machine_alone(desk: Desk) -> None:
    """Fellow sentinels introduce themselves this way; subscribers do not see it."""
    assert desk.send("PUBLISH __sentinel__:hello a,b,c") == b":1\r\n"
    assert desk.event == HelloReceived(NOW_MS, b"a,b,c")


def test_pending_scripts_show_what_runs_and_what_waits(desk: Desk) -> None:
    """Operators look here when a notification did not arrive."""
    expected = b"*2\r\n"
    for argv, words in (
        (
            ("/a", "+sdown", "x"),
            ("flags", "running", "pid", "9", "run-time", "5", "retry-num", "1"),
        ),
        (("/b",), ("flags", "scheduled", "pid", "0", "run-delay", "30000", "retry-num", "2")),
    ):
        rest = bulks(*words).partition(b"\r\n")[2]
        expected += b"*10\r\n$4\r\nargv\r\n" + bulks(*argv) + rest

    assert desk.send("SENTINEL PENDING-SCRIPTS") == expected


def test_role_names_the_masters(desk: Desk) -> None:
    """Clients tell a sentinel from a server by this."""
    assert desk.send("ROLE") == b"*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\nm\r\n"


def test_info_has_the_sentinel_section_exporters_parse(desk: Desk) -> None:
    """A bulk string in both protocols; unknown sections are left out."""
    section = desk.send("INFO sentinel nonsense", desk.open(protocol=3))
    everything = desk.send("INFO")

    body = section.partition(b"\r\n")[2]
    assert section.startswith(b"$")
    assert body == (
        b"# Sentinel\r\nsentinel_masters:1\r\nsentinel_tilt:0\r\n"
        b"sentinel_tilt_since_seconds:-1\r\nsentinel_total_tilt:0\r\n"
        b"sentinel_running_scripts:1\r\nsentinel_scripts_queue_length:2\r\n"
        b"sentinel_simulate_failure_flags:0\r\n"
        b"master0:name=m,status=ok,address=10.0.0.1:6379,slaves=1,sentinels=2\r\n\r\n"
    )
    titles = [line for line in everything.split(b"\r\n") if line.startswith(b"#")]
    assert titles == [b"# Server", b"# Clients", b"# Stats", b"# CPU", b"# Sentinel"]
    assert b"redis_mode:sentinel\r\n" in everything


def test_help_lists_every_subcommand(desk: Desk) -> None:
    """What is answered is listed, and nothing else."""
    lines = desk.send("SENTINEL HELP").decode().split("\r\n")[1:-1]

    assert lines[0] == "+SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    listed = {line[1:].split()[0] for line in lines[1:] if not line.startswith("+ ")}
    container = desk.engine.table.named(b"SENTINEL")
    assert container is not None
    shown = {name.decode() for name, row in container.subcommands.items() if not row.is_hidden}
    assert listed == shown - {"SLAVES"}


def test_shutdown_stops_without_a_reply(desk: Desk) -> None:
    """The connection just ends, as clients expect."""
    assert desk.send("SHUTDOWN NOSAVE") == b""
    assert desk.stops == 1


# --- FORGET ---------------------------------------------------------------------------------------


def test_forget_takes_run_ids_or_replicas_addresses(desk: Desk) -> None:
    """As SENTINEL SENTINELS and REPLICAS name them."""
    desk.send(f"SENTINEL FORGET m {PEER_ID} {PEER_ID}")
    assert desk.event == ForgetRequested(NOW_MS, desk.event.request, "m", (RunId(PEER_ID),))  # type: ignore[union-attr]  # a request of ours

    desk.send("SENTINEL FORGET m 10.0.0.2:6379", other := desk.open())
    assert isinstance(desk.event, ForgetRequested)
    assert desk.event.replicas == (Address("10.0.0.2", 6379),)
    assert other.blocked is not None


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ("nobody x", "ERR No such master with that name"),
        ("m x", "ERR No such replica or sentinel: 'x'"),
        ("m 10.0.0.1:6379", "ERR No such replica or sentinel: '10.0.0.1:6379'"),
        (f"m {PEER_ID} 10.0.0.2:6379", "ERR Forget replicas and sentinels one after the other"),
    ],
)
def test_forget_refuses_what_is_not_known(desk: Desk, arguments: str, error: str) -> None:
    """The machine is not asked."""
    assert desk.send(f"SENTINEL FORGET {arguments}") == f"-{error}\r\n".encode()
    assert desk.machine.events == []


def test_step_of_a_fellow_is_read(desk: Desk) -> None:
    """Ids that could break the file are refused."""
    ids = f"{PEER_ID},{MY_ID}"
    desk.send(f"SENTINEL FORGET-STEP m AGREE {PEER_ID} 3 {'d' * 40} {ids} -")
    event = desk.event
    assert isinstance(event, ForgetStepRequested)
    assert (event.step, event.epoch, event.forgotten) == (ForgetStep.AGREE, 3, ())
    assert event.known == (RunId(PEER_ID), RunId(MY_ID))

    client = desk.open()
    line = f"SENTINEL FORGET-STEP m agree {PEER_ID} 3 x {ids} -"
    assert desk.send(line, client) == b"-ERR Invalid run id\r\n"
    line = f"SENTINEL FORGET-STEP m leave {PEER_ID} 3 {ids} {ids} -"
    assert desk.send(line, client) == b"-ERR syntax error\r\n"
