"""TLS with the real programs at the other end: clients, replication both ways, mixed sentinels."""

from __future__ import annotations

import socket
import ssl
import subprocess
import urllib.request
from pathlib import Path

import pytest
import trio
import trustme

from ha_client import FailoverClient, MasterUnavailable
from tests.support.processes import ServerProcess, VedetteSentinel, VedetteServer, free_port
from tests.support.programs import RunningProgram
from tests.support.redis import RedisSentinel, RedisServer, require_redis
from tests.support.waiting import wait_until

BIG = b"x" * 3_000_000


class Certificates:
    """An authority, and what it signed, as files and as the lines that name them."""

    def __init__(self, directory: Path) -> None:
        authority = trustme.CA()
        node = authority.issue_cert("localhost", "127.0.0.1")
        self.authority_file, self.certificate_file, self.key_file = (
            str(directory / name) for name in ("ca.crt", "node.crt", "node.key")
        )
        authority.cert_pem.write_to_path(self.authority_file)
        node.cert_chain_pems[0].write_to_path(self.certificate_file)
        node.private_key_pem.write_to_path(self.key_file)

    def config(self, tls_port: int) -> dict[str, str]:
        return {
            "tls-port": str(tls_port),
            "tls-replication": "yes",
            "tls-cert-file": self.certificate_file,
            "tls-key-file": self.key_file,
            "tls-ca-cert-file": self.authority_file,
        }

    def client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority_file)
        context.load_cert_chain(self.certificate_file, self.key_file)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


def redis_cli(certificates: Certificates, port: int, *words: str, has_own: bool = True) -> str:
    """Return what redis-cli prints for a command sent over TLS."""
    own = ["--cert", certificates.certificate_file, "--key", certificates.key_file]
    command = ["redis-cli", "--tls", "--cacert", certificates.authority_file]
    command += [*(own if has_own else []), "-p", str(port), *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    return (result.stdout + result.stderr).strip()


def test_redis_cli_is_served_over_tls_if_its_certificate_is_signed(
    certificates: Certificates,
) -> None:
    """Both ports serve the same data; who has no certificate gets nowhere (tls-auth-clients)."""
    require_redis("redis-cli")
    tls_port = free_port()
    with VedetteServer(certificates.config(tls_port)) as server:
        server.call("SET", "big", BIG)

        assert redis_cli(certificates, tls_port, "SET", "k", "v") == "OK"
        assert server.call("GET", "k") == b"v"
        assert len(redis_cli(certificates, tls_port, "GET", "big")) == len(BIG)
        assert "PONG" not in redis_cli(certificates, tls_port, "PING", has_own=False)
        # Whoever debugs needs the bare socket, which this is not.
        debugging = redis_cli(certificates, tls_port, "--ldb", "--eval", "/dev/null", "k")
        assert "cannot be debugged over this connection" in debugging

        server.call("CONFIG", "SET", "tls-auth-clients", "no")
        assert redis_cli(certificates, tls_port, "PING", has_own=False) == "PONG"


def test_bad_certificates_stop_the_start_and_change_nothing_later(
    certificates: Certificates, tmp_path: Path
) -> None:
    """A server that was to speak TLS must not come up without, nor lose what it has."""
    config = certificates.config(free_port())
    with (
        pytest.raises(AssertionError, match=r"certificate: .*missing.crt.* cannot be used"),
        VedetteServer({**config, "tls-cert-file": str(tmp_path / "missing.crt")}),
    ):
        pass

    tls_port = free_port()
    with VedetteServer(certificates.config(tls_port)) as server:
        with pytest.raises(Exception, match="Unable to update TLS configuration"):
            server.call("CONFIG", "SET", "tls-cert-file", str(tmp_path / "missing.crt"))
        assert redis_cli(certificates, tls_port, "PING") == "PONG"


@pytest.mark.parametrize(
    ("master_kind", "replica_kind"), [(VedetteServer, RedisServer), (RedisServer, VedetteServer)]
)
def test_replication_goes_over_tls_both_ways(
    certificates: Certificates,
    master_kind: type[ServerProcess],
    replica_kind: type[ServerProcess],
) -> None:
    """The snapshot, which is larger than any buffer, and the stream behind it."""
    master_port, replica_port = free_port(), free_port()
    with (
        master_kind(certificates.config(master_port)) as master,
        replica_kind(certificates.config(replica_port)) as replica,
    ):
        master.call("SET", "big", BIG)
        replica.call("REPLICAOF", "127.0.0.1", master_port)
        wait_until(lambda: replica.call("STRLEN", "big") == len(BIG), 20, "the snapshot")
        master.call("SET", "behind", BIG)
        wait_until(lambda: replica.call("STRLEN", "behind") == len(BIG), 20, "the stream")
        for _ in range(100):  # so that one follows closely upon the other
            master.call("INCR", "count")
        wait_until(lambda: replica.call("GET", "count") == b"100", 20, "the stream")

        # What the replica tells of itself is the port that others are to reach it at.
        role = master.call("ROLE")
        assert role[2][0][1] == b"%d" % replica_port


def test_master_that_hangs_in_the_handshake_is_tried_again(certificates: Certificates) -> None:
    """A stopped process still has its connections taken, by its kernel."""
    config = {**certificates.config(free_port()), "repl-timeout": "1"}
    with socket.create_server(("127.0.0.1", 0)) as silent, VedetteServer(config) as replica:
        replica.call("REPLICAOF", "127.0.0.1", silent.getsockname()[1])
        silent.settimeout(10)
        taken = [silent.accept()[0] for _ in range(2)]

        assert replica.call("PING") == b"PONG"
        error = replica.info("replication")["master_link_error"]
        for connection in taken:
            connection.close()
    assert error == "no connection within repl-timeout"


def test_sentinels_of_both_kinds_fail_over_and_clients_follow_over_tls(
    certificates: Certificates,
) -> None:
    """No plain port is known to any of them."""
    ports = [free_port() for _ in range(5)]
    first_port, second_port, *sentinel_ports = ports
    watching = [
        f"sentinel monitor mymaster 127.0.0.1 {first_port} 2",
        "sentinel down-after-milliseconds mymaster 1000",
    ]
    kinds = (VedetteSentinel, VedetteSentinel, RedisSentinel)
    with (
        RedisServer(certificates.config(first_port)) as first,
        VedetteServer(certificates.config(second_port)) as second,
    ):
        second.call("REPLICAOF", "127.0.0.1", first_port)
        sentinels = [
            kind(certificates.config(port), watching)
            for kind, port in zip(kinds, sentinel_ports, strict=True)
        ]
        with sentinels[0], sentinels[1], sentinels[2]:
            for sentinel in sentinels:
                wait_until(lambda s=sentinel: knows_all(s), 20, "all to know one another")

            trio.run(write_over_a_crash, certificates, sentinel_ports, first)

            second.close_client()  # the promotion has ended its connection
            assert second.call("GET", "k") == b"after"


@pytest.mark.parametrize("nodes_have_tls", [True, False])
def test_clients_speak_tls_with_sentinels_apart_from_nodes(
    certificates: Certificates, nodes_have_tls: bool
) -> None:
    """`sentinel_tls` says it: not as with the nodes, or by a context where those have none."""
    master_tls_port, sentinel_tls_port = free_port(), free_port()
    context = certificates.client_context()
    with VedetteServer(certificates.config(master_tls_port)) as master:
        watched_port = master_tls_port if nodes_have_tls else master.port
        tls = certificates.config(sentinel_tls_port)
        tls["tls-replication"] = "yes" if nodes_have_tls else "no"
        lines = [f"sentinel monitor mymaster 127.0.0.1 {watched_port} 1"]
        with VedetteSentinel(tls, lines) as sentinel:
            asked_port = sentinel.port if nodes_have_tls else sentinel_tls_port

            async def write(sentinel_tls: ssl.SSLContext | bool) -> None:
                async with FailoverClient(
                    "mymaster",
                    [("127.0.0.1", asked_port)],
                    tls_context=context if nodes_have_tls else None,
                    sentinel_tls=sentinel_tls,
                    command_timeout_s=5.0 if sentinel_tls is not True else 1.0,
                ) as client:
                    await client.set("k", "v")

            trio.run(write, False if nodes_have_tls else context)
            with pytest.raises(MasterUnavailable):
                trio.run(write, True)


def knows_all(sentinel: ServerProcess) -> bool:
    """Whether a sentinel has found both fellows and the replica."""
    fields = sentinel.call("SENTINEL", "MASTER", "mymaster")
    table = dict(zip(fields[::2], fields[1::2], strict=True))
    return (table[b"num-other-sentinels"], table[b"num-slaves"]) == (b"2", b"1")


async def write_over_a_crash(
    certificates: Certificates, sentinel_ports: list[int], master: ServerProcess
) -> None:
    async with FailoverClient(
        "mymaster",
        [("127.0.0.1", port) for port in sentinel_ports],
        tls_context=certificates.client_context(),
        repeat_last_wins=True,
    ) as client:
        await client.set("k", "before")
        master.kill()
        with trio.fail_after(25):
            await client.set("k", "after")


def test_exporter_asks_over_tls(certificates: Certificates) -> None:
    """By its scheme, or for all with --tls; whose authority is not named is not believed."""
    tls_port, port = free_port(), free_port()
    own = ["--cert", certificates.certificate_file, "--key", certificates.key_file]
    listen = ["--listen", f"127.0.0.1:{port}"]

    def up(target: str) -> str:
        url = f"http://127.0.0.1:{port}/scrape?target={target}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines: list[str] = answer.read().decode().splitlines()
        return next(line for line in lines if line.startswith("redis_up "))

    def serve(*options: str) -> RunningProgram:
        return RunningProgram("vedette", "exporter", *listen, *own, *options)

    target, authority = f"127.0.0.1:{tls_port}", ["--cacert", certificates.authority_file]
    with VedetteServer(certificates.config(tls_port)):
        with serve(*authority) as program:
            program.wait_for("exporter.started")
            assert up(f"rediss://{target}") == "redis_up 1.0"
            assert up(f"redis://{target}") == "redis_up 0.0"
        with serve(*authority, "--tls") as program:
            program.wait_for("exporter.started")
            assert up(target) == "redis_up 1.0"
        other = trustme.CA().cert_pem
        with other.tempfile() as stranger, serve("--cacert", stranger) as program:
            program.wait_for("exporter.started")
            assert up(f"rediss://{target}") == "redis_up 0.0"


def test_exporter_without_anybody_to_trust_does_not_start() -> None:
    """It would answer `redis_up 0` for ever."""
    with RunningProgram("vedette", "exporter", "--tls", "--listen", "127.0.0.1:0") as program:
        assert program.wait(20) == 2
        assert "--cacert or --cacertdir" in program.stderr


def test_doctor_asks_a_sentinel_over_tls(certificates: Certificates) -> None:
    """With redis-cli's options."""
    tls_port = free_port()
    with VedetteServer() as master:
        watching = [f"sentinel monitor mymaster 127.0.0.1 {master.port} 1"]
        config = {**certificates.config(tls_port), "tls-replication": "no"}
        with VedetteSentinel(config, watching):
            options = ["--cacert", certificates.authority_file]
            options += ["--cert", certificates.certificate_file, "--key", certificates.key_file]
            command = ["doctor", "--sentinel", f"127.0.0.1:{tls_port}", "--tls", *options]
            with RunningProgram("vedette", *command) as program:
                program.wait(60)
                printed = program.stdout

    assert printed.startswith("mymaster:")
