"""Directives of a program beside others of its machine: who supervises it, where its log goes.

For server and sentinel alike, as in redis-server 7.0.
"""

from __future__ import annotations

from typing import Final

from .kinds import Choice, Text, YesNo
from .settings import Directive, Flag

#: The facilities of the system's log that Redis knows.
SYSLOG_FACILITIES: Final = ("user", *(f"local{number}" for number in range(8)))

SUPERVISED: Final = Directive(
    "supervised", Choice("no", "auto", "systemd", "upstart"), "no", Flag.IMMUTABLE
)
SYSLOG_ENABLED: Final = Directive("syslog-enabled", YesNo(), False, Flag.IMMUTABLE)
SYSLOG_IDENT: Final = Directive("syslog-ident", Text(), "redis", Flag.IMMUTABLE)
SYSLOG_FACILITY: Final = Directive(
    "syslog-facility", Choice(*SYSLOG_FACILITIES), "local0", Flag.IMMUTABLE
)
