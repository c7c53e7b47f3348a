"""SENTINEL DOCTOR beside real nodes: what ACL, renamed commands and silence look like there."""

from __future__ import annotations

from pathlib import Path

import trio
from click.testing import CliRunner

from sentinel.checkup import Facts
from sentinel.core.options import GlobalOptions, MasterOptions
from sentinel.runtime.examination import Patient, examine
from sentinel.runtime.resolver import Resolver
from sentinel.sources import Sources
from tests.support.processes import VedetteSentinel, free_port, watching
from tests.support.redis import RedisSentinel, RedisServer
from vedette.types import Address, RunId
from vedette_cli.main import cli

#: What Redis' documentation gives a sentinel, and what the doctor asks with; no SLAVEOF.
RULES = (
    "allchannels -@all +multi +ping +exec +subscribe +config|rewrite +publish +info "
    "+client|setname +client|kill +script|kill +acl|dryrun +acl|whoami +time +command|info"
)


def examined(tmp_path: Path, options: MasterOptions, *nodes: Address) -> Facts:
    peers = ((RunId("a" * 40), nodes[0]),)
    patient = Patient("m", options, GlobalOptions(), nodes, peers)
    state_file = tmp_path / "sentinel.conf"
    state_file.touch()
    return trio.run(examine, patient, str(state_file), 0, Sources(), Resolver().resolve)


def test_missing_permission_and_renamed_command_are_found_on_the_node(tmp_path: Path) -> None:
    """And the node that misses nothing is found sound, though it is a real server."""
    options = MasterOptions(quorum=1, auth_user=b"watcher", auth_pass=b"pw")
    user = f"user watcher on >pw {RULES}"
    with (
        RedisServer(extra_lines=[f"{user} +slaveof"]) as sound,
        RedisServer(extra_lines=[user, 'rename-command CONFIG "GUESS"']) as odd,
    ):
        nodes = [Address("127.0.0.1", server.port) for server in (sound, odd)]
        facts = examined(tmp_path, options, *nodes)
        wrong = MasterOptions(quorum=1, auth_user=b"watcher", auth_pass=b"no")
        refused = examined(tmp_path, wrong, nodes[0])

    first, second = facts.nodes
    assert (first.error, first.user, first.unknown, first.denied, first.unchecked) == (
        ("", "watcher", (), (), "")
    )
    assert first.skew_ms is not None
    assert abs(first.skew_ms) < 1_000
    assert second.unknown == ("CONFIG",)
    assert second.denied == ("SLAVEOF",)
    assert refused.nodes[0].error.startswith("WRONGPASS")
    assert facts.disk.error == ""
    assert facts.disk.fsync_ms > 0
    assert list(tmp_path.iterdir()) == [tmp_path / "sentinel.conf"]
    (peer,) = facts.peers  # which is no sentinel
    assert peer.error.startswith("NOAUTH") or "unknown command" in peer.error


def test_node_that_is_not_there_is_a_fact_and_no_failure(tmp_path: Path) -> None:
    """So is a name that does not resolve, and a directory that is gone."""
    gone = Address("127.0.0.1", free_port())
    nameless = Address("nobody.invalid", 6379)

    facts = examined(tmp_path, MasterOptions(quorum=1), gone, nameless)

    assert facts.nodes[0].error == "Connection refused"
    assert facts.nodes[1].error == "its name does not resolve"
    (name,) = facts.names
    assert (name.host, name.address) == ("nobody.invalid", None)


def test_command_line_shows_a_sentinels_own_diagnosis() -> None:
    """Exit code 1 for a fault; a sentinel that is not there is said to be so."""
    with (
        RedisServer() as master,
        VedetteSentinel(extra_lines=watching(master.port, quorum=1, down_after_ms=1_000)) as asked,
    ):
        result = CliRunner().invoke(cli, ["doctor", "--sentinel", f"127.0.0.1:{asked.port}"])
    gone = CliRunner().invoke(cli, ["doctor", "--sentinel", f"127.0.0.1:{free_port()}"])

    lines = result.output.splitlines()
    assert lines[0] == "mymaster:"
    assert "  fault   candidates mymaster: none of 0 replicas may be promoted" in lines
    assert "          advice: add a replica with a replica-priority above 0" in lines
    assert f"  ok      connection 127.0.0.1:{master.port}: answers, as user default" in lines
    assert result.exit_code == 1
    assert gone.output.startswith("Error: cannot connect to 127.0.0.1:")
    assert gone.exit_code == 1


def test_command_line_says_that_a_redis_sentinel_has_no_doctor() -> None:
    with (
        RedisServer() as master,
        RedisSentinel(extra_lines=watching(master.port, quorum=1)) as asked,
    ):
        result = CliRunner().invoke(cli, ["doctor", "--sentinel", f"127.0.0.1:{asked.port}"])

    assert result.exit_code == 1
    assert result.output.startswith(
        f"Error: 127.0.0.1:{asked.port} is no sentinel of Vedette: it does not know SENTINEL DOCTOR"
    )
