"""The options that `vedette up` and `vedette drill run` share: what the laboratory is made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce, wraps
from typing import Any

import click

# drills.lab is plain data and cheap to import; what waits is imported by the commands.
from drills.lab import PlanError, Topology, hand_out_kinds


class KindsType(click.ParamType[str]):
    """A kind of program, `mix`, or a list of kinds that is handed out in turn."""

    name = "kinds"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            hand_out_kinds(value, process_count=len(value))
        except PlanError as error:
            self.fail(str(error), param, ctx)
        return value


def lab_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add a laboratory's options to a click command, which gets them as `topology` and `is_tls`."""

    @wraps(command)
    # Any: the command's own options.
    def with_topology(
        *,
        nodes: str,
        sentinels: str,
        replica_count: int,
        sentinel_count: int,
        down_after_ms: int,
        failover_timeout_ms: int,
        parallel_syncs: int,
        **others: Any,
    ) -> None:
        topology = Topology(
            nodes=nodes,
            sentinels=sentinels,
            replica_count=replica_count,
            sentinel_count=sentinel_count,
            down_after_ms=down_after_ms,
            failover_timeout_ms=failover_timeout_ms,
            parallel_syncs=parallel_syncs,
        )
        command(topology=topology, **others)

    options = [
        click.option(
            "--nodes",
            type=KindsType(),
            default="vedette",
            show_default=True,
            help="Whose servers: vedette, redis, valkey, mix, or a list in turn (redis,vedette).",
        ),
        click.option(
            "--sentinels",
            type=KindsType(),
            default="vedette",
            show_default=True,
            help="Whose sentinels: as --nodes; mix is vedette,redis.",
        ),
        click.option(
            "--replicas",
            "replica_count",
            type=click.IntRange(0, 16),
            default=2,
            show_default=True,
            metavar="N",
            help="Replicas beside the master.",
        ),
        click.option(
            "--sentinel-count",
            type=click.IntRange(1, 17),
            default=3,
            show_default=True,
            metavar="N",
            help="Sentinels; the quorum is a majority of them.",
        ),
        click.option(
            "--down-after",
            "down_after_ms",
            type=click.IntRange(min=1),
            default=1000,
            show_default=True,
            metavar="MS",
            help="Silence after which a sentinel holds a node down.",
        ),
        click.option(
            "--failover-timeout",
            "failover_timeout_ms",
            type=click.IntRange(min=1),
            default=10_000,
            show_default=True,
            metavar="MS",
            help="The sentinels' failover-timeout.",
        ),
        click.option(
            "--parallel-syncs",
            type=click.IntRange(min=1),
            default=1,
            show_default=True,
            metavar="N",
            help="Replicas that are reconfigured at a time.",
        ),
        click.option(
            "--tls",
            "is_tls",
            is_flag=True,
            help="Connections over TLS, with certificates made for the purpose.",
        ),
    ]
    return reduce(lambda decorated, option: option(decorated), reversed(options), with_topology)
