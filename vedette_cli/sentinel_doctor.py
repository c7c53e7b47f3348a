"""`vedette doctor --sentinel`: what a running sentinel finds wrong with its masters, in lines.

Asks SENTINEL DOCTOR; the findings, and what they mean, are the sentinel's.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence

import trio

from monitoring.targets import Target
from vedette.errors import VedetteError
from vedette.resp.exchange import Received, ReplyError
from vedette.runtime.connecting import open_connection

#: A silent node costs the sentinel some seconds.
TIME_LIMIT_S = 60.0


class NotOursError(VedetteError):
    """The sentinel is another program's, which has no SENTINEL DOCTOR."""


async def findings_of(target: Target, tls_context: ssl.SSLContext | None) -> dict[str, Received]:
    """Return what SENTINEL DOCTOR answers, by master's name; without a context over plain TCP.

    Raises:
        ConnectFailed, ConnectionLost, ReplyError: it cannot be asked.
        NotOursError: it is none of Vedette's.
        trio.TooSlowError: it does not answer.
    """
    with trio.fail_after(TIME_LIMIT_S):
        async with open_connection(
            target.address,
            username=target.username,
            password=target.password,
            tls_context=tls_context,
        ) as connection:
            masters = await connection.execute("SENTINEL", "MASTERS")
            names = [entry[1] for entry in masters]
            try:
                return {
                    name.decode("utf-8", "replace"): await connection.execute(
                        "SENTINEL", "DOCTOR", name
                    )
                    for name in names
                }
            except ReplyError as error:
                if "unknown subcommand" in error.text.lower():
                    raise NotOursError(
                        f"{target.address} is no sentinel of Vedette: it does not know SENTINEL "
                        "DOCTOR; `redis-cli SENTINEL CKQUORUM` says whether a failover is possible"
                    ) from error
                raise


def lines_of(findings: Sequence[Sequence[bytes]]) -> Iterator[str]:
    """Yield the findings' lines; each is followed by its meaning and advice where it has them."""
    for finding in findings:
        words = [word.decode("utf-8", "replace") for word in finding]
        fields = dict(zip(words[::2], words[1::2], strict=True))
        yield "{severity:<8}{check} {subject}: {finding}".format(**fields)
        for name in ("meaning", "advice"):
            if fields[name]:
                yield f"{'':8}{name}: {fields[name]}"


def has_fault(findings: Sequence[Sequence[bytes]]) -> bool:
    """Whether one of the findings is a fault."""
    return any(b"fault" in finding[1:2] for finding in findings)
