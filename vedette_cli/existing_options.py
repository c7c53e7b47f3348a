"""The options of `vedette drill run` for a deployment that already runs: where it is, what may be
done to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce, wraps
from typing import Any, Final

import click
from click.core import ParameterSource

from drills.lab import MASTER_NAME
from drills.runtime.connector import Connector, Login
from drills.runtime.existing import Access
from ha_client.core.options import sentinel_address
from monitoring.runtime.tls_options import certificate_options, collect_tls
from vedette.runtime.tls import TlsError

#: What says something of a laboratory, by parameter.
_LAB_ONLY: Final = {
    "nodes": "--nodes",
    "sentinels": "--sentinels",
    "replica_count": "--replicas",
    "sentinel_count": "--sentinel-count",
    "down_after_ms": "--down-after",
    "failover_timeout_ms": "--failover-timeout",
    "parallel_syncs": "--parallel-syncs",
}
#: What says something of a deployment that exists, beside `--sentinel`.
_EXISTING_ONLY: Final = {
    "master_name": "--master",
    "plan_only": "--plan",
    "may_break": "--break-existing",
    "is_restarted": "--restarted",
    "key_limit": "--max-keys",
    "user": "--user",
    "password": "--password",
    "sentinel_user": "--sentinel-user",
    "sentinel_password": "--sentinel-password",
    "cacert": "--cacert",
    "cacertdir": "--cacertdir",
    "cert": "--cert",
    "key": "--key",
    "insecure": "--insecure",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingOptions:
    """Where a deployment is that already runs, and what its owner allows."""

    access: Access
    #: Show what would be done, and do nothing.
    plan_only: bool
    #: Acknowledged writes may be lost, and the master ended.
    may_break: bool
    #: Somebody starts the master again.
    is_restarted: bool


def existing_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a click command, which gets them as `existing`: None for a laboratory."""

    @wraps(command)
    # Any: the options, which `_collect` takes, and the command's own.
    def with_existing(sentinel_texts: tuple[str, ...], is_tls: bool, **others: Any) -> None:
        words = {name: others.pop(name) for name in _EXISTING_ONLY}
        _refuse_what_does_not_fit(is_existing=bool(sentinel_texts))
        existing = _collect(sentinel_texts, is_tls, **words) if sentinel_texts else None
        # `lab_options` has made a topology of its own; it says nothing where one exists.
        command(existing=existing, is_tls=is_tls, **others)

    options = [
        click.option(
            "--sentinel",
            "sentinel_texts",
            multiple=True,
            metavar="HOST[:PORT][,...]",
            help="Not in a laboratory, but on the deployment that these sentinels watch.",
        ),
        click.option(
            "--master",
            "master_name",
            default=MASTER_NAME,
            show_default=True,
            metavar="NAME",
            help="Under which name they watch it.",
        ),
        click.option(
            "--plan",
            "plan_only",
            is_flag=True,
            help="Say what would be done there and whether it can be; do nothing.",
        ),
        click.option(
            "--break-existing",
            "may_break",
            is_flag=True,
            help="Acknowledged writes may be lost there, and the master be stopped. Without it a "
            "terminal is asked.",
        ),
        click.option(
            "--restarted",
            "is_restarted",
            is_flag=True,
            help="Something, or you, will start the master again that master-crash ends there.",
        ),
        click.option(
            "--max-keys",
            "key_limit",
            type=click.IntRange(min=1),
            default=10_000,
            show_default=True,
            metavar="N",
            help="Most keys that all writers together set there; after them they only increment.",
        ),
        click.option("--user", envvar="REDIS_USER", help="User for the nodes there."),
        click.option(
            "--password",
            envvar="REDIS_PASSWORD",
            help="Password for the nodes there; better given as REDIS_PASSWORD.",
        ),
        click.option("--sentinel-user", envvar="SENTINEL_USER", help="The same for sentinels."),
        click.option(
            "--sentinel-password",
            envvar="SENTINEL_PASSWORD",
            help="The same for sentinels; better given as SENTINEL_PASSWORD.",
        ),
    ]
    return reduce(
        lambda decorated, option: option(decorated),
        reversed(options),
        certificate_options(with_existing),
    )


def _is_given(name: str) -> bool:
    """Whether an option stands on the command line: a password in the environment says nothing."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def _refuse_what_does_not_fit(*, is_existing: bool) -> None:
    wrong = _LAB_ONLY if is_existing else _EXISTING_ONLY
    found = [option for name, option in wrong.items() if _is_given(name)]
    if found and is_existing:
        raise click.UsageError(f"{', '.join(found)}: these are of a laboratory, not of --sentinel")
    if found:
        raise click.UsageError(f"{', '.join(found)}: only with --sentinel")


# Any: the words of `certificate_options`, which `collect_tls` takes.
def _collect(
    sentinel_texts: tuple[str, ...],
    is_tls: bool,
    *,
    master_name: str,
    plan_only: bool,
    may_break: bool,
    is_restarted: bool,
    key_limit: int,
    user: str | None,
    password: str | None,
    sentinel_user: str | None,
    sentinel_password: str | None,
    **certificates: Any,
) -> ExistingOptions:
    try:
        addresses = [
            sentinel_address(piece) for text in sentinel_texts for piece in text.split(",")
        ]
        context = collect_tls(tls=is_tls, **certificates).context()
    except (ValueError, TlsError) as error:
        raise click.UsageError(str(error)) from error
    if context is not None and not is_tls:
        raise click.UsageError("certificates are of no use without --tls")
    return ExistingOptions(
        access=Access(
            sentinels=addresses,
            master_name=master_name,
            connector=Connector(
                nodes=Login(user, password),
                sentinels=Login(sentinel_user, sentinel_password),
                tls_context=context,
            ),
            key_limit=key_limit,
        ),
        plan_only=plan_only,
        may_break=may_break,
        is_restarted=is_restarted,
    )
