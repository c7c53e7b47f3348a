"""sentinel.conf: what is read, what is refused, and that what is written is read back the same."""

from __future__ import annotations

import pytest

from sentinel import directives
from sentinel.config import Outside, SentinelConfig, World, read_config
from sentinel.core.durable import DurableMaster, DurableState
from sentinel.core.options import GlobalOptions, MasterOptions
from sentinel.state_lines import key_of, state_lines
from tests.support.redis import RedisServer
from vedette.conf import parse_text, rewrite_text
from vedette.errors import ConfigError
from vedette.types import Address, RunId

FRESH_ID = RunId("f" * 40)
PEER_ID = RunId("a" * 40)

WORLD = World(
    draw_id=lambda: FRESH_ID,
    is_executable=lambda path: path == "/bin/notify",
)


def read(text: str) -> SentinelConfig:
    """Return the configuration that `text` makes."""
    return read_config(parse_text(text, "sentinel.conf"), WORLD)


def test_all_statements_are_read_whatever_their_order() -> None:
    """Files written by hand name options before `monitor`; Redis reads in three passes."""
    config = read(
        "port 5000\n"
        "sentinel known-replica m 10.0.0.2 6379\n"
        "sentinel down-after-milliseconds m 1000\n"
        "sentinel failover-timeout m 2000\n"
        "sentinel parallel-syncs m 3\n"
        "sentinel auth-pass m 'pass word'\n"
        "sentinel auth-user m user\n"
        "sentinel notification-script m /bin/notify\n"
        "sentinel client-reconfig-script m /bin/notify\n"
        "sentinel rename-command m config GUESSME\n"
        "sentinel master-reboot-down-after-period m 77\n"
        "sentinel refused-after-milliseconds m 88\n"
        "sentinel empty-restart-guard m no\n"
        "sentinel config-epoch m 4\n"
        "sentinel leader-epoch m 5\n"
        f"sentinel known-sentinel m 10.0.0.3 26379 {PEER_ID}\n"
        "SENTINEL MONITOR m 10.0.0.1 6379 2\n"
        f"sentinel myid {'b' * 40}\n"
        "sentinel current-epoch 6\n"
        "sentinel announce-ip 1.2.3.4\n"
        "sentinel announce-port 7000\n"
        "sentinel sentinel-user su\n"
        "sentinel sentinel-pass sp\n"
        "sentinel deny-scripts-reconfig no\n"
        "sentinel announce-hostnames yes\n"
    )

    expected = DurableState(
        my_id=RunId("b" * 40),
        current_epoch=6,
        options=GlobalOptions(
            listening_port=5000,
            announce_port=7000,
            announce_ip="1.2.3.4",
            sentinel_user=b"su",
            sentinel_pass=b"sp",
            announce_hostnames=True,
        ),
        masters=(
            DurableMaster(
                name="m",
                address=Address("10.0.0.1", 6379),
                options=MasterOptions(
                    quorum=2,
                    down_after_ms=1000,
                    failover_timeout_ms=2000,
                    parallel_syncs=3,
                    reboot_down_after_ms=77,
                    refused_after_ms=88,
                    guards_empty_restart=False,
                    notification_script="/bin/notify",
                    client_reconfig_script="/bin/notify",
                    auth_user=b"user",
                    auth_pass=b"pass word",
                    renamed_commands={b"CONFIG": b"GUESSME"},
                ),
                config_epoch=4,
                leader_epoch=5,
                replicas=(Address("10.0.0.2", 6379),),
                sentinels=((PEER_ID, Address("10.0.0.3", 26379)),),
            ),
        ),
    )
    assert config.durable == expected
    assert not config.denies_scripts_reconfig


def test_first_start_draws_an_id_and_announces_the_listening_port() -> None:
    """A fresh file has neither; both must be there before the first hello."""
    durable = read("port 5000\n").durable

    assert durable.my_id == FRESH_ID
    assert durable.options == GlobalOptions(listening_port=5000)
    assert durable.options.announced_port == 5000


def test_requirepass_opens_fellow_sentinels_unless_they_have_their_own_password() -> None:
    """Old set-ups share one password between all sentinels."""
    shared = read("requirepass x\n").durable.options
    own = read(
        "requirepass x\nsentinel sentinel-user u\nsentinel sentinel-pass y\n"
    ).durable.options

    assert shared.sentinel_pass is None
    assert (shared.peer_credentials, own.peer_credentials) == ((None, b"x"), (b"u", b"y"))


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("sentinel monitor m 10.0.0.1 6379 0", "Quorum must be 1 or greater."),
        ("sentinel monitor m 10.0.0.1 6379", "Unrecognized sentinel configuration statement."),
        ("sentinel monitor m db.example 6379 1", "Can't resolve instance hostname."),
        ("sentinel monitor m 10.0.0.1 70000 1", "Invalid port number."),
        ('sentinel monitor "m\\xff" 10.0.0.1 1 1', "Names and addresses must be UTF-8."),
        ('sentinel announce-ip "\\xff"', "Names and addresses must be UTF-8."),
        (
            'sentinel resolve-hostnames yes\nsentinel monitor m "\\xff" 1 1',
            "Can't resolve instance hostname.",
        ),
        (
            "sentinel monitor m 10.0.0.1 1 1\nsentinel monitor m 10.0.0.1 2 1",
            "Duplicate master name.",
        ),
        ("sentinel down-after-milliseconds x 1", "No such master with specified name."),
        ("sentinel parallel-syncs x 1", "No such master with specified name."),
        (
            "sentinel monitor m 10.0.0.1 1 1\nsentinel down-after-milliseconds m 0",
            "negative or zero time parameter.",
        ),
        (
            "sentinel monitor m 10.0.0.1 1 1\nsentinel failover-timeout m abc",
            "negative or zero time parameter.",
        ),
        (
            "sentinel monitor m 10.0.0.1 1 1\nsentinel refused-after-milliseconds m -1",
            "negative time parameter.",
        ),
        (
            "sentinel monitor m 10.0.0.1 1 1\nsentinel master-reboot-down-after-period m -1",
            "negative time parameter.",
        ),
        (
            "sentinel monitor m 10.0.0.1 1 1\nsentinel notification-script m /nope",
            "Notification script seems non existing or non executable.",
        ),
        (
            "sentinel monitor m 10.0.0.1 1 1\n" + 2 * "sentinel known-replica m 10.0.0.2 1\n",
            "Duplicate hostname and port for replica.",
        ),
        (
            "sentinel monitor m 10.0.0.1 1 1\n"
            f"sentinel known-sentinel m 10.0.0.2 1 {PEER_ID}\n"
            f"sentinel known-sentinel m 10.0.0.3 1 {PEER_ID}",
            "Duplicate runid for sentinel.",
        ),
        (
            "sentinel monitor m 10.0.0.1 1 1\n" + 2 * "sentinel rename-command m CONFIG x\n",
            "Same command renamed multiple times with rename-command.",
        ),
        ("sentinel myid 12", "Malformed Sentinel id in myid option."),
        (
            "sentinel deny-scripts-reconfig maybe",
            "Please specify yes or no for the deny-scripts-reconfig options.",
        ),
        (
            "sentinel resolve-hostnames maybe",
            "Please specify yes or no for the resolve-hostnames option.",
        ),
        ("sentinel nonsense 1", "Unrecognized sentinel configuration statement."),
        ('sentinel "" sentinel-pass p', "Unrecognized sentinel configuration statement."),
        ("no-such-directive 1", "Bad directive or wrong number of arguments"),
        ("tls-cluster yes", "tls-cluster: A sentinel is no node of a cluster"),
        ("replicaof 10.0.0.1 1", "replicaof: A sentinel follows no master"),
        (
            "unixsocket sentinel.sock",
            "unixsocket: Unix sockets are not supported: a sentinel listens on TCP ports",
        ),
    ],
)
def test_bad_line_stops_the_start_with_redis_reason(lines: str, reason: str) -> None:
    """The texts are redis-sentinel's where it has one for the case."""
    with pytest.raises(ConfigError) as caught:
        read(lines)

    assert caught.value.reason == reason
    assert caught.value.line == len(lines.splitlines())


def test_host_name_stays_a_name_where_names_are_allowed() -> None:
    """The name is what the administrator wrote; its address may be another tomorrow."""
    (master,) = read(
        "sentinel monitor m db.example 6379 1\nsentinel resolve-hostnames yes\n"
    ).durable.masters

    assert master.address == Address("db.example", 6379)


FULL = (
    "# my sentinel\n"
    "port 5000\n"
    "sentinel monitor m 10.0.0.1 6379 2\n"
    "sentinel known-slave m 10.0.0.2 6379\n"
    "# keep this\n"
    "sentinel down-after-milliseconds m 1000\n"
    'sentinel auth-pass m "pass word"\n'
    "sentinel deny-scripts-reconfig no\n"
    "sentinel rename-command m CONFIG x\n"
    "sentinel announce-port 7000\n"
)


def written(text: str, state: DurableState) -> str:
    """Return `text` with `state` saved into it."""
    return rewrite_text(text, state_lines(state, Outside()), key_of)


def test_saved_state_is_read_back_the_same() -> None:
    """A restart must forget nothing: epochs, votes, replicas, sentinels, options."""
    before = read(
        FULL + f"sentinel known-sentinel m 10.0.0.3 26379 {PEER_ID}\n"
        f"sentinel leaving-sentinel m 10.0.0.4 26379 {'b' * 40}\n"
        f"sentinel forgotten-sentinel m {'c' * 40}\n"
        "sentinel leader-epoch m 9\nsentinel current-epoch 9\nsentinel config-epoch m 8\n"
    )

    text = written(FULL, before.durable)

    after = read(text)
    assert after.durable == before.durable
    (master,) = after.durable.masters
    assert master.leaving == ((RunId("b" * 40), Address("10.0.0.4", 26379)),)
    assert master.forgotten == (RunId("c" * 40),)
    assert not after.denies_scripts_reconfig


def test_saving_keeps_the_administrators_lines_and_renames_old_spellings() -> None:
    """People edit this file and must recognise it after a save."""
    text = written(FULL, read(FULL).durable)

    expected = (
        FULL.replace("known-slave", "known-replica") + "\n# Generated by CONFIG REWRITE\n"
        f"sentinel myid {FRESH_ID}\n"
        "sentinel config-epoch m 0\n"
        "sentinel leader-epoch m 0\n"
        "sentinel current-epoch 0\n"
    )
    assert text == expected


def test_removed_master_leaves_no_line_behind() -> None:
    """A leftover option of a removed master would stop the next start."""
    state = read(FULL).durable
    gone = DurableState(my_id=state.my_id, current_epoch=1, options=state.options)

    text = written(FULL, gone)

    assert "10.0.0" not in text
    assert " m " not in text
    assert read(text).durable == gone


def test_failover_moves_addresses_in_place() -> None:
    """After a switch the monitor line names the new master, the old one is a replica."""
    durable = read(FULL).durable
    (master,) = durable.masters
    switched = DurableState(
        my_id=durable.my_id,
        current_epoch=1,
        options=durable.options,
        masters=(
            DurableMaster(
                name="m",
                address=master.replicas[0],
                options=master.options,
                config_epoch=1,
                leader_epoch=1,
                replicas=(master.address,),
            ),
        ),
    )

    text = written(written(FULL, durable), switched)

    assert text.splitlines()[2:4] == [
        "sentinel monitor m 10.0.0.2 6379 2",
        "sentinel known-replica m 10.0.0.1 6379",
    ]
    assert read(text).durable == switched


def test_password_taken_from_requirepass_is_not_written_as_sentinel_pass() -> None:
    """Else a changed requirepass would leave the old password for fellow sentinels."""
    config = read("requirepass x\n")

    text = rewrite_text("", state_lines(config.durable, Outside()), key_of)

    assert "sentinel-pass" not in text


def test_annotated_configuration_of_the_project_is_valid() -> None:
    """The file people copy must start."""
    with open("sentinel.conf", encoding="utf-8") as file:
        config = read(file.read())

    (master,) = config.durable.masters
    assert master.name == "mymaster"
    assert config.settings["port"] == 26379


def test_directives_of_a_datastore_and_those_that_ask_for_nothing_are_taken() -> None:
    """As by redis-sentinel: one redis.conf is often the base of both."""
    config = read(
        "maxmemory 1gb\nappendfsync always\nclient-output-buffer-limit normal 0 0 0\n"
        "tls-port 0\ntls-replication no\nunixsocket ''\ncluster-enabled no\n"
        "save 900 1\nhash-max-listpack-entries 1\noom-score-adj-values 0 200 800\n"
    )

    assert config.settings["port"] == 26379


def test_every_directive_of_redis_is_taken_or_refused_by_name() -> None:
    """None is called unknown: that would look like a misspelling."""
    with RedisServer() as redis:
        names = [name.decode() for name in redis.call("CONFIG", "GET", "*")[::2]]
    unknown = [
        name
        for name in names
        if directives.TABLE.find(name) is None and directives.refusal(name, ["x"]) is None
    ]

    # Described by others, or of a debug build alone.
    assert set(unknown) <= {"aclfile", "acl-pubsub-default", "aof-disable-auto-gc"}
