"""`vedette exporter`: the command line of the exporter."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click
import trio

from vedette.errors import VedetteError
from vedette.log import LEVELS, configure_logging
from vedette.runtime.listening import open_listeners
from vedette.runtime.tls import TlsError
from vedette.types import Address

from .runtime.exporter import run_exporter
from .runtime.tls_options import collect_tls, tls_options
from .targets import BadTarget, Target, parse_target

#: Where redis_exporter listens, but on this machine only: there is no password before it.
DEFAULT_LISTEN = "127.0.0.1:9121"
#: Prometheus gives up after 10 s unless told otherwise.
DEFAULT_TIMEOUT_S = 5.0


class BadListenAddress(VedetteError):
    """The text is not `host:port`."""


# Any: what `tls_options` gives, which `collect_tls` takes.
@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="URL",
    help="A server or sentinel, redis://[[user]:password@]host[:port]; may be repeated; rediss:// "
    "is over TLS. With "
    "exactly one, /metrics shows its metrics; any target is served at /scrape?target=URL.",
)
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    show_default=True,
    metavar="HOST:PORT",
    help="Where to serve.",
)
@click.option("--user", envvar="REDIS_USER", help="User for targets without one of their own.")
@click.option(
    "--password",
    envvar="REDIS_PASSWORD",
    help="Password for targets without one of their own; better given as REDIS_PASSWORD.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1),
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    help="Seconds that asking one target may take.",
)
@tls_options
@click.option("--log-level", type=click.Choice(list(LEVELS)), default="notice", show_default=True)
def cli(
    targets: tuple[str, ...],
    listen: str,
    user: str | None,
    password: str | None,
    timeout_s: float,
    log_level: str,
    **tls_words: Any,
) -> None:
    """Serve metrics of servers and sentinels for Prometheus, under redis_exporter's names."""
    tls = collect_tls(**tls_words)
    try:
        tls.context()  # a bad file is told before anything is served
        parsed = [
            tls.applied_to(_with_defaults(parse_target(text), user, password)) for text in targets
        ]
        host, port = parse_listen(listen)
    except (BadTarget, BadListenAddress, TlsError) as error:
        raise click.UsageError(str(error)) from error
    try:
        listeners = open_listeners([host], port, 128)
    except OSError as error:
        reason = error.strerror or str(error)
        raise click.ClickException(f"cannot listen on {listen}: {reason}") from error
    configure_logging(log_level)
    trio.run(lambda: run_exporter(listeners, parsed, timeout_s=timeout_s, tls=tls))


def parse_listen(text: str) -> Address:
    """Return the address to listen on: `host:port`, `[v6]:port` or `:port` for all of IPv4.

    Raises:
        BadListenAddress: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise BadListenAddress(f"{text!r} is not HOST:PORT")
    return Address(host.removeprefix("[").removesuffix("]") or "0.0.0.0", int(port))


def _with_defaults(target: Target, user: str | None, password: str | None) -> Target:
    if target.password is not None or password is None:
        return target
    return replace(target, username=user, password=password)


def main() -> int:
    """Run the program with the arguments of the process; return its exit code."""
    cli(prog_name="vedette exporter")
    return 0


if __name__ == "__main__":
    sys.exit(main())
